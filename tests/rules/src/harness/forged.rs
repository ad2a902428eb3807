//! A snapshot as a leader would send it, written here a second time: its bytes are a format.

use coracle::message::{Chunk, Message};
use coracle::{EntryId, Epoch, Index, Member, SnapshotName, Term};

use super::run::configuration;
use super::{SNAPSHOT_BYTES, summary, write_state};

/// A snapshot and its name.
#[derive(Clone, Debug)]
pub struct Forged {
    /// Its name.
    pub name: SnapshotName,
    /// Its bytes.
    pub bytes: heapless::Vec<u8, SNAPSHOT_BYTES>,
}

impl Forged {
    /// A snapshot of this epoch up to `last`, whose members are named at `named_at`. Its state has
    /// these two numbers and so many bytes more.
    #[must_use]
    #[inline(never)]
    pub fn new(
        epoch: Epoch,
        last: EntryId,
        named_at: Index,
        members: &[Member],
        state: [u64; 2],
        padding: usize,
    ) -> Self {
        let mut bytes = heapless::Vec::new();
        bytes.push(1).expect("room for the version");
        for word in [epoch.0, last.term.0, last.index.0, named_at.0] {
            bytes.extend_from_slice(&word.to_le_bytes()).expect("room for the head");
        }
        let members = configuration(members);
        let length = u16::try_from(members.len()).expect("a few members");
        bytes.extend_from_slice(&length.to_le_bytes()).expect("room for the head");
        bytes.extend_from_slice(&members).expect("room for the members");
        write_state(&mut bytes, state, padding).expect("room for the state");
        let sum = summary(&bytes);
        let name = SnapshotName { last, length: sum.length, checksum: sum.checksum };
        Self { name, bytes }
    }

    /// How many chunks of this size it has.
    #[must_use]
    pub fn count(&self, chunk_bytes: u16) -> u32 {
        let length = u32::try_from(self.bytes.len()).expect("a small snapshot");
        length.div_ceil(u32::from(chunk_bytes))
    }

    /// One of its chunks, from the leader of `term`.
    #[must_use]
    pub fn chunk(&self, term: u64, chunk_bytes: u16, number: u32) -> Message<'_> {
        let size = usize::from(chunk_bytes);
        let start = size * usize::try_from(number).expect("a small number");
        let end = self.bytes.len().min(start + size);
        let (term, name, bytes) = (Term(term), self.name, &self.bytes[start..end]);
        Message::Chunk(Chunk { term, name, chunk_bytes, number, bytes })
    }
}
