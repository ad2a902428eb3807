//! Storage in a range of flash.

use coracle::{
    Contents, EntryId, Full, HardState, Index, Members, Memory, NodeId, Options, Persisted, Place,
    Raft, Receipt, Saved, Saving, Seal, Sink, Snapshot, SnapshotName, Staging, Storage, Write,
};
use embedded_storage::nor_flash::NorFlash;
use rand_core::Rng;

use crate::area;
use crate::error::{FlashError, StartError};
use crate::format::{Identity, Kept, encode_piece};
use crate::layout::Layout;
use crate::log::{Log, Plan, entry_bytes};
use crate::medium::{Result, Writer, bytes_of, erase_pages, read};

/// A storage in a range of NOR flash. What a call has returned from is durable.
#[derive(Debug)]
pub struct Flash<F: NorFlash> {
    flash: F,
    log: Log,
    /// A snapshot that is being gathered, and the address behind its pieces.
    staged: Option<(SnapshotName, u32)>,
    /// A write or an erase was broken off: words that count as blank may not be.
    is_dead: bool,
}

/// What was found, beside the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Recovered {
    /// The hard state: incarnation, epoch, term and vote.
    pub hard: HardState,
    /// The entry before the first one that is kept.
    pub base: EntryId,
    /// The last entry that is kept, or the base.
    pub last: Index,
    /// The snapshot, if there is one.
    pub snapshot: Option<RecoveredSnapshot>,
}

/// A snapshot that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RecoveredSnapshot {
    /// The last entry that is applied in it.
    pub applied: EntryId,
    /// The entry that names the members.
    pub configuration: Index,
    /// How many bytes the node wrote: what [`coracle::Node::restore_kept`] wants to know.
    pub length: u64,
}

impl<F: NorFlash> Flash<F> {
    /// Goes on with what the flash holds, or begins in a blank range. What was being written when
    /// the power went is made good.
    ///
    /// # Errors
    /// [`FlashError`]. Unless the driver refused an operation, nothing has changed.
    pub fn open(flash: F, layout: Layout, identity: Identity) -> Result<Self, F> {
        let mut flash = flash;
        layout.check(&flash).map_err(FlashError::Layout)?;
        let log = Log::open(&mut flash, layout, identity)?;
        if let Some(kept) = &log.kept {
            area::check(&mut flash, &layout, kept)?;
        }
        Ok(Self { flash, log, staged: None, is_dead: false })
    }

    /// What is there; none if nothing was ever written.
    #[must_use]
    pub fn recovered(&self) -> Option<Recovered> {
        let kept = self.log.kept;
        Some(Recovered {
            hard: self.log.hard?,
            base: kept.map_or_else(EntryId::default, |kept| kept.base),
            last: self.log.last,
            snapshot: kept.map(|Kept { applied, configuration, length, .. }| RecoveredSnapshot {
                applied,
                configuration,
                length,
            }),
        })
    }

    /// Gives every entry that is kept, in order and in its one encoding, to `take`. `buffer` must
    /// hold the longest, and the members of the snapshot.
    ///
    /// # Errors
    /// [`StartError`]: the flash could not be read, the buffer is too small, or what `take` says.
    pub fn each_entry(
        &mut self,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> core::result::Result<(), StartError<F::Error>>,
    ) -> core::result::Result<(), StartError<F::Error>> {
        let base = self.log.kept.map_or(Index::ZERO, |kept| kept.base.index);
        let mut failure = None;
        let all = (base, Index(u64::MAX));
        let read_all = self.log.each_extent(&mut self.flash, all, |flash, extent| {
            let (mut at, end) = (extent.at, extent.at + extent.bytes);
            while at < end && failure.is_none() {
                let bytes = entry_bytes(flash, at)?;
                let length = usize::try_from(bytes).unwrap_or(usize::MAX);
                match buffer.get_mut(..length) {
                    None => failure = Some(StartError::BufferTooSmall(length)),
                    Some(entry) => {
                        read(flash, at, entry)?;
                        failure = take(entry).err();
                    }
                }
                at += bytes;
            }
            Ok(())
        });
        read_all.map_err(StartError::Flash)?;
        failure.map_or(Ok(()), Err)
    }

