//! `coracle cluster` as a real process that is driven through a pipe.

use std::fs;

use crate::process::{Process, eventually, free_ports};
use rustix::process::{Pid, Signal, kill_process};

/// A cluster that is ready, and its nodes' process ids.
fn cluster(arguments: &[&str]) -> (Process, Vec<u32>) {
    let [base] = free_ports();
    let base = base.min(u16::MAX - 100).to_string();
    let all = [&["cluster", "--base-port", &base], arguments].concat();
    let mut cluster = Process::start(&all);
    let line = cluster.line();
    assert!(line.starts_with("starting "), "{line}");
    let line = cluster.line();
    assert!(line.starts_with("ready: "), "{line}");
    let id = cluster.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let children: Vec<u32> = children.split_whitespace().map(|id| id.parse().unwrap()).collect();
    (cluster, children)
}

/// Whether no such process runs; one that nobody has waited for yet does not run either.
fn has_ended(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat"))
        .map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

fn signal(id: u32, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

#[test]
fn a_script_is_answered_in_order_and_nothing_is_left_behind() {
    let (mut cluster, nodes) = cluster(&[]);
    assert_eq!(nodes.len(), 3);
    let script = [
        "get",
        "add 5",
        "mul -3",
        "sub 1",
        "get",
        "get A",
        "set A 42",
        "get A",
        "set A hello you",
        "get A",
        "",
        "status",
        "quit",
    ];
    for line in script {
        cluster.send(line);
    }
    cluster.expect("0");
    for command in ["add 5", "mul -3", "sub 1"] {
        let line = cluster.line();
        assert!(line.starts_with(&format!("committed: {command} (term ")), "{line}");
    }
    cluster.expect("-16");
    cluster.expect("A is not set");
    assert!(cluster.line().starts_with("committed: set A 42 (term "));
    cluster.expect("A = 42");
    assert!(cluster.line().starts_with("committed: set A hello you (term "));
    cluster.expect("A = hello you");
    let heading = cluster.line();
    for word in ["id", "role", "term", "leader", "commit", "applied", "log"] {
        assert!(heading.split_whitespace().any(|column| column == word), "{heading}");
    }
    let rows = [cluster.line(), cluster.line(), cluster.line()].join("\n");
    assert_eq!(rows.matches(" leader ").count(), 1, "{rows}");
    assert_eq!(rows.matches(" follower ").count(), 2, "{rows}");
    assert!(cluster.status().success());
    assert_eq!(cluster.rest(), "");
    assert_eq!(cluster.errors(), "");
    assert!(nodes.into_iter().all(has_ended));
}

#[test]
fn the_end_of_input_ends_it_well() {
    let (mut cluster, nodes) = cluster(&["-n", "1"]);
    assert_eq!(nodes.len(), 1);
    cluster.send("add 3");
    cluster.send("get");
    cluster.end_input();
    assert!(cluster.status().success());
    assert!(cluster.rest().ends_with("\n3\n"));
    assert!(nodes.into_iter().all(has_ended));
}

#[test]
fn a_line_that_is_wrong_is_an_error_and_the_next_one_is_served() {
    let (mut cluster, _) = cluster(&[]);
    let long = "9".repeat(2000);
    for line in ["frob", "add", "add x", "set A", "get A B", "quit now", &format!("mul {long}")] {
        cluster.send(line);
    }
    cluster.send(&format!("set {} v", "k".repeat(65)));
    cluster.send(&format!("set k {}", "v".repeat(961)));
    cluster.send("retry");
    let (key, value) = ("k".repeat(64), "v".repeat(960));
    cluster.send(&format!("set {key} {value}"));
    cluster.send(&format!("get {key}"));
    let line = cluster.line();
    assert!(line.starts_with("committed: set kkk"), "{line}");
    cluster.expect(&format!("{key} = {value}"));
    cluster.send("quit");
    assert!(cluster.status().success());
    let errors = cluster.errors();
    assert_eq!(errors.lines().count(), 10, "{errors}");
    assert!(
        errors.lines().all(|line| { line.starts_with("error: ") || line.starts_with("refused: ") }),
        "{errors}"
    );
}

#[test]
fn a_product_past_the_limit_is_refused() {
    let (mut cluster, _) = cluster(&[]);
    let factor = format!("1{}", "0".repeat(1000));
    cluster.send("add 1");
    cluster.send(&format!("mul {factor}"));
    cluster.send(&format!("mul {factor}"));
    cluster.send("get");
    cluster.send("quit");
    assert!(cluster.line().starts_with("committed: add 1 "));
    assert!(cluster.line().starts_with("committed: mul 1000"));
    cluster.expect(&factor);
    assert!(cluster.status().success());
    let errors = cluster.errors();
    assert!(errors.starts_with("refused: "), "{errors}");
    assert!(errors.ends_with("; nothing happened\n"), "{errors}");
}

#[test]
fn two_of_three_serve_and_one_of_three_says_that_it_cannot() {
    let (mut cluster, nodes) = cluster(&[]);
    cluster.send("add 5");
    assert!(cluster.line().starts_with("committed: add 5 "));
    signal(nodes[0], Signal::KILL);
    cluster.send("add 6");
    assert!(cluster.line().starts_with("committed: add 6 "));
    cluster.send("get");
    cluster.expect("11");
    cluster.send("status");
    let table = [(); 4].map(|()| cluster.line()).join("\n");
    assert_eq!(table.matches("does not answer").count(), 1, "{table}");
    signal(nodes[1], Signal::KILL);
    cluster.send("get");
    cluster.expect_error("refused: no answer within 3 s; nothing happened\n");
    cluster.send("add 7");
    cluster.expect_error("outcome unknown: no answer within 5 s; it may still take effect");
    cluster.send("quit");
    assert!(cluster.status().success());
}

#[test]
fn a_command_whose_outcome_is_unknown_takes_effect_once_when_it_is_retried() {
    let (mut cluster, nodes) = cluster(&[]);
    cluster.send("add 1");
    assert!(cluster.line().starts_with("committed: add 1 "));
    signal(nodes[1], Signal::STOP);
    signal(nodes[2], Signal::STOP);
    cluster.send("add 7");
    cluster.expect_error("retrying in the same session is safe");
    signal(nodes[1], Signal::CONT);
    signal(nodes[2], Signal::CONT);
    cluster.send("retry");
    let line = cluster.line();
    assert!(line.starts_with("committed: the last command (term "), "{line}");
    cluster.send("get");
    cluster.expect("8");
    cluster.send("retry");
    cluster.send("quit");
    assert!(cluster.status().success());
    assert!(
        cluster.errors().ends_with("refused: there is no command to retry; nothing happened\n")
    );
}

#[test]
fn an_interrupt_ends_the_nodes_too() {
    let (mut cluster, nodes) = cluster(&[]);
    signal(cluster.id(), Signal::INT);
    assert_eq!(cluster.status().code(), Some(130));
    assert!(nodes.into_iter().all(has_ended));
}

#[test]
fn the_nodes_do_not_outlive_a_cluster_that_is_killed() {
    let (mut cluster, nodes) = cluster(&[]);
    cluster.kill();
    assert!(eventually(|| nodes.iter().copied().all(has_ended)));
}

#[test]
fn ports_that_are_taken_are_passed_over() {
    let [base] = free_ports();
    let taken = std::net::UdpSocket::bind(("127.0.0.1", base)).unwrap();
    let mut cluster = Process::start(&["cluster", "--base-port", &base.to_string(), "-n", "2"]);
    let line = cluster.line();
    assert!(!line.contains(&base.to_string()), "{line}");
    assert!(cluster.line().starts_with("ready: "));
    drop(taken);
}
