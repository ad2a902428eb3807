//! A disk that fails under a node.

use super::{Cluster, signal};
use crate::process::Process;
use rustix::process::Signal;

/// What `strace` makes of the system calls of a process; it goes with its guard.
///
/// None where there is no such program, or it may not look at a process: why is printed.
fn inject(id: u32, what: &str) -> Option<Process> {
    let there = std::process::Command::new("strace").arg("--version").output();
    if there.is_err() {
        println!("skipped: the program strace is not there");
        return None;
    }
    let (id, what) = (id.to_string(), format!("inject=fdatasync:{what}"));
    let arguments = ["-f", "-p", &id, "-e", "trace=fdatasync", "-e", &what];
    let mut strace = Process::start_program("strace", &arguments);
    let is_decided =
        |strace: &mut Process| strace.errors().contains(" attached") || !strace.is_running();
    assert!(crate::process::eventually(|| is_decided(&mut strace)), "{}", strace.errors());
    if strace.errors().contains("not permitted") {
        println!("skipped: {}", strace.errors());
        return None;
    }
    assert!(strace.errors().contains(" attached"), "{}", strace.errors());
    Some(strace)
}

#[test]
fn a_node_ends_when_a_sync_fails_and_has_everything_when_it_is_back() {
    let mut nodes = Cluster::form::<3>("failed-sync");
    nodes.done(&["add", "5"]);
    nodes.settle();
    let broken = (nodes.leader() + 1) % 3;
    let Some(mut strace) = inject(nodes.node(broken).id(), "error=EIO") else { return };
    nodes.done(&["add", "10"]);
    let node = nodes.node(broken);
    assert_eq!(node.status().code(), Some(1), "{}", node.errors());
    let errors = node.errors();
    nodes.nodes[broken] = None;
    let file = nodes.data(broken).join("log-00000001");
    assert!(errors.contains(&format!("{} cannot be synced", file.display())), "{errors}");
    assert!(errors.contains("Input/output error"), "{errors}");
    if strace.is_running() {
        signal(&strace, Signal::TERM);
    }
    strace.status();
    nodes.done(&["add", "100"]);
    nodes.start(broken);
    nodes.settle();
    for place in 0..3 {
        assert_eq!(nodes.value(place), "115");
    }
}

#[test]
fn a_leader_with_a_slow_disk_goes_on_leading() {
    let mut nodes = Cluster::form_with::<3>("slow", &["--election", "600ms..1200ms"]);
    nodes.done(&["add", "5"]);
    nodes.settle();
    let leader = nodes.leader();
    let before = nodes.status(leader).unwrap();
    // Each sync takes longer than followers wait for a heartbeat.
    let slow = inject(nodes.node(leader).id(), "delay_enter=1500000");
    let Some(mut strace) = slow else { return };
    for _ in 0..40 {
        nodes.done(&["add", "1"]);
    }
    let last = nodes.status(leader).unwrap()["log"]["last"].as_u64();
    let after = nodes.until(leader, "durable", |status| status["durable"].as_u64() >= last);
    assert_eq!(after["role"], "leader", "{after}");
    assert_eq!(after["term"], before["term"], "{after}");
    signal(&strace, Signal::TERM);
    strace.status();
    let delayed = strace.errors().matches("(DELAYED)").count();
    assert!(delayed >= 2, "{delayed} of its syncs were slow: {}", strace.errors());
    assert_eq!(nodes.value(leader), "45");
}