    /// A raft that goes on where it stopped, or a new one if nothing was ever written. `buffer`
    /// must hold the longest entry, and the members. If there is a snapshot,
    /// [`coracle::Node::restore_kept`] comes next.
    ///
    /// # Errors
    /// [`StartError`]; nothing was written.
    pub fn start<M: Memory, R: Rng, S: Seal, const N: usize>(
        &mut self,
        options: &Options,
        others: &[NodeId],
        (memory, random, seal): (M, R, S),
        buffer: &mut [u8],
    ) -> core::result::Result<Raft<M, R, S, N>, StartError<F::Error>> {
        let Some(recovered) = self.recovered() else {
            let raft = Raft::new(options, others, memory, random, seal);
            return raft.map_err(StartError::Setup);
        };
        let Recovered { hard, base, snapshot, .. } = recovered;
        let needed = self.log.kept.map_or(0, |kept| kept.members_bytes);
        let needed = usize::try_from(needed).unwrap_or(usize::MAX);
        if buffer.len() < needed {
            return Err(StartError::BufferTooSmall(needed));
        }
        let members = self.log.read_members(&mut self.flash, buffer).map_err(StartError::Flash)?;
        let saved = Saved {
            hard,
            applied: snapshot.map_or(Index::ZERO, |snapshot| snapshot.applied.index),
            base,
            configuration: snapshot.map_or(Index::ZERO, |snapshot| snapshot.configuration),
            members: members.and_then(Members::parse),
        };
        let raft = Raft::recover(options, others, memory, random, seal, &saved);
        let mut raft = raft.map_err(StartError::Setup)?;
        self.each_entry(buffer, |entry| raft.recover_run(entry).map_err(StartError::Entries))?;
        Ok(raft)
    }

    /// Makes a write durable, as [`Storage::persist`] does, for who drives a [`Raft`] alone.
    ///
    /// # Errors
    /// [`FlashError`]: what was acknowledged before is intact, and nothing of this is acknowledged.
    pub fn write(&mut self, write: &Write<'_>) -> Result<(), F> {
        self.unless_dead(|this| this.log.write(&mut this.flash, write))
    }

    /// Writes unless the driver has refused an operation before.
    fn unless_dead<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, F>) -> Result<T, F> {
        if self.is_dead {
            return Err(FlashError::Dead);
        }
        let acted = act(self);
        self.is_dead = matches!(acted, Err(FlashError::Driver(_)));
        acted
    }

    /// The driver, when nothing is to be stored any more.
    pub fn into_driver(self) -> F {
        self.flash
    }

    fn save(&mut self, snapshot: &Snapshot<'_>, contents: Contents<'_>) -> Result<Saving, F> {
        let Ok(summary) = contents(&mut Nowhere) else { return Ok(Saving::NoRoom) };
        let from = self.log.layout.area(self.free_area());
        let length = u32::try_from(summary.length).unwrap_or(u32::MAX);
        let end = area::piece_end::<F>(from, length);
        let extent = (summary.length, summary.checksum, end);
        let kept = self.kept_of(snapshot, extent);
        let members = Some(snapshot.members.bytes());
        let plan = Plan { kept: Some(kept), members, ..self.log.plan() };
        if end - from > self.log.layout.snapshot_bytes
            || !self.log.has_room_for(&mut self.flash, &plan)?
        {
            return Ok(Saving::NoRoom);
        }
        self.staged = None;
        erase_pages(&mut self.flash, from, self.log.layout.snapshot_bytes)?;
        let mut writer = Writer::new(from);
        writer.put(&mut self.flash, &encode_piece(0, length))?;
        let mut writing = Writing { flash: &mut self.flash, writer, left: length, error: None };
        let written = contents(&mut writing);
        let Writing { writer, error, .. } = writing;
        if let Some(error) = error {
            return Err(error);
        }
        if written != Ok(summary) {
            return Ok(Saving::NoRoom);
        }
        writer.finish(&mut self.flash)?;
        self.keep(snapshot, extent, false)?;
        Ok(Saving::Kept(summary))
    }

    fn stage_piece(&mut self, name: SnapshotName, offset: u64, bytes: &[u8]) -> Result<Staging, F> {
        let (Ok(place), length) = (u32::try_from(offset), bytes_of(bytes.len())) else {
            return Ok(Staging::NoRoom);
        };
        let from = self.log.layout.area(self.free_area());
        if let Some((_, end)) = self.staged.filter(|(staged, _)| *staged == name)
            && area::has_piece(&mut self.flash, (from, end), (place, length))?
        {
            return Ok(Staging::Kept);
        }
        let Some(at) = self.stage_at(name, offset, length)? else {
            self.staged = None;
            return Ok(Staging::NoRoom);
        };
        let end = area::put_piece(&mut self.flash, at, place, bytes)?;
        self.staged = Some((name, end));
        Ok(Staging::Kept)
    }

    /// The area that the next snapshot goes to.
    fn free_area(&self) -> u32 {
        self.log.kept.map_or(0, |kept| 1 - kept.area)
    }

    /// Leaves a log for one that begins with a snapshot in the free area.
    fn keep(
        &mut self,
        snapshot: &Snapshot<'_>,
        (length, checksum, end): (u64, u32, u32),
        is_empty: bool,
    ) -> Result<(), F> {
        let kept = self.kept_of(snapshot, (length, checksum, end));
        let members = Some(snapshot.members.bytes());
        let plan = Plan { kept: Some(kept), members, is_empty, ..self.log.plan() };
        self.log.begin(&mut self.flash, &plan)
    }

    fn kept_of(&self, snapshot: &Snapshot<'_>, extent: (u64, u32, u32)) -> Kept {
        let Snapshot { applied, base, configuration, members } = *snapshot;
        let (length, checksum, end) = extent;
        let members_bytes = bytes_of(members.bytes().len());
        let area = self.free_area();
        Kept { applied, base, configuration, length, checksum, area, end, members_bytes }
    }

    /// The address where the next piece goes, in an erased area if it is the first; none if there
    /// is no room for the snapshot.
    fn stage_at(&mut self, name: SnapshotName, offset: u64, piece: u32) -> Result<Option<u32>, F> {
        let from = self.log.layout.area(self.free_area());
        let limit = from + self.log.layout.snapshot_bytes;
        if let Some((_, end)) = self.staged.filter(|(staged, _)| *staged == name) {
            return Ok(Some(end).filter(|end| area::piece_end::<F>(*end, piece) <= limit));
        }
        self.staged = None;
        // All pieces but the last are of one length, and none is shorter than the last.
        let is_last = offset.saturating_add(u64::from(piece)) >= name.length && offset > 0;
        let usual = if is_last { piece.max(SHORTEST_PIECE) } else { piece }.max(1);
        let pieces = name.length.div_ceil(u64::from(usual));
        let needed = pieces.saturating_mul(u64::from(area::piece_end::<F>(0, usual)));
        if needed > u64::from(self.log.layout.snapshot_bytes) && pieces > 1
            || u64::from(area::piece_end::<F>(0, piece)) > u64::from(limit - from)
            || name.length > u64::from(limit - from)
        {
            return Ok(None);
        }
        erase_pages(&mut self.flash, from, self.log.layout.snapshot_bytes)?;
        self.staged = Some((name, from));
        Ok(Some(from))
    }
}

