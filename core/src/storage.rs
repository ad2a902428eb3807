//! Where a node keeps what it must not forget.

use core::convert::Infallible;

use crate::bytes::copy;
use crate::machine::{Full, Sink};
use crate::raft::{Receipt, Write};
use crate::snapshot::{Contents, Snapshot, SnapshotName, Summary};
use crate::types::HardState;

/// A medium, as [`Node`](crate::Node) uses it. Writes must reach it in the order of the calls.
///
/// A failed write or sync is final: the node stops, and is started again from what the medium holds.
pub trait Storage {
    /// Why the medium failed.
    type Error;

    /// Whether a node that is started again finds what was persisted. Without that its log may be
    /// dropped without a snapshot as far as every member holds it.
    fn is_durable(&self) -> bool;

    /// How many bytes of commands, in one write, are sure to find room beside all that was handed
    /// over already. Commands beyond that are not taken, as when the log is full; what a cluster needs
    /// to go on without commands is, so a medium holds some room back for it.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Makes a write durable, or begins to.
    ///
    /// # Errors
    /// The medium failed; the node never goes on.
    fn persist(&mut self, write: &Write<'_>, receipt: Receipt) -> Result<Persisted, Self::Error>;

    /// Replaces the snapshot by one of this node's own state. When this returns the new one is
    /// durable, and entries up to `snapshot.base` may be forgotten; those behind it must be kept.
    ///
    /// `contents` writes the snapshot's bytes into a sink, the same ones each time it is called,
    /// and says what they were.
    ///
    /// # Errors
    /// The medium failed and the old snapshot is intact; the node never goes on.
    fn save_snapshot(
        &mut self,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Saving, Self::Error>;

    /// Reads bytes of a snapshot, which has as many.
    ///
    /// # Errors
    /// The medium failed; the node never goes on.
    fn read_snapshot(
        &mut self,
        place: Place,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), Self::Error>;

    /// Keeps a piece of a leader's snapshot beside the one that there is. Pieces come in any order,
    /// and a piece under another name than the last makes that one void. Nothing need be durable.
    ///
    /// # Errors
    /// The medium failed; the node never goes on.
    fn stage(
        &mut self,
        name: SnapshotName,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Staging, Self::Error>;

    /// Puts the staged snapshot in the place of the kept one and of **all** entries, those that are
    /// on their way to the medium included, but not of the hard state. When this returns that is
    /// durable.
    ///
    /// # Errors
    /// The medium failed and the old snapshot and the entries are intact; the node never goes on.
    fn install(&mut self, snapshot: &Snapshot<'_>) -> Result<(), Self::Error>;

    /// Puts this hard state and a snapshot in the place of all that is kept, of another incarnation
    /// perhaps, and drops all entries: this node founds a cluster alone. When this returns that is
    /// durable; a crash before leaves all that there was or all that there is to be. `contents` is as
    /// in [`save_snapshot`](Self::save_snapshot).
    ///
    /// A medium that cannot do so has no room for it, and neither has one that this is not written for.
    ///
    /// # Errors
    /// The medium failed; the node never goes on, and is started again from whichever it holds.
    fn found(
        &mut self,
        _hard: &HardState,
        _snapshot: &Snapshot<'_>,
        _contents: Contents<'_>,
    ) -> Result<Saving, Self::Error> {
        Ok(Saving::NoRoom)
    }
}

/// Whether a write is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Persisted {
    /// It is.
    Done,
    /// It will be: [`Node::durable`](crate::Node::durable) gets the receipt when it is.
    Submitted,
}

/// What became of a snapshot of the own state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Saving {
    /// It is kept.
    Kept(Summary),
    /// There is no room for it. Nothing was forgotten that a restart needs, but there is no snapshot
    /// that could be sent.
    NoRoom,
}

/// What became of a piece of a leader's snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Staging {
    /// It is kept.
    Kept,
    /// There is no room for that snapshot, and nothing of it is kept.
    NoRoom,
}

/// Which snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Place {
    /// The one that was saved or installed last.
    Kept,
    /// The one that is being gathered.
    Staged,
}

/// Stores nothing. A node that is started again is a new incarnation.
///
/// There is no room for snapshots either: a member that lacks what the log has dropped cannot be
/// brought back by this one, and a log is dropped only as far as every member holds it.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Volatile;

impl Storage for Volatile {
    type Error = Infallible;

    fn is_durable(&self) -> bool {
        false
    }

    fn persist(&mut self, _: &Write<'_>, _: Receipt) -> Result<Persisted, Infallible> {
        Ok(Persisted::Done)
    }

    fn save_snapshot(&mut self, _: &Snapshot<'_>, _: Contents<'_>) -> Result<Saving, Infallible> {
        Ok(Saving::NoRoom)
    }

    fn read_snapshot(&mut self, _: Place, _: u64, _: &mut [u8]) -> Result<(), Infallible> {
        Ok(())
    }

    fn stage(&mut self, _: SnapshotName, _: u64, _: &[u8]) -> Result<Staging, Infallible> {
        Ok(Staging::NoRoom)
    }

    fn install(&mut self, _: &Snapshot<'_>) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Stores nothing that outlives the node, but has room for snapshots, so that members that lack what
/// the log has dropped can be brought back.
///
/// Each of the two areas must hold a whole snapshot: state, sessions and members. An area is an
/// array, a boxed slice or a `&mut` slice.
#[derive(Clone, Debug)]
pub struct VolatileSnapshots<B> {
    kept: B,
    staged: B,
}

impl<B> VolatileSnapshots<B> {
    /// Snapshots in these areas.
    pub const fn new(kept: B, staged: B) -> Self {
        Self { kept, staged }
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Storage for VolatileSnapshots<B> {
    type Error = Infallible;

    fn is_durable(&self) -> bool {
        false
    }

    fn persist(&mut self, _: &Write<'_>, _: Receipt) -> Result<Persisted, Infallible> {
        Ok(Persisted::Done)
    }

    fn save_snapshot(
        &mut self,
        _: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Saving, Infallible> {
        let mut area = Area(self.kept.as_mut());
        Ok(contents(&mut area).map_or(Saving::NoRoom, Saving::Kept))
    }

    fn read_snapshot(
        &mut self,
        place: Place,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), Infallible> {
        let area = match place {
            Place::Kept => self.kept.as_ref(),
            Place::Staged => self.staged.as_ref(),
        };
        let from = usize::try_from(offset).ok().and_then(|offset| area.get(offset..));
        copy(into, from.unwrap_or_default());
        Ok(())
    }

    fn stage(
        &mut self,
        name: SnapshotName,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Staging, Infallible> {
        let area = self.staged.as_mut();
        let has_room = usize::try_from(name.length).is_ok_and(|length| length <= area.len());
        let to = usize::try_from(offset).ok().and_then(|offset| area.get_mut(offset..));
        let to = to.and_then(|rest| rest.get_mut(..bytes.len()));
        match to {
            Some(to) if has_room => copy(to, bytes),
            Some(_) | None => return Ok(Staging::NoRoom),
        }
        Ok(Staging::Kept)
    }

    fn install(&mut self, _: &Snapshot<'_>) -> Result<(), Infallible> {
        core::mem::swap(&mut self.kept, &mut self.staged);
        Ok(())
    }
}

/// Takes bytes at the front of a slice.
struct Area<'a>(&'a mut [u8]);

impl Sink for Area<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let room = core::mem::take(&mut self.0);
        let (to, rest) = room.split_at_mut_checked(bytes.len()).ok_or(Full)?;
        copy(to, bytes);
        self.0 = rest;
        Ok(())
    }
}
