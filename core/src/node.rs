//! A whole member: the protocol, its storage, the state machine and the clients' sessions.
//!
//! This is the one place where *persist, apply, send* are put in order.

mod admin;
mod alone;
mod apply;
mod command;
mod image;
mod pending;
mod reply;
mod request;
mod sessions;
mod snapshot;

pub use image::RetireError;

use rand_core::Rng;

use crate::configuration::Address;
use crate::log::Memory;
use crate::machine::StateMachine;
use crate::raft::{
    BufferTooSmall, Dropped, Output, ProposeError, Raft, ReadError, ReadId, Reads, Receipt,
    Received, Violation,
};
use crate::seal::Seal;
use crate::status::{Gauge, RoleName, Status};
use crate::storage::{Persisted, Storage};
use crate::types::{EntryId, Epoch, NodeId, Ticks};
use alone::Founder;
use pending::PendingTable;
use sessions::Sessions;

/// What a node is made of. An embedder names the parts once:
///
/// ```
/// # use coracle::*;
/// # struct Counter; struct Random;
/// # impl StateMachine for Counter {
/// #     type Command<'a> = u8; type Response = (); type Query = (); type Answer<'a> = ();
/// #     fn apply(&mut self, _: u8) {} fn query(&self, _: &()) {}
/// #     fn snapshot<K: Sink>(&self, _: &mut K) -> Result<(), Full> { Ok(()) }
/// #     fn restore<K: Source>(&mut self, _: &mut K) -> Result<(), BadSnapshot> { Ok(()) }
/// # }
/// # impl rand_core::TryRng for Random {
/// #     type Error = core::convert::Infallible;
/// #     fn try_next_u32(&mut self) -> Result<u32, Self::Error> { Ok(4) }
/// #     fn try_next_u64(&mut self) -> Result<u64, Self::Error> { Ok(4) }
/// #     fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// struct Board;
/// impl Platform for Board {
///     type Memory = Array<4096, 128>;
///     type Random = Random;
///     type Seal = Checksum;
///     type Storage = Volatile;
///     type Machine = Counter;
///     type Address = [u8; 6];
/// }
/// type Member = Node<Board, 4, 8, 4>;
/// ```
pub trait Platform {
    /// The log's memory.
    type Memory: Memory;
    /// Randomness: identities and election timeouts. It must differ from node to node.
    type Random: Rng;
    /// What ends each datagram.
    type Seal: Seal;
    /// Where state is kept.
    type Storage: Storage;
    /// What the log drives.
    type Machine: StateMachine;
    /// How a client is reached. Members are named by their ids.
    type Address: Copy + PartialEq;
}

/// One member of a cluster with everything it needs, but for a clock and a network.
///
/// It has room for `MEMBERS` members, itself included, for `SESSIONS` sessions of clients, which must
/// be the same number on every node, and for `PENDING` requests that wait for an answer. It may use
/// less of that: see [`limit`](Self::limit).
///
/// A driver hands over every datagram that has arrived, then polls until nothing is left, then waits
/// for the next datagram or timeout: one write of the medium covers the whole batch.
pub struct Node<P: Platform, const MEMBERS: usize, const SESSIONS: usize, const PENDING: usize> {
    raft: Raft<P::Memory, P::Random, P::Seal, MEMBERS>,
    storage: P::Storage,
    machine: P::Machine,
    sessions: Sessions<<P::Machine as StateMachine>::Response, SESSIONS>,
    pending: PendingTable<P, PENDING>,
    /// What a wish to found a cluster alone comes to; it is refused without this, which also leaves the
    /// code for it out of programs that never allow it.
    founder: Option<Founder<Self, P>>,
    /// The number of the last answer to a client.
    answers: u64,
    /// The storage has failed: nothing goes on.
    is_dead: bool,
    /// How, while that has not been told.
    failure: Option<<P::Storage as Storage>::Error>,
}

/// How much of its tables a node uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TableLimits {
    /// How many sessions of clients there are at most when this node leads.
    pub sessions: usize,
    /// How many requests may wait for an answer.
    pub pending: usize,
}

/// Something that the driver must do or may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'b, A, R> {
    /// Send this datagram.
    Send {
        /// To whom.
        to: Destination<A>,
        /// The datagram, in the buffer that `poll` was given.
        datagram: &'b [u8],
    },
    /// A command has taken effect.
    Applied {
        /// The entry it was in: what [`Node::propose`] returned.
        entry: EntryId,
        /// What the state machine answered.
        response: R,
    },
    /// Reads begun with [`Node::read`] have come to an end.
    Reads(Reads),
    /// A leader's snapshot has taken the place of the state: this is the last entry applied in it.
    Restored {
        /// No [`Event::Applied`] comes for the entries up to this one.
        last: EntryId,
    },
    /// Nothing can come of the epoch any more, and the node held nothing of it that a client was told
    /// of: it is another life now, and blank. The state is as it was at the start.
    LeftEpoch {
        /// What was proposed in this one never comes: entries are numbered anew in the next.
        epoch: Epoch,
    },
}

