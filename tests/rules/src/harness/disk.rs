//! What a node has made durable.

use coracle::{HardState, Index, Write};

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

/// The medium: the hard state, and the encoded entries from index 1 on.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// The hard state as it was last written.
    pub hard: HardState,
    /// The entries.
    pub log: heapless::Vec<u8, 448>,
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

    /// The last index.
    #[must_use]
    pub fn last(&self) -> Index {
        Index(u64::try_from(entries(&self.log).count()).expect("few entries"))
    }

    fn truncate(&mut self, first: Index) {
        assert!(first > Index::ZERO && first <= self.last().next(), "a write leaves no gap");
        let kept = usize::try_from(first.previous().0).expect("few entries");
        let bytes = entries(&self.log).take(kept).map(|(.., entry)| entry.len()).sum();
        self.log.truncate(bytes);
    }
}
