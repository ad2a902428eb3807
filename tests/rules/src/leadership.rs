//! How a leader stays one, and how it stops (figure 2, "all servers" and "leaders"; section 5.1;
//! thesis 6.2).

use coracle::message::{AppendOutcome, AppendReply, Message};
use coracle::{RoleName, Term, Ticks};

use crate::harness::{
    Bench, ELECTION_MAX, ELECTION_MIN, FIVE, HEARTBEAT, Network, ONE, THREE, TWO, at, heartbeat,
    matched, member, vote,
};

/// Figure 2, leaders: "send initial empty AppendEntries RPCs (heartbeat) to each server; repeat
/// during idle periods to prevent election timeouts".
pub fn an_idle_leader_is_heard_once_a_heartbeat_interval() {
    let mut bench = Bench::leader(&[1]);
    for _beat in 0..3 {
        let sent = bench.beats();
        for peer in [ONE, THREE] {
            assert_eq!(sent.appends_to(peer).count(), 1);
            bench.accepts(&sent, peer);
        }
        assert!(bench.drive().is_empty(), "the answers to heartbeats are not answered");
    }
}

/// Figure 2, all servers: "if RPC request or response contains term T > currentTerm: set
/// currentTerm = T, convert to follower", here in a response.
pub fn a_leader_that_hears_of_a_later_term_steps_down() {
    let mut bench = Bench::leader(&[1]);
    let sent = bench.beats();
    let echo = sent.append_number_to(ONE).expect("a heartbeat");
    let reply = AppendReply { term: Term(9), echo, outcome: AppendOutcome::Stale };
    bench.answers(ONE, Message::AppendReply(reply));
    assert_eq!(bench.disk.hard.term, Term(9));
    assert_eq!(bench.disk.hard.vote, None);
    let sent = bench.pass(HEARTBEAT);
    assert!(sent.append_to(THREE).is_none(), "it still leads");
}

/// The same in a request: the append of a later leader.
pub fn a_leader_follows_the_leader_of_a_later_term() {
    let mut bench = Bench::leader(&[1]);
    let last = bench.raft.last();
    let sent = bench.answers(ONE, heartbeat(9, last, 0));
    assert!(sent.append_reply_to(ONE).is_some());
    assert_eq!(bench.raft.leader(), Some(ONE));
    assert_eq!(bench.disk.hard.term, Term(9));
}

/// Section 5.1: a leader of an earlier term is told that its term is over.
pub fn a_leader_rejects_the_append_of_an_earlier_term() {
    let mut bench = Bench::leader(&[1, 2]);
    let sent = bench.answers(ONE, heartbeat(2, at(1, 1), 0));
    let reply = sent.append_reply_to(ONE).expect("it is told");
    assert_eq!((reply.term, reply.outcome), (Term(3), AppendOutcome::Stale));
    assert!(bench.pass(HEARTBEAT).append_to(ONE).is_some(), "it still leads");
}

/// Section 5.2: a leader has given its vote of this term to itself.
pub fn a_leader_votes_for_nobody_in_its_own_term() {
    let mut bench = Bench::leader(&[1]);
    let sent = bench.reacts(ONE, vote(2, at(9, 9)));
    assert_ne!(sent.verdict_to(ONE), Some(true));
    assert_eq!(bench.disk.hard.vote, Some(member(TWO)));
    assert!(bench.pass(HEARTBEAT).append_to(ONE).is_some(), "it still leads");
}

/// Thesis 4.2.3: a leader that a quorum answers is not deposed by a vote request.
pub fn a_leader_that_is_heard_is_not_deposed_by_a_vote_request() {
    let mut bench = Bench::leader(&[1]);
    let sent = bench.reacts(ONE, vote(9, at(9, 9)));
    assert_ne!(sent.verdict_to(ONE), Some(true));
    assert_eq!(bench.disk.hard.term, Term(2));
    assert!(bench.pass(HEARTBEAT).append_to(THREE).is_some(), "it still leads");
}

/// Thesis 6.2: "a leader steps down if an election timeout elapses without a successful round of
/// heartbeats to a majority"; PITFALLS 15: then it must fall silent, to release who hears it.
pub fn a_leader_without_a_quorum_steps_down_and_sends_no_heartbeats() {
    let mut bench = Bench::leader_of_five(&[1]);
    for _beat in 0..2 * ELECTION_MIN.0 / HEARTBEAT.0 {
        let sent = bench.beats();
        bench.may_accept(&sent, FIVE);
    }
    assert_ne!(bench.raft.role(), RoleName::Leader, "one of four answers");
    for _tick in 0..ELECTION_MAX.0 {
        assert!(bench.pass(Ticks(1)).append_to(FIVE).is_none(), "it still beats");
    }
}

/// Thesis 6.2, from the other side: a bare majority is enough.
pub fn a_leader_with_a_bare_quorum_stays() {
    let mut bench = Bench::leader_of_five(&[1]);
    for _beat in 0..20 {
        let sent = bench.beats();
        bench.accepts(&sent, ONE);
        bench.accepts(&sent, FIVE);
    }
    assert_eq!(bench.raft.role(), RoleName::Leader);
}

/// Thesis 6.2: only answers of this term prove anything.
pub fn answers_of_an_earlier_term_keep_no_leader_in_office() {
    let mut bench = Bench::leader(&[1, 2]);
    for _beat in 0..2 * ELECTION_MIN.0 / HEARTBEAT.0 {
        let sent = bench.beats();
        for peer in [ONE, THREE] {
            let number = sent.append_number_to(peer).unwrap_or(1);
            bench.may_hear(peer, matched(2, number, 1));
        }
        bench.drive();
    }
    assert_ne!(bench.raft.role(), RoleName::Leader);
}

