//! A node's disk. What was written becomes durable some time later; what was not yet is lost in a
//! crash, from an arbitrary record on, and that record may be torn.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use coracle::{EntryId, Epoch, HardState, Index, MemberId, Receipt, Write};

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
    journal: VecDeque<Record>,
    /// The records that ever entered the journal, and those of them that have left it.
    submitted: u64,
    synced: u64,
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
    /// Whether saving a snapshot waits for everything written before it.
    pub snapshot_is_barrier: bool,
    /// How many writes in a thousand fail.
    pub failing: u64,
    /// The next write is cut off by a crash.
    pub crash_in_write: bool,
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

/// What is on the medium.
#[derive(Clone, Debug, Default)]
pub struct Durable {
    /// The hard state, if it was ever written.
    pub hard: Option<HardState>,
    /// The snapshot, if there is one.
    pub snapshot: Option<Snapshot>,
    /// The entries behind the snapshot, without a gap.
    entries: Vec<Known>,
    /// Their bytes, and where each of them ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// A snapshot, and where the entries go on that must be kept beside it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The last entry that is applied in it.
    pub applied: EntryId,
    /// The entry before the first one kept.
    pub base: EntryId,
    /// The members at that entry, encoded.
    pub members: Vec<u8>,
    /// What the node saved.
    pub contents: Vec<u8>,
}

