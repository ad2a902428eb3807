//! How a blank node comes into an epoch, and stays in it (formation).

use coracle::wire::{Header, Introduction, Route};
use coracle::{EntryId, EntryKind, Epoch, Incarnation, NodeId, RoleName, Term};

use crate::harness::{
    Bench, ELECTION_MAX, HEARTBEAT, ONE, Run, Sent, THREE, append, at, granted, heartbeat, member,
    pre_vote, refused, vote,
};

/// Formation: "BLANK grants pre-votes, changing nothing".
pub fn a_blank_node_grants_pre_votes_and_stays_blank() {
    let mut bench = Bench::blank(3);
    bench.drive();
    let before = bench.state();
    let sent = bench.answers(ONE, pre_vote(7, at(6, 20)));
    assert_eq!(sent.pre_verdict_to(ONE), Some(true));
    assert_eq!(bench.raft.role(), RoleName::Blank);
    assert_eq!(bench.state(), before);
    // It was bound to nothing: another epoch may take it in.
    bench.epoch = Epoch(4711);
    assert_eq!(bench.answers(THREE, pre_vote(2, at(1, 1))).pre_verdict_to(THREE), Some(true));
}

/// Formation: "the first append ... to its incarnation takes it into that epoch with an empty log;
/// then it is a follower".
pub fn the_first_append_takes_a_blank_node_into_the_epoch() {
    let mut bench = Bench::blank(3);
    bench.drive();
    let run = bench.run(1, &[1, 1]);
    let sent = bench.answers(ONE, append(1, EntryId::default(), 2, run.bytes()));
    let reply = sent.append_reply_to(ONE).expect("it follows");
    assert_eq!(reply.outcome, coracle::message::AppendOutcome::Matched(coracle::Index(2)));
    assert_eq!(bench.disk.hard.epoch, bench.epoch);
    assert_eq!(bench.raft.leader(), Some(ONE));
    assert!(bench.has_applied(at(1, 2)));
}

/// Formation: "... or vote request": a blank member of V that may not vote would deadlock.
pub fn the_first_vote_request_takes_a_blank_node_into_the_epoch() {
    let mut bench = Bench::blank(3);
    bench.drive();
    let sent = bench.answers(THREE, vote(2, at(1, 1)));
    assert_eq!(sent.verdict_to(THREE), Some(true));
    let hard = bench.disk.hard;
    assert_eq!((hard.epoch, hard.term), (bench.epoch, Term(2)));
    assert_eq!(hard.vote, Some(member(THREE)));
}

/// Formation: nothing else of an epoch concerns a blank node.
pub fn a_blank_node_drops_all_else_of_an_epoch() {
    let mut bench = Bench::blank(3);
    bench.drive();
    bench.may_hear(ONE, granted(1));
    bench.may_hear(ONE, crate::harness::pre_granted(1));
    bench.may_hear(ONE, crate::harness::matched(1, 1, 1));
    assert!(bench.drive().is_empty());
    assert_eq!(bench.raft.role(), RoleName::Blank);
    assert_eq!(bench.raft.counters().misdirected, 3);
}

/// Formation: one life joins one epoch, ever.
pub fn a_node_never_takes_part_in_two_epochs() {
    let mut bench = Bench::blank(3);
    bench.drive();
    bench.answers(ONE, vote(2, at(1, 1)));
    let (first, hard) = (bench.epoch, bench.disk.hard);
    for _time in 0..2 {
        bench.epoch = Epoch(4711);
        let misdirected = bench.raft.counters().misdirected;
        let run = bench.run(1, &[5]);
        assert!(bench.reacts(THREE, append(5, EntryId::default(), 1, run.bytes())).is_empty());
        assert!(bench.reacts(THREE, vote(5, at(4, 4))).is_empty());
        assert!(bench.reacts(THREE, pre_vote(5, at(4, 4))).is_empty());
        assert_eq!(bench.disk.hard, hard);
        assert_eq!(bench.raft.counters().misdirected, misdirected + 3);
        // Nor after a restart.
        bench.restart();
    }
    bench.epoch = first;
    assert_eq!(bench.answers(ONE, vote(2, at(1, 1))).verdict_to(ONE), Some(true));
}

