//! What a node wants done, one thing at a time, in the order that is safe.

use rand_core::Rng;

use super::Raft;
use super::invariant::{Fault, Violation, invariant};
use super::link::Owed;
use super::persistence::{Receipt, Write};
use super::read::ReadId;
use super::role::Role;
use crate::configuration::Address;
use crate::log::{Entry, Memory};
use crate::seal::Seal;
use crate::snapshot::{Head, SnapshotName};
use crate::types::{Epoch, Index, NodeId};

/// One thing to be done. What must be done comes as a guard that borrows the node; a guard that is
/// dropped is offered again, so that forgetting one costs progress, never safety.
#[derive(Debug)]
#[must_use = "a guard that is dropped is offered again"]
pub enum Output<'r, M, R, S, const N: usize> {
    /// A datagram to be sent.
    Transmit(Transmit<'r, M, R, S, N>),
    /// Something to be made durable.
    Persist(Persist<'r, M, R, S, N>),
    /// A snapshot of the leader, to take the place of the applied state.
    Install(Install<'r, M, R, S, N>),
    /// A committed command to be applied.
    Apply(Apply<'r, M, R, S, N>),
    /// Reads that are answered, or never will be.
    Reads(Reads),
    /// A piece of the snapshot that the medium keeps, to be sent.
    Chunk(SendChunk<'r, M, R, S, N>),
    /// An invariant broke. It is said once; nothing will ever leave this node again.
    Failed(Violation),
}

/// A datagram to be sent, once it is written.
#[derive(Debug)]
pub struct Transmit<'r, M, R, S, const N: usize> {
    raft: &'r mut Raft<M, R, S, N>,
    peer: usize,
    is_reply: bool,
}

/// Something to be made durable before what depends on it leaves.
#[derive(Debug)]
pub struct Persist<'r, M, R, S, const N: usize> {
    raft: &'r mut Raft<M, R, S, N>,
}

/// A snapshot that the medium has gathered whole.
#[derive(Debug)]
pub struct Install<'r, M, R, S, const N: usize> {
    raft: &'r mut Raft<M, R, S, N>,
    name: SnapshotName,
}

/// A piece of a snapshot to be sent, once it is read.
#[derive(Debug)]
pub struct SendChunk<'r, M, R, S, const N: usize> {
    raft: &'r mut Raft<M, R, S, N>,
    peer: usize,
}

/// A committed command to be applied.
#[derive(Debug)]
pub struct Apply<'r, M, R, S, const N: usize> {
    raft: &'r mut Raft<M, R, S, N>,
}

/// The fate of every read up to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reads {
    /// The last read that it speaks of.
    pub upto: ReadId,
    /// Whether the applied state may be read now; otherwise the leader was lost and nothing is known.
    pub is_ready: bool,
}

/// The buffer is shorter than the datagrams that this node was set up with. Nothing was sent; the
/// datagram is offered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BufferTooSmall {
    /// How many bytes it must have.
    pub needed: usize,
}

