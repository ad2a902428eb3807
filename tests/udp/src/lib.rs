//! What stands between real processes in tests, and what is asked of them.
//!
//! [`Relay`] is a network on the loopback interface that loses, doubles, delays and reorders
//! datagrams by a seed, and needs no privileges. [`Client`] speaks to nodes within a bounded time.
//! [`Ledger`] knows what was acknowledged, and [`History`] whether answers can be explained.
//!
//! The tests themselves are `host/tests/udp`: cargo names the program to its own package only.

mod client;
mod fate;
mod history;
mod ledger;
pub mod model;
mod relay;

pub use client::{Client, Failure};
pub use fate::Faults;
pub use history::{History, OperationId};
pub use ledger::Ledger;
pub use relay::{Counts, Relay, Way};
