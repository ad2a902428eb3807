//! The integer on standard input, as the homework drives it, while datagrams are lost.

use coracle_udp::Faults;

use crate::cluster::Cluster;
use crate::process::Process;

const PROMPT: &str = "* Enter a command: ";

fn start(seed: u64, inits: [&str; 3], faults: Faults) -> Cluster {
    let mut trio = Cluster::start(seed, &inits, 0, faults);
    for (node, init) in trio.nodes.iter_mut().zip(inits) {
        let line = node.line();
        assert!(line.ends_with(&format!(" with init value {init}")), "{line}");
        let line = node.line();
        assert!(line.starts_with("* others are: "), "{line}");
        node.expect(PROMPT);
    }
    trio
}

fn commit(node: &mut Process, command: &str) {
    node.send(command);
    node.expect(&format!("* commit command: {command}"));
    node.expect(PROMPT);
}

fn value(node: &mut Process, expected: &str) {
    node.send("get");
    node.expect(&format!("* current value is: {expected}"));
    node.expect(expected);
    node.expect(PROMPT);
}

#[test]
fn nodes_that_start_from_different_values_answer_each_its_own() {
    let faults = Faults { lost: 200, doubled: 100, ..Faults::default() };
    let mut trio = start(1, ["0", "4", "0"], faults);
    for (node, command) in trio.nodes.iter_mut().zip(["add 10", "add -5", "add 1"]) {
        commit(node, command);
    }
    for (node, expected) in trio.nodes.iter_mut().zip(["6", "10", "6"]) {
        value(node, expected);
    }
    let counts = trio.relay.counts();
    assert!(counts.lost > 0 && counts.doubled > 0, "{counts:?}");
}

#[test]
fn every_command_works_on_every_node_and_is_seen_by_all_at_once() {
    let mut trio = start(2, ["1", "-2", "3"], Faults::losing(300));
    let (mut factor, mut term) = (1_i64, 0_i64);
    for round in 0..3 {
        for node in 0..3 {
            for (command, times, plus) in [("mul 3", 3, 0), ("sub -1", 1, 1), ("add 2", 1, 2)] {
                commit(&mut trio.nodes[(node + round) % 3], command);
                (factor, term) = (factor * times, term * times + plus);
            }
            let reader = (node + round + 1) % 3;
            let expected = factor * [1, -2, 3][reader] + term;
            value(&mut trio.nodes[reader], &expected.to_string());
        }
    }
    assert!(trio.relay.counts().lost > 20, "{:?}", trio.relay.counts());
}

#[test]
fn two_of_three_go_on_when_one_is_killed_in_the_middle() {
    for victim in 0..3 {
        let mut trio = start(3, ["0", "1", "2"], Faults::losing(100));
        commit(&mut trio.nodes[victim], "add 10");
        trio.nodes[victim].kill();
        let survivors = (0..3).filter(|place| *place != victim);
        for place in survivors.clone() {
            commit(&mut trio.nodes[place], "mul 2");
        }
        for place in survivors {
            value(&mut trio.nodes[place], &((place + 10) * 4).to_string());
        }
        assert!(trio.relay.counts().lost > 0, "nothing was lost");
    }
}
