//! Trouble while clients are at work: ways that are cut, nodes that pause and nodes that die.

use std::time::{Duration, Instant};

use coracle_udp::{Failure, Faults, Way};
use num_bigint::BigInt;
use rustix::process::Signal;

use crate::book::{Book, READ_LIMIT, Until, WRITE_LIMIT};
use crate::cluster::{Cluster, NODES};
use crate::process::PATIENCE;

const CUT: Faults = Faults {
    is_cut: true,
    lost: 0,
    doubled: 0,
    held: 0,
    hold: Duration::ZERO,
    delay: Duration::ZERO,
    jitter: Duration::ZERO,
};

fn start(seed: u64) -> (Cluster, Book) {
    (Cluster::start(seed, &["0"; 3], CLIENTS, Faults::default()), Book::default())
}

fn others(node: usize) -> impl Iterator<Item = usize> {
    NODES.into_iter().filter(move |other| *other != node)
}

#[test]
fn a_way_that_is_cut_in_one_direction_stops_nobody() {
    let (trio, book) = start(1);
    book.keep(&trio, CLIENTS, Until::Told, || {
        book.wait_for(20);
        for follower in 0..2 {
            for is_outward in [true, false] {
                let leader = trio.leader(&NODES);
                let follower = others(leader).nth(follower).unwrap();
                let (from, to) = if is_outward { (leader, follower) } else { (follower, leader) };
                let before = trio.relay.counts().cut;
                trio.relay.set(Way { from, to }, CUT);
                book.wait_for(20);
                trio.heal();
                assert!(trio.relay.counts().cut > before, "nothing was cut");
                book.wait_for(5);
            }
        }
    });
    book.check(&trio, &NODES);
}

#[test]
fn a_leader_that_nobody_hears_or_that_hears_nobody_is_replaced() {
    for is_deaf in [false, true] {
        let (trio, book) = start(2);
        book.keep(&trio, CLIENTS, Until::Told, || {
            book.wait_for(20);
            let old = trio.leader(&NODES);
            for other in others(old) {
                let (from, to) = if is_deaf { (other, old) } else { (old, other) };
                trio.relay.set(Way { from, to }, CUT);
            }
            let rest: Vec<usize> = others(old).collect();
            trio.leader(&rest);
            book.wait_for(20);
            assert!(trio.relay.counts().cut > 0, "nothing was cut");
            trio.heal();
            book.wait_for(20);
        });
        book.check(&trio, &NODES);
    }
}

#[test]
fn a_paused_leader_is_replaced_and_takes_nothing_back_when_it_goes_on() {
    let (trio, book) = start(3);
    book.keep(&trio, CLIENTS, Until::Told, || {
        book.wait_for(20);
        let old = trio.leader(&NODES);
        trio.signal(old, Signal::STOP);
        let rest: Vec<usize> = others(old).collect();
        trio.leader(&rest);
        book.wait_for(20);
        trio.signal(old, Signal::CONT);
        book.wait_for(20);
    });
    book.check(&trio, &NODES);
}

#[test]
fn a_paused_follower_holds_nobody_up_and_catches_up() {
    let (trio, book) = start(4);
    book.keep(&trio, CLIENTS, Until::Told, || {
        book.wait_for(20);
        let leader = trio.leader(&NODES);
        let follower = others(leader).next().unwrap();
        trio.signal(follower, Signal::STOP);
        book.wait_for(60);
        trio.signal(follower, Signal::CONT);
        book.wait_for(20);
    });
    book.check(&trio, &NODES);
}

#[test]
fn nothing_is_lost_with_a_leader_that_is_killed() {
    let (mut trio, book) = start(5);
    let mut old = 0;
    book.keep(&trio, CLIENTS, Until::Told, || {
        book.wait_for(20);
        old = trio.leader(&NODES);
        trio.signal(old, Signal::KILL);
        book.wait_for(20);
    });
    assert!(!trio.nodes[old].status().success());
    let rest: Vec<usize> = others(old).collect();
    book.check(&trio, &rest);
}

#[test]
fn nothing_is_lost_with_a_follower_that_is_killed_while_datagrams_are_lost() {
    let (trio, book) =
        (Cluster::start(6, &["0"; 3], CLIENTS, Faults::losing(100)), Book::default());
    let mut gone = 0;
    book.keep(&trio, CLIENTS, Until::Told, || {
        book.wait_for(10);
        gone = others(trio.leader(&NODES)).next().unwrap();
        trio.signal(gone, Signal::KILL);
        book.wait_for(20);
    });
    assert!(trio.relay.counts().lost > 20, "{:?}", trio.relay.counts());
    trio.heal();
    let rest: Vec<usize> = others(gone).collect();
    book.check(&trio, &rest);
}

#[test]
fn without_a_majority_there_is_an_error_in_time_and_no_effect_twice() {
    let (trio, book) = start(7);
    book.keep(&trio, CLIENTS, Until::Rounds(5), || {});
    trio.relay.set_among(&NODES, CUT);
    let (mut client, mut reader) = (trio.client(0), trio.client(1));
    let start = Instant::now();
    assert_eq!(reader.integer(READ_LIMIT), Err(Failure::NothingHappened));
    assert!((READ_LIMIT..READ_LIMIT * 2).contains(&start.elapsed()), "{:?}", start.elapsed());
    let start = Instant::now();
    // A session cannot be opened, so this was certainly not done.
    assert_eq!(client.add(&BigInt::from(1), WRITE_LIMIT), Err(Failure::NothingHappened));
    assert!((WRITE_LIMIT..WRITE_LIMIT * 2).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(trio.relay.counts().cut > 0, "nothing was cut");
    trio.heal();
    trio.client(2).add(&BigInt::ZERO, PATIENCE).unwrap();
    book.check(&trio, &NODES);
}

const CLIENTS: usize = 3;
