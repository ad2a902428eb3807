//! `coracle bench`: counts are judged here, and times are not.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process::{Process, eventually};
use crate::scratch::Folder;

/// What it prints as JSON, once it has ended well.
fn measured(arguments: &[&str]) -> Value {
    let mut bench = Process::start(&[&["bench", "--json"], arguments].concat());
    let line = bench.line();
    assert!(bench.status().success(), "{}", bench.errors());
    assert_eq!(bench.rest(), "");
    serde_json::from_str(&line).unwrap()
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {value}"))
}

#[test]
fn a_lone_command_costs_its_leader_few_datagrams_of_the_floors_length() {
    let report = measured(&["--seconds", "1"]);
    assert!(number(&report, "/cluster/operations") > 0.0, "{report}");
    let floor = number(&report, "/floor/leader_datagrams_per_command");
    assert!((2.99..3.01).contains(&floor), "{report}");
    // On a busy machine a follower that was not scheduled is sent several commands at once, or one
    // several times, and heartbeats count too: three are exact only in `tests/bench`.
    let cluster = number(&report, "/cluster/leader_datagrams_per_command");
    assert!((1.9..12.0).contains(&cluster), "{report}");
    let lengths = [("/cluster", cluster), ("/floor", floor)].map(|(of, datagrams)| {
        number(&report, &format!("{of}/leader_bytes_per_command")) / datagrams
    });
    let is_alike = (0.5..1.5).contains(&(lengths[0] / lengths[1]));
    assert!(is_alike, "the floor's datagrams have other lengths: {lengths:?}");
}

#[test]
fn many_commands_in_flight_share_datagrams_though_some_are_lost() {
    let report =
        measured(&["--seconds", "1", "--inflight", "32", "--loss", "10%", "--size", "100"]);
    assert!(number(&report, "/cluster/operations") > 0.0, "{report}");
    assert!(number(&report, "/cluster/leader_datagrams_per_command") < 3.0, "{report}");
    assert_eq!(report["loss"], "10%");
}

