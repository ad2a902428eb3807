//! `coracle member` and `coracle transfer` against real nodes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Process, eventually, free_ports};
use crate::trio::{Ended, Trio, run, status};

fn ask(trio: &Trio, words: &[&str]) -> Ended {
    run(&[words, &["--servers", &trio.servers()]].concat())
}

#[test]
fn the_members_are_listed_with_the_version_of_their_configuration() {
    let trio = Trio::start(&[]);
    let ended = ask(&trio, &["member", "list"]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.output.starts_with("version "), "{ended:?}");
    let mut ports = trio.ports;
    ports.sort_unstable();
    let voters = ports.map(|port| format!("\n{port} voter 127.0.0.1:{port}")).concat();
    assert!(ended.output.trim_end().ends_with(&voters), "{ended:?}");
    let ended = ask(&trio, &["member", "list", "--json"]);
    let listed: Value = serde_json::from_str(&ended.output).expect("JSON");
    assert_eq!(listed["members"].as_array().map(Vec::len), Some(3));
    for member in listed["members"].as_array().expect("members") {
        let port = u16::try_from(member["id"].as_u64().expect("an id")).expect("a port");
        let own = status(port).expect("a status")["incarnation"].clone();
        assert!(own.is_string() && member["incarnation"] == own, "{member} of {own}");
    }
    assert!(listed["version"].as_u64().is_some_and(|version| version > 0), "{listed}");
}

#[test]
fn a_cluster_that_stores_nothing_refuses_other_voters_and_says_why() {
    let trio = Trio::start(&[]);
    let before = ask(&trio, &["member", "list"]).output;
    let id = trio.ports[0].to_string();
    for (verb, id, why) in [
        ("remove", id.as_str(), "a cluster that stores nothing keeps the voters"),
        ("demote", id.as_str(), "a cluster that stores nothing keeps the voters"),
        ("promote", id.as_str(), "a cluster that stores nothing keeps the voters"),
        ("remove", "7", "no member has this id"),
    ] {
        let ended = ask(&trio, &["member", verb, id]);
        assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""), "{verb}: {ended:?}");
        assert!(ended.errors.starts_with(&format!("refused: {why}")), "{verb}: {ended:?}");
        assert!(ended.errors.ends_with("; nothing happened\n"), "{verb}: {ended:?}");
    }
    assert_eq!(ask(&trio, &["member", "list"]).output, before);
}

