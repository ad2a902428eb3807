//! Nothing that a cluster starts is left behind, however it ends.

use super::*;

/// None of these is left, or it is ended here.
#[track_caller]
fn expect_all_ended(nodes: &[u32]) {
    if !eventually(|| nodes.iter().copied().all(has_ended)) {
        let left: Vec<u32> = nodes.iter().copied().filter(|id| !has_ended(*id)).collect();
        left.iter().for_each(|id| signal(*id, Signal::KILL));
        panic!("left behind: {left:?} of {nodes:?}");
    }
}

#[test]
fn the_end_of_input_ends_it_well() {
    let (mut cluster, nodes) = cluster(&["-n", "1"]);
    assert_eq!(nodes.len(), 1);
    cluster.send("add 3");
    cluster.send("get");
    cluster.end_input();
    assert!(cluster.status().success());
    assert!(cluster.rest().ends_with("\n3\n"));
    assert!(nodes.into_iter().all(has_ended));
}

#[test]
fn an_interrupt_ends_the_nodes_too() {
    let (mut cluster, nodes) = cluster(&[]);
    signal(cluster.id(), Signal::INT);
    assert_eq!(cluster.status().code(), Some(130));
    assert!(nodes.into_iter().all(has_ended));
}

#[test]
fn the_nodes_do_not_outlive_a_cluster_that_is_killed() {
    let (mut cluster, nodes) = cluster(&["--memory"]);
    cluster.kill();
    expect_all_ended(&nodes);
}

#[test]
fn neither_do_those_that_are_paused_or_stopped_or_cut_off() {
    let (mut cluster, nodes) = cluster(&["-n", "5", "--memory"]);
    answer(&mut cluster, "pause 2", "paused node 2: ");
    answer(&mut cluster, "partition 3", "cut: 3 | 1,2,4,5; ");
    signal(nodes[4], Signal::STOP);
    cluster.kill();
    expect_all_ended(&nodes);
}

#[test]
fn a_node_that_was_started_again_does_not_outlive_it_either() {
    let (mut cluster, before) = cluster(&["--memory"]);
    answer(&mut cluster, "restart 2", "restarted node 2: ");
    assert!(has_ended(before[1]));
    let nodes = children(&cluster);
    assert_eq!(nodes.len(), 3);
    cluster.kill();
    expect_all_ended(&nodes);
}

#[test]
fn quitting_ends_paused_nodes_too() {
    let (mut cluster, nodes) = cluster(&[]);
    answer(&mut cluster, "pause 1", "paused node 1: ");
    cluster.send("quit");
    assert!(cluster.status().success());
    assert!(nodes.into_iter().all(has_ended));
}
