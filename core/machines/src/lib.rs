//! State machines for coracle, without std and without allocation: a replicated integer, an adder,
//! a key-value store, and one machine that is all three.
//!
//! Every limit here decides what a command answers, so it is a part of what is replicated: all nodes
//! of a cluster must be built with the same limits, or their states drift apart.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
    )
)]

#[cfg(test)]
extern crate std;

/// The same cases in every run, so that a failure is replayed by running the test again.
#[cfg(test)]
fn seeded() -> proptest::prelude::ProptestConfig {
    proptest::prelude::ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..Default::default()
    }
}

mod affine;
mod bytes;
mod integer;
mod key_value;
mod machine;
mod sum;

pub use affine::Affine;
pub use integer::{Integer, Number, TooLarge};
pub use key_value::{KeyValue, MAX_KEY_BYTES, MAX_VALUE_BYTES, SetError, Slot};
pub use machine::{
    Answer, Command, Key, LIMIT_BYTES, Machine, Query, Refusal, Response, SMALL_ARENA_BYTES,
    SMALL_KEYS, STANDARD_ARENA_BYTES, STANDARD_KEYS, Small, Standard,
};
pub use sum::sum;