/// Whom a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Destination<A> {
    /// Another member, and how it is reached as far as the configuration says.
    Peer(NodeId, Address),
    /// A client.
    Client(A),
}

/// Why a node cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NodeError<E> {
    /// The buffer given to `poll` is too small. Nothing was lost; use a larger one.
    BufferTooSmall(BufferTooSmall),
    /// The storage has failed. The node is dead: start it again from what the storage holds.
    Storage(E),
    /// A leader's snapshot, which arrived whole, cannot be restored here: it is not of this state
    /// machine, or there is no room for its state. The node is dead; its storage is as it was.
    Snapshot,
    /// The log says that there are more sessions than this node has room for: it would end one that
    /// goes on elsewhere. The node is dead; it needs at least so much room.
    Sessions {
        /// How many sessions there may be.
        needed: u64,
    },
    /// An invariant broke. The node is dead.
    Violation(Violation),
    /// The node died earlier.
    Dead,
}

impl<E: core::fmt::Display> core::fmt::Display for NodeError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::BufferTooSmall(BufferTooSmall { needed }) => {
                write!(f, "the datagram buffer has fewer than {needed} bytes")
            }
            Self::Storage(error) => write!(f, "the storage has failed: {error}"),
            Self::Snapshot => f.write_str("a leader's snapshot cannot be restored here"),
            Self::Sessions { needed } => {
                write!(f, "there is no room for {needed} sessions of clients, as other nodes have")
            }
            Self::Violation(violation) => write!(f, "an invariant broke: {violation:?}"),
            Self::Dead => f.write_str("the node has died before"),
        }
    }
}

/// The raft of a node of this platform.
pub type RaftOf<P, const MEMBERS: usize> =
    Raft<<P as Platform>::Memory, <P as Platform>::Random, <P as Platform>::Seal, MEMBERS>;

type ResponseOf<P> = <<P as Platform>::Machine as StateMachine>::Response;

type PollResult<'b, P> = Result<
    Option<Event<'b, <P as Platform>::Address, ResponseOf<P>>>,
    NodeError<<<P as Platform>::Storage as Storage>::Error>,
>;

