//! The hard state, in two places of one file.
//!
//! A change is written to the first place, synced, written to the second and synced again, and only
//! then confirmed. So whatever was confirmed stands in both, and one of them may be torn or damaged.

use coracle::HardState;

use crate::error::{Damage, DiskError};
use crate::files::{File, Files};
use crate::format::{SLOT_BYTES, Slot};

/// Both places, and what was written there last.
pub(crate) struct Slots<F: Files> {
    files: F,
    file: F::File,
    pub(crate) slot: Slot,
}

impl<F: Files> Slots<F> {
    /// Makes the file. It is not there before it is whole.
    pub(crate) fn create(files: &F, slot: Slot) -> Result<Self, DiskError> {
        let fail = |doing| move |error| DiskError::io(files.path(STATE), doing, error);
        let file = files.create(STATE_NEW).map_err(fail("made"))?;
        for place in PLACES {
            file.write_at(place, &padded(&slot)).map_err(fail("written"))?;
        }
        file.sync().map_err(fail("synced"))?;
        files.rename(STATE_NEW, STATE).map_err(fail("renamed"))?;
        files.sync_names().map_err(fail("synced"))?;
        Ok(Self { files: files.clone(), file, slot })
    }

    /// Goes on with a file that was read, and makes both places say the same, durably.
    pub(crate) fn reopen(files: &F, slot: Slot) -> Result<Self, DiskError> {
        let file = files.open(STATE);
        let file = file.map_err(|error| DiskError::io(files.path(STATE), "opened", error))?;
        let mut slots = Self { files: files.clone(), file, slot };
        slots.write()?;
        Ok(slots)
    }

    pub(crate) fn set_hard(&mut self, hard: HardState) -> Result<(), DiskError> {
        self.slot.hard = hard;
        self.write()
    }

    pub(crate) fn set_segment(&mut self, segment: u64) -> Result<(), DiskError> {
        self.slot.segment = segment;
        self.write()
    }

    fn write(&mut self) -> Result<(), DiskError> {
        let fail = |doing| {
            let files = &self.files;
            move |error| DiskError::io(files.path(STATE), doing, error)
        };
        self.slot.sequence += 1;
        for place in PLACES {
            self.file.write_at(place, &padded(&self.slot)).map_err(fail("written"))?;
            self.file.sync().map_err(fail("synced"))?;
        }
        Ok(())
    }
}

/// What the file says, and whether a place must be written again.
pub(crate) fn read<F: Files>(files: &F) -> Result<(Slot, bool), DiskError> {
    let file = files.open(STATE);
    let file = file.map_err(|error| DiskError::io(files.path(STATE), "opened", error))?;
    let mut newest: Option<Slot> = None;
    let mut is_whole = true;
    let mut other_version = None;
    for place in PLACES {
        let mut bytes = [0; SLOT_BYTES];
        // A file that is too short has no such place.
        let slot = match file.read_at(place, &mut bytes) {
            Ok(()) => Slot::decode(&bytes),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(None),
            Err(error) => return Err(DiskError::io(files.path(STATE), "read", error)),
        };
        match slot {
            Ok(slot) => {
                is_whole &= newest.is_none_or(|newest| newest == slot);
                if newest.is_none_or(|newest| newest.sequence < slot.sequence) {
                    newest = Some(slot);
                }
            }
            Err(version) => {
                other_version = other_version.or(version);
                is_whole = false;
            }
        }
    }
    let file = files.path(STATE);
    match (newest, other_version) {
        (Some(slot), None) => Ok((slot, is_whole)),
        (_, Some(version)) => {
            let what = format!("it has the format {version}, which this program does not know");
            Err(DiskError::Foreign { file, what })
        }
        (None, None) => {
            let what = "neither of the two copies of term and vote can be read".to_owned();
            Err(DiskError::Damaged(Damage { file, offset: 0, what }))
        }
    }
}

fn padded(slot: &Slot) -> Vec<u8> {
    let mut bytes = slot.encode();
    bytes.resize(usize::try_from(PLACE_BYTES).unwrap_or(SLOT_BYTES), 0);
    bytes
}

pub(crate) const STATE: &str = "state";
pub(crate) const STATE_NEW: &str = "state.new";
/// Far enough apart that no device writes both at once.
const PLACE_BYTES: u64 = 4096;
const PLACES: [u64; 2] = [0, PLACE_BYTES];