/// What `poll` has decided, before it lends the node out.
#[derive(Clone, Copy)]
enum Next {
    Send(usize),
    Persist,
    Reply(usize),
    Install(SnapshotName),
    Apply,
    Reads,
    Chunk(usize),
    Failed(Violation),
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// The next thing to be done: first datagrams that acknowledge nothing, then what must be made
    /// durable, then datagrams that were waiting for it, then commands and reads.
    #[inline]
    pub fn poll(&mut self) -> Option<Output<'_, M, R, S, N>> {
        Some(match self.next()? {
            Next::Send(peer) => Output::Transmit(Transmit { raft: self, peer, is_reply: false }),
            Next::Reply(peer) => Output::Transmit(Transmit { raft: self, peer, is_reply: true }),
            Next::Persist => Output::Persist(Persist { raft: self }),
            Next::Install(name) => Output::Install(Install { raft: self, name }),
            Next::Apply => Output::Apply(Apply { raft: self }),
            Next::Chunk(peer) => Output::Chunk(SendChunk { raft: self, peer }),
            Next::Reads => Output::Reads(self.take_reads()?),
            Next::Failed(violation) => {
                self.fault = Fault::Reported(violation);
                Output::Failed(violation)
            }
        })
    }

    #[inline]
    fn next(&self) -> Option<Next> {
        match self.fault {
            Fault::None => {}
            Fault::Found(violation) => return Some(Next::Failed(violation)),
            Fault::Reported(_) => return None,
        }
        let is_hard_durable = self.durability.is_hard_durable();
        if is_hard_durable && let Some(peer) = self.sends.first() {
            return Some(Next::Send(peer));
        }
        if self.durability.has_work(self.log.last().index) {
            return Some(Next::Persist);
        }
        if is_hard_durable
            && self.replies.first().is_some()
            && let Some(peer) = self.ready_reply()
        {
            return Some(Next::Reply(peer));
        }
        if self.applied < self.commit {
            return Some(Next::Apply);
        }
        if self.has_finished_reads() {
            return Some(Next::Reads);
        }
        self.next_of_snapshots(is_hard_durable)
    }

    /// What is left when there is nothing else: all that concerns snapshots waits for the rest.
    #[inline]
    fn next_of_snapshots(&self, is_hard_durable: bool) -> Option<Next> {
        if self.incoming.is_some()
            && let Some(name) = self.whole_snapshot()
        {
            return Some(Next::Install(name));
        }
        if is_hard_durable { self.next_chunk().map(Next::Chunk) } else { None }
    }

    /// A reply that need not wait any longer. An acknowledgement waits until what was to be
    /// acknowledged is durable; that of a heartbeat must not wait for a slow disk.
    #[inline]
    fn ready_reply(&self) -> Option<usize> {
        let mut rest = self.replies;
        while let Some(peer) = rest.first() {
            rest.remove(peer);
            let is_ready = match self.links.get(peer)?.reply {
                Some(Owed::Matched { ready_at, .. }) => self.durability.durable >= ready_at,
                Some(_) | None => true,
            };
            if is_ready {
                return Some(peer);
            }
        }
        None
    }

    /// Up to where a follower's log equals its leader's.
    #[inline]
    pub(super) fn verified(&self) -> Index {
        match &self.role {
            Role::Follower(follower) => follower.verified,
            Role::Blank(_) | Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {
                Index::ZERO
            }
        }
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Transmit<'_, M, R, S, N> {
    /// Whom it is for.
    #[must_use]
    pub fn to(&self) -> NodeId {
        self.raft.links.get(self.peer).map_or(NodeId(0), |link| link.id)
    }

    /// How that node is reached, as far as the configuration says.
    #[must_use]
    pub fn address(&self) -> Address {
        self.raft.links.get(self.peer).map_or(Address::EMPTY, |link| link.address)
    }

    /// Writes the datagram and returns its length; zero if there is nothing left to say.
    ///
    /// # Errors
    /// `BufferTooSmall`: the buffer has fewer bytes than the options' datagram; nothing was sent.
    #[inline]
    pub fn write(self, buffer: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let needed = usize::from(self.raft.options.datagram);
        let space = buffer.get_mut(..needed).ok_or(BufferTooSmall { needed })?;
        let written = if self.is_reply {
            self.raft.write_reply(self.peer, space)
        } else {
            self.raft.write_send(self.peer, space)
        };
        Ok(written.unwrap_or(0))
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Persist<'_, M, R, S, N> {
    /// What is to be written.
    #[inline]
    #[must_use]
    pub fn write(&self) -> Write<'_> {
        self.raft.pending_write()
    }

    /// The receipt that [`submit`](Self::submit) returns.
    pub fn receipt(&self) -> Receipt {
        self.raft.write_receipt()
    }

    /// It is durable now.
    pub fn done(self) {
        self.raft.all_durable();
    }

    /// It is being written elsewhere; [`Raft::durable`] takes the receipt when it is durable.
    pub fn submit(self) -> Receipt {
        self.raft.submit_write()
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Install<'_, M, R, S, N> {
    /// Which snapshot it is.
    #[must_use]
    pub const fn name(&self) -> SnapshotName {
        self.name
    }

    /// The epoch that it must be of.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.raft.hard.epoch
    }

    /// The medium keeps it in place of the one before and of all entries, and the state is restored
    /// from it; this is what it begins with.
    pub fn done(self, head: Head<N>) {
        self.raft.on_installed(head);
    }

    /// What was gathered is not what the name says, or its head cannot be read any more. Nothing has
    /// changed; it is gathered anew.
    pub fn damaged(self) {
        self.raft.on_damaged();
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> SendChunk<'_, M, R, S, N> {
    /// Whom it is for.
    #[must_use]
    pub fn to(&self) -> NodeId {
        self.raft.links.get(self.peer).map_or(NodeId(0), |link| link.id)
    }

    /// How that node is reached, as far as the configuration says.
    #[must_use]
    pub fn address(&self) -> Address {
        self.raft.links.get(self.peer).map_or(Address::EMPTY, |link| link.address)
    }

    /// Writes the datagram and returns its length; zero if there is nothing left to send. `read`
    /// fills a slice with the bytes of the kept snapshot from an offset on; if it says that it
    /// could not, nothing was sent.
    ///
    /// # Errors
    /// `BufferTooSmall`: the buffer has fewer bytes than the options' datagram; nothing was sent.
    pub fn write(
        self,
        buffer: &mut [u8],
        read: impl FnOnce(u64, &mut [u8]) -> bool,
    ) -> Result<usize, BufferTooSmall> {
        let needed = usize::from(self.raft.options.datagram);
        let space = buffer.get_mut(..needed).ok_or(BufferTooSmall { needed })?;
        Ok(self.raft.write_chunk(self.peer, space, read).unwrap_or(0))
    }
}

impl<'r, M, R, S, const N: usize> Apply<'r, M, R, S, N> {
    /// What is to be applied next.
    pub(super) const fn of(raft: &'r mut Raft<M, R, S, N>) -> Self {
        Self { raft }
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Apply<'_, M, R, S, N> {
    /// The entry; it is a command.
    #[must_use]
    pub fn entry(&self) -> Option<Entry<'_>> {
        self.raft.log.entry(self.raft.applied.next())
    }

    /// It is applied.
    #[inline]
    pub fn done(self) {
        let raft = self.raft;
        invariant!(raft, raft.applied < raft.commit, Violation::Apply);
        raft.applied = raft.applied.next();
        raft.pass_internal_entries();
    }
}
