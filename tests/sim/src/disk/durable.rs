//! What is on a medium whatever happens.

use coracle::{EntryId, HardState, Index};

use super::Record;
use crate::entries::{Known, walk};

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
    /// The entry that names the members when `applied` is the last one.
    pub configuration: Index,
    /// Those members, encoded.
    pub members: Vec<u8>,
    /// What the node saved.
    pub contents: Vec<u8>,
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
    pub(super) fn store(&mut self, record: &Record, entries: usize, with_hard: bool) {
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

    /// A node's memory takes the place of all that was written; these are the last entries of it, of
    /// which only what they are is kept.
    pub(super) fn remember(&mut self, hard: HardState, last: Index, entries: &[Known]) {
        self.hard = Some(hard);
        let base = self.base().index;
        for known in entries.iter().filter(|known| known.id.index > base) {
            if self.entry(known.id.index) != Some(*known) {
                self.truncate((known.id.index.0 - base.0 - 1) as usize);
                self.entries.push(*known);
                self.ends.push(self.bytes.len());
            }
        }
        self.truncate(last.since(base) as usize);
    }

    /// A leader's snapshot takes the place of everything but the hard state.
    pub(super) fn replace(&mut self, snapshot: Snapshot) {
        self.truncate(0);
        self.snapshot = Some(snapshot);
    }

    pub(super) fn truncate(&mut self, count: usize) {
        self.entries.truncate(count);
        self.ends.truncate(count);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Drops the entries that a snapshot up to `base` covers: all of them, when the one at its end
    /// is another.
    pub(super) fn rebase(&mut self, base: EntryId) {
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
