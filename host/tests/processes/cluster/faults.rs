//! What the prompt does to nodes and to the network between them.

use super::*;

fn role(row: &str) -> &str {
    row.split_whitespace().nth(2).unwrap()
}

#[test]
fn a_leader_that_is_cut_off_is_replaced_and_follows_when_all_is_healed() {
    let (mut cluster, _) = cluster(&[]);
    answer(&mut cluster, "add 5", "committed: add 5 ");
    let cut = answer(&mut cluster, "partition leader", "cut: ");
    let old: u32 = cut["cut: ".len()..].split(' ').next().unwrap().parse().unwrap();
    assert_ne!(leader(&cut), old);
    answer(&mut cluster, "add 6", "committed: add 6 ");
    answer(&mut cluster, "get", "11");
    let others: Vec<u32> = (1..=3).filter(|id| *id != old).collect();
    let rows = table(&mut cluster, 3);
    let from_both = format!("  cut off from {},{}", others[0], others[1]);
    assert!(rows[place(old)].ends_with(&from_both), "{rows:?}");
    for other in others {
        assert!(rows[place(other)].ends_with(&format!("  cut off from {old}")), "{rows:?}");
    }
    leader(&answer(
        &mut cluster,
        "heal",
        "healed: nothing is cut, lost, doubled or delayed; node ",
    ));
    assert!(eventually(|| {
        let rows = table(&mut cluster, 3);
        assert!(rows.iter().all(|row| !row.contains("cut off")), "{rows:?}");
        let mut roles: Vec<&str> = rows.iter().map(|row| role(row)).collect();
        roles.sort_unstable();
        roles == ["follower", "follower", "leader"]
    }));
    answer(&mut cluster, "get", "11");
    cluster.send("quit");
    assert!(cluster.status().success());
    assert_eq!(cluster.errors(), "");
}

#[test]
fn a_partition_without_a_majority_serves_nobody_until_it_is_healed() {
    let (mut cluster, _) = cluster(&[]);
    answer(&mut cluster, "add 1", "committed: ");
    let cut = answer(&mut cluster, "partition 1 | 2", "cut: 1 | 2 | 3; ");
    assert!(cut.ends_with("2 must reach each other, and 1 can"), "{cut}");
    cluster.send("get");
    cluster.expect_error("refused: no answer within 3 s; nothing happened\n");
    cluster.send("add 7");
    cluster.expect_error("outcome unknown: no answer within 5 s; it may still take effect");
    leader(&answer(&mut cluster, "heal", "healed: "));
    answer(&mut cluster, "retry", "committed: add 7 (term ");
    answer(&mut cluster, "get", "8");
}

#[test]
fn a_partition_replaces_the_one_before_and_holds_for_a_node_that_is_started_again() {
    let (mut cluster, _) = cluster(&["-n", "5", "--memory"]);
    answer(
        &mut cluster,
        "partition 1,2 | 3",
        "cut: 1,2 | 3 | 4,5; no node can lead: of 5 voters, 3",
    );
    answer(&mut cluster, "partition 5", "cut: 5 | 1,2,3,4; node ");
    let waits = "restarted node 5: it has nothing stored, and is not taken in yet; node ";
    answer(&mut cluster, "restart 5", waits);
    let rows = table(&mut cluster, 5);
    let notes = "  nothing stored, and not taken in yet; cut off from 1,2,3,4";
    assert!(rows[4].ends_with(notes), "{rows:?}");
    assert!(rows[..4].iter().all(|row| row.ends_with("  cut off from 5")), "{rows:?}");
    answer(&mut cluster, "add 1", "committed: add 1 ");
}

#[test]
fn a_node_that_stored_nothing_is_taken_in_again() {
    let (mut cluster, nodes) = cluster(&["--memory"]);
    answer(&mut cluster, "set A 42", "committed: ");
    let line = answer(&mut cluster, "restart 3", "restarted node 3: it takes part; node ");
    assert_ne!(leader(&line), 3);
    assert!(has_ended(nodes[2]));
    answer(&mut cluster, "kill 3", "killed node 3; node ");
    cluster.send("kill 3");
    cluster.expect_error("refused: node 3 is down; restart 3 starts it; nothing happened\n");
    answer(&mut cluster, "get A", "A = 42");
}

#[test]
fn nodes_that_all_start_again_form_a_new_cluster_which_knows_nothing() {
    let (mut cluster, _) = cluster(&["--memory"]);
    answer(&mut cluster, "add 5", "committed: add 5 ");
    answer(&mut cluster, "get", "5");
    for id in 1..=3 {
        answer(&mut cluster, &format!("kill {id}"), &format!("killed node {id}; "));
    }
    for id in 1..=2 {
        let blank =
            format!("restarted node {id}: it has nothing stored, and is not taken in yet; ");
        answer(&mut cluster, &format!("restart {id}"), &blank);
    }
    answer(&mut cluster, "restart 3", "restarted node 3: it takes part; node ");
    // Each is told once: who reads, and who has a session.
    let anew = "the cluster was formed anew, without what it held";
    cluster.send("get");
    cluster.expect_error(&format!("refused: {anew}; "));
    answer(&mut cluster, "get", "0");
    cluster.send("add 2");
    cluster.expect_error(&format!("outcome unknown: {anew}, "));
    answer(&mut cluster, "get", "0");
    answer(&mut cluster, "add 3", "committed: add 3 (term ");
    answer(&mut cluster, "get", "3");
}

