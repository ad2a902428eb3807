//! A node's disk. What was written becomes durable some time later; what was not yet is lost in a
//! crash, from an arbitrary record on, and that record may be torn.

mod durable;

pub use durable::{Durable, Snapshot};

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use coracle::{EntryId, Epoch, HardState, Index, MemberId, Place, Receipt, SnapshotName, Write};

use crate::chance::Chance;
use crate::entries::{Known, walk};

/// One disk: durable state, and the records on their way to it.
#[derive(Debug, Default)]
pub struct Disk {
    /// What survives any crash.
    durable: Durable,
    /// What was on disks that stood here before and are lost.
    graves: Vec<Durable>,
    /// What was written and may be lost, in order.
    pub(crate) journal: VecDeque<Record>,
    /// The records that ever entered the journal, and those of them that have left it.
    pub(crate) submitted: u64,
    pub(crate) synced: u64,
    /// The snapshot that is being gathered; a crash loses it.
    staged: Option<(SnapshotName, Vec<u8>)>,
    /// What is durable and was not told yet.
    untold: Vec<Receipt>,
    /// Something that a correct node never asks for.
    complaint: Option<String>,
    /// How it behaves.
    pub habits: Habits,
    /// What happened to it.
    pub counts: DiskCounts,
    chance: Option<Chance>,
}

/// How a disk behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// How many writes in a thousand are done when they return; the others are done later.
    pub at_once: u64,
    /// Whether the hard state is written before the entries, or else behind them: then entries may
    /// survive whose term the hard state does not know.
    pub hard_first: bool,
    /// Whether saving a snapshot waits for everything written before it.
    pub snapshot_is_barrier: bool,
    /// How many writes in a thousand fail.
    pub failing: u64,
    /// How many bytes a snapshot may have.
    pub snapshot_room: u64,
    /// The next write is cut off by a crash.
    pub crash_in_write: bool,
    /// It is no disk at all: what is kept here is what the node holds in memory, and only images of it
    /// outlive a process.
    pub is_memory: bool,
}

/// What happened to a disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskCounts {
    /// Writes.
    pub writes: u64,
    /// Records of which a part survived.
    pub torn: u64,
    /// Records of which nothing survived.
    pub lost: u64,
    /// Entries that survived without the hard state that was written with them.
    pub unconfirmed: u64,
    /// Snapshots saved.
    pub snapshots: u64,
    /// Snapshots installed.
    pub installed: u64,
    /// Snapshots that there was no room for.
    pub too_large: u64,
    /// Writes refused.
    pub failed: u64,
}

/// Why a write was not done. The node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// The power went while it was under way.
    Crash,
    /// The medium refused.
    Refused,
}

#[derive(Debug)]
pub(crate) struct Record {
    receipt: Option<Receipt>,
    hard: Option<HardState>,
    first: Index,
    run: Vec<u8>,
}

impl Disk {
    /// What survives a crash whatever happens.
    #[must_use]
    pub const fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Whether an entry of this member is here, or was when its disk was lost: it was durable as far
    /// as anybody could know.
    #[must_use]
    pub fn has_held(&self, member: MemberId, epoch: Epoch, entry: Known) -> bool {
        self.graves.iter().chain([&self.durable]).any(|durable| {
            let hard = durable.hard.unwrap_or_default();
            hard.incarnation == member.incarnation && hard.epoch == epoch && durable.holds(entry)
        })
    }

    /// What no correct node asks for, if it was asked for.
    pub const fn take_complaint(&mut self) -> Option<String> {
        self.complaint.take()
    }

    /// Whether there is anything on its way or to be told, and the number of the last record.
    #[must_use]
    pub fn pending(&self) -> (bool, u64) {
        (!self.journal.is_empty() || !self.untold.is_empty(), self.submitted)
    }

    /// Makes everything up to the record of this number durable, and gives the receipts for it.
    pub fn sync(&mut self, upto: u64) -> Vec<Receipt> {
        self.flush(upto);
        std::mem::take(&mut self.untold)
    }