/// Thesis 9.6: a node that was cut off comes back with the term that it left with, and disturbs
/// nobody.
pub fn a_node_that_was_cut_off_does_not_depose_the_leader() {
    let mut network = Network::<3>::new(5);
    network.form();
    let leader = network.leader().expect("it has settled");
    let term = network.highest_term();
    let lost = (leader + 1) % 3;
    network.isolate(lost);
    network.pass(Ticks(20 * ELECTION_MAX.0));
    assert_eq!(network.nodes[lost].raft.term(), term, "it campaigned all alone");
    network.heal();
    network.pass(Ticks(4 * ELECTION_MAX.0));
    assert!(network.is_settled());
    assert_eq!((network.leader(), network.highest_term()), (Some(leader), term));
}

/// PITFALLS 14: with pre-votes and leader stickiness, a candidate that is stuck with a higher term
/// still comes back: the leader takes its term, and somebody is elected.
pub fn a_node_stuck_in_a_higher_term_is_freed() {
    let log: &[u64] = &[1, 1];
    let mut network = Network::<3>::new(3);
    network.start_from([(1, log), (1, log), (9, &[1])]);
    network.isolate(2);
    network.settle_among(&[0, 1]);
    network.heal();
    network.settle();
    assert!(network.nodes[2].raft.term() >= Term(9));
    assert_ne!(network.leader(), Some(2), "it lacks an entry");
}

/// PITFALLS 14: two cohorts of different terms: those with the newer log are in the older term, and
/// nobody can be elected without both.
pub fn two_cohorts_of_different_terms_elect() {
    let (long, short): (&[u64], &[u64]) = (&[1, 2, 2], &[1]);
    let saved = [(2, long), (2, long), (7, short), (7, short), (7, short)];
    let mut network = Network::<5>::new(4);
    network.start_from(saved);
    network.stop(4);
    network.settle();
    let leader = network.leader().expect("it has settled");
    assert!(leader < 2, "the newer log must win");
}

/// PITFALLS 15: in the bridge, two pairs are joined by one node only. It elects, and the leader of
/// a pair that cannot see a quorum does not hold its neighbours.
pub fn the_bridge_of_five_elects_a_leader() {
    let mut network = Network::<5>::new(6);
    network.form();
    let old = network.leader().expect("it has settled");
    // The bridge is somebody else; the old leader is on one bank.
    let bridge = (old + 1) % 5;
    let near = [old, (old + 2) % 5];
    let far = [(old + 3) % 5, (old + 4) % 5];
    for one in near {
        for other in far {
            network.cut(one, other);
        }
    }
    network.pass(Ticks(10 * ELECTION_MAX.0));
    let leader = network.leader().expect("a leader");
    let term = network.highest_term();
    network.pass(Ticks(5 * ELECTION_MAX.0));
    assert_eq!(network.leader(), Some(leader), "leaders replace each other without end");
    assert_eq!(network.highest_term(), term);
    assert_eq!(network.nodes[bridge].raft.leader(), network.nodes[leader].raft.leader());
    let entry = network.propose(b"over the bridge");
    network.pass(Ticks(3 * HEARTBEAT.0));
    assert!(network.nodes[leader].has_applied(entry));
}

/// PITFALLS 15: in the chain each node hears its neighbours only. One of the three in the middle
/// leads, and the ends, which do not hear it, depose nobody.
pub fn the_chain_of_five_elects_a_leader_that_stays() {
    for seed in [7, 8] {
        let mut network = Network::<5>::new(seed);
        network.form();
        for one in 0..5_usize {
            (0..5)
                .filter(|other| one.abs_diff(*other) > 1)
                .for_each(|other| network.cut(one, other));
        }
        network.pass(Ticks(10 * ELECTION_MAX.0));
        let leader = network.leader().expect("a leader");
        let term = network.highest_term();
        assert!((1..=3).contains(&leader), "an end of the chain has no quorum");
        network.pass(Ticks(10 * ELECTION_MAX.0));
        assert_eq!((network.leader(), network.highest_term()), (Some(leader), term));
    }
}

/// PITFALLS 15: in the star only one node has a quorum. The leader that lost its own falls silent,
/// or the hub would hear it and never campaign.
pub fn the_hub_of_a_star_of_five_is_elected() {
    let mut network = Network::<5>::new(10);
    network.form();
    let old = network.leader().expect("it has settled");
    let hub = (old + 1) % 5;
    for one in (0..5).filter(|one| *one != hub) {
        (0..5).filter(|other| *other != hub).for_each(|other| network.cut(one, other));
    }
    network.pass(Ticks(10 * ELECTION_MAX.0));
    assert_eq!(network.leader(), Some(hub));
    assert!(!network.leads(old));
}

/// PITFALLS 15: a leader that is heard by one node and hears nobody releases it.
pub fn a_leader_that_hears_nobody_releases_who_hears_it() {
    let mut network = Network::<3>::new(9);
    network.form();
    let old = network.leader().expect("it has settled");
    for other in (0..3).filter(|other| *other != old) {
        network.cut_one_way(other, old);
    }
    network.pass(Ticks(6 * ELECTION_MAX.0));
    let new = network.leader().expect("a leader");
    assert_ne!(new, old);
    assert!(!network.leads(old));
}