impl<F: NorFlash> Storage for Flash<F> {
    type Error = FlashError<F::Error>;

    fn is_durable(&self) -> bool {
        true
    }

    fn room(&self) -> usize {
        usize::try_from(self.log.room::<F>()).unwrap_or(usize::MAX)
    }

    fn persist(&mut self, write: &Write<'_>, _: Receipt) -> Result<Persisted, F> {
        self.write(write)?;
        Ok(Persisted::Done)
    }

    fn save_snapshot(
        &mut self,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Saving, F> {
        self.unless_dead(|this| this.save(snapshot, contents))
    }

    fn read_snapshot(&mut self, place: Place, offset: u64, into: &mut [u8]) -> Result<(), F> {
        let layout = &self.log.layout;
        let extent = match place {
            Place::Kept => self.log.kept.map(|kept| (layout.area(kept.area), kept.end)),
            Place::Staged => self.staged.map(|(_, end)| (layout.area(self.free_area()), end)),
        };
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        let (from, end) = extent.unwrap_or_default();
        if area::read_pieces(&mut self.flash, (from, end), offset, into)? {
            return Ok(());
        }
        match place {
            Place::Kept if extent.is_none() => Err(FlashError::NoSnapshot),
            Place::Kept => Err(FlashError::Damaged(from)),
            // One that made room for another: the node finds out by its checksum.
            Place::Staged => {
                into.fill(0);
                Ok(())
            }
        }
    }

    fn stage(&mut self, name: SnapshotName, offset: u64, bytes: &[u8]) -> Result<Staging, F> {
        self.unless_dead(|this| this.stage_piece(name, offset, bytes))
    }

    fn install(&mut self, snapshot: &Snapshot<'_>) -> Result<(), F> {
        let Some((name, end)) = self.staged else { return Err(FlashError::NoSnapshot) };
        self.unless_dead(|this| this.keep(snapshot, (name.length, name.checksum, end), true))?;
        self.staged = None;
        Ok(())
    }
}

/// Takes everything and keeps nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> core::result::Result<(), Full> {
        Ok(())
    }
}

/// Writes contents into the free area.
struct Writing<'f, F: NorFlash> {
    flash: &'f mut F,
    writer: Writer,
    /// How many bytes there may be more.
    left: u32,
    error: Option<FlashError<F::Error>>,
}

impl<F: NorFlash> Sink for Writing<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> core::result::Result<(), Full> {
        self.left = self.left.checked_sub(bytes_of(bytes.len())).ok_or(Full)?;
        if let Err(error) = self.writer.put(self.flash, bytes) {
            self.error = Some(error);
            return Err(Full);
        }
        Ok(())
    }
}

/// Clears a range for a node that begins anew. If the power goes meanwhile, it must be done again.
///
/// # Errors
/// [`FlashError`]: the layout cannot be used, or the driver refused.
pub fn erase<F: NorFlash>(flash: &mut F, layout: &Layout) -> Result<(), F> {
    layout.check(flash).map_err(FlashError::Layout)?;
    erase_pages(flash, layout.offset, layout.bytes())
}

/// No datagram carries less of a snapshot, unless it is the end.
const SHORTEST_PIECE: u32 = 64;