#[test]
fn a_leader_that_is_paused_is_replaced_and_follows_when_it_goes_on() {
    let (mut cluster, _) = cluster(&[]);
    let paused = answer(&mut cluster, "pause leader", "paused node ");
    let old = subject(&paused);
    assert_ne!(leader(&paused), old);
    assert_eq!(role(&table(&mut cluster, 3)[place(old)]), "paused");
    answer(&mut cluster, "add 4", "committed: add 4 ");
    cluster.send(&format!("pause {old}"));
    cluster.expect_error(&format!("refused: node {old} is paused already; nothing happened\n"));
    // What is done to the network reaches a paused node too.
    answer(&mut cluster, &format!("partition {old}"), &format!("cut: {old} | "));
    let healed = "healed: nothing is cut, lost, doubled or delayed; still paused: ";
    answer(&mut cluster, "heal", &format!("{healed}{old}; node "));
    leader(&answer(&mut cluster, &format!("resume {old}"), &format!("resumed node {old}; ")));
    assert!(eventually(|| {
        let rows = table(&mut cluster, 3);
        rows.iter().filter(|row| role(row) == "follower").count() == 2
    }));
    answer(&mut cluster, "get", "4");
}

#[test]
fn commands_keep_flowing_when_three_of_ten_datagrams_are_lost() {
    let (mut cluster, _) = cluster(&[]);
    let lost = "each datagram between nodes is lost with a probability of 30%";
    answer(&mut cluster, "loss 30%", lost);
    let start = Instant::now();
    for _ in 0..100 {
        cluster.send("add 1");
    }
    for _ in 0..100 {
        expect_start(&mut cluster, "committed: add 1 (term ");
    }
    let elapsed = start.elapsed();
    assert!(elapsed.as_secs() < 20, "{elapsed:?}");
    answer(&mut cluster, "get", "100");
    table(&mut cluster, 3);
    cluster.expect(lost);
    answer(&mut cluster, "loss 0", "no datagram between nodes is lost on purpose any more");
    cluster.send("quit");
    assert!(cluster.status().success());
    assert_eq!(cluster.errors(), "");
}

#[test]
fn a_network_that_loses_all_serves_nobody() {
    let (mut cluster, _) = cluster(&[]);
    answer(&mut cluster, "loss 100%", "each datagram between nodes is lost");
    cluster.send("get");
    cluster.expect_error("refused: no answer within 3 s; nothing happened\n");
    leader(&answer(&mut cluster, "heal", "healed: "));
    answer(&mut cluster, "get", "0");
}

#[test]
fn doubled_and_delayed_datagrams_have_each_command_take_effect_once() {
    let (mut cluster, _) = cluster(&[]);
    answer(&mut cluster, "duplicate 50%", "each datagram between nodes comes twice with a ");
    cluster.send("delay 1ms..8ms");
    cluster.expect("each datagram between nodes comes twice with a probability of 50%");
    cluster.expect("each datagram between nodes comes 1ms..8ms later");
    let start = Instant::now();
    for _ in 0..20 {
        answer(&mut cluster, "add 1", "committed: add 1 ");
    }
    // Each takes a round trip, of two milliseconds at least.
    assert!(start.elapsed().as_millis() >= 40, "{:?}", start.elapsed());
    answer(&mut cluster, "get", "20");
    answer(&mut cluster, "heal", "healed: ");
}

#[test]
fn a_node_that_does_not_confirm_an_order_is_named_and_catches_up_later() {
    let (mut cluster, nodes) = cluster(&[]);
    signal(nodes[2], Signal::STOP);
    let start = Instant::now();
    cluster.send("loss 5%");
    cluster.expect_error(
        "failed in part: node 3 has not confirmed it within 1 s and may still follow it; \
         all others have followed\n",
    );
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    cluster.send("pause 3");
    cluster
        .expect_error("failed: node 3 has not confirmed it within 1 s and may still follow it\n");
    signal(nodes[2], Signal::CONT);
    // It has two answers to give before this one.
    let healed = "healed: nothing is cut, lost, doubled or delayed; still paused: 3; node ";
    answer(&mut cluster, "heal", healed);
    answer(&mut cluster, "resume 3", "resumed node 3; ");
    cluster.send("resume 3");
    cluster.expect_error("refused: node 3 is not paused; nothing happened\n");
    assert!(eventually(|| ["follower", "leader"].contains(&role(&table(&mut cluster, 3)[2]))));
}
