//! When an entry is committed (figure 2, "leaders"; sections 5.3 and 5.4).

use crate::harness::{
    Bench, FIVE, FOUR, HEARTBEAT, Large, Network, ONE, Sent, THREE, at, heartbeat, matched, voters,
};

/// Section 5.3: "a log entry is committed once the leader that created the entry has replicated it
/// on a majority of the servers".
pub fn an_entry_is_committed_once_a_majority_has_it() {
    let mut bench = Bench::leader_of_five(&[1]);
    let entry = bench.propose(b"command");
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    bench.drive();
    assert!(!bench.has_applied(entry), "two of five have it");
    bench.accepts(&sent, FIVE);
    bench.drive();
    assert!(bench.has_applied(entry), "three of five have it");
}

/// Section 5.3: committing an entry commits all before it.
pub fn an_entry_commits_all_before_it() {
    let mut bench = Bench::leader(&[1]);
    let (first, second) = (bench.propose(b"first"), bench.propose(b"second"));
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    bench.drive();
    let applied = [first, second];
    assert!(bench.applied.iter().eq(applied.iter()), "both, in order");
}

/// Section 5.4.2, figure 8; PITFALLS 1: "Raft never commits log entries from previous terms by
/// counting replicas".
pub fn an_entry_of_an_earlier_term_is_not_committed_by_counting() {
    let mut bench = Bench::follower_of_five(&[1, 1, 2]);
    let sent = bench.get_elected();
    for peer in [ONE, THREE, FOUR] {
        let number = sent.append_number_to(peer).expect("the leader speaks");
        bench.answers(peer, matched(3, number, 3));
    }
    assert_eq!(bench.raft.commit().0, 0, "four of five have entry 3, but it is of term 2");
    assert_eq!(bench.applied_count, 0);
    let sent = bench.beats();
    for peer in [ONE, THREE] {
        let number = sent.append_number_to(peer).expect("the leader speaks");
        bench.answers(peer, matched(3, number, 4));
    }
    assert!(bench.has_applied(at(1, 2)) && bench.has_applied(at(2, 3)), "now they all are");
}

/// Unlike section 5.4.2, what *every* member has acknowledged in this term is committed, whatever its
/// term: no later leader can lack it. A log too full for an entry of the own term gets free by that.
pub fn an_entry_of_an_earlier_term_that_every_member_has_is_committed() {
    let (mut bench, sent) = Bench::new_leader(&[1, 1, 2]);
    let number = |peer| sent.append_number_to(peer).expect("the leader speaks");
    bench.answers(ONE, matched(3, number(ONE), 3));
    assert_eq!(bench.raft.commit().0, 0, "two of three");
    bench.answers(THREE, matched(3, number(THREE), 3));
    assert_eq!(bench.raft.commit().0, 3);
}

/// Figure 2, leaders: the N that is committed is one that *a majority* of matchIndex has reached, so
/// the slowest of the fastest majority decides, not the fastest.
pub fn the_commit_index_is_what_a_majority_has_reached() {
    let mut bench = Bench::leader_of_five(&[1]);
    let mut all = Sent::new();
    for count in 0..4_u8 {
        bench.propose(&[count]);
        let sent = bench.drive();
        sent.datagrams().for_each(|datagram| all.push(datagram.to, datagram.bytes));
    }
    let number = |peer| all.append_number_to(peer).expect("the commands are sent");
    bench.answers(ONE, matched(2, number(ONE), 6));
    bench.answers(THREE, matched(2, number(THREE), 4));
    assert_eq!(bench.raft.commit().0, 4, "six, four and the leader");
    bench.answers(FOUR, matched(2, number(FOUR), 5));
    assert_eq!(bench.raft.commit().0, 5, "six, five and the leader");
    bench.answers(FIVE, matched(2, number(FIVE), 3));
    assert_eq!(bench.raft.commit().0, 5, "it never falls");
}

/// Section 5.3: the leader answers nobody before the entry is committed; nothing is applied twice.
pub fn a_command_is_applied_only_when_it_is_committed() {
    let mut bench = Bench::leader(&[1]);
    let entry = bench.propose(b"command");
    let sent = bench.drive();
    assert!(!bench.has_applied(entry));
    bench.accepts(&sent, ONE);
    bench.drive();
    bench.accepts(&sent, THREE);
    bench.drive();
    assert_eq!(bench.applied_count, 1);
}

/// Section 5.1: more than half, so of four two are not enough.
pub fn half_of_an_even_cluster_is_no_majority() {
    let mut bench = Bench::of(4, 1, None, &[1]);
    bench.stand();
    let sent = bench.answers(ONE, crate::harness::granted(2));
    assert!(sent.append_to(ONE).is_none(), "two votes of four");
    let sent = bench.answers(THREE, crate::harness::granted(2));
    assert!(sent.append_to(ONE).is_some(), "three votes of four");
    bench.accepts(&sent, ONE);
    bench.drive();
    assert_eq!(bench.raft.commit().0, 0, "two copies of four");
    bench.accepts(&sent, FOUR);
    bench.drive();
    assert_eq!(bench.raft.commit().0, 2, "three copies of four");
}

