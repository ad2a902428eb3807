//! What a signal does to a node.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{Process, eventually};
use crate::trio::{Trio, status};

fn signal(node: &Process, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(node.id()).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

fn term(port: u16) -> Option<u64> {
    status(port)?["term"].as_u64()
}

/// Elections that take long enough for a handover to be told from them.
const SLOW: [&str; 5] = ["--heartbeat", "500ms", "--election", "3s..5s", "--log=info"];

#[test]
fn a_leader_that_a_signal_ends_hands_over_first() {
    for kind in [Signal::TERM, Signal::INT] {
        let mut trio = Trio::start(&SLOW);
        trio.done(&["add", "5"]);
        let leader = trio.leader();
        let before = term(trio.ports[leader]).expect("a status");
        signal(&trio.nodes[leader], kind);
        assert_eq!(trio.nodes[leader].status().code(), Some(0));
        let errors = trio.nodes[leader].errors();
        let successor = trio.leader();
        let (id, next) = (trio.ports[leader], trio.ports[successor]);
        assert_ne!(leader, successor);
        assert!(errors.contains(&format!("Node {id} hands leadership over to node ")), "{errors}");
        assert!(errors.contains(&format!("Node {id} ends: node {next} leads")), "{errors}");
        assert_eq!(trio.done(&["get"]), "5");
        assert_eq!(term(next), Some(before + 1), "one election");
    }
}

#[test]
fn a_follower_that_a_signal_ends_changes_nothing() {
    let mut trio = Trio::start(&["--log=info"]);
    let leader = trio.leader();
    let place = (leader + 1) % 3;
    let before = term(trio.ports[leader]);
    signal(&trio.nodes[place], Signal::TERM);
    assert_eq!(trio.nodes[place].status().code(), Some(0));
    let errors = trio.nodes[place].errors();
    let line = format!("Node {} ends: a signal asks for it", trio.ports[place]);
    assert!(errors.contains(&line), "{errors}");
    trio.done(&["add", "1"]);
    assert_eq!(term(trio.ports[leader]), before);
}

#[test]
fn a_leader_that_nobody_can_succeed_ends_all_the_same() {
    let mut trio = Trio::start(&["--log=info"]);
    let leader = trio.leader();
    for place in (0..3).filter(|place| *place != leader) {
        signal(&trio.nodes[place], Signal::KILL);
        assert_eq!(trio.nodes[place].status().signal(), Some(Signal::KILL.as_raw()));
    }
    let start = Instant::now();
    signal(&trio.nodes[leader], Signal::TERM);
    assert_eq!(trio.nodes[leader].status().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(trio.nodes[leader].errors().contains(" ends"));
}

#[test]
fn a_second_signal_ends_a_leader_at_once() {
    let mut trio = Trio::start(&SLOW);
    let leader = trio.leader();
    // Those who are stopped do not succeed anybody.
    let others = (0..3).filter(|place| *place != leader);
    others.clone().for_each(|place| signal(&trio.nodes[place], Signal::STOP));
    signal(&trio.nodes[leader], Signal::TERM);
    let mut code = None;
    // Signals that are pending count once.
    assert!(eventually(|| {
        if trio.nodes[leader].is_running() {
            signal(&trio.nodes[leader], Signal::TERM);
            return false;
        }
        code = trio.nodes[leader].status().code();
        true
    }));
    assert_eq!(code, Some(130), "{}", trio.nodes[leader].errors());
    assert!(trio.nodes[leader].errors().contains("ended by a second signal"));
}
