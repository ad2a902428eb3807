//! A model of the protocol by which a cluster that stores nothing is safe.
//!
//! [`rules`] is one process over an abstract Raft; [`world`] is all of them, and a network that
//! remembers every message and delivers any of them at any time, any number of times. [`walk`] and
//! [`search`] choose the steps, [`invariants`] judges each. [`mistakes`] are what must be found.
//! Left out: pre-vote, quorum checks, leases, snapshots and time.

pub mod invariants;
pub mod message;
pub mod mistakes;
pub mod rules;
pub mod search;
pub mod walk;
pub mod world;
