//! A whole cluster in one process: three members and two clients on a network that loses, doubles
//! and delays datagrams as a seed says. Everything that happens goes into a hash.
//!
//! The same seed must give the same hash on a host, on a microcontroller, and on a machine that
//! stores numbers the other way round: then nothing in core or in the state machines hangs on a
//! pointer's width, on alignment or on the order of bytes.
#![no_std]
#![forbid(unsafe_code)]

mod cluster;
mod hash;
mod network;
mod user;

use cluster::Cluster;

/// What happened in a run, and a hash of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of each datagram that was sent, lost or received, of each answer, and of the last state.
    pub hash: u64,
    /// Commands that took effect.
    pub commands: u32,
    /// Datagrams that were sent.
    pub sent: u32,
    /// How many of them were lost.
    pub lost: u32,
    /// The last term: more than 1, since the first leader is cut off.
    pub term: u64,
}

/// Runs a cluster until its clients have had so many answers each, and all members are equal.
///
/// # Panics
/// When a promise is broken, or nothing came of it in a long time.
#[must_use]
#[inline(never)]
pub fn run(seed: u64, answers: u32) -> Report {
    let mut cluster = Cluster::new(seed, answers);
    cluster.start();
    for _event in 0..MOST_EVENTS {
        if cluster.is_done() {
            return cluster.report();
        }
        cluster.advance();
    }
    panic!("the cluster does not get done");
}

/// The seed of the run that is compared.
pub const SEED: u64 = 0x0c0f_fee0;

/// The answers to each client in the run that is compared.
pub const ANSWERS: u32 = 16;

const MOST_EVENTS: u32 = 200_000;
