//! The rules of Raft, and coracle's own, each as a plain function that panics when it is broken.
//!
//! A rule says what a peer, a disk or a client could see, cites where it is from, and needs neither
//! `std` nor an allocator: the host runs each as a `#[test]`, a microcontroller runs the same list.
#![no_std]
#![forbid(unsafe_code)]

pub mod harness;

pub mod alone;
pub mod appends;
pub mod candidacy;
pub mod changes;
pub mod commit;
pub mod dead_epochs;
pub mod first_start;
pub mod formation;
pub mod handover;
pub mod hostile;
pub mod joining;
pub mod leadership;
pub mod lease;
pub mod limits;
pub mod membership;
pub mod patience;
pub mod persistence;
pub mod reads;
pub mod replacing;
pub mod replication;
pub mod scripts;
pub mod sending;
pub mod sessions;
pub mod snapshots;
pub mod stragglers;
pub mod time;
pub mod vectors;
pub mod votes;
pub mod warm;
pub mod wire;

mod list;

pub use list::RULES;