    fn flush(&mut self, upto: u64) {
        while self.synced < upto {
            let Some(record) = self.journal.pop_front() else { break };
            self.synced += 1;
            self.durable.store(&record, usize::MAX, true);
            self.untold.extend(record.receipt);
        }
    }

    /// The power goes: an arbitrary number of records survive, and perhaps a part of the next.
    pub fn crash(&mut self) {
        let Some(mut chance) = self.chance.take() else { return };
        let survivors = chance.between(0, self.journal.len() as u64);
        self.flush(self.synced + survivors);
        if let Some(record) = self.journal.pop_front() {
            let hard_first = self.habits.hard_first;
            let kept = chance.place(walk(&record.run, record.first).count() + 1);
            if chance.coin() && (kept > 0 || (hard_first && record.hard.is_some())) {
                self.durable.store(&record, kept, hard_first);
                self.counts.torn += 1;
            } else {
                self.counts.lost += 1;
            }
        }
        self.counts.lost += self.journal.len() as u64;
        self.journal.clear();
        self.staged = None;
        self.synced = self.submitted;
        self.untold.clear();
        self.habits.crash_in_write = false;
        self.chance = Some(chance);
    }

    /// A node starts: entries of a term that the hard state does not know were never confirmed, so
    /// they are cut off.
    pub fn cut_unconfirmed(&mut self) {
        let hard = self.durable.hard.unwrap_or_default();
        let confirmed =
            self.durable.entries().iter().take_while(|known| known.id.term <= hard.term);
        let confirmed = confirmed.count();
        self.counts.unconfirmed += (self.durable.entries().len() - confirmed) as u64;
        self.durable.truncate(confirmed);
    }

    /// The node ends and leaves an image: that has all of its memory, whatever was written before.
    pub fn remember(&mut self, hard: HardState, last: Index, entries: &[Known]) {
        self.durable.remember(hard, last, entries);
    }

    /// Whether it took the place of one that was lost.
    #[must_use]
    pub fn is_replacement(&self) -> bool {
        !self.graves.is_empty()
    }

    /// The disk is replaced by an empty one.
    pub fn wipe(&mut self) {
        self.graves.push(std::mem::take(&mut self.durable));
        self.journal.clear();
        self.untold.clear();
        self.synced = self.submitted;
    }

    /// Takes a write; whether it is done already. If not, the receipt is given back when it is.
    ///
    /// # Errors
    /// The node ends; nothing, or a part of it, may be durable.
    pub fn write(
        &mut self,
        write: &Write<'_>,
        receipt: Option<Receipt>,
    ) -> Result<bool, DiskError> {
        self.counts.writes += 1;
        self.check(write);
        let habits = self.habits;
        let mut chance = || self.chance.as_mut().map_or(0, |chance| chance.below(1000));
        if chance() < habits.failing {
            self.counts.failed += 1;
            return Err(DiskError::Refused);
        }
        let at_once = chance() < habits.at_once;
        let [first, second] = write.runs;
        let mut run = Vec::with_capacity(first.len() + second.len());
        run.extend_from_slice(first);
        run.extend_from_slice(second);
        self.journal.push_back(Record { receipt, hard: write.hard, first: write.first, run });
        self.submitted += 1;
        if habits.crash_in_write {
            return Err(DiskError::Crash);
        }
        if at_once {
            self.flush(self.submitted);
        }
        Ok(at_once)
    }

    /// A write goes on where the one before ended, or replaces what it names.
    fn check(&mut self, write: &Write<'_>) {
        let [first, second] = write.runs;
        let mut last = write.first.previous();
        let mut term = None;
        let both = walk(first, write.first).chain(walk(second, Index::ZERO));
        for entry in both {
            let Some((known, _)) = entry else {
                self.complaint = Some("a run to be written is not made of entries".to_owned());
                return;
            };
            last = last.next();
            term = Some(known.id.term);
        }
        if let Some(term) = term {
            let named = EntryId { term, index: last };
            if named != write.last {
                self.complaint = Some(format!(
                    "a write names {:?} as its last entry, not {named:?}",
                    write.last
                ));
            }
            let end = self.journal.iter().fold(self.durable.end(), |end, record| {
                let count = walk(&record.run, record.first).count() as u64;
                if count == 0 { end } else { record.first.previous().plus(count) }
            });
            if write.first > end.next() {
                self.complaint =
                    Some(format!("a write begins at {}, but the disk ends at {end}", write.first));
            }
        }
    }

