//! Half of a cluster that stores nothing has lost its memory at once, and a survivor goes on.

use std::thread::sleep;
use std::time::Duration;

use crate::process::{Process, eventually};
use crate::trio::{Ended, Trio, run, status};

/// Long enough for many elections.
const A_WHILE: Duration = Duration::from_secs(2);

impl Trio {
    fn recover(&self, place: usize) -> Ended {
        let server = format!("127.0.0.1:{}", self.ports[place]);
        run(&["recover", "--server", &server, "--yes"])
    }
}

#[test]
fn a_live_survivor_takes_the_others_back_once_it_is_recovered() {
    let mut trio = Trio::start(&[]);
    trio.done(&["add", "5"]);
    trio.done(&["set", "K", "hello"]);
    // While there is a leader there is nothing to recover.
    for place in 0..3 {
        let ended = trio.recover(place);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.errors.contains("needs no rescue; nothing happened"), "{ended:?}");
    }
    let has_all = || {
        let applied = |port: &u16| status(*port)?["applied"].as_u64();
        let all: Vec<Option<u64>> = trio.ports.iter().map(applied).collect();
        all[0].is_some() && all.iter().all(|other| *other == all[0])
    };
    assert!(eventually(has_all));
    for place in [0, 1] {
        trio.nodes[place].kill();
    }
    for place in [0, 1] {
        trio.nodes[place] = Process::start(&trio.arguments(place, &[]));
    }
    // Nothing happens by itself, however long they wait.
    sleep(A_WHILE);
    let survivor = status(trio.ports[2]).expect("it answers");
    assert!(survivor["leader"].is_null(), "{survivor}");
    assert_eq!(status(trio.ports[0]).expect("it answers")["role"], "blank");
    let server = format!("127.0.0.1:{}", trio.ports[2]);
    let ended = run(&["recover", "--server", &server]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.output.contains("is to be given up"), "it says what that is: {ended:?}");
    assert_eq!(status(trio.ports[2]).expect("it answers")["epoch"], survivor["epoch"]);

    let ended = trio.recover(2);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.output.contains("Start the others anew"), "{ended:?}");
    assert_eq!(trio.done(&["get", "K"]), "K = hello");
    assert!(eventually(|| trio.voters() == 3), "all are one cluster");
    let epochs = trio.ports.map(|port| status(port).expect("it answers")["epoch"].clone());
    assert_eq!(epochs[0], epochs[2]);
    assert_ne!(epochs[2], survivor["epoch"]);
    trio.nodes[2].kill();
    assert_eq!(trio.done(&["get"]), "5");
    assert_eq!(trio.done(&["get", "K"]), "K = hello");
    // And from now on it is a cluster like any other.
    trio.nodes[2] = Process::start(&trio.arguments(2, &[]));
    trio.done(&["add", "1"]);
    assert!(eventually(|| status(trio.ports[2]).is_some_and(|it| it["role"] == "follower")));
    assert_eq!(trio.done(&["get"]), "6");
}

impl Trio {
    fn voters(&self) -> usize {
        let told = run(&["member", "list", "--json", "--servers", &self.servers()]);
        let roll: serde_json::Value = serde_json::from_str(&told.output).unwrap_or_default();
        let members = roll["members"].as_array();
        members.map_or(0, |all| all.iter().filter(|member| member["part"] == "voter").count())
    }
}