/// The names in a directory.
fn names(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn each_node_of_a_durable_bench_syncs_a_lone_command_once() {
    let folder = Folder::new("durable-bench");
    let arguments = ["--seconds", "1", "--inflight", "1", "--data-dir", folder.path()];
    let report = measured(&arguments)[0].clone();
    assert!(number(&report, "/cluster/operations") > 0.0, "{report}");
    assert!(number(&report, "/durable/sync_p50_us") > 0.0, "{report}");
    assert!(number(&report, "/durable/latency_ratio") > 0.0, "{report}");
    // The first command of a turn may find a mark that was not settled, and segments end.
    let leader = number(&report, "/durable/leader_syncs_per_command");
    assert!((0.9..1.5).contains(&leader), "{report}");
    // A slow follower writes several commands at once.
    let all = number(&report, "/durable/syncs_per_command");
    assert!((leader + 0.5..leader + 3.0).contains(&all), "{report}");
    assert_eq!(names(folder.path()), [""; 0], "something is left");
}

#[test]
fn one_sync_covers_commands_that_arrive_together_and_a_directory_that_was_made_goes_away() {
    let folder = Folder::new("durable-bench-many");
    let made = format!("{}/made", folder.path());
    let mut bench = Process::start(&["bench", "--seconds", "1", "--data-dir", &made]);
    // Each is printed once it is measured.
    for inflight in [1, 16, 64] {
        let measured = format!(" {inflight} in flight, ");
        while !bench.line().contains(&measured) {}
    }
    assert!(bench.status().success(), "{}", bench.errors());
    bench.rest();
    let printed = bench.output.clone();
    assert_eq!(printed.matches("a loop of append and fdatasync: median ").count(), 3, "{printed}");
    let rows = printed.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows: Vec<Vec<f64>> = rows
        .map(|row| row.split(" | ").filter_map(|cell| cell.parse().ok()).collect())
        .filter(|row: &Vec<f64>| !row.is_empty())
        .collect();
    let columns = |at: usize| rows.iter().map(move |row| row[at]).collect::<Vec<_>>();
    assert_eq!(columns(0), [1.0, 16.0, 64.0].repeat(2), "{printed}");
    let syncs = columns(1);
    assert!(syncs[1] < 0.5 && syncs[2] < 0.25, "{printed}");
    assert!(syncs.iter().all(|cell| *cell > 0.0), "{printed}");
    assert_eq!(names(folder.path()), [""; 0], "something is left");
}

#[test]
fn a_bench_touches_no_directory_that_holds_something() {
    let folder = Folder::new("durable-bench-held");
    fs::write(Path::new(folder.path()).join("kept"), "kept").unwrap();
    let mut bench = Process::start(&["bench", "--seconds", "1", "--data-dir", folder.path()]);
    assert_eq!(bench.status().code(), Some(1));
    assert_eq!(bench.rest(), "");
    assert!(bench.errors().contains("nothing was measured"), "{}", bench.errors());
    assert_eq!(names(folder.path()), ["kept"]);
    assert_eq!(fs::read_to_string(Path::new(folder.path()).join("kept")).unwrap(), "kept");
}

#[test]
fn a_durable_bench_that_a_signal_ends_leaves_nothing_behind() {
    let folder = Folder::new("durable-bench-signal");
    let arguments = ["bench", "--seconds", "60", "--data-dir", folder.path()];
    let mut bench = Process::start(&arguments);
    assert!(eventually(|| names(folder.path()).len() == 3), "{}", bench.errors());
    let process = Pid::from_raw(bench.id().try_into().unwrap()).unwrap();
    kill_process(process, Signal::TERM).unwrap();
    assert_eq!(bench.status().code(), Some(1));
    assert!(bench.errors().contains("a signal asked to end"), "{}", bench.errors());
    assert_eq!(names(folder.path()), [""; 0], "something is left");
}

#[test]
fn a_killed_leader_is_replaced_while_the_bench_looks() {
    let timing = ["--heartbeat", "5ms", "--election", "20ms..40ms"];
    let report = measured(&[&["--failover", "2"][..], &timing].concat());
    assert_eq!(number(&report, "/kills"), 2.0);
    assert!(number(&report, "/shortest_ms") > 0.0, "{report}");
}

#[test]
fn a_large_state_goes_to_a_new_node_while_the_bench_looks() {
    let timing = ["--election", "20s..30s"];
    let report = measured(&[&["--snapshot", "2", "--seconds", "1"][..], &timing].concat());
    assert_eq!(number(&report, "/transfers"), 2.0);
    let state = number(&report, "/state_bytes");
    assert!(state >= 10_000_000.0, "{report}");
    assert!(number(&report, "/chunks") * 1200.0 > 2.0 * state, "{report}");
    for part in ["/idle/operations", "/sending/operations"] {
        assert!(number(&report, part) > 0.0, "{report}");
    }
}

#[test]
fn no_process_outlives_a_bench_that_is_killed() {
    let mut bench = Process::start(&["bench", "--seconds", "60"]);
    let id = bench.id();
    let children = || fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    // Three nodes, and three processes of the floor.
    assert!(eventually(|| children().split_whitespace().count() == 6), "{}", bench.errors());
    let started = children();
    bench.kill();
    for child in started.split_whitespace() {
        let is_gone = || {
            let status = fs::read_to_string(Path::new("/proc").join(child).join("status"));
            status.map_or(true, |status| status.contains("State:\tZ"))
        };
        assert!(eventually(is_gone), "process {child} is left");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for arguments in [
        &["--size", "7"][..],
        &["--size", "769"],
        &["--inflight", "0"],
        &["--inflight", "257"],
        &["--loss", "101%"],
        &["--nodes", "0"],
        &["--failover", "1", "--loss", "1%"],
        &["--failover", "1", "--data-dir", "/nowhere"],
        &["--data-dir", "/nowhere/at/all"],
        &["--snapshot", "0"],
        &["--snapshot", "1", "--failover", "1"],
        &["--heartbeat", "50ms", "--election", "20ms..40ms"],
    ] {
        let mut bench = Process::start(&[&["bench"], arguments].concat());
        assert_ne!(bench.status().code(), Some(0), "{arguments:?}");
        assert_eq!(bench.rest(), "", "{arguments:?}");
        assert!(!bench.errors().is_empty(), "{arguments:?}");
    }
}