impl<P: Platform, const MEMBERS: usize, const SESSIONS: usize, const PENDING: usize>
    Node<P, MEMBERS, SESSIONS, PENDING>
{
    /// A node of these parts. A raft that was recovered is followed by [`restore`](Self::restore),
    /// if there is a snapshot. With a storage that is not durable
    /// [`Options::is_first_start`](crate::Options::is_first_start) counts for nothing: the process
    /// that takes this one's place would say it too.
    pub fn new(mut raft: RaftOf<P, MEMBERS>, storage: P::Storage, machine: P::Machine) -> Self {
        if !storage.is_durable() {
            raft.waive_first_start();
        }
        Self {
            raft,
            storage,
            machine,
            sessions: Sessions::new(),
            pending: PendingTable::new(),
            founder: None,
            answers: 0,
            is_dead: false,
            failure: None,
        }
    }

    /// Uses only so much of the tables: at least one place in each, and at most all of them, as at
    /// first.
    ///
    /// How many sessions there are is decided by the log: by the node that led when one was opened,
    /// for all nodes alike. So nodes may have different limits, but must have the same room.
    pub fn limit(&mut self, limits: TableLimits) {
        self.sessions.limit(limits.sessions);
        self.pending.limit(limits.pending);
    }

    /// Lets `elapsed` ticks pass.
    pub fn tick(&mut self, elapsed: Ticks) {
        self.raft.tick(elapsed);
    }

    /// How many ticks may pass before something is due; `None` when nothing is.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Ticks> {
        if self.is_dead { None } else { self.raft.next_timeout() }
    }

    /// What a receipt stands for is durable now; see [`Raft::durable`].
    pub fn durable(&mut self, receipt: Receipt) {
        self.raft.durable(receipt);
    }

    /// Takes a datagram of a member or a client, which was sent from `from`.
    ///
    /// # Errors
    /// [`Dropped`] says why nothing came of it; it was counted.
    pub fn receive(&mut self, from: P::Address, datagram: &[u8]) -> Result<(), Dropped> {
        self.raft.set_room(self.storage.room());
        match self.raft.receive(datagram)? {
            Received::Peer => {}
            Received::Client(request) => self.on_request(from, &request),
            Received::Piece(piece) => self.on_piece(&piece),
        }
        Ok(())
    }

    /// Proposes a command of this node's own, outside any session; it takes effect at most once.
    /// [`Event::Applied`] with the entry returned here tells that it has.
    ///
    /// # Errors
    /// [`ProposeError`]: nothing has changed.
    pub fn propose(
        &mut self,
        command: &<P::Machine as StateMachine>::Command<'_>,
    ) -> Result<EntryId, ProposeError> {
        self.raft.set_room(self.storage.room());
        self.raft.propose_with(|space| command::write_plain(command, space))
    }

    /// Begins a linearizable read of this node's own state: when [`Event::Reads`] says that it is
    /// ready, [`machine`](Self::machine) may be queried.
    ///
    /// # Errors
    /// [`ReadError`]: nothing has changed.
    pub fn read(&mut self) -> Result<ReadId, ReadError> {
        self.raft.read()
    }

    /// The next thing to be done or told; `None` when all is done until something arrives.
    ///
    /// # Errors
    /// [`NodeError`]: but for a small buffer, the node is dead and says so from now on.
    pub fn poll<'b>(&mut self, buffer: &'b mut [u8]) -> PollResult<'b, P> {
        self.may_poll(buffer.len())?;
        // The machine is as it was at the start, for no command was applied.
        if let Some(epoch) = self.raft.leave_dead_epoch(self.storage.is_durable()) {
            return Ok(Some(Event::LeftEpoch { epoch }));
        }
        loop {
            match self.raft.poll() {
                Some(Output::Transmit(transmit)) => {
                    let to = Destination::Peer(transmit.to(), transmit.address());
                    let written = transmit.write(buffer);
                    let length = written.map_err(NodeError::BufferTooSmall)?;
                    if length > 0 {
                        return Ok(send(to, buffer, length));
                    }
                }
                Some(Output::Persist(persist)) => {
                    let stored = self.storage.persist(&persist.write(), persist.receipt());
                    match stored {
                        Ok(Persisted::Done) => persist.done(),
                        Ok(Persisted::Submitted) => {
                            let _receipt = persist.submit();
                        }
                        Err(error) => return self.die(error),
                    }
                }
                Some(Output::Apply(apply)) => {
                    let applied = apply::apply(apply, &mut self.machine, &mut self.sessions);
                    self.is_dead |= applied.is_err();
                    if let Some(event) = self.on_applied(applied?) {
                        return Ok(Some(event));
                    }
                }
                Some(Output::Install(install)) => {
                    let (storage, sessions) = (&mut self.storage, &mut self.sessions);
                    let installed = snapshot::install::<P, MEMBERS, SESSIONS>(
                        install,
                        storage,
                        sessions,
                        &mut self.machine,
                    );
                    self.is_dead |= installed.is_err();
                    if let Some(last) = installed? {
                        return Ok(Some(Event::Restored { last }));
                    }
                }
                Some(Output::Chunk(chunk)) => {
                    let to = Destination::Peer(chunk.to(), chunk.address());
                    let sent = snapshot::send(chunk, &mut self.storage, buffer);
                    self.is_dead |= matches!(sent, Err(NodeError::Storage(_)));
                    let length = sent?;
                    if length > 0 {
                        return Ok(send(to, buffer, length));
                    }
                }
                Some(Output::Reads(reads)) => {
                    self.pending.on_reads(reads);
                    return Ok(Some(Event::Reads(reads)));
                }
                Some(Output::Failed(violation)) => {
                    self.is_dead = true;
                    return Err(NodeError::Violation(violation));
                }
                None => break,
            }
        }
        if self.raft.role() != RoleName::Leader {
            self.pending.give_up_entries();
        }
        if self.pending.has_changes() {
            self.tend_changes();
        }
        if let Err(error) = self.make_room() {
            return self.die(error);
        }
        Ok(self.write_answer(buffer).and_then(|(to, length)| send(to, buffer, length)))
    }

    fn may_poll(&mut self, room: usize) -> Result<(), NodeError<<P::Storage as Storage>::Error>> {
        let needed = usize::from(self.raft.datagram());
        if room < needed {
            return Err(NodeError::BufferTooSmall(BufferTooSmall { needed }));
        }
        if let Some(error) = self.failure.take() {
            return self.die(error);
        }
        if self.is_dead { Err(NodeError::Dead) } else { Ok(()) }
    }

    fn die<T>(
        &mut self,
        error: <P::Storage as Storage>::Error,
    ) -> Result<T, NodeError<<P::Storage as Storage>::Error>> {
        self.is_dead = true;
        Err(NodeError::Storage(error))
    }

    /// How the node is.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = self.raft.status();
        status.limits.sessions = Gauge::new(self.sessions.len(), self.sessions.most());
        status.limits.pending = Gauge::new(self.pending.len(), self.pending.most());
        status
    }

    /// The protocol's part of the node.
    #[must_use]
    pub const fn raft(&self) -> &RaftOf<P, MEMBERS> {
        &self.raft
    }

    /// The state machine: as it is here and now, unless a read says more.
    #[must_use]
    pub const fn machine(&self) -> &P::Machine {
        &self.machine
    }

    /// The storage.
    #[must_use]
    pub const fn storage(&self) -> &P::Storage {
        &self.storage
    }

    /// The storage, for what it needs besides writes.
    pub const fn storage_mut(&mut self) -> &mut P::Storage {
        &mut self.storage
    }

    /// How many sessions are open.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// How many requests wait for an answer.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }
}

fn send<A, R>(to: Destination<A>, buffer: &[u8], length: usize) -> Option<Event<'_, A, R>> {
    buffer.get(..length).map(|datagram| Event::Send { to, datagram })
}
