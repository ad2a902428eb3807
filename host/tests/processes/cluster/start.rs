//! How a cluster comes to its ports and to its first leader.

use std::net::UdpSocket;
use std::time::Duration;

use super::*;

/// The ports that the first line names.
fn ports(line: &str) -> Vec<u16> {
    let (_, ports) = line.split_once("ports ").unwrap();
    ports.split(' ').map(|port| port.parse().unwrap()).collect()
}

#[test]
fn ports_that_are_taken_are_passed_over() {
    let [base] = free_ports();
    let taken = UdpSocket::bind(("127.0.0.1", base)).unwrap();
    let mut cluster = Process::start(&["cluster", "--base-port", &base.to_string(), "-n", "2"]);
    let ports = ports(&expect_start(&mut cluster, "starting 2 nodes on 127.0.0.1, ports "));
    assert!(ports.len() == 2 && ports.iter().all(|port| *port > base), "{ports:?}");
    drop(taken);
    let servers = format!("client --servers 127.0.0.1:{},127.0.0.1:{} get", ports[0], ports[1]);
    let line = expect_start(&mut cluster, "from another terminal: ");
    assert!(line.ends_with(&servers), "{line}");
    expect_start(&mut cluster, "ready: ");
}

#[test]
fn the_line_for_another_terminal_works_there_though_a_node_is_down() {
    let [base] = free_ports();
    let base = base.min(u16::MAX - 100).to_string();
    let mut cluster = Process::start(&["cluster", "--base-port", &base]);
    expect_start(&mut cluster, "starting 3 nodes ");
    let line = expect_start(&mut cluster, "from another terminal: ");
    expect_start(&mut cluster, "ready: ");
    answer(&mut cluster, "add 7", "committed: add 7 ");
    answer(&mut cluster, "kill leader", "killed node ");
    let (_, arguments) = line.split_once(" client ").unwrap();
    let arguments: Vec<&str> = ["client"].into_iter().chain(arguments.split(' ')).collect();
    let mut client = Process::start(&arguments);
    client.expect("7");
    assert!(client.status().success());
}

#[test]
fn clusters_that_start_in_the_same_instant_come_to_different_ports() {
    let [base] = free_ports();
    let base = base.min(u16::MAX - 100).to_string();
    let mut clusters =
        [(); 4].map(|()| Process::start(&["cluster", "-n", "3", "--base-port", &base]));
    let mut taken = Vec::new();
    for (number, cluster) in clusters.iter_mut().enumerate() {
        let line = expect_start(cluster, "starting 3 nodes on 127.0.0.1, ports ");
        taken.extend(ports(&line));
        expect_start(cluster, "from another terminal: ");
        expect_start(cluster, "ready: node ");
        let value = number + 1;
        answer(cluster, &format!("add {value}"), "committed: ");
        answer(cluster, "get", &value.to_string());
    }
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 12);
    for mut cluster in clusters {
        cluster.send("quit");
        assert!(cluster.status().success());
        assert_eq!(cluster.errors(), "");
    }
}

#[test]
fn too_few_ports_are_an_error_and_no_node_runs() {
    let mut cluster = Process::start(&["cluster", "--base-port", "65535", "-n", "2"]);
    assert_eq!(cluster.status().code(), Some(1));
    let why = "error: no node runs: there are no 2 free UDP ports from 65535 on\n";
    assert_eq!(cluster.errors(), why);
    assert_eq!(cluster.rest(), "");
}

#[test]
fn three_nodes_have_a_leader_within_a_second_of_the_start_of_the_last() {
    let [base] = free_ports();
    let base = base.min(u16::MAX - 100).to_string();
    let mut cluster = Process::start(&["cluster", "--base-port", &base]);
    // It is written when all of them listen.
    expect_start(&mut cluster, "starting 3 nodes ");
    let start = Instant::now();
    expect_start(&mut cluster, "from another terminal: ");
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
}