    /// Replaces the snapshot; entries up to its base are dropped.
    ///
    /// # Errors
    /// The node ends; the old one is intact.
    pub fn save(&mut self, snapshot: Snapshot) -> Result<bool, DiskError> {
        if self.habits.crash_in_write {
            return Err(DiskError::Crash);
        }
        if snapshot.contents.len() as u64 > self.habits.snapshot_room {
            self.counts.too_large += 1;
            return Ok(false);
        }
        if self.habits.snapshot_is_barrier {
            self.flush(self.submitted);
        }
        self.counts.snapshots += 1;
        if self.durable.base() > snapshot.base || self.durable.applied() > snapshot.applied {
            self.complaint = Some("a snapshot is older than the one before".to_owned());
        }
        self.durable.rebase(snapshot.base);
        self.durable.snapshot = Some(snapshot);
        Ok(true)
    }

    /// Reads a part of a snapshot.
    ///
    /// # Errors
    /// The node ends.
    pub fn read(&mut self, place: Place, offset: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let contents = match place {
            Place::Kept => self.durable.snapshot.as_ref().map(|snapshot| &snapshot.contents[..]),
            Place::Staged => self.staged.as_ref().map(|(_, contents)| &contents[..]),
        };
        let from = offset as usize;
        match contents.and_then(|contents| contents.get(from..from + into.len())) {
            Some(bytes) => into.copy_from_slice(bytes),
            None => {
                let length = into.len();
                self.complaint = Some(format!("no snapshot has {length} bytes at {offset}"));
            }
        }
        Ok(())
    }

    /// Keeps a piece of a snapshot; whether there is room for that.
    ///
    /// # Errors
    /// The node ends.
    pub fn stage(
        &mut self,
        name: SnapshotName,
        offset: u64,
        bytes: &[u8],
    ) -> Result<bool, DiskError> {
        if self.habits.crash_in_write {
            return Err(DiskError::Crash);
        }
        if name.length > self.habits.snapshot_room {
            self.counts.too_large += 1;
            self.staged = None;
            return Ok(false);
        }
        if self.staged.as_ref().is_none_or(|(of, _)| *of != name) {
            // What was not written reads as something else than zeros.
            self.staged = Some((name, vec![0xa5; name.length as usize]));
        }
        let Some((_, contents)) = &mut self.staged else { return Ok(false) };
        let from = offset as usize;
        match contents.get_mut(from..from + bytes.len()) {
            Some(to) => to.copy_from_slice(bytes),
            None => self.complaint = Some("a piece lies outside its snapshot".to_owned()),
        }
        Ok(true)
    }

    /// The staged snapshot takes the place of the kept one and of all entries.
    ///
    /// # Errors
    /// The node ends; everything is as it was.
    pub fn install(&mut self, snapshot: Snapshot) -> Result<(), DiskError> {
        if self.habits.crash_in_write {
            return Err(DiskError::Crash);
        }
        self.flush(self.submitted);
        let Some((name, contents)) = self.staged.take() else {
            self.complaint = Some("nothing is staged".to_owned());
            return Ok(());
        };
        if name.last != snapshot.applied || self.durable.applied() > snapshot.applied {
            self.complaint = Some(format!("{name:?} is installed as {:?}", snapshot.applied));
        }
        self.counts.installed += 1;
        self.durable.replace(Snapshot { contents, ..snapshot });
        Ok(())
    }
}

/// A disk that outlives the node that writes to it.
#[derive(Clone, Debug)]
pub struct Shared(pub Rc<RefCell<Disk>>);

impl Shared {
    /// An empty disk.
    #[must_use]
    pub fn new(habits: Habits, chance: Chance) -> Self {
        let disk = Disk { habits, chance: Some(chance), ..Disk::default() };
        Self(Rc::new(RefCell::new(disk)))
    }
}

#[cfg(test)]
mod tests;
