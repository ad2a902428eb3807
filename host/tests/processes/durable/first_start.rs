//! The first start of nodes with directories, without one of them.

use serde_json::Value;

use super::Cluster;
use crate::process::{Process, eventually};
use crate::trio::run;

#[test]
fn two_of_three_start_and_the_third_comes_in() {
    let mut nodes =
        Cluster { more: &["--first-start", "--log=info"], ..Cluster::blank::<3>("first") };
    nodes.start(0);
    nodes.node(0).expect_error("it starts the cluster for the first time");
    nodes.node(0).expect_error("waiting for");
    assert_eq!(nodes.until(0, "running", |_| true)["role"], "blank", "one of three");
    nodes.start(1);
    nodes.leader();
    nodes.done(&["add", "7"]);
    let before = members(&nodes);
    assert_eq!(before.len(), 3, "the absent one counts");
    assert_eq!((&before[2]["part"], &before[2]["incarnation"]), (&"voter".into(), &Value::Null));
    let told = run(&["member", "list", "--servers", &nodes.servers()]).output;
    assert!(told.contains("3 voter, absent from the first start"), "{told}");
    // Its operator has taken the word away: the cluster is there.
    nodes.more = &["--log=info"];
    nodes.start(2);
    nodes.node(2).expect_error("it is new, or it has lost what it had");
    assert!(eventually(|| has_vote(&nodes, 2)), "{:?}", members(&nodes));
    assert_eq!(members(&nodes).len(), 3, "in the place of the absent one");
    nodes.kill(0);
    nodes.done(&["add", "1"]);
    assert_eq!(nodes.done(&["get"]), "8", "two of three go on, and the third is one of them");
    nodes.start(0);
    nodes.settle();
    assert_eq!(nodes.value(2), "8");
}

#[test]
fn a_node_that_is_in_a_cluster_says_that_its_first_start_is_over() {
    let mut nodes =
        Cluster { more: &["--first-start", "--log=info"], ..Cluster::blank::<3>("first-over") };
    nodes.start(0);
    nodes.start(1);
    nodes.leader();
    nodes.done(&["add", "3"]);
    nodes.kill_all();
    nodes.start(0);
    nodes.node(0).expect_error("--first-start means nothing: take it away");
    nodes.start(1);
    nodes.leader();
    assert_eq!(nodes.done(&["get"]), "3");
}

#[test]
fn nodes_that_are_not_told_wait_for_all() {
    let mut nodes = Cluster { more: &["--log=info"], ..Cluster::blank::<3>("first-untold") };
    nodes.start(0);
    nodes.start(1);
    for place in [0, 1] {
        nodes.node(place).expect_error("a majority that is told --first-start");
        assert_eq!(nodes.until(place, "running", |_| true)["role"], "blank");
    }
    nodes.start(2);
    nodes.leader();
}

#[test]
fn a_first_start_needs_a_directory() {
    let line = ["node", "-m", "8001", "-o", "8002", "8003", "--first-start"];
    let mut node = Process::start(&line);
    assert_eq!(node.status().code(), Some(2));
    node.expect_error("--data-dir <DIR>");
}

/// The members, as the cluster tells them.
fn members(nodes: &Cluster) -> Vec<Value> {
    let told = run(&["member", "list", "--json", "--servers", &nodes.servers()]);
    let roll: Value = serde_json::from_str(&told.output).unwrap_or_default();
    roll["members"].as_array().cloned().unwrap_or_default()
}

/// Whether the life of a node that runs is a voter, and the only one of its id.
fn has_vote(nodes: &Cluster, place: usize) -> bool {
    let Some(status) = nodes.status(place) else { return false };
    let members = members(nodes);
    let mut of_id = members.iter().filter(|member| member["id"] == place + 1);
    let is_it = |member: &&Value| {
        member["incarnation"] == status["incarnation"] && member["part"] == "voter"
    };
    of_id.clone().count() == 1 && of_id.any(|member| is_it(&member))
}
