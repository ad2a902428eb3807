//! Where the nodes of a cluster keep themselves.

use super::*;
use crate::scratch::Folder;

#[test]
fn nodes_that_are_all_killed_go_on_with_what_was_committed() {
    let (mut cluster, _) = cluster(&[]);
    answer(&mut cluster, "add 5", "committed: add 5 ");
    answer(&mut cluster, "set A 42", "committed: ");
    for id in 1..=3 {
        answer(&mut cluster, &format!("kill {id}"), &format!("killed node {id}; "));
    }
    answer(&mut cluster, "restart 2", "restarted node 2: it takes part; no node can lead: ");
    let restarted = answer(&mut cluster, "restart 3", "restarted node 3: it takes part; node ");
    assert_ne!(leader(&restarted), 1);
    answer(&mut cluster, "get A", "A = 42");
    answer(&mut cluster, "restart 1", "restarted node 1: it takes part; node ");
    answer(&mut cluster, "add 1", "committed: add 1 ");
    answer(&mut cluster, "get", "6");
}

#[test]
fn a_cluster_goes_on_from_its_folder() {
    let folder = Folder::new("cluster-goes-on");
    let kept = ["-n", "5", "--data-dir", folder.path()];
    let (mut first, _) = cluster(&kept);
    answer(&mut first, "add 7", "committed: add 7 ");
    first.kill();
    for life in 0..2 {
        let (mut later, nodes) = cluster(&kept[2..]);
        assert_eq!(nodes.len(), 5, "as many as the folder holds");
        answer(&mut later, "get", &(7 + life).to_string());
        answer(&mut later, "add 1", "committed: add 1 ");
        later.send("quit");
        assert!(later.status().success());
    }
    let mut wrong = Process::start(&["cluster", "-n", "3", "--data-dir", folder.path()]);
    assert_eq!(wrong.status().code(), Some(1));
    let why = format!("{} holds a cluster of 5 nodes, not of 3\n", folder.path());
    assert_eq!(wrong.errors(), format!("error: no node runs: {why}"));
}

#[test]
fn a_temporary_folder_goes_away_with_the_cluster_that_ends() {
    let folder = Folder::new("cluster-temporary");
    let count = || fs::read_dir(folder.path()).unwrap().count();
    for is_interrupted in [false, true] {
        let [base] = free_ports();
        let base = base.min(u16::MAX - 100).to_string();
        let temporary = [("TMPDIR", folder.path())];
        let mut cluster = Process::start_in(&["cluster", "--base-port", &base], &temporary);
        for start in ["starting ", "from another terminal: ", "ready: node "] {
            expect_start(&mut cluster, start);
        }
        assert_eq!(count(), 1);
        if is_interrupted {
            signal(cluster.id(), Signal::INT);
            assert_eq!(cluster.status().code(), Some(130));
        } else {
            cluster.send("quit");
            assert!(cluster.status().success());
        }
        assert_eq!(count(), 0);
    }
}
