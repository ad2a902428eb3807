//! What a follower does with a snapshot (section 7): its medium gathers the chunks, beside the
//! snapshot that it has, and only the whole of them takes its place.

use rand_core::Rng;

use super::Raft;
use super::invariant::{Violation, invariant};
use super::link::Owed;
use super::receive::{Dropped, Received};
use super::role::Role;
use super::snapshot::CHUNK_WINDOW;
use crate::log::Memory;
use crate::message::Chunk;
use crate::seal::Seal;
use crate::snapshot::{Head, SnapshotName};
use crate::status::count;
use crate::types::{Index, Term};

/// A snapshot that is being received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming {
    /// The term of the leader that sends it: chunks of different transfers never mix.
    term: Term,
    name: SnapshotName,
    chunk_bytes: u16,
    /// From whom, by link, and the number of the last chunk's datagram.
    peer: usize,
    echo: u64,
    /// The first chunk that is missing.
    upto: u32,
    /// Which of those from there on are there, the first one in the lowest bit.
    taken: u64,
    /// This node cannot take it: it is not gathered any further, nor again.
    is_refused: bool,
}

impl Incoming {
    fn is_of(&self, term: Term, name: SnapshotName, chunk_bytes: u16) -> bool {
        self.term == term && self.name == name && self.chunk_bytes == chunk_bytes
    }

    fn has(&self, chunk: u32) -> bool {
        match chunk.checked_sub(self.upto) {
            None => true,
            Some(place) => self.taken.checked_shr(place).is_some_and(|bits| bits & 1 == 1),
        }
    }

    fn take(&mut self, chunk: u32) {
        let place = chunk.checked_sub(self.upto);
        let bit = place.and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0);
        self.taken |= bit;
        let whole = self.taken.trailing_ones();
        self.taken = self.taken.checked_shr(whole).unwrap_or(0);
        self.upto = self.upto.saturating_add(whole);
    }

    /// Whether it is there whole and was not refused.
    fn is_whole(&self) -> bool {
        self.has_bytes(self.name.length) && !self.is_refused
    }

    /// Whether so many bytes are there, from the first one on.
    fn has_bytes(&self, bytes: u64) -> bool {
        u64::from(self.upto) * u64::from(self.chunk_bytes) >= bytes
    }

    /// The content, for fingerprints.
    pub(crate) fn words(&self) -> [u64; 4] {
        let Self { term, name, upto, taken, is_refused, .. } = self;
        let upto = u64::from(*upto) << 1 | u64::from(*is_refused);
        [term.0, name.last.index.0, upto, *taken]
    }
}