#[derive(Debug)]
struct Record {
    receipt: Option<Receipt>,
    hard: Option<HardState>,
    first: Index,
    run: Vec<u8>,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new(habits: Habits, chance: Chance) -> Shared {
        Shared(Rc::new(RefCell::new(Self { habits, chance: Some(chance), ..Self::default() })))
    }

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
            // Entries are written before the hard state, so it is the first to be lost.
            let kept = chance.place(walk(&record.run, record.first).count() + 1);
            if chance.coin() && kept > 0 {
                self.durable.store(&record, kept, false);
                self.counts.torn += 1;
            } else {
                self.counts.lost += 1;
            }
        }
        self.counts.lost += self.journal.len() as u64;
        self.journal.clear();
        self.synced = self.submitted;
        self.untold.clear();
        self.habits.crash_in_write = false;
        self.chance = Some(chance);
    }

    /// A node starts: entries of a term that the hard state does not know were never confirmed, so
    /// they are cut off.
    pub fn cut_unconfirmed(&mut self) {
        let hard = self.durable.hard.unwrap_or_default();
        let confirmed = self.durable.entries.iter().take_while(|known| known.id.term <= hard.term);
        let confirmed = confirmed.count();
        self.counts.unconfirmed += (self.durable.entries.len() - confirmed) as u64;
        self.durable.truncate(confirmed);
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
    pub fn save(&mut self, snapshot: Snapshot) -> Result<(), DiskError> {
        if self.habits.crash_in_write {
            return Err(DiskError::Crash);
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
        Ok(())
    }
}

impl Durable {
    /// The last entry that the snapshot covers.
    #[must_use]
    pub fn base(&self) -> EntryId {
        self.snapshot.as_ref().map_or_else(EntryId::default, |snapshot| snapshot.base)
    }

    /// The last entry that is applied in the snapshot.
    #[must_use]
    pub fn applied(&self) -> EntryId {
        self.snapshot.as_ref().map_or_else(EntryId::default, |snapshot| snapshot.applied)
    }

    /// Where the last entry stands.
    #[must_use]
    pub fn end(&self) -> Index {
        self.base().index.plus(self.entries.len() as u64)
    }

    /// The last entry.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.entries.last().map_or(self.base(), |known| known.id)
    }

    /// The entries behind the snapshot, to be read back in order.
    #[must_use]
    pub fn run(&self) -> &[u8] {
        &self.bytes
    }

    /// The entries behind the snapshot.
    #[must_use]
    pub fn entries(&self) -> &[Known] {
        &self.entries
    }

    /// Whether this entry would survive: it is here, or the snapshot covers its index.
    #[must_use]
    pub fn holds(&self, entry: Known) -> bool {
        let base = self.base().index;
        entry.id.index <= base || self.entry(entry.id.index) == Some(entry)
    }

    /// The entry at an index behind the snapshot.
    #[must_use]
    pub fn entry(&self, index: Index) -> Option<Known> {
        let place = index.0.checked_sub(self.base().index.0 + 1)?;
        self.entries.get(place as usize).copied()
    }

    /// Stores the first entries of a record, and its hard state if that made it too.
    fn store(&mut self, record: &Record, entries: usize, with_hard: bool) {
        if with_hard && let Some(hard) = record.hard {
            self.hard = Some(hard);
        }
        let base = self.base().index;
        let mut is_first = true;
        for (known, bytes) in walk(&record.run, record.first).take(entries).flatten() {
            if known.id.index <= base {
                continue;
            }
            if is_first {
                self.truncate((known.id.index.0 - base.0 - 1) as usize);
                is_first = false;
            }
            self.entries.push(known);
            self.bytes.extend_from_slice(bytes);
            self.ends.push(self.bytes.len());
        }
    }

    fn truncate(&mut self, count: usize) {
        self.entries.truncate(count);
        self.ends.truncate(count);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Drops the entries that a snapshot up to `base` covers: all of them, when the one at its end
    /// is another.
    fn rebase(&mut self, base: EntryId) {
        let covered = base.index.since(self.base().index) as usize;
        let agrees = match covered.checked_sub(1) {
            None => true,
            Some(last) => self.entries.get(last).is_some_and(|known| known.id == base),
        };
        if !agrees {
            self.truncate(0);
            return;
        }
        let bytes = covered.checked_sub(1).map_or(0, |last| self.ends[last]);
        self.entries.drain(..covered);
        self.bytes.drain(..bytes);
        self.ends.drain(..covered);
        self.ends.iter_mut().for_each(|end| *end -= bytes);
    }
}

/// A disk that outlives the node that writes to it.
#[derive(Clone, Debug)]
pub struct Shared(pub Rc<RefCell<Disk>>);

#[cfg(test)]
mod tests {
    use super::*;
    use coracle::Term;

    /// Writes entries of a term, each with its index as its data.
    fn write(disk: &mut Disk, term: u64, first: u64, last: u64) {
        let run: Vec<u8> =
            (first..=last).flat_map(|index| [3, 0, term as u8, 2, index as u8]).collect();
        let last = EntryId { term: Term(term), index: Index(last) };
        let hard = HardState { term: Term(term), ..HardState::default() };
        let write = Write { hard: Some(hard), first: Index(first), runs: [&run, &[]], last };
        assert_eq!(disk.write(&write, None), Ok(false));
        assert_eq!(disk.take_complaint(), None);
    }

    fn with_disk(seed: u64, test: impl FnOnce(&mut Disk)) {
        let Shared(disk) = Disk::new(Habits::default(), Chance::new(seed, 9));
        test(&mut disk.borrow_mut());
    }

    fn ids(disk: &Disk) -> Vec<(u64, u64)> {
        let id = |known: &Known| (known.id.term.0, known.id.index.0);
        disk.durable().entries().iter().map(id).collect()
    }

    #[test]
    fn a_crash_leaves_what_was_synced_and_a_prefix_of_the_rest() {
        let mut lengths = [0; 8];
        for seed in 0..400 {
            with_disk(seed, |disk| {
                write(disk, 1, 1, 2);
                disk.sync(u64::MAX);
                write(disk, 1, 3, 3);
                write(disk, 1, 4, 6);
                disk.crash();
                let whole = [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6)];
                let left = ids(disk);
                assert!(left.len() >= 2 && whole.starts_with(&left), "seed {seed}: {left:?}");
                lengths[left.len()] += 1;
            });
        }
        assert!(lengths[2..=6].iter().all(|times| *times > 0), "{lengths:?}");
    }

    #[test]
    fn entries_replace_what_was_behind_their_first() {
        with_disk(0, |disk| {
            write(disk, 1, 1, 4);
            write(disk, 2, 3, 3);
            disk.sync(u64::MAX);
            assert_eq!(ids(disk), [(1, 1), (1, 2), (2, 3)]);
        });
    }

    #[test]
    fn a_gap_is_complained_about() {
        with_disk(0, |disk| {
            let last = EntryId { term: Term(1), index: Index(2) };
            let run = [3, 0, 1, 2, 9];
            let write = Write { hard: None, first: Index(2), runs: [&run, &[]], last };
            assert_eq!(disk.write(&write, None), Ok(false));
            assert!(disk.take_complaint().is_some());
        });
    }

    #[test]
    fn a_snapshot_drops_what_its_base_covers_and_everything_that_contradicts_it() {
        let base = |term, index| EntryId { term: Term(term), index: Index(index) };
        for (base, left) in [
            (base(1, 2), vec![(1, 3)]),
            (base(1, 3), vec![]),
            (base(2, 2), vec![]),
            (base(1, 5), vec![]),
        ] {
            with_disk(0, |disk| {
                write(disk, 1, 1, 3);
                disk.sync(u64::MAX);
                let snapshot =
                    Snapshot { applied: base, base, members: Vec::new(), contents: Vec::new() };
                assert_eq!(disk.save(snapshot), Ok(()));
                assert_eq!(ids(disk), left, "{base:?}");
            });
        }
    }

    #[test]
    fn entries_of_a_term_that_the_hard_state_does_not_know_are_cut_off() {
        with_disk(0, |disk| {
            write(disk, 1, 1, 2);
            disk.sync(u64::MAX);
            let run = [3, 0, 2, 2, 9];
            let last = EntryId { term: Term(2), index: Index(3) };
            let write = Write { hard: None, first: Index(3), runs: [&run, &[]], last };
            assert_eq!(disk.write(&write, None), Ok(false));
            disk.sync(u64::MAX);
            disk.cut_unconfirmed();
            assert_eq!(ids(disk), [(1, 1), (1, 2)]);
        });
    }
}
