//! `coracle status` against real nodes.

use std::net::UdpSocket;

use serde_json::Value;

use crate::process::{Process, eventually, free_ports};
use crate::trio::{Trio, run, status};

#[test]
fn a_leader_knows_how_far_each_follower_is() {
    let trio = Trio::start(&[]);
    trio.done(&["add", "1"]);
    let leader = trio.ports[trio.leader()];
    let mut seen = Value::Null;
    let caught_up = eventually(|| {
        seen = status(leader).expect("the leader answers");
        let last = &seen["log"]["last"];
        let peers = seen["peers"].as_array().expect("a list");
        peers.len() == 2
            && seen["counters"]["heartbeats"].as_u64() > Some(0)
            && peers.iter().all(|peer| {
                peer["answered"] == true
                    && peer["progress"]["matched"] == *last
                    && peer["progress"]["round_trip"].as_u64().is_some()
            })
    });
    assert!(caught_up, "{seen}");
    assert_eq!((&seen["role"], &seen["id"]), (&"leader".into(), &leader.into()));
    assert_eq!((&seen["members"], &seen["expected"]), (&3.into(), &3.into()));
    assert!(seen["log"]["capacity"].as_u64() > seen["log"]["bytes"].as_u64());
    let counters = seen["counters"].as_object().expect("an object");
    assert_eq!(counters.len(), coracle::Counters::default().iter().count());
    for port in trio.ports.into_iter().filter(|port| *port != leader) {
        let follower = status(port).expect("a follower answers");
        assert_eq!(follower["role"], "follower");
        assert_eq!((&follower["leader"], &follower["epoch"]), (&leader.into(), &seen["epoch"]));
        let peers = follower["peers"].as_array().expect("a list");
        assert!(peers.iter().all(|peer| peer["progress"].is_null()), "{follower}");
    }
}

#[test]
fn many_peers_are_shown_page_by_page() {
    let [first, ..]: [u16; 32] = free_ports();
    let others = free_ports::<31>().map(|port| port.to_string());
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let mine = first.to_string();
    let node = Process::start(&[&["node", "-m", &mine, "-o"], &others[..]].concat());
    let mut seen = Value::Null;
    assert!(eventually(|| {
        seen = status(first).unwrap_or_default();
        seen["peers"].as_array().is_some_and(|peers| peers.len() == 31)
    }));
    let ids: Vec<String> = (seen["peers"].as_array().into_iter().flatten())
        .map(|peer| peer["id"].to_string())
        .collect();
    assert_eq!(ids, others, "each once, by ascending id");
    assert_eq!((&seen["role"], &seen["leader"]), (&"blank".into(), &Value::Null));
    drop(node);
}

#[test]
fn tables_are_as_large_as_the_flags_say() {
    let trio = Trio::start(&["--sessions", "2", "--pending", "3"]);
    for _client in 0..4 {
        trio.done(&["add", "1"]);
    }
    for port in trio.ports {
        let mut seen = Value::Null;
        let agrees = eventually(|| {
            seen = status(port).expect("an answer");
            let evicted = seen["counters"]["sessions_evicted"].as_u64();
            seen["limits"]["sessions"]["used"] == 2 && evicted >= Some(2)
        });
        assert!(agrees, "{seen}");
        assert_eq!(seen["limits"]["sessions"]["bound"], 2);
        assert_eq!(seen["limits"]["pending"]["bound"], 3);
    }
}

#[test]
fn garbage_is_dropped_counted_and_shown() {
    let mut trio = Trio::start(&[]);
    let port = trio.ports[1];
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = status(port).expect("an answer")["counters"]["undecodable"].clone();
    assert_eq!(before, 0);
    let mut like_a_reply = vec![0; 100];
    like_a_reply[..2].copy_from_slice(&[1, 0x8e]);
    let large = vec![0xff; 60_000];
    for garbage in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 17], &like_a_reply, &large] {
        socket.send_to(garbage, ("127.0.0.1", port)).unwrap();
    }
    let mut seen = Value::Null;
    let counted = eventually(|| {
        seen = status(port).expect("an answer");
        seen["counters"]["undecodable"] == 5
    });
    assert!(counted, "{seen}");
    trio.done(&["add", "1"]);
    assert!(trio.nodes[1].is_running());
    let shown = run(&["status", "--server", &format!("127.0.0.1:{port}")]);
    assert!(shown.output.contains("\n  undecodable                 5\n"), "{shown:?}");
    assert!(shown.output.starts_with(&format!("node          {port}, incarnation ")), "{shown:?}");
}

#[test]
fn a_status_is_watched_until_it_is_ended() {
    let trio = Trio::start(&[]);
    let server = format!("127.0.0.1:{}", trio.ports[0]);
    let mut watch = Process::start(&["status", "--server", &server, "--json", "--watch", "5ms"]);
    let mut rounds = [0; 3].map(|_| {
        let seen: Value = serde_json::from_str(&watch.line()).expect("JSON");
        assert_eq!(seen["id"], trio.ports[0]);
        seen["commit"].as_u64()
    });
    rounds.sort_unstable();
    assert!(watch.is_running());
    trio.done(&["add", "1"]);
    let grown = (0..10_000).any(|_| {
        let seen: Value = serde_json::from_str(&watch.line()).expect("JSON");
        seen["commit"].as_u64() > rounds[2]
    });
    assert!(grown, "what is shown is the state as it is");
    assert!(watch.is_running());
}

#[test]
fn nobody_to_ask_is_an_error() {
    let [port] = free_ports();
    let server = format!("127.0.0.1:{port}");
    let ended = run(&["status", "--server", &server, "--timeout", "200ms"]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""));
    let why = format!("error: no server has said anything within 0.2 s ({server})\n");
    assert_eq!(ended.errors, why);
    let ended = run(&["status", "--server", "nowhere"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.errors.starts_with("error: nowhere: "), "{ended:?}");
    assert_eq!(run(&["status", "--watch", "soon"]).code, Some(2));
}
