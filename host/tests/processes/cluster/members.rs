//! Nodes that come and go at the prompt.

use super::*;
use crate::process::{eventually, free_ports};
use crate::scratch::Folder;
use crate::trio::{run, status};

/// The rows of `members`, without the version.
fn members(cluster: &mut Process, count: usize) -> Vec<String> {
    let version = answer(cluster, "members", "version ");
    assert!(version.ends_with(", committed"), "{version}");
    (0..count).map(|_| cluster.line()).collect()
}

/// Their ids and their parts.
fn parts(cluster: &mut Process, count: usize) -> Vec<String> {
    let rows = members(cluster, count);
    rows.iter().map(|row| row.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

fn folders(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// The address of a node that has joined, as the answer says.
fn address(joined: &str) -> &str {
    joined.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).unwrap()
}

#[test]
fn nodes_join_and_leave_until_all_are_others_and_the_folder_holds_these() {
    let folder = Folder::new("cluster-others");
    let kept = ["--data-dir", folder.path()];
    let (mut first, _) = cluster(&kept);
    answer(&mut first, "add 5", "committed: ");
    for (new, old) in [(4, 1), (5, 2), (6, 3)] {
        let joined = answer(&mut first, "join", &format!("joined: node {new} at 127.0.0.1:"));
        assert!(joined.contains(" is a voter (version "), "{joined}");
        let removed = answer(&mut first, &format!("remove {old}"), "removed: node ");
        assert!(removed.contains("; it has ended by itself; node "), "{removed}");
        assert_ne!(leader(&removed), old);
        answer(&mut first, "add 1", "committed: ");
    }
    assert_eq!(parts(&mut first, 3), ["4 voter", "5 voter", "6 voter"]);
    let rows = table(&mut first, 3);
    assert!(rows.iter().zip(4..).all(|(row, id)| row.starts_with(&format!("{id:>3}  "))));
    first.send("remove 1");
    first.send("kill 1");
    let none = "refused: there is no node 1, but 4,5,6; nothing happened\n";
    first.expect_error(&none.repeat(2));
    first.send("quit");
    assert!(first.status().success());
    assert_eq!(folders(&folder), ["node-4", "node-5", "node-6"]);
    let (mut later, nodes) = cluster(&kept);
    assert_eq!(nodes.len(), 3);
    answer(&mut later, "get", "8");
    answer(&mut later, "join", "joined: node 7 at ");
    answer(&mut later, "add 1", "committed: ");
    later.kill();
    let (mut last, nodes) = cluster(&[&kept[..], &["-n", "4"]].concat());
    assert_eq!(nodes.len(), 4);
    answer(&mut last, "get", "9");
    last.send("quit");
    assert!(last.status().success());
    let mut wrong = Process::start(&["cluster", "-n", "3", "--data-dir", folder.path()]);
    assert_eq!(wrong.status().code(), Some(1));
    assert!(wrong.errors().ends_with(" holds a cluster of 4 nodes, not of 3\n"));
}

#[test]
fn a_node_that_has_joined_is_cut_off_killed_and_started_again_as_any_other() {
    let (mut cluster, _) = cluster(&[]);
    answer(&mut cluster, "loss 20%", "each datagram between nodes is lost with");
    answer(&mut cluster, "join", "joined: node 4 at ");
    answer(&mut cluster, "heal", "healed: ");
    answer(&mut cluster, "transfer 4", "node 4 leads");
    let cut = answer(&mut cluster, "partition 4", "cut: 4 | 1,2,3; node ");
    assert_ne!(leader(&cut), 4);
    answer(&mut cluster, "add 2", "committed: ");
    let rows = table(&mut cluster, 4);
    assert!(rows[3].ends_with("  cut off from 1,2,3") && rows[0].ends_with("  cut off from 4"));
    answer(&mut cluster, "heal", "healed: ");
    answer(&mut cluster, "kill 4", "killed node 4; node ");
    answer(&mut cluster, "restart 4", "restarted node 4: it takes part; node ");
    // Four voters need three, of which the one that has joined is one.
    for id in [1, 2] {
        answer(&mut cluster, &format!("kill {id}"), &format!("killed node {id}; "));
    }
    cluster.send("kill leader");
    let none = "refused: no node can lead: of 4 voters, 3 must reach each other, and 2 can";
    cluster.expect_error(none);
    answer(&mut cluster, "restart 1", "restarted node 1: it takes part; node ");
    answer(&mut cluster, "get", "2");
}

#[test]
fn a_node_joins_on_the_side_of_the_leader_and_one_that_hears_nothing_is_ended() {
    let (mut cluster, _) = cluster(&[]);
    let cut = answer(&mut cluster, "partition leader", "cut: ");
    let next = leader(&cut);
    answer(&mut cluster, "join", "joined: node 4 at ");
    let rows = table(&mut cluster, 4);
    let cut_off = rows[3].rsplit(' ').next().unwrap();
    let old: u32 = cut_off.parse().expect("one that is cut off");
    assert_ne!(old, next);
    let removed = answer(&mut cluster, &format!("remove {old}"), "removed: node ");
    assert!(removed.contains("; it was ended; node "), "{removed}");
    // Nobody is left on the other side.
    let rows = table(&mut cluster, 3);
    assert!(rows.iter().all(|row| !row.contains("cut off")), "{rows:?}");
    answer(&mut cluster, "pause 4", "paused node 4: ");
    let removed = answer(&mut cluster, "remove 4", "removed: node 4 (version ");
    assert!(removed.contains("; it was ended; node "), "{removed}");
    cluster.send("quit");
    assert!(cluster.status().success());
    assert_eq!(cluster.errors(), "");
}

#[test]
fn learners_come_and_go_where_nothing_is_stored_and_do_not_count() {
    let (mut cluster, _) = cluster(&["--memory"]);
    answer(&mut cluster, "add 1", "committed: ");
    for id in [4, 5] {
        let joined = answer(&mut cluster, "join", &format!("joined: node {id} at "));
        assert!(joined.contains(" is a learner (version "), "{joined}");
    }
    let rows = members(&mut cluster, 5);
    assert!(rows[4].starts_with("5 learner 127.0.0.1:"), "{rows:?}");
    answer(&mut cluster, "kill leader", "killed node ");
    let killed = answer(&mut cluster, "kill leader", "killed node ");
    let none = "; no node can lead: of 3 voters, 2 must reach each other, and 1 can";
    assert!(killed.ends_with(none), "{killed}");
    let (mut cluster, _) = self::cluster(&["--memory"]);
    let joined = answer(&mut cluster, "join", "joined: node 4 at ");
    cluster.send("remove 1");
    cluster.expect_error("refused: a cluster that stores nothing keeps the voters");
    let removed = answer(&mut cluster, "remove 4", "removed: node 4 (version ");
    assert!(removed.contains("; it has ended by itself; node "), "{removed}");
    // Its port is free again, its id is not used again.
    let again = answer(&mut cluster, "join", "joined: node 5 at ");
    assert_eq!(address(&again), address(&joined));
    assert_eq!(parts(&mut cluster, 4)[3], "5 learner");
}

#[test]
fn a_voter_that_comes_back_with_nothing_is_taken_in_whoever_has_joined_meanwhile() {
    let (mut cluster, _) = cluster(&["--memory"]);
    answer(&mut cluster, "join", "joined: node 4 at ");
    let restarted = answer(&mut cluster, "restart leader", "restarted node ");
    assert!(restarted.contains(": it takes part; node "), "{restarted}");
    answer(&mut cluster, "add 1", "committed: ");
}

#[test]
fn a_learner_that_comes_back_with_nothing_is_taken_in_as_one() {
    let (mut cluster, _) = cluster(&["--memory"]);
    answer(&mut cluster, "join", "joined: node 4 at ");
    answer(&mut cluster, "add 1", "committed: ");
    for _time in 0..2 {
        let restarted = answer(&mut cluster, "restart 4", "restarted node 4");
        assert!(restarted.starts_with("restarted node 4: it takes part; node "), "{restarted}");
        assert_eq!(parts(&mut cluster, 4)[3], "4 learner");
    }
    answer(&mut cluster, "kill 4", "killed node 4");
    answer(&mut cluster, "add 1", "committed: ");
    answer(&mut cluster, "restart 4", "restarted node 4: it takes part; node ");
    let removed = answer(&mut cluster, "remove 4", "removed: node 4 (version ");
    // It may be slow to hear of it.
    let ends = ["; it has ended by itself; node ", "; it was ended; node "];
    assert!(ends.iter().any(|end| removed.contains(end)), "{removed}");
}

#[test]
fn a_survivor_is_recovered_where_the_others_have_forgotten_everything() {
    let (mut cluster, _) = cluster(&["--memory"]);
    answer(&mut cluster, "add 5", "committed: ");
    cluster.send("recover 3");
    cluster.expect_error("a cluster that has a leader needs no rescue; nothing happened");
    answer(&mut cluster, "kill 1", "killed node 1");
    answer(&mut cluster, "kill 2", "killed node 2");
    cluster.send("recover 1");
    cluster.expect_error("refused: node 1 is down; restart 1 starts it; nothing happened");
    let recovered = answer(&mut cluster, "recover 3", "recovered: node 3 goes on alone");
    assert!(recovered.contains("; node 3 leads in term "), "{recovered}");
    answer(&mut cluster, "get", "5");
    for id in [1, 2] {
        let restarted = answer(&mut cluster, &format!("restart {id}"), "restarted node ");
        assert!(restarted.contains(": it takes part; node 3 leads"), "{restarted}");
    }
    let (_, servers) = cluster.output.split_once("--servers ").unwrap();
    let servers = servers.split_whitespace().next().unwrap().to_owned();
    let all_vote = || {
        let told = run(&["member", "list", "--servers", &servers]).output;
        told.lines().filter(|row| row.contains(" voter ")).count() == 3
    };
    assert!(eventually(all_vote));
    answer(&mut cluster, "kill 3", "killed node 3");
    answer(&mut cluster, "add 1", "committed: ");
    answer(&mut cluster, "get", "6");
    let (mut durable, _) = self::cluster(&[]);
    durable.send("recover 1");
    durable
        .expect_error("refused: what is stored here is not lost: restart the nodes that are down");
}

#[test]
fn a_command_whose_outcome_is_unknown_takes_effect_once_after_nodes_have_joined() {
    let (mut cluster, _) = cluster(&[]);
    answer(&mut cluster, "add 1", "committed: ");
    answer(&mut cluster, "partition 1 | 2", "cut: ");
    cluster.send("add 7");
    cluster.expect_error("retrying in the same session is safe");
    cluster.send("join");
    cluster.expect_error("refused: no node can lead: of 3 voters, 2 must reach each other");
    answer(&mut cluster, "heal", "healed: ");
    answer(&mut cluster, "join", "joined: node 4 at ");
    answer(&mut cluster, "remove 1", "removed: node 1 ");
    answer(&mut cluster, "retry", "committed: add 7 (term ");
    answer(&mut cluster, "get", "8");
}

#[test]
fn a_folder_of_a_node_that_was_never_taken_in_does_not_keep_the_others_from_starting() {
    let folder = Folder::new("cluster-never-in");
    let kept = ["--data-dir", folder.path()];
    let (mut first, _) = cluster(&kept);
    answer(&mut first, "add 5", "committed: ");
    first.kill();
    // As the prompt starts it, before it has it added.
    let data = format!("{}/node-4", folder.path());
    let [port] = free_ports();
    let listen = format!("127.0.0.1:{port}");
    let node =
        ["node", "--id", "4", "--listen", &listen, "--data-dir", &data, "--wait-to-be-added"];
    let mut node = Process::start(&node);
    assert!(eventually(|| status(port).is_some()));
    node.kill();
    let (mut later, nodes) = cluster(&kept);
    assert_eq!(nodes.len(), 3);
    let left_out = format!(
        "node 4 is left out: {} holds nothing of it, and no member knows it",
        folder.path()
    );
    later.expect_error(&left_out);
    answer(&mut later, "get", "5");
    answer(&mut later, "join", "joined: node 4 at ");
    later.send("quit");
    assert!(later.status().success());
    let (mut last, nodes) = cluster(&kept);
    assert_eq!(nodes.len(), 4);
    answer(&mut last, "get", "5");
    last.send("quit");
    assert!(last.status().success());
}
