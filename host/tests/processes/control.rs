//! A node that whoever started it makes faults in, on the command line and by orders.

use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{Process, free_ports};

/// A node under control, one of two, that has said that it listens.
fn controlled(port: u16, other: u16) -> Process {
    let mut node = Process::start(&arguments(port, other));
    node.expect(&format!("listening on 127.0.0.1:{port}"));
    node
}

fn arguments(port: u16, other: u16) -> Vec<String> {
    let line =
        format!("node --controlled --id 1 --listen 127.0.0.1:{port} --peer 2=127.0.0.1:{other}");
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn an_order_is_followed_as_a_whole_or_not_at_all() {
    let [port, other] = free_ports();
    let mut node = controlled(port, other);
    for (line, answer) in [
        ("cut 2", "ok cut 2"),
        ("heal; cut peers in; loss 30% clients out", "ok heal; cut peers in; loss 30% clients out"),
        ("cut 3", "error: node 3 is no peer; nothing has changed"),
        ("frob", "error: this is no order; nothing has changed"),
        ("", "error: this is no order; nothing has changed"),
        ("get", "error: this is no order; nothing has changed"),
        ("loss 2 peers", "error: a probability is a number from 0 to 1, or from 0% to 100%; "),
        ("pause", "ok pause"),
        ("cut 2; frob", "error: this is no order; nothing has changed"),
        ("resume", "ok resume"),
    ] {
        node.send(line);
        let said = node.line();
        assert!(said.starts_with(answer), "{line}: {said}");
    }
    node.send(&"x".repeat(100_000));
    node.expect("error: the line is too long; nothing has changed");
    node.end_input();
    assert!(node.status().success());
    assert_eq!(node.errors(), "");
}

#[test]
fn the_end_of_its_orders_ends_a_node_that_is_paused() {
    let [port, other] = free_ports();
    let mut node = controlled(port, other);
    node.send("pause");
    node.expect("ok pause");
    node.end_input();
    assert!(node.status().success());
}

#[test]
fn a_signal_ends_a_node_that_is_paused() {
    let [port, other] = free_ports();
    let mut node = controlled(port, other);
    node.send("pause");
    node.expect("ok pause");
    let id = Pid::from_raw(i32::try_from(node.id()).unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    assert_eq!(node.status().signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn an_address_that_is_in_use_is_told_at_once() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let [other] = free_ports();
    let mut node = Process::start(&arguments(port, other));
    node.expect(&format!("in use: 127.0.0.1:{port}"));
    assert!(node.status().success());
    assert_eq!(node.errors(), "");
}

#[test]
fn a_node_that_loses_everything_reaches_nobody_and_one_that_loses_some_does() {
    let commit = |losses: [&str; 2]| {
        let ports: [u16; 2] = free_ports();
        let mut nodes = [0, 1].map(|place| {
            let (own, other) = (ports[place].to_string(), ports[1 - place].to_string());
            let line = format!("node -m {own} -o {other} --loss {} --fault-seed 7", losses[place]);
            Process::start(&line.split(' ').collect::<Vec<_>>())
        });
        for _ in 0..3 {
            nodes[0].line();
        }
        nodes[0].send("add 5");
        nodes
    };
    let [mut one, _other] = commit(["30%", "0.3"]);
    one.expect("* commit command: add 5");
    let [mut one, _other] = commit(["0", "1"]);
    one.expect_error("waiting for");
    one.kill();
    assert_eq!(one.rest(), "");
}

#[test]
fn a_wrong_probability_is_wrong_usage() {
    let mut node = Process::start(&["node", "-m", "8001", "-o", "8002", "--loss", "30"]);
    assert_eq!(node.status().code(), Some(2));
    assert!(node.errors().contains("a probability is a number from 0 to 1"), "{}", node.errors());
}
