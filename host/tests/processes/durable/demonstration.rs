//! The demonstration of five nodes with disks that are started one by one.

use serde_json::Value;

use super::Cluster;
use crate::process::Process;

#[test]
fn five_nodes_elect_a_leader_when_three_run_and_never_with_fewer() {
    let mut nodes = Cluster::form::<5>("demonstration");
    nodes.done(&["add", "7"]);
    nodes.settle();
    nodes.kill_all();

    nodes.start(0);
    nodes.until(0, "a candidate twice", stands(2));
    elects_nobody(&nodes, &[0]);
    nodes.start(1);
    for place in [0, 1] {
        let before = nodes.until(place, "running", |_| true);
        let rounds = before["counters"]["pre_elections"].as_u64().unwrap();
        nodes.until(place, "a candidate again", stands(rounds + 2));
    }
    elects_nobody(&nodes, &[0, 1]);

    nodes.start(2);
    let leader = nodes.leader();
    let term = nodes.status(leader).unwrap()["term"].clone();
    for place in [3, 4] {
        nodes.start(place);
        nodes.settle();
        assert_eq!(nodes.leader(), leader, "node {} has changed it", place + 1);
        assert_eq!(nodes.status(leader).unwrap()["term"], term);
    }
    assert_eq!(nodes.done(&["get"]), "7");

    let mut before = term.as_u64().unwrap();
    for step in ["8", "9"] {
        nodes.kill(nodes.leader());
        let leader = nodes.leader();
        let term = nodes.status(leader).unwrap()["term"].as_u64().unwrap();
        assert!(term > before, "{term}, {before}");
        before = term;
        nodes.done(&["add", "1"]);
        assert_eq!(nodes.done(&["get"]), step);
    }
    nodes.kill(nodes.leader());
    let last = nodes.running();
    assert_eq!(last.len(), 2);
    for place in &last {
        let counted = nodes.until(*place, "running", |_| true)["counters"]["pre_elections"].clone();
        nodes.until(*place, "a candidate again", stands(counted.as_u64().unwrap() + 2));
    }
    elects_nobody(&nodes, &last);
    let ended = nodes.client(&["--timeout", "500ms", "get"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");

    nodes.start_all();
    nodes.settle();
    for place in 0..5 {
        assert_eq!(nodes.value(place), "9");
    }
}

#[test]
fn a_node_that_crashed_catches_up_when_it_is_back() {
    let mut nodes = Cluster::form::<5>("catches-up");
    nodes.done(&["set", "A", "before"]);
    let away = (nodes.leader() + 1) % 5;
    nodes.kill(away);
    for _ in 0..20 {
        nodes.done(&["add", "1"]);
    }
    nodes.start(away);
    nodes.settle();
    assert_eq!(nodes.value(away), "20");
    // What it has now it has for ever: with two others that crash too it is among the three.
    nodes.kill_all();
    let others: Vec<usize> = (0..5).filter(|place| *place != away).collect();
    for place in [away, others[0], others[1]] {
        nodes.start(place);
    }
    nodes.settle();
    assert_eq!(nodes.value(away), "20");
    assert_eq!(nodes.done(&["get", "A"]), "A = before");
}

/// Section 5.3, figure 7: a leader that has entries which nobody else has, and comes back.
#[test]
fn a_suffix_of_two_that_was_never_committed_is_replaced_by_what_three_have() {
    // It goes on leading for a while when most others are gone.
    let mut nodes = Cluster::form_with::<5>("suffix", &["--election", "1s..2s"]);
    let leader = nodes.leader();
    let command = |nodes: &mut Cluster, command: &str| nodes.node(leader).send(command);
    command(&mut nodes, "add 1");
    let committed = |node: &mut Process| while node.line() != "* commit command: add 1" {};
    committed(nodes.node(leader));
    nodes.settle();
    assert_eq!(nodes.leader(), leader);
    let before = nodes.status(leader).unwrap()["log"]["last"].as_u64().unwrap();
    let others: Vec<usize> = (0..5).filter(|place| *place != leader).collect();
    let [friend, rest @ ..] = others.as_slice() else { panic!("no others") };
    for place in rest {
        nodes.kill(*place);
    }
    command(&mut nodes, "add 100");
    for place in [leader, *friend] {
        let log = nodes.until(place, "with a suffix", |status| {
            status["durable"].as_u64() > Some(before) && status["log"]["last"] == status["durable"]
        });
        assert_eq!(log["commit"].as_u64(), Some(before), "{log}");
    }
    let orphan = nodes.status(leader).unwrap()["log"]["last_term"].as_u64().unwrap();
    nodes.kill(leader);
    nodes.kill(*friend);

    for place in rest {
        nodes.start(*place);
    }
    nodes.leader();
    nodes.done(&["add", "10"]);
    for place in [leader, *friend] {
        nodes.start(place);
        nodes.settle();
        let log = nodes.until(place, "of the new term", |status| {
            status["log"]["last_term"].as_u64() > Some(orphan)
        });
        assert!(log["counters"]["truncations"].as_u64() > Some(0), "{log}");
        assert_eq!(nodes.value(place), "11");
    }
}

/// Whether a node has asked so often whether it would be elected.
fn stands(rounds: u64) -> impl Fn(&Value) -> bool {
    move |status| status["counters"]["pre_elections"].as_u64() >= Some(rounds)
}

#[track_caller]
fn elects_nobody(nodes: &Cluster, places: &[usize]) {
    for place in places {
        let status = nodes.until(*place, "running", |_| true);
        assert_eq!(status["leader"], Value::Null, "{status}");
        let role = status["role"].as_str();
        assert!(role.is_some_and(|role| role != "leader"), "{status}");
        if places.len() == 1 {
            assert_eq!(role, Some("pre-candidate"), "{status}");
        }
    }
}