#[test]
fn leadership_goes_to_the_node_that_is_named_and_commands_stay() {
    let trio = Trio::start(&[]);
    trio.done(&["add", "5"]);
    for _ in 0..2 {
        let next = trio.ports[(trio.leader() + 1) % 3];
        let ended = ask(&trio, &["transfer", "--to", &next.to_string()]);
        assert_eq!(ended.output, format!("node {next} leads\n"), "{ended:?}");
        assert_eq!(trio.ports[trio.leader()], next);
        trio.done(&["add", "5"]);
    }
    let ended = ask(&trio, &["transfer"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(trio.done(&["get"]), "15");
}

#[test]
fn leadership_is_not_handed_to_the_leader_or_to_a_stranger() {
    let trio = Trio::start(&[]);
    let leader = trio.ports[trio.leader()];
    for id in [leader.to_string(), "7".to_owned()] {
        let ended = ask(&trio, &["transfer", "--to", &id]);
        let why = "refused: no other member than the leader has this id; nothing happened\n";
        assert_eq!((ended.code, ended.errors.as_str()), (Some(1), why), "{ended:?}");
    }
    assert_eq!(trio.ports[trio.leader()], leader);
}

#[test]
fn where_nobody_answers_a_change_that_was_sent_has_an_unknown_outcome() {
    let [port] = free_ports();
    let server = format!("127.0.0.1:{port}");
    let more = ["--timeout", "300ms", "--servers", &server];
    let ended = run(&[&["member", "remove", "1"][..], &more].concat());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.errors.starts_with("outcome unknown: no server has said anything"), "{ended:?}");
    assert!(ended.errors.contains("it may have been done, or may still be"), "{ended:?}");
    let ended = run(&[&["member", "list"][..], &more].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
}

#[test]
fn a_learner_joins_by_any_member_gets_the_log_and_ends_when_it_is_removed() {
    let trio = Trio::start(&["--log=info"]);
    trio.done(&["add", "5"]);
    let [port] = free_ports();
    let listen = format!("127.0.0.1:{port}");
    let follower = format!("127.0.0.1:{}", trio.ports[(trio.leader() + 1) % 3]);
    let joining = ["node", "--id", "4", "--listen", &listen, "--join", &follower];
    let mut refused = Process::start(&joining);
    assert_eq!(refused.status().code(), Some(1));
    let errors = refused.errors();
    assert!(
        errors.contains("node 4 did not join: a cluster that stores nothing keeps"),
        "{errors}"
    );
    let mut learner = Process::start(&[&joining[..], &["--learner", "--log=info"]].concat());
    let applied = |port| status(port).and_then(|it| it["applied"].as_u64());
    let leader = trio.ports[trio.leader()];
    assert!(eventually(|| applied(port).is_some_and(|it| it > 0 && Some(it) == applied(leader))));
    assert!(ask(&trio, &["member", "list"]).output.contains(&format!("\n4 learner {listen}\n")));
    let place = trio.leader();
    let (next, id) = ((place + 1) % 3, trio.ports[(place + 1) % 3]);
    let redirects = format!("Node {id} redirects Node 4 to the leader, Node {leader}");
    trio.nodes[next].expect_error(&format!("Node {id} received join request from Node 4"));
    trio.nodes[next].expect_error(&redirects);
    trio.nodes[place].expect_error(&format!("Node {leader} received join request from Node 4"));
    for node in [&trio.nodes[place], &learner] {
        node.expect_error(&format!(": Node 4 is a learner at {listen}"));
    }
    learner.expect_error("Node 4 has caught up: it has everything up to index ");
    let ended = ask(&trio, &["member", "remove", "4"]);
    assert!(ended.output.starts_with("removed: node 4 (version "), "{ended:?}");
    trio.nodes[place].expect_error(": Node 4 is no member any more");
    assert_eq!(learner.status().code(), Some(0));
    assert!(learner.errors().contains("Node 4 is no longer a member of the cluster"));
}

#[test]
fn a_learner_behind_a_wildcard_joins_over_ipv6_by_the_address_that_it_advertises() {
    let ports: [u16; 4] = free_ports();
    let address = |place: usize| format!("[::1]:{}", ports[place]);
    let nodes = [0, 1, 2].map(|place| {
        let others = (0..3).filter(|other| *other != place);
        let peers = others.map(|other| format!("--peer={other}={}", address(other)));
        let own = ["node", "--id", &place.to_string(), "--listen", &address(place)];
        Process::start(&[own.map(str::to_owned).to_vec(), peers.collect()].concat())
    });
    let servers = [0, 1, 2].map(address).join(",");
    let client = |words: &[&str]| {
        let ended = run(&[&["client", "--servers", &servers], words].concat());
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:?}");
        ended.output
    };
    client(&["add", "5"]);
    let (listen, own) = (format!("[::]:{}", ports[3]), address(3));
    let joining = ["node", "--id", "7", "--listen", &listen, "--join", &servers, "--learner"];
    let mut nowhere = Process::start(&joining);
    assert_eq!(nowhere.status().code(), Some(1));
    let errors = nowhere.errors();
    assert!(errors.contains("is no address to be reached at: add --advertise"), "{errors}");
    let more = ["--advertise", &own, "--log=info"];
    let learner = Process::start(&[&joining[..], &more].concat());
    learner.expect_error("Node 7 has caught up: it has everything up to index ");
    let listed = run(&["member", "list", "--servers", &servers]);
    assert!(listed.output.contains(&format!("\n7 learner {own}\n")), "{listed:?}");
    client(&["add", "6"]);
    assert_eq!(client(&["get"]), "11\n");
    drop(nodes);
}

#[test]
fn of_two_voters_the_one_of_higher_priority_succeeds_a_leader_that_is_killed() {
    // The one that is reluctant waits for 2 s at least, and the other for 1,010 ms at most.
    let timing = ["--heartbeat", "100ms", "--election", "1s..1010ms"];
    let ports: [u16; 3] = free_ports();
    let mut nodes = [0, 1, 2].map(|place: usize| {
        let others = ports.iter().filter(|port| **port != ports[place]).map(u16::to_string);
        let mut line = ["node", "-m", &ports[place].to_string(), "-o"].map(str::to_owned).to_vec();
        line.extend(others);
        line.extend(timing.map(str::to_owned));
        line.push(format!("--priority={}", [100, 0, 100][place]));
        Process::start(&line)
    });
    let leader = |port: u16| status(port).and_then(|it| it["leader"].as_u64());
    let leads =
        |place: usize, asked: u16| eventually(|| leader(asked) == Some(u64::from(ports[place])));
    assert!(eventually(|| leader(ports[1]).is_some()));
    // Whoever leads at first: from here on it is the first one.
    let servers = ports.map(|port| format!("127.0.0.1:{port}")).join(",");
    let first = ports[0].to_string();
    if leader(ports[1]) != Some(u64::from(ports[0])) {
        let ended = run(&["transfer", "--to", &first, "--servers", &servers]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert!(leads(0, ports[1]) && leads(0, ports[2]));
    nodes[0].kill();
    assert!(leads(2, ports[1]), "node {:?} leads", leader(ports[1]));
}

/// What became of commands that ran beside something else.
pub struct Load {
    /// How many there were; each was done.
    pub done: u32,
    /// How long one of them took at most, with the start of its process.
    pub longest: Duration,
}

/// Adds 1 again and again while this is done: each time is answered.
pub fn under_load(servers: &str, act: impl FnOnce()) -> Load {
    let (done, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
    let longest = Mutex::new(Duration::ZERO);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let ended = run(&["client", "--servers", servers, "add", "1"]);
                    assert_eq!(ended.code, Some(0), "{ended:?}");
                    let mut longest = longest.lock().unwrap();
                    *longest = (*longest).max(start.elapsed());
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // It must end the load, whatever becomes of it.
        let result = catch_unwind(AssertUnwindSafe(|| {
            assert!(eventually(|| done.load(Ordering::Relaxed) > 0), "there is no load");
            act();
        }));
        is_over.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|why| resume_unwind(why));
    });
    Load { done: done.into_inner(), longest: longest.into_inner().unwrap() }
}

#[test]
fn a_transfer_under_load_loses_no_command_and_doubles_none() {
    let trio = Trio::start(&["--heartbeat", "100ms", "--election", "1s..2s"]);
    let load = under_load(&trio.servers(), || {
        for _ in 0..5 {
            let next = trio.ports[(trio.leader() + 1) % 3];
            let ended = ask(&trio, &["transfer", "--to", &next.to_string()]);
            assert_eq!(ended.output, format!("node {next} leads\n"), "{ended:?}");
        }
    });
    assert_eq!(trio.done(&["get"]), load.done.to_string());
}

#[test]
fn a_learner_comes_by_a_snapshot_and_goes_while_commands_run() {
    let trio = Trio::start(&["--log-entries", "64"]);
    for _ in 0..80 {
        trio.done(&["add", "1"]);
    }
    let [port] = free_ports();
    let listen = format!("127.0.0.1:{port}");
    let servers = trio.servers();
    let joining = ["--listen", &listen, "--join", &servers, "--learner", "--log=info"];
    let mut learner = Process::start(&[&["node", "--id", "4"], &joining[..]].concat());
    learner.expect_error("Node 4 goes on from a snapshot up to index ");
    learner.expect_error("Node 4 has caught up: it has everything up to index ");
    let load = under_load(&trio.servers(), || {
        let ended = ask(&trio, &["member", "remove", "4"]);
        assert!(ended.output.starts_with("removed: node 4 (version "), "{ended:?}");
        assert_eq!(learner.status().code(), Some(0));
    });
    assert_eq!(trio.done(&["get"]), (80 + load.done).to_string());
}