/// A piece of a snapshot, to be kept beside the snapshot that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Piece<'d> {
    /// Which snapshot it is of. A piece of another one than the last makes that one void.
    pub name: SnapshotName,
    /// Where its bytes begin in the snapshot. They may come in any order.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'d [u8],
    number: u32,
    chunk_bytes: u16,
    term: Term,
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Takes a chunk of whatever term. What is new is handed out to be kept.
    pub(super) fn step_chunk<'d>(
        &mut self,
        peer: usize,
        number: u64,
        chunk: &Chunk<'d>,
    ) -> Result<Received<'d>, Dropped> {
        if self.is_leap(chunk.term) {
            return Err(Dropped::Impossible);
        }
        if chunk.term < self.hard.term {
            self.owe(peer, Owed::Stale { echo: number });
            return Ok(Received::Peer);
        }
        self.reach_term(chunk.term);
        if !self.hear_leader(peer) {
            return Err(Dropped::Impossible);
        }
        if self.has_no_use_for(chunk.name) {
            self.incoming = None;
            self.agree_upto(peer, number, chunk.name.last.index);
            return Ok(Received::Peer);
        }
        let term = self.hard.term;
        let is_current = self
            .incoming
            .is_some_and(|incoming| incoming.is_of(term, chunk.name, chunk.chunk_bytes));
        let is_late = self.incoming.is_some_and(|incoming| {
            incoming.term == term && chunk.name.last.index < incoming.name.last.index
        });
        if is_late {
            self.count_stale();
            return Ok(Received::Peer);
        }
        if !is_current {
            self.incoming = Some(Incoming {
                term,
                name: chunk.name,
                chunk_bytes: chunk.chunk_bytes,
                peer,
                echo: number,
                upto: 0,
                taken: 0,
                is_refused: false,
            });
        }
        let Some(incoming) = &mut self.incoming else { return Ok(Received::Peer) };
        (incoming.peer, incoming.echo) = (peer, incoming.echo.max(number));
        if incoming.is_refused {
            self.refuse_snapshot();
            return Ok(Received::Peer);
        }
        let is_near = chunk.number.saturating_sub(incoming.upto) < CHUNK_WINDOW;
        if incoming.has(chunk.number) || !is_near {
            self.owe_chunk_reply(peer, number);
            return Ok(Received::Peer);
        }
        let (offset, _) = chunk.name.chunk_extent(chunk.chunk_bytes, chunk.number);
        Ok(Received::Piece(Piece {
            name: chunk.name,
            offset,
            bytes: chunk.bytes,
            number: chunk.number,
            chunk_bytes: chunk.chunk_bytes,
            term,
        }))
    }

    /// Whether we hold all that the snapshot covers.
    fn has_no_use_for(&self, name: SnapshotName) -> bool {
        name.last.index <= self.commit || self.log.term_at(name.last.index) == Some(name.last.term)
    }

    /// Our log equals the leader's up to this entry, which is committed.
    fn agree_upto(&mut self, peer: usize, number: u64, index: Index) {
        let Role::Follower(follower) = &mut self.role else { return };
        follower.verified = follower.verified.max(index);
        self.advance_commit(index);
        self.owe(peer, Owed::Matched { echo: number, ready_at: index });
    }

    /// The piece is kept, or is not for want of room. A piece that is dropped is a lost datagram.
    ///
    /// True if with it all is there, for the first time, that [`Head::read`] may read of what is
    /// gathered: when it cannot, [`refuse_head`](Self::refuse_head) must be told.
    #[must_use]
    pub fn on_piece(&mut self, piece: &Piece<'_>, is_kept: bool) -> bool {
        let Some(incoming) = &mut self.incoming else { return false };
        if !incoming.is_of(piece.term, piece.name, piece.chunk_bytes) {
            return false;
        }
        if !is_kept {
            self.refuse_snapshot();
            self.incoming = None;
            return false;
        }
        let head_bytes = u64::try_from(Head::<N>::BYTES_MAX).unwrap_or(u64::MAX);
        let head_bytes = head_bytes.min(incoming.name.length);
        let had_head = incoming.has_bytes(head_bytes);
        incoming.take(piece.number);
        let has_head = incoming.has_bytes(head_bytes);
        let (peer, echo) = (incoming.peer, incoming.echo);
        count(&mut self.counters.chunks_taken);
        self.owe_chunk_reply(peer, echo);
        has_head && !had_head
    }

    /// [`Head::read`] cannot take what is gathered of a snapshot: it names more members than there is
    /// room for, or is of a later form. Nothing has changed; the leader is told, and no more of it is
    /// gathered in this term.
    pub fn refuse_head(&mut self) {
        if let Some(incoming) = &mut self.incoming {
            incoming.is_refused = true;
        }
        self.refuse_snapshot();
    }

    /// Whether the leader of our term is sending us a snapshot.
    pub(super) fn is_gathering(&self) -> bool {
        self.incoming
            .is_some_and(|incoming| incoming.term == self.hard.term && !incoming.is_refused)
    }

    /// Owes the leader how far the snapshot is here, in answer to its newest datagram.
    pub(super) fn owe_chunk_reply(&mut self, peer: usize, number: u64) {
        let Some(incoming) = &mut self.incoming else { return };
        incoming.peer = peer;
        incoming.echo = incoming.echo.max(number);
        let Incoming { name, echo, upto, taken, .. } = *incoming;
        self.owe(peer, Owed::Chunk { echo, last: name.last.index, upto, taken });
    }

    /// The snapshot that is there whole, and can be installed: what its last entry is has not come in
    /// another way since, and with it perhaps others that we have acknowledged.
    pub(super) fn whole_snapshot(&self) -> Option<SnapshotName> {
        let incoming = self.incoming.filter(Incoming::is_whole)?;
        let is_follower = matches!(self.role, Role::Follower(_));
        let is_current = is_follower && incoming.term == self.hard.term;
        (is_current && !self.has_no_use_for(incoming.name)).then_some(incoming.name)
    }

    /// The snapshot has taken the place of the log and of the applied state.
    pub(super) fn on_installed(&mut self, head: Head<N>) {
        let Some(incoming) = self.incoming.take() else { return };
        let last = incoming.name.last;
        invariant!(self, head.last == last && last.index > self.commit, Violation::Install);
        count(&mut self.counters.snapshots_installed);
        self.log.reset(last);
        self.durability.replaced(last.index);
        self.commit = last.index;
        self.applied = last.index;
        self.snapshot = Some(incoming.name);
        self.base_configuration = head.configuration;
        self.adopt_configuration();
        if let Role::Follower(follower) = &mut self.role {
            follower.verified = last.index;
        }
        self.owe(incoming.peer, Owed::Matched { echo: incoming.echo, ready_at: Index::ZERO });
        self.check_invariants();
    }

    /// Counts and tells the leader that there is no room for its snapshot.
    fn refuse_snapshot(&mut self) {
        let Some(Incoming { name, peer, echo, .. }) = self.incoming else { return };
        count(&mut self.counters.snapshots_too_large);
        self.owe(peer, Owed::ChunkRefused { echo, last: name.last.index });
    }

    /// What was gathered is not what its name says: it is gathered anew.
    pub(super) fn on_damaged(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            count(&mut self.counters.snapshots_damaged);
            let (last, echo) = (incoming.name.last.index, incoming.echo);
            self.owe(incoming.peer, Owed::Chunk { echo, last, upto: 0, taken: 0 });
        }
    }
}