/// Section 5.4.3, leader completeness: what is committed is in the log of every later leader.
pub fn a_committed_entry_survives_its_leader() {
    for seed in 20..26 {
        let mut network = Network::<3>::new(seed);
        network.form();
        let leader = network.leader().expect("it has settled");
        // One follower hears nothing of it.
        network.cut(leader, (leader + 1) % 3);
        let entry = network.propose(b"committed");
        network.deliver();
        assert!(network.nodes[leader].has_applied(entry));
        network.stop(leader);
        network.settle();
        let next = network.leader().expect("it has settled");
        assert_eq!(next, (leader + 2) % 3, "the other one lacks the entry");
        assert!(network.nodes[next].has_applied(entry));
        assert!(network.nodes[(leader + 1) % 3].has_applied(entry));
    }
}

/// Section 5.3: an entry that was not committed may be replaced, and then nobody applies it.
pub fn an_uncommitted_entry_of_a_deposed_leader_is_replaced() {
    let mut network = Network::<3>::new(27);
    network.form();
    let old = network.leader().expect("it has settled");
    network.isolate(old);
    let lost = network.propose(b"lost");
    network.deliver();
    network.pass(crate::harness::ELECTION_MAX);
    network.pass(crate::harness::ELECTION_MAX);
    let new = network.leader().expect("a leader of the other two");
    assert_ne!(new, old);
    let kept = network.propose(b"kept");
    network.deliver();
    network.heal();
    network.settle();
    for node in &network.nodes {
        assert!(node.has_applied(kept) && !node.has_applied(lost));
    }
}

/// PITFALLS 6: what lies before the first entry kept is committed, so it matches.
pub fn an_append_into_the_compacted_part_matches() {
    let mut bench = Bench::follower(&[1, 1, 1, 1]);
    compact_all(&mut bench);
    assert_eq!(bench.raft.base(), at(1, 4));
    let run = bench.run(3, &[1, 1, 1]);
    let sent = bench.answers(ONE, crate::harness::append(1, at(1, 2), 5, run.bytes()));
    let reply = sent.append_reply_to(ONE).expect("an answer");
    assert_eq!(reply.outcome, coracle::message::AppendOutcome::Matched(coracle::Index(5)));
    assert_eq!(bench.raft.last(), at(1, 5));
    assert!(bench.has_applied(at(1, 5)));
}

/// PITFALLS 6: a heartbeat from before the first entry kept is no refusal, and takes nothing back.
pub fn a_heartbeat_into_the_compacted_part_matches() {
    let mut bench = Bench::follower(&[1, 1, 1, 1]);
    compact_all(&mut bench);
    let sent = bench.answers(ONE, heartbeat(1, at(1, 1), 4));
    let reply = sent.append_reply_to(ONE).expect("an answer");
    assert_eq!(reply.outcome, coracle::message::AppendOutcome::Matched(coracle::Index(4)));
    assert_eq!(bench.raft.base(), at(1, 4));
}

/// Section 7; encoding: only what every member holds is dropped, or a follower could never get it.
pub fn a_leader_keeps_what_a_follower_lacks() {
    let mut bench = Bench::leader(&[1]);
    let entry = bench.propose(b"command");
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    bench.drive();
    assert!(bench.has_applied(entry));
    assert_eq!(bench.raft.compact(entry.index).0, 2, "node 3 lacks entry 3");
    bench.accepts(&sent, THREE);
    bench.drive();
    assert_eq!(bench.raft.compact(entry.index).0, 3);
}

/// Encoding: what a follower may drop it learns from its leader.
pub fn a_follower_keeps_what_another_may_lack() {
    let mut bench = Bench::follower(&[1, 1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 3), 3));
    assert_eq!(bench.raft.compact(coracle::Index(3)).0, 0, "it is applied, but not everywhere");
}

/// Encoding: a 4 KiB log serves a working member, because what all hold is dropped.
pub fn a_log_of_four_kibibytes_serves_a_thousand_commands() {
    let mut memory = Large::fresh();
    let mut bench = Bench::stored(&mut memory, voters(3), 1, None, &[1]);
    bench.disk.is_forgetful = true;
    bench.get_elected();
    for count in 0..1_000_u64 {
        if count % 50 == 0 {
            let sent = bench.beats();
            bench.accepts(&sent, ONE);
            bench.accepts(&sent, THREE);
            bench.drive();
        }
        let mut command = [0; 16];
        command[..8].copy_from_slice(&count.to_le_bytes());
        let entry = bench.commit(&command);
        assert!(bench.has_applied(entry));
        if bench.raft.needs_compaction() {
            let applied = bench.raft.applied();
            bench.raft.compact(applied);
        }
    }
    assert_eq!(bench.applied_count, 1_000);
}

/// The same with all three nodes and the followers' own logs.
pub fn logs_of_640_bytes_serve_three_nodes_for_a_thousand_commands() {
    let mut network = Network::<3>::new(28);
    network.form();
    for node in &mut network.nodes {
        node.disk.is_forgetful = true;
    }
    for count in 0..1_000_u64 {
        network.propose(&count.to_le_bytes());
        network.deliver();
        if count % 8 == 0 {
            network.pass(HEARTBEAT);
        }
        for node in &mut network.nodes {
            let applied = node.raft.applied();
            node.raft.compact(applied);
        }
    }
    network.settle();
    let digest = network.nodes[0].applied_digest;
    for node in &network.nodes {
        assert_eq!((node.applied_count, node.applied_digest), (1_000, digest));
    }
}

/// Drops everything from a follower's log, as a leader that knows all to have it lets it.
fn compact_all(bench: &mut Bench) {
    let last = bench.raft.last();
    let beat = coracle::message::Append {
        term: last.term,
        prev: last,
        commit: last.index,
        everywhere: last.index,
        run: &[],
    };
    bench.answers(ONE, coracle::message::Message::Append(beat));
    bench.raft.compact(last.index);
}
