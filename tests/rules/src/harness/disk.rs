//! What a node has made durable.

use coracle::{EntryId, HardState, Index, Members, Saved, Write};

use super::run::entries;

/// How a node's writes are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persisting {
    /// At once: the guard ends in `done`.
    AtOnce,
    /// Elsewhere: the guard ends in `submit`, and the test says when the write has finished.
    Submitted,
    /// Not at all: the guard is dropped.
    Never,
}

/// What the medium knows of the snapshot that it keeps.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The last entry applied in it.
    pub last: EntryId,
    /// The entry that names the members.
    pub configuration: Index,
    /// The members, encoded.
    pub members: heapless::Vec<u8, 96>,
}

/// The medium: the hard state, and the encoded entries behind the snapshot, or from index 1 on.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// The hard state as it was last written.
    pub hard: HardState,
    /// The entries.
    pub log: heapless::Vec<u8, 448>,
    /// The snapshot, if it keeps one.
    pub snapshot: Option<Stored>,
    /// How many writes there were.
    pub writes: u32,
    /// Whether entries are not kept, for rules that write more of them than fit here.
    pub is_forgetful: bool,
}

impl Disk {
    /// Carries a write out.
    pub fn write(&mut self, write: &Write<'_>) {
        let [one, two] = write.runs;
        self.put(write.hard, write.first, one, two);
    }

    /// Carries a write of these parts out.
    pub fn put(&mut self, hard: Option<HardState>, first: Index, one: &[u8], two: &[u8]) {
        self.writes += 1;
        if let Some(hard) = hard {
            self.hard = hard;
        }
        if self.is_forgetful || one.is_empty() {
            return;
        }
        self.truncate(first);
        self.log.extend_from_slice(one).expect("the medium is large enough");
        self.log.extend_from_slice(two).expect("the medium is large enough");
    }

    /// A snapshot takes the place of the one before and of the entries that it covers, or of all.
    pub fn keep(&mut self, snapshot: Stored, replaces_all: bool) {
        if !self.is_forgetful {
            let covered = snapshot.last.index.since(self.base().index);
            let covered = usize::try_from(covered).expect("few entries");
            let bytes = entries(&self.log).take(covered).map(|(.., entry)| entry.len()).sum();
            let kept = heapless::Vec::from_slice(&self.log[bytes..]).expect("a part of it");
            self.log = if replaces_all { heapless::Vec::new() } else { kept };
        }
        self.snapshot = Some(snapshot);
    }

    /// What a process that starts is told.
    #[must_use]
    pub fn saved(&self) -> Saved<'_> {
        let base = self.base();
        let named = self.snapshot.as_ref();
        Saved {
            hard: self.hard,
            applied: base.index,
            base,
            configuration: named.map_or(Index::ZERO, |snapshot| snapshot.configuration),
            members: named.and_then(|snapshot| Members::parse(&snapshot.members)),
        }
    }

    fn base(&self) -> EntryId {
        self.snapshot.as_ref().map_or(EntryId::default(), |snapshot| snapshot.last)
    }

    /// The last index.
    #[must_use]
    pub fn last(&self) -> Index {
        let count = u64::try_from(entries(&self.log).count()).expect("few entries");
        self.base().index.plus(count)
    }

    fn truncate(&mut self, first: Index) {
        let base = self.base().index;
        assert!(first > base && first <= self.last().next(), "a write leaves no gap");
        let kept = first.previous().since(self.base().index);
        let kept = usize::try_from(kept).expect("few entries");
        let bytes = entries(&self.log).take(kept).map(|(.., entry)| entry.len()).sum();
        self.log.truncate(bytes);
    }
}
