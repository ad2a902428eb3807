//! `coracle node` as real processes that are driven on standard input.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::process::{Process, free_ports};
use num_bigint::BigInt;
use rustix::process::{Pid, Signal, kill_process};

const PROMPT: &str = "* Enter a command: ";

/// A node of a cluster on these ports.
fn node(ports: &[u16], place: usize, init: &str) -> Process {
    let arguments = arguments(ports, place, ["-i", init]);
    Process::start(&arguments)
}

fn arguments<const N: usize>(ports: &[u16], place: usize, more: [&str; N]) -> Vec<String> {
    let mut arguments = vec!["node".to_owned(), "-m".to_owned(), ports[place].to_string()];
    arguments.push("-o".to_owned());
    let others = ports.iter().enumerate().filter(|(other, _)| *other != place);
    arguments.extend(others.map(|(_, port)| port.to_string()));
    arguments.extend(more.map(str::to_owned));
    arguments
}

/// Three nodes that have said who they are.
fn three(inits: [&str; 3]) -> [Process; 3] {
    let ports: [u16; 3] = free_ports();
    let places = [0, 1, 2];
    places.map(|place| {
        let mut node = node(&ports, place, inits[place]);
        node.expect(&format!("* start node {} with init value {}", ports[place], inits[place]));
        let others: Vec<String> =
            places.iter().filter(|at| **at != place).map(|at| ports[*at].to_string()).collect();
        node.expect(&format!("* others are: {}", others.join(" ")));
        node.expect(PROMPT);
        node
    })
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

fn terminate(node: &Process) {
    let id = Pid::from_raw(i32::try_from(node.id()).unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
}

#[test]
fn nodes_that_start_from_different_values_answer_each_its_own() {
    let mut nodes = three(["0", "4", "0"]);
    for (node, command) in nodes.iter_mut().zip(["add 10", "add -5", "add 1"]) {
        commit(node, command);
    }
    for (node, expected) in nodes.iter_mut().zip(["6", "10", "6"]) {
        value(node, expected);
    }
    for node in &mut nodes {
        node.end_input();
        assert!(node.status().success());
        assert_eq!(node.rest(), "", "after the last prompt");
    }
}

#[test]
fn every_command_works_on_every_node_and_is_seen_by_all() {
    let mut nodes = three(["1", "-2", "3"]);
    for node in &mut nodes {
        commit(node, "mul 3");
        commit(node, "sub -1");
        commit(node, "add 2");
    }
    // x -> 3x + 3, three times: 27x + 39.
    for (node, expected) in nodes.iter_mut().zip(["66", "-15", "120"]) {
        value(node, expected);
    }
}

#[test]
fn a_committed_line_is_repeated_verbatim() {
    let mut nodes = three(["0", "0", "0"]);
    for line in ["add 10 ", "  sub\t+3", "mul 002\r"] {
        commit(&mut nodes[1], line);
    }
    value(&mut nodes[2], "14");
}

#[test]
fn integers_are_exact_whatever_their_size() {
    let init = format!("-{}", "9".repeat(1500));
    let mut nodes = three(["0", &init, "-5"]);
    let digits = "1234567890".repeat(20);
    commit(&mut nodes[0], &format!("add {digits}"));
    commit(&mut nodes[1], &format!("mul -{digits}"));
    commit(&mut nodes[2], &format!("sub {digits}"));
    let big: BigInt = digits.parse().unwrap();
    let inits = [BigInt::ZERO, init.parse().unwrap(), BigInt::from(-5)];
    for (node, init) in nodes.iter_mut().zip(inits) {
        let expected: BigInt = (init + &big) * -&big - &big;
        value(node, &expected.to_string());
    }
}

#[test]
fn a_command_past_the_limit_is_refused_and_changes_nothing() {
    let mut nodes = three(["1", "0", "7"]);
    let factor = format!("1{}", "0".repeat(1000));
    commit(&mut nodes[0], &format!("mul {factor}"));
    for node in &mut nodes {
        node.send(&format!("mul {factor}"));
        let error = node.line();
        assert!(error.starts_with("* error: refused: "), "{error}");
        assert!(error.ends_with("; nothing happened"), "{error}");
        node.expect(PROMPT);
    }
    let operand = "9".repeat(1300);
    nodes[1].send(&format!("add {operand}"));
    nodes[1].expect("* error: the integer has more than 4096 bits");
    nodes[1].expect(PROMPT);
    value(&mut nodes[0], &factor);
    value(&mut nodes[1], "0");
    value(&mut nodes[2], &factor.replacen('1', "7", 1));
}

#[test]
fn unknown_input_is_an_error_with_a_star_and_the_prompt_comes_again() {
    let mut nodes = three(["0", "0", "0"]);
    for line in ["frobnicate", "add", "add ten", "add 1 2", "get it", " ", "set A 1", "ADD 1"] {
        nodes[0].send(line);
        let error = nodes[0].line();
        assert!(error.starts_with("* error: "), "{line}: {error}");
        nodes[0].expect(PROMPT);
    }
    value(&mut nodes[0], "0");
}

#[test]
fn an_empty_line_ends_a_node() {
    let mut nodes = three(["0", "0", "0"]);
    commit(&mut nodes[2], "add 1");
    nodes[2].send("");
    assert!(nodes[2].status().success());
    value(&mut nodes[0], "1");
}

#[test]
fn the_end_of_input_ends_a_node_though_it_has_never_met_another() {
    let ports: [u16; 3] = free_ports();
    let mut node = node(&ports, 0, "0");
    node.end_input();
    assert!(node.status().success());
}

#[test]
fn a_termination_signal_ends_a_node_at_once_though_a_command_waits() {
    let ports: [u16; 3] = free_ports();
    let mut node = node(&ports, 0, "0");
    for _ in 0..3 {
        node.line();
    }
    node.send("add 1");
    let start = Instant::now();
    terminate(&node);
    assert_eq!(node.status().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_command_that_comes_before_the_others_waits_for_them() {
    let ports: [u16; 3] = free_ports();
    let mut first = node(&ports, 2, "0");
    first.send("add 7");
    first.send("get");
    first.expect_error(&format!("waiting for {} {}", ports[0], ports[1]));
    let mut others = [node(&ports, 0, "0"), node(&ports, 1, "0")];
    for _ in 0..3 {
        first.line();
    }
    first.expect("* commit command: add 7");
    first.expect(PROMPT);
    first.expect("* current value is: 7");
    first.expect("7");
    for other in &mut others {
        assert!(other.is_running());
    }
}

#[test]
fn three_nodes_are_ready_well_within_two_seconds() {
    let mut nodes = three(["0", "0", "0"]);
    let start = Instant::now();
    commit(&mut nodes[1], "add 1");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_port_that_stays_in_use_is_an_error() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let [other] = free_ports();
    let mut node = node(&[port, other], 0, "0");
    assert_eq!(node.status().code(), Some(1));
    let errors = node.errors();
    assert!(errors.contains(&format!("port {port}")), "{errors}");
    assert!(errors.contains("in use"), "{errors}");
    assert_eq!(node.rest(), "");
}

#[test]
fn a_port_that_becomes_free_is_taken() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let [other] = free_ports();
    let mut node = node(&[port, other], 0, "3");
    node.expect_error("in use");
    drop(taken);
    node.expect(&format!("* start node {port} with init value 3"));
}

#[test]
fn a_closed_output_ends_a_node() {
    let ports: [u16; 3] = free_ports();
    let mut mute = Process::start_mute(&arguments(&ports, 0, []));
    mute.close_output();
    while mute.is_running() && mute.try_send("add 1") {}
    let status = mute.status();
    assert!(status.success(), "{status}: {}", mute.errors());
    assert_eq!(mute.errors(), "");
}

#[test]
fn two_of_three_go_on_when_one_is_killed() {
    for victim in 0..3 {
        let mut nodes = three(["0", "1", "2"]);
        commit(&mut nodes[victim], "add 10");
        nodes[victim].kill();
        let survivors = (0..3).filter(|place| *place != victim);
        for place in survivors.clone() {
            commit(&mut nodes[place], "mul 2");
        }
        for place in survivors {
            value(&mut nodes[place], &((place + 10) * 4).to_string());
        }
    }
}

#[test]
fn a_node_by_itself_is_a_cluster() {
    let ports: [u16; 1] = free_ports();
    let mut node = node(&ports, 0, "-5");
    for _ in 0..3 {
        node.line();
    }
    commit(&mut node, "add 1");
    value(&mut node, "-4");
}

#[test]
fn wrong_usage_has_a_status_of_its_own() {
    for arguments in [
        &["node"][..],
        &["node", "-m", "8001"],
        &["node", "-m", "8001", "-o", "8001"],
        &["node", "-m", "8001", "-o", "8002", "8002"],
        &["node", "-i", "four", "-m", "8001", "-o", "8002"],
        &["node", "-m", "8001", "-o", "8002", "--frob"],
        &["frob"],
        &[],
    ] {
        let mut process = Process::start(arguments);
        assert_eq!(process.status().code(), Some(2), "{arguments:?}");
        assert_eq!(process.rest(), "", "{arguments:?}");
        assert!(!process.errors().is_empty(), "{arguments:?}");
    }
}
