//! Raft consensus without std, without allocation and without I/O.
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

mod client;
mod configuration;
mod log;
mod machine;
pub mod message;
mod node;
mod options;
mod raft;
mod seal;
mod status;
mod storage;
mod types;
mod varint;
pub mod wire;

pub use client::{
    Client, ClientCounters, ClientDropped, ClientEvent, ClientOptions, ClientSetupError, Fate,
    Outcome, RetryError, Server, StartError,
};
pub use configuration::{Configuration, MIN_DATAGRAM, Member, Members};
pub use log::{
    Array, Buffers, Entry, EntryKind, LogError, MIN_LOG_BYTES, MIN_LOG_SLOTS, Memory, Slot,
};
pub use machine::{BadSnapshot, Full, Sink, Source, StateMachine};
pub use node::{Destination, Event, Node, NodeError, Platform, RaftOf};
pub use options::{MAX_MEMBERS, Options, SetupError, Timing};
pub use raft::{
    Apply, BufferTooSmall, ClientRequest, Dropped, Output, Persist, ProposeError, Raft, ReadError,
    ReadId, Reads, Receipt, Received, RecoverError, Saved, Transmit, Violation, Write,
};
pub use seal::{Checksum, Seal};
pub use status::{Counters, PeerStatus, ProgressStatus, RoleName, Status};
pub use storage::{Persisted, Snapshot, Storage, Volatile};
pub use types::{
    ClientId, ClusterId, EntryId, Epoch, HardState, Incarnation, Index, MemberId, NodeId, Nonce,
    SessionId, Term, Ticks,
};