/// Formation: "it campaigns only if its latest configuration names it", so not while it knows none.
pub fn a_node_without_a_configuration_does_not_campaign() {
    let mut bench = Bench::blank(3);
    let quiet = |sent: Sent| sent.pre_vote_to(ONE).is_none() && sent.vote_to(ONE).is_none();
    for _beat in 0..3 * ELECTION_MAX.0 / HEARTBEAT.0 {
        assert!(quiet(bench.pass(HEARTBEAT)), "a blank node campaigns");
    }
    bench.answers(ONE, vote(2, at(1, 1)));
    for _beat in 0..3 * ELECTION_MAX.0 / HEARTBEAT.0 {
        assert!(quiet(bench.pass(HEARTBEAT)), "a node without members campaigns");
    }
}

/// Formation: a configuration that names another life of it does not make it a candidate either.
pub fn a_node_that_its_configuration_does_not_name_does_not_campaign() {
    let mut bench = Bench::blank(3);
    bench.drive();
    let mut voters = bench.voters.clone();
    voters[1].member.incarnation = Incarnation(99);
    let run = Run::of(&voters, 1, &[1]);
    bench.answers(ONE, append(1, EntryId::default(), 1, run.bytes()));
    for _beat in 0..3 * ELECTION_MAX.0 / HEARTBEAT.0 {
        assert!(bench.pass(HEARTBEAT).pre_vote_to(ONE).is_none());
    }
}

/// The wire: who has spoken from inside the epoch is addressed by the tag, and nobody else: a blank
/// node could not compute it.
pub fn a_peer_is_addressed_in_full_until_it_has_answered() {
    let mut bench = Bench::follower(&[1]);
    let sent = bench.stand();
    for peer in [ONE, THREE] {
        assert_eq!(address(&sent, peer), Route::Full(link(&bench, peer)));
    }
    bench.hears(ONE, granted(2));
    let route = Route::Tagged(bench.introduction(THREE).tag());
    assert!(bench.hears_route(Header { number: 1, route }, refused(2)));
    bench.drive();
    let sent = bench.beats();
    for peer in [ONE, THREE] {
        assert_eq!(address(&sent, peer), Route::Tagged(link(&bench, peer).tag()));
    }
}

/// The wire: a candidate begins anew: who was started again may not know the tag any more.
pub fn a_candidate_addresses_everybody_in_full() {
    let mut bench = Bench::follower(&[1]);
    let sent = bench.answers(ONE, heartbeat(1, at(1, 1), 1));
    assert_eq!(address(&sent, ONE), Route::Tagged(link(&bench, ONE).tag()));
    let sent = bench.campaign();
    for peer in [ONE, THREE] {
        assert_eq!(address(&sent, peer), Route::Full(link(&bench, peer)));
    }
}

/// PITFALLS 7: the members are always those of the log that is there: when the entry that named them
/// is replaced, they count no more.
pub fn a_configuration_that_is_replaced_counts_no_more() {
    let mut bench = Bench::blank(3);
    bench.drive();
    let run = bench.run(1, &[1]);
    bench.answers(ONE, append(1, EntryId::default(), 0, run.bytes()));
    assert_eq!(bench.raft.configuration().members.len(), 3);
    let mut other = Run::new();
    other.push(2, EntryKind::Noop, &[]);
    bench.answers(THREE, append(2, EntryId::default(), 0, other.bytes()));
    assert!(bench.raft.configuration().members.is_empty());
    for _beat in 0..3 * ELECTION_MAX.0 / HEARTBEAT.0 {
        assert!(bench.pass(HEARTBEAT).pre_vote_to(ONE).is_none());
    }
    assert_eq!(bench.violation, None);
}

/// How the last datagram to a node was addressed.
fn address(sent: &Sent, to: NodeId) -> Route {
    let (_, header, _) =
        sent.messages().filter(|(peer, ..)| *peer == to).last().expect("a datagram");
    header.route
}

/// How the node addresses another one.
fn link(bench: &Bench, to: NodeId) -> Introduction {
    let introduction = bench.introduction(to);
    Introduction { from: introduction.to, to: introduction.from, ..introduction }
}
