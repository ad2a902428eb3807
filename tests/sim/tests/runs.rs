//! Whole runs: no invariant breaks, and a seed is a run.

use coracle_sim::batch::{run_all, run_one};
use coracle_sim::run::{Trace, run};

/// A debug build runs a few hundred seeds in the time that quick tests have; `cargo sim` runs ten
/// thousand.
const SEEDS: u64 = 250;

#[test]
fn no_invariant_breaks_and_nothing_rare_is_never_reached() {
    let batch = run_all(0, SEEDS, || {});
    let failure = batch.failure.as_ref();
    assert!(failure.is_none(), "{failure:?}: cargo sim --seed {}", failure.map_or(0, |f| f.0));
    for name in REACHED {
        assert!(batch.counts.times(name) > 0, "no run reached: {name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1000..1010 {
        let (first, second) = (run_one(seed), run_one(seed));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.counts, second.counts, "seed {seed}");
    }
}

#[test]
fn two_seeds_give_two_runs() {
    assert_ne!(run_one(1).hash, run_one(2).hash);
}

#[test]
fn a_trace_changes_nothing() {
    let traced = run(3, Trace::On);
    assert_eq!(traced.hash, run(3, Trace::Off).hash);
}

/// What a test must have seen to prove anything.
const REACHED: &[&str] = &[
    "busy",
    "changes refused",
    "changes: learners added",
    "changes: learners promoted",
    "changes: members removed",
    "changes: voters added",
    "changes: voters demoted",
    "chunks_sent",
    "chunks_taken",
    "clients: commands applied",
    "clients: commands retried",
    "clients: queries answered",
    "clients: sessions expired",
    "compactions",
    "crashes between two steps",
    "crashes in a write",
    "datagrams damaged",
    "datagrams doubled",
    "datagrams lost",
    "datagrams much delayed",
    "datagrams replayed very late",
    "disk: lost writes",
    "disk: torn writes",
    "clusters given up by their operator",
    "duplicates",
    "dead epochs left",
    "elections",
    "entries of earlier terms committed",
    "ends without an image",
    "entries taken back",
    "histories with a lie, rejected",
    "hostile datagrams",
    "images damaged",
    "images taken up",
    "leaders hunted",
    "nodes halted in the end",
    "log_full",
    "logs replaced by a snapshot",
    "mismatches",
    "nodes ended by their disk",
    "own commands overwritten",
    "own reads answered",
    "own reads failed",
    "pauses",
    "quorums_lost",
    "read_rounds",
    "repeats",
    "retransmissions",
    "sessions_evicted",
    "sessions_expired",
    "snapshots restored",
    "snapshots_installed",
    "stale",
    "too_far_behind",
    "transfers",
    "transfers refused",
    "transfers_failed",
    "truncations",
    "undecodable",
    "unknown_sender",
];
