//! Networks that lose, double, delay and reorder from the first datagram on.

use std::time::Duration;

use coracle_udp::{Counts, Faults};

use crate::book::{Book, Until};
use crate::cluster::{Cluster, NODES};

/// Three clients have their commands done on such a network, and everything adds up.
fn works(seed: u64, faults: Faults, rounds: usize) -> Counts {
    let trio = Cluster::start(seed, &["0"; 3], CLIENTS, faults);
    let book = Book::default();
    book.keep(&trio, CLIENTS, Until::Rounds(rounds), || {});
    let counts = trio.relay.counts();
    trio.heal();
    book.check(&trio, &NODES);
    let (acknowledged, asked) = (book.additions(), CLIENTS * rounds);
    assert!(acknowledged * 10 >= asked * 9, "{acknowledged} of {asked} additions: {counts:?}");
    assert_eq!(counts.strange, 0);
    counts
}

/// The relay has lost as many as it was told to, give or take.
fn has_lost(counts: &Counts, of_thousand: u64) {
    let Counts { lost, forwarded, .. } = *counts;
    let all = lost + forwarded;
    assert!(all > 300, "hardly anything was sent: {counts:?}");
    let rate = lost * 1000 / all;
    assert!((of_thousand * 7 / 10..=of_thousand * 13 / 10).contains(&rate), "{counts:?}");
}

#[test]
fn on_a_good_network_every_acknowledged_command_is_applied_once() {
    let counts = works(1, Faults::default(), 100);
    assert_eq!(counts.lost, 0);
}

#[test]
fn with_5_percent_lost_each_way_every_acknowledged_command_is_applied_once() {
    has_lost(&works(2, Faults::losing(50), 60), 50);
}

#[test]
fn with_10_percent_lost_each_way_every_acknowledged_command_is_applied_once() {
    has_lost(&works(3, Faults::losing(100), 40), 100);
}

#[test]
fn with_30_percent_lost_each_way_every_acknowledged_command_is_applied_once() {
    has_lost(&works(4, Faults::losing(300), 15), 300);
}

#[test]
fn with_half_lost_each_way_every_acknowledged_command_is_applied_once() {
    has_lost(&works(5, Faults::losing(500), 6), 500);
}

#[test]
fn doubled_datagrams_double_nothing_however_late_the_copy_is() {
    let counts = works(6, Faults { doubled: 100, ..Faults::default() }, 60);
    assert!(counts.doubled * 20 > counts.forwarded, "{counts:?}");
    // A copy that comes when its client is already asking for something else.
    let hold = Duration::from_millis(15);
    let counts = works(10, Faults { doubled: 300, held: 300, hold, ..Faults::default() }, 40);
    let Counts { doubled, overtaken, .. } = counts;
    assert!(doubled > 300 && overtaken > 300, "{counts:?}");
}

#[test]
fn datagrams_may_overtake_each_other() {
    let hold = Duration::from_millis(8);
    let counts = works(7, Faults { held: 200, hold, ..Faults::default() }, 40);
    assert!(counts.overtaken > 30, "{counts:?}");
}

#[test]
fn a_slow_network_is_only_slow() {
    let (delay, jitter) = (Duration::from_millis(5), Duration::from_millis(10));
    let counts = works(8, Faults { delay, jitter, ..Faults::default() }, 15);
    // Some may not have left yet.
    assert!(counts.delayed >= counts.forwarded && counts.forwarded > 300, "{counts:?}");
}

#[test]
fn all_faults_together_change_no_outcome() {
    let faults = Faults {
        lost: 100,
        doubled: 100,
        held: 100,
        hold: Duration::from_millis(20),
        delay: Duration::from_millis(1),
        jitter: Duration::from_millis(3),
        is_cut: false,
    };
    let counts = works(9, faults, 12);
    let Counts { lost, doubled, overtaken, .. } = counts;
    assert!(lost > 30 && doubled > 30 && overtaken > 30, "{counts:?}");
}

const CLIENTS: usize = 3;
