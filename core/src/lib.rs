//! Raft consensus without std, without allocation and without I/O.
//!
//! A [`Node`] is one member of a cluster: the protocol ([`Raft`]), a [`Storage`], a
//! [`StateMachine`] and the sessions of clients. Its driver gives it datagrams and the time that
//! has passed, and sends what it is told to send. [`Client`] is the other side. Nothing here knows
//! a socket, a clock, a disk or a thread, and all memory is in the values themselves.
//!
//! # What an embedder must choose
//!
//! All capacities are in types or in [`Options`], and `size_of` of the node says what they cost
//! together. The figures here are of a 32-bit machine.
//!
//! | choice | where | what it costs, and how to size it |
//! |---|---|---|
//! | members | `MEMBERS` of [`Node`], `N` of [`Raft`] | some 480 bytes each. As many as the cluster ever has at one time, this node included, and one more for each voter that is replaced: until it has its vote the new one stands beside the old; at most [`MAX_MEMBERS`] |
//! | log bytes | [`Platform::Memory`], [`Memory`] | themselves, at least [`MIN_LOG_BYTES`]. An entry may have a quarter of them. They should hold what a member misses while it is away for a moment: the rate, times the bytes of an entry, times that span. Who was away for longer gets a snapshot, and [without one](#when-a-log-is-full) they must hold all that it missed |
//! | log slots | the same | 4 bytes each, a power of two and at least [`MIN_LOG_SLOTS`]. One for each entry that the bytes may hold; three quarters of the slots and seven eighths of the bytes are for commands |
//! | sessions | `SESSIONS` of [`Node`] | some 60 bytes and one [response](StateMachine::Response) each. One for each client that should be remembered: when they run out, the one that was silent longest ends. **The same number on every node**, since it decides what commands do |
//! | pending requests | `PENDING` of [`Node`] | some 70 bytes and the larger of a response and a [query](StateMachine::Query) each. One for each client that may be waiting at this node at one time; the others are told to ask again |
//! | datagram | [`Options::datagram`] | one buffer of this size for [`Node::poll`], and one for what arrives. 1200 bytes cross any network whole. An entry must fit into the smallest datagram of all members, beside 111 bytes |
//! | window | [`Options::window_bytes`] | nothing: what is on its way stays in the log or in the snapshot. At least the rate in bytes times the round trip |
//! | chunks | [`Options::snapshot_chunks`] | so many datagrams, between two heartbeats, of snapshots for members that lag behind |
//! | tick unit | [`Ticks`] | nothing. Whatever the clock counts; the unit must be finer than the round trip for losses to be noticed soon |
//! | timing | [`Timing`] | a datagram to each follower and back in each [heartbeat](Timing::heartbeat). The shortest election timeout must be several times the slowest round trip and, with a disk, the slowest write |
//! | storage | [`Platform::Storage`], [`Storage`] | with [`Volatile`] nothing: then a node that is started again is another member, see below. [`VolatileSnapshots`] takes two areas of memory, each of which must hold a whole snapshot |
//! | seal | [`Platform::Seal`], [`Seal`] | [`Checksum`] has a table of 1 KiB; whoever has a faster CRC-32 may bring it |
//! | randomness | [`Platform::Random`] | whatever it takes. It must differ from node to node and from start to start: identities are drawn from it |
//!
//! A node with room for 4 members, 4 sessions, 4 pending requests and 128 entries in 4 KiB takes 8
//! KiB, its log included. For larger logs there is [`Buffers`]: slices in boxes or in statics,
//! which never pass through the stack.
//!
//! # On a microcontroller
//!
//! `docs/footprint.md` has what a member takes of a Cortex-M3: flash, RAM, stack, and instructions
//! for each call. Whole programs are in `tests/firmware/examples`: a blocking loop, a task that waits
//! for a datagram or for [`Node::next_timeout`], whichever comes first, as one does under embassy, and
//! a member that goes on after a reset. The core brings no executor.
//!
//! - Give the log a static of its own and the node a `&'static mut` of it: an [`Array`] that is
//!   [zeroed](Array::zeroed) takes no flash and never passes through the stack.
//! - Setting up is when the stack is deepest, for the node is returned by value. Do it in a function
//!   of its own that is not inlined, so that this is over when the loop begins.
//! - No panic can be reached, at opt-level s and z with fat LTO; and nothing allocates.
//!
//! # When a log is full
//!
//! A thing that is full is an error or an answer that says that nothing happened
//! ([`ProposeError::LogFull`], [`message::Answer::Busy`]), and there is room again later. A log is
//! emptied as far as every member holds it, or else as far as a snapshot goes that the storage
//! keeps: a member that lacks what is gone is sent that snapshot, piece by piece, and keeps the
//! pieces in its own storage.
//!
//! **Where the storage has no room for snapshots**, as with [`Volatile`], a member that stays away
//! lets the others' logs fill up, and then they take no more commands until it is back or
//! [removed](Change::Remove).
//!
//! # The driver
//!
//! ```
//! # use coracle::*;
//! # struct Entropy(u64);
//! # impl rand_core::TryRng for Entropy {
//! #     type Error = core::convert::Infallible;
//! #     fn try_next_u32(&mut self) -> Result<u32, Self::Error> { Ok(4) }
//! #     fn try_next_u64(&mut self) -> Result<u64, Self::Error> { self.0 += 1; Ok(self.0) }
//! #     fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> { Ok(()) }
//! # }
//! struct Sum(u64);
//!
//! impl StateMachine for Sum {
//!     type Command<'a> = u64;
//!     type Response = u64;
//!     type Query = ();
//!     type Answer<'a> = u64;
//!
//!     fn apply(&mut self, number: u64) -> u64 {
//!         self.0 = self.0.wrapping_add(number);
//!         self.0
//!     }
//!
//!     fn query(&self, (): &()) -> u64 {
//!         self.0
//!     }
//!
//!     fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
//!         sink.write(&self.0.to_le_bytes())
//!     }
//!
//!     fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
//!         let mut bytes = [0; 8];
//!         self.0 = 0;
//!         source.read(&mut bytes)?;
//!         self.0 = u64::from_le_bytes(bytes);
//!         Ok(())
//!     }
//! }
//!
//! struct Board;
//!
//! impl Platform for Board {
//!     type Memory = Array<4096, 128>;
//!     type Random = Entropy;
//!     type Seal = Checksum;
//!     type Storage = Volatile;
//!     type Machine = Sum;
//!     type Address = core::net::SocketAddr;
//! }
//!
//! type Member = Node<Board, 3, 4, 4>;
//!
//! /// Whatever sends and receives.
//! trait Network {
//!     fn receive(&mut self, into: &mut [u8]) -> Option<(usize, core::net::SocketAddr)>;
//!     fn send(&mut self, to: Destination<core::net::SocketAddr>, datagram: &[u8]);
//! }
//!
//! /// To be called when datagrams have arrived, and when `next_timeout` has passed.
//! fn turn(
//!     node: &mut Member,
//!     elapsed: Ticks,
//!     network: &mut impl Network,
//! ) -> Result<(), NodeError<core::convert::Infallible>> {
//!     let mut buffer = [0; 1200];
//!     node.tick(elapsed);
//!     while let Some((length, from)) = network.receive(&mut buffer) {
//!         // What is dropped is counted.
//!         let _dropped = node.receive(from, &buffer[..length]);
//!     }
//!     while let Some(event) = node.poll(&mut buffer)? {
//!         match event {
//!             Event::Send { to, datagram } => network.send(to, datagram),
//!             Event::Applied { .. } | Event::Reads(_) => {}
//!             Event::Restored { .. } | Event::LeftEpoch { .. } => {}
//!         }
//!     }
//!     Ok(())
//! }
//! # struct Nowhere;
//! # impl Network for Nowhere {
//! #     fn receive(&mut self, _: &mut [u8]) -> Option<(usize, core::net::SocketAddr)> { None }
//! #     fn send(&mut self, _: Destination<core::net::SocketAddr>, _: &[u8]) {}
//! # }
//! # let options = Options::new(ClusterId(7), NodeId(1), Timing::from_heartbeat(Ticks(50)));
//! # let raft = Raft::new(&options, &[], Array::zeroed(), Entropy(1), Checksum).unwrap();
//! # let mut node = Member::new(raft, Volatile, Sum(0));
//! # turn(&mut node, Ticks(0), &mut Nowhere).unwrap();
//! # turn(&mut node, Ticks(1), &mut Nowhere).unwrap();
//! # node.propose(&7).unwrap();
//! # turn(&mut node, Ticks(1), &mut Nowhere).unwrap();
//! # assert_eq!(node.machine().query(&()), 7);
//! ```
//!
//! - Hand over **every** datagram that has arrived, then poll until there is nothing left, then
//!   wait for a datagram or for [`Node::next_timeout`], whichever comes first. Thereby one write of
//!   the medium covers all that has arrived.
//! - Tell the time with [`Node::tick`] before you hand datagrams over. It may be told at a fixed
//!   rate or only when something is due; several timeouts within one span fire once.
//! - Poll again whenever you have called anything else: [`Node::receive`], [`Node::tick`],
//!   [`Node::propose`], [`Node::read`] or [`Node::durable`].
//! - A datagram that cannot be sent is dropped: to the protocol it is a lost one.
//! - Commands go to the leader, in the session of a [`Client`]; then each takes effect once,
//!   however often it is sent. [`Node::propose`] is for the node's own: if its leader loses office,
//!   no event tells, and the entry that [`Event::Applied`] names may never come.
//! - When [`Event::Restored`] comes, a leader's snapshot has replaced the state: no event tells of
//!   the commands that it covers.
//! - Where nothing is stored and too many were restarted at once, nothing can come of the epoch. A
//!   node that held nothing begins anew, and says so by [`Event::LeftEpoch`]; any other keeps what it
//!   holds, and its [`Condition`] is `Halted`. To give that up, put a new node in its place.
//! - Reads begin with [`Node::read`] on any node. What they may see is there when [`Event::Reads`]
//!   names them, or a later one, as ready.
//! - After any [`NodeError`] but a small buffer the node says nothing more. With a medium it may be
//!   started again from what the medium holds.
//!
//! # The medium
//!
//! What a [`Storage`] is given must be on the medium when [`Node::durable`] is told of it, in the
//! order in which it was given: what the node says to others depends on it. A [`Write`] holds the
//! hard state, which goes first, and entries. A medium that writes them the other way round may be
//! left with entries of a term above that of its hard state, which were never acknowledged: cut them
//! off before they are handed to [`Raft::recover_run`], which takes them for damage. Then
//! [`Raft::recover`], [`Raft::recover_run`] for the entries, and [`Node::restore`] for the snapshot
//! bring the node back where it was.
//!
//! Without a medium a crashed node has forgotten its votes and its log. It draws another
//! [`Incarnation`] when it is started again, and the others do not take it for the member that it
//! was: the leader takes the new life in, and puts it in the place of the old one when it has the log.
//! For that a node needs room for one more member than the cluster has. The cluster serves while more
//! than half of its voters run. Where half of them or more are started again at once nothing can come
//! of it any more, and the rest finds that out: what then becomes of it is its
//! [condition](Condition::Halted). The voters' ids stay those of the start there: other ids may only
//! be learners.
//!
//! A node that its own program ends, for a reset or for new firmware, can leave an [image](Node::retire)
//! of itself in memory that survives, from which the next one [goes on](Node::resume) in the same life.
//!
//! # Beneath the node
//!
//! [`Raft`] alone is for who has other ideas of storage, of sessions or of what a command is. Its
//! [`Raft::poll`] gives guards, which must be taken care of before it goes on: see [`Output`].
//! [`wire`] is the datagram, which `WIRE.md` describes byte by byte.
//!
//! The feature `defmt` derives `defmt::Format` for the public types.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// Core has no panic but that of a broken invariant in its own tests.
#![cfg_attr(
    not(test),
    deny(
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod bytes;
mod client;
mod configuration;
mod encode;
mod log;
mod machine;
pub mod message;
mod node;
mod options;
mod raft;
mod seal;
mod snapshot;
mod sort;
mod status;
mod storage;
mod types;
mod varint;
pub mod wire;

pub use client::{
    Client, ClientCounters, ClientDropped, ClientEvent, ClientOptions, ClientSetupError, Fate,
    Outcome, RetryError, Server, StartError, Ticket,
};
pub use configuration::{
    Address, Configuration, MIN_DATAGRAM, Member, Members, Part, encode_members,
};
pub use log::{Array, Buffers, Entry, EntryKind, LogError, MIN_LOG_BYTES, Memory, Slot};
pub use machine::{BadSnapshot, Full, Sink, Source, StateMachine};
pub use node::{Destination, Event, Node, NodeError, Platform, RaftOf, RetireError, TableLimits};
pub use options::{Lease, MAX_MEMBERS, MIN_LOG_SLOTS, Options, SetupError, Timing};
pub use raft::{
    Apply, BufferTooSmall, Change, ChangeError, ClientRequest, Dropped, FoundError, Install,
    Output, Persist, Piece, ProposeError, Raft, ReadError, ReadId, Reads, Receipt, Received,
    RecoverError, ResumeError, Saved, SendChunk, TransferError, Transmit, Violation, Write,
};
pub use seal::{Checksum, Seal};
pub use snapshot::{Contents, Head, Snapshot, SnapshotName, Summary};
pub use status::{
    Condition, Counters, Gauge, Limits, PeerPage, PeerStatus, ProgressStatus, RoleName, Status,
};
pub use storage::{Persisted, Place, Saving, Staging, Storage, Volatile, VolatileSnapshots};
pub use types::{
    ClientId, ClusterId, EntryId, Epoch, HardState, Incarnation, Index, MemberId, NodeId, Nonce,
    SessionId, Term, Ticks,
};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
