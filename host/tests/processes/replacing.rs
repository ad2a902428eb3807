//! Nodes that come back with nothing stored, started again with the same arguments.

use std::time::{Duration, Instant};

use crate::process::{Process, eventually};
use crate::trio::{Trio, run, status};

/// How soon a node that was started again must have the value.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn whichever_node_is_started_again_has_the_value_soon_however_often() {
    let mut trio = Trio::start(&["-i", "4"]);
    let mut value = 4;
    for place in [0, 1, 2, 2, 0, 1] {
        trio.done(&["add", "5"]);
        value += 5;
        trio.nodes[place].kill();
        let started = Instant::now();
        trio.nodes[place] = Process::start(&trio.arguments(place, &["-i", "4"]));
        let told = value_at(&mut trio, place);
        assert_eq!(told, value.to_string());
        assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
        // It counts again before the next one falls.
        is_voter(&trio, place);
    }
    let values = [0, 1, 2].map(|place| value_at(&mut trio, place));
    assert_eq!(values, ["34", "34", "34"]);
}

/// What a node's console says that it holds.
fn value_at(trio: &mut Trio, place: usize) -> String {
    trio.nodes[place].send("get");
    // All but a bare value begins with a star.
    loop {
        let line = trio.nodes[place].line();
        if !line.starts_with('*') {
            return line;
        }
    }
}

/// Waits until the members have agreed upon three voters again, of which this life is one.
fn is_voter(trio: &Trio, place: usize) {
    let life = status(trio.ports[place]).expect("it answers")["incarnation"].clone();
    let is_member = eventually(|| {
        let told = run(&["member", "list", "--json", "--servers", &trio.servers()]);
        let roll: serde_json::Value = serde_json::from_str(&told.output).expect("JSON");
        let members = roll["members"].as_array().expect("members");
        let lives = members.iter().filter(|member| member["part"] == "voter");
        members.len() == 3 && lives.map(|member| &member["incarnation"]).any(|it| *it == life)
    });
    assert!(is_member, "node {} does not get its vote back", trio.ports[place]);
}
