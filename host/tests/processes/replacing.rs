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

#[test]
fn two_of_three_that_come_back_with_nothing_halt_the_third_and_it_keeps_what_it_holds() {
    let mut trio = Trio::start(&["-i", "4"]);
    trio.done(&["add", "5"]);
    agree(&mut trio, "9");
    start_again(&mut trio, [1, 2], &["-i", "4"]);
    become_one_of(&trio, 0, &["halted"]);
    let told = status(trio.ports[0]).expect("it answers");
    assert!(told["log"]["last"].as_u64() > Some(1), "it keeps its entries: {told}");
    assert_eq!(told["counters"]["epochs_lost"], 1);
    trio.nodes[0].expect_error("has halted, and keeps what it holds");
    // The others hold nothing, and form no cluster beside it.
    for place in [1, 2] {
        let told = status(trio.ports[place]).expect("it answers");
        assert_eq!(told["condition"], "blank");
    }
    // Its operator gives up what it holds: a new cluster begins, empty.
    start_again(&mut trio, [0], &["-i", "4"]);
    agree(&mut trio, "4");
}

#[test]
fn who_is_told_to_reset_gives_up_what_it_holds_by_itself() {
    let arguments = ["-i", "4", "--on-halt", "reset"];
    let mut trio = Trio::start(&arguments);
    trio.done(&["add", "5"]);
    agree(&mut trio, "9");
    start_again(&mut trio, [0, 2], &arguments);
    trio.nodes[1].expect_error("gives up what it holds");
    agree(&mut trio, "4");
    trio.done(&["add", "1"]);
    agree(&mut trio, "5");
}

fn start_again<const COUNT: usize>(trio: &mut Trio, places: [usize; COUNT], arguments: &[&str]) {
    places.iter().for_each(|place| trio.nodes[*place].kill());
    for place in places {
        trio.nodes[place] = Process::start(&trio.arguments(place, arguments));
    }
}

/// Each of the three has this value.
fn agree(trio: &mut Trio, value: &str) {
    let values = [0, 1, 2].map(|place| value_at(trio, place));
    assert_eq!(values, [value; 3]);
}

fn become_one_of(trio: &Trio, place: usize, conditions: &[&str]) {
    let is_there = eventually(|| {
        let told = status(trio.ports[place]);
        told.is_some_and(|it| conditions.iter().any(|condition| it["condition"] == *condition))
    });
    assert!(is_there, "node {} is none of {conditions:?}", trio.ports[place]);
}
