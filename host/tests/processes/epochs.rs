//! All nodes that store nothing are started again: the next epoch begins empty, and whoever asked the
//! one before is told.

use crate::process::{Process, free_ports};
use crate::relay::Relay;
use crate::trio::{Ended, Trio, run, status};

const ANEW: &str = "the cluster was formed anew, without what it held";

#[test]
fn a_full_restart_begins_empty_under_a_new_epoch_and_a_token_of_before_is_told_so() {
    let mut trio = Trio::start(&["-i", "4"]);
    trio.done(&["add", "5"]);
    trio.done(&["set", "A", "42"]);
    let token = token_of_add_7(&trio);
    let before = epoch(&trio);

    trio.nodes.iter_mut().for_each(Process::kill);
    for place in 0..3 {
        trio.nodes[place] = Process::start(&trio.arguments(place, &["-i", "4"]));
    }
    trio.leader_of(3);
    assert_ne!(epoch(&trio), before);
    for _time in 0..2 {
        let Ended { code, output, errors } = trio.client(&["--retry", &token]);
        assert_eq!((code, output.as_str()), (Some(3), ""), "{errors}");
        assert!(errors.starts_with(&format!("outcome unknown: {ANEW}, ")), "{errors}");
        assert!(!errors.contains("to go on with it"), "there is nothing to go on with: {errors}");
    }
    assert_eq!(trio.done(&["get"]), "4", "it begins with what the nodes were started with");
    assert_eq!(trio.done(&["get", "A"]), "A is not set");
    assert!(trio.done(&["add", "1"]).starts_with("committed: add 1 "));
    assert_eq!(trio.done(&["get"]), "5");
}

#[test]
fn a_prompt_says_once_that_its_cluster_was_formed_anew_and_goes_on_with_it() {
    let [base] = free_ports();
    let base = base.min(u16::MAX - 100).to_string();
    let mut cluster = Process::start(&["cluster", "--memory", "--base-port", &base]);
    while !cluster.line().starts_with("ready: ") {}
    answer(&mut cluster, "add 5", "committed: add 5 ");
    answer(&mut cluster, "get", "5");
    for id in 1..=3 {
        answer(&mut cluster, &format!("kill {id}"), &format!("killed node {id}; "));
    }
    for id in 1..=3 {
        answer(&mut cluster, &format!("restart {id}"), &format!("restarted node {id}: "));
    }
    complaint(&mut cluster, "get", &format!("refused: {ANEW}; "));
    answer(&mut cluster, "get", "0");
    complaint(&mut cluster, "add 1", &format!("outcome unknown: {ANEW}, "));
    answer(&mut cluster, "get", "0");
    answer(&mut cluster, "add 2", "committed: add 2 ");
    answer(&mut cluster, "get", "2");
    cluster.send("quit");
    assert!(cluster.status().success());
}

/// What a client has got for a command that was applied, and of which it was not told.
fn token_of_add_7(trio: &Trio) -> String {
    let relay = Relay::start(trio.ports[trio.leader()]);
    let server = relay.address.to_string();
    let limited = ["client", "--servers", &server, "--timeout", "700ms", "add", "7"];
    let ended = run(&limited);
    assert!(ended.code == Some(3) && relay.kept() > 0, "{ended:?}");
    let (_, token) = ended.errors.split_once(" --retry ").expect("a token");
    token.trim_end().to_owned()
}

fn epoch(trio: &Trio) -> String {
    let status = status(trio.ports[0]).expect("it answers");
    status["epoch"].as_str().expect("an epoch").to_owned()
}

#[track_caller]
fn answer(cluster: &mut Process, line: &str, start: &str) {
    cluster.send(line);
    let said = cluster.line();
    assert!(said.starts_with(start), "{line}: {said}\n{}", cluster.errors());
}

#[track_caller]
fn complaint(cluster: &mut Process, line: &str, start: &str) {
    let before = cluster.errors().len();
    cluster.send(line);
    cluster.expect_error(start);
    let said = &cluster.errors()[before..];
    assert!(said.contains(start), "{line}: {said}");
}
