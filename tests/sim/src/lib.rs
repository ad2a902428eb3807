//! A deterministic simulation of coracle.
//!
//! The real core, with its real datagrams, over a network, disks and clocks that fail in every way
//! that a seed can think of. A seed gives the same run, bit for bit. After every step of every node
//! the invariants of the list in ARCHITECTURE.md are checked; in the end the faults stop, and then
//! the cluster must come back to life. See `cargo sim --help`.

#![forbid(unsafe_code)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "draws are below bounds that fit, and places are numbers of a few digits"
)]

pub mod batch;
pub mod chance;
pub mod clients;
pub mod clock;
pub mod describe;
pub mod disk;
pub mod entries;
pub mod faults;
pub mod history;
pub mod host;
pub mod hostile;
pub mod invariants;
pub mod machine;
pub mod network;
pub mod peer;
pub mod plan;
pub mod queue;
pub mod report;
pub mod run;
pub mod script;
