//! Datagrams that no correct peer sends, and those that come too late (PITFALLS 17 and 23): dropped
//! and counted, and nothing has changed.

use coracle::message::{Append, AppendOutcome, AppendReply, Message, ReadReply};
use coracle::wire::{Header, Introduction, Route};
use coracle::{
    ClusterId, EntryKind, Epoch, Incarnation, Index, MemberId, NodeId, Nonce, Term, Ticks,
};

use crate::harness::{
    Bench, ELECTION_MAX, FIVE, HEARTBEAT, Network, ONE, Run, THREE, TWO, append, at, entries,
    granted, heartbeat, matched, member, mismatch, terms, vote,
};

/// PITFALLS 23: a node's own datagrams, thrown back at it.
pub fn a_datagram_from_itself_is_dropped() {
    let mut bench = Bench::leader(&[1]);
    let before = bench.state();
    let own = bench.member(TWO);
    for from in [own, MemberId { id: TWO, incarnation: Incarnation(5) }] {
        let route = Route::Full(Introduction { from, ..bench.introduction(ONE) });
        assert!(!bench.hears_route(Header { number: 1, route }, matched(2, 1, 2)));
        assert!(!bench.hears_route(Header { number: 2, route }, vote(9, at(9, 9))));
    }
    let sent = bench.beats();
    for datagram in sent.datagrams() {
        assert!(!bench.hears_bytes(datagram.bytes), "its own datagram is taken");
    }
    assert_eq!(bench.state(), before);
    assert_eq!(bench.raft.counters().unknown_sender, 4);
}

/// PITFALLS 23: who is no member is nobody, unless it asks for a vote in our epoch: the
/// configuration that made it a member may be among what we lack.
pub fn a_datagram_of_an_unknown_sender_is_dropped() {
    let mut bench = Bench::follower(&[1]);
    let before = bench.state();
    for id in [NodeId(0), FIVE, NodeId(u32::MAX)] {
        let from = MemberId { id, incarnation: Incarnation(5) };
        let route = Route::Full(Introduction { from, ..bench.introduction(ONE) });
        assert!(!bench.hears_route(Header { number: 1, route }, matched(9, 1, 2)));
        let epoch = Epoch(77);
        let route = Route::Full(Introduction { from, epoch, ..bench.introduction(ONE) });
        assert!(!bench.hears_route(Header { number: 1, route }, vote(9, at(9, 9))));
    }
    assert!(bench.drive().is_empty());
    assert_eq!(bench.state(), before);
    assert_eq!(bench.raft.counters().unknown_sender, 6);
}

/// All of Raft: the receiver drops what is not meant for its own life, and counts it.
pub fn a_datagram_for_another_life_is_dropped() {
    let mut bench = Bench::follower(&[1]);
    let before = bench.state();
    for incarnation in [Incarnation(0), Incarnation(99)] {
        let to = MemberId { id: TWO, incarnation };
        let route = Route::Full(Introduction { to, ..bench.introduction(ONE) });
        assert!(!bench.hears_route(Header { number: 1, route }, vote(9, at(9, 9))));
    }
    let to = member(THREE);
    let route = Route::Full(Introduction { to, ..bench.introduction(ONE) });
    assert!(!bench.hears_route(Header { number: 1, route }, vote(9, at(9, 9))));
    assert!(bench.drive().is_empty());
    assert_eq!(bench.state(), before);
    assert_eq!(bench.raft.counters().misdirected, 3);
}

/// The wire: neighbours on one network do not mix.
pub fn a_datagram_of_another_cluster_or_epoch_is_dropped() {
    let mut bench = Bench::follower(&[1]);
    let before = bench.state();
    let route = bench.introduction(ONE);
    let foreign = [
        Introduction { cluster: ClusterId(1), ..route },
        Introduction { epoch: Epoch(1), ..route },
        Introduction { epoch: Epoch(0), ..route },
    ];
    for introduction in foreign {
        let route = Route::Full(introduction);
        assert!(!bench.hears_route(Header { number: 1, route }, vote(9, at(9, 9))));
        let route = Route::Tagged(introduction.tag());
        assert!(!bench.hears_route(Header { number: 1, route }, vote(9, at(9, 9))));
    }
    assert!(bench.drive().is_empty());
    assert_eq!(bench.state(), before);
}

/// The wire: a tag stands for the whole introduction; the right one is enough.
pub fn a_tagged_datagram_is_taken_only_with_the_right_tag() {
    let mut bench = Bench::follower(&[1]);
    let tag = bench.introduction(ONE).tag();
    let header = |tag| Header { number: 1, route: Route::Tagged(tag) };
    assert!(!bench.hears_route(header(tag ^ 1), vote(2, at(1, 1))));
    assert!(!bench.hears_route(header(0), vote(2, at(1, 1))));
    assert!(bench.drive().is_empty());
    assert!(bench.hears_route(header(tag), vote(2, at(1, 1))));
    assert_eq!(bench.drive().verdict_to(ONE), Some(true));
}

/// PITFALLS 23: index 0, the largest index, a commit far beyond the log.
pub fn an_append_with_impossible_indices_changes_nothing() {
    let mut bench = Bench::follower(&[1, 1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 3), 2));
    let before = bench.state();
    let run = bench.run(4, &[1]);
    for prev in [at(0, 3), at(5, 0), at(1, u64::MAX), at(1, u64::MAX - 1), at(u64::MAX, 3)] {
        bench.reacts(ONE, append(1, prev, 2, run.bytes()));
        bench.reacts(ONE, heartbeat(1, prev, u64::MAX));
        assert_eq!(bench.state(), before, "prev {prev:?}");
        assert_eq!(bench.violation, None);
    }
}

/// Figure 2, receiver 5; PITFALLS 23: a commit beyond the log commits what is known to match.
pub fn a_commit_beyond_the_log_commits_only_what_is_there() {
    let mut bench = Bench::follower(&[1, 1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 3), u64::MAX));
    assert_eq!(bench.raft.commit(), Index(3));
    assert_eq!(bench.applied_count, 2);
    assert_eq!(bench.violation, None);
}

/// Encoding: what all are said to hold is never above what is committed here.
pub fn an_entry_is_not_dropped_before_it_is_applied_whatever_the_leader_says() {
    let mut bench = Bench::follower(&[1, 1, 1]);
    let beat = Append {
        term: Term(1),
        prev: at(1, 2),
        commit: Index(u64::MAX),
        everywhere: Index(u64::MAX),
        run: &[],
    };
    bench.answers(ONE, Message::Append(beat));
    assert!(bench.raft.compact(Index(u64::MAX)) <= Index(2));
    assert_eq!(bench.raft.last(), at(1, 3));
}

/// PITFALLS 23: entries with impossible lengths, terms and kinds are refused as a whole.
pub fn a_malformed_run_changes_nothing() {
    let mut bench = Bench::follower(&[1, 2]);
    let before = bench.state();
    let mut falling = Run::new();
    falling.push(2, EntryKind::Command, b"a");
    falling.push(1, EntryKind::Command, b"b");
    let mut above = Run::new();
    above.push(4, EntryKind::Command, b"a");
    let mut below = Run::new();
    below.push(1, EntryKind::Command, b"a");
    let mut good = Run::new();
    good.push(3, EntryKind::Command, b"a");
    let mut cut: heapless::Vec<u8, 32> = heapless::Vec::new();
    cut.extend_from_slice(good.bytes()).expect("a short run");
    cut.extend_from_slice(&good.bytes()[..4]).expect("a short run");
    let mut kind: heapless::Vec<u8, 32> = heapless::Vec::new();
    kind.extend_from_slice(good.bytes()).expect("a short run");
    kind.extend_from_slice(&[2, 0, 3, 9]).expect("a short run");
    for run in [
        falling.bytes(),
        above.bytes(),
        below.bytes(),
        &cut,
        &kind,
        &[0xff, 0xff, 3, 2, 1],
        &[0, 0],
        &[1, 0, 3],
        &[2, 0, 0, 2],
        &[3, 0, 0x83, 0x00, 2],
        &[1],
    ] {
        let sent = bench.reacts(ONE, append(3, at(2, 2), 3, run));
        let reply = sent.append_reply_to(ONE).map(|reply| reply.outcome);
        assert!(!matches!(reply, Some(AppendOutcome::Matched(Index(3..)))), "{run:?}");
        assert_eq!(terms(&bench.disk.log), [1, 2], "{run:?} is taken");
        assert_eq!(bench.raft.last(), before.1);
        assert!(bench.raft.commit() <= Index(2));
    }
    let sent = bench.answers(ONE, append(3, at(2, 2), 3, good.bytes()));
    assert!(sent.append_reply_to(ONE).is_some());
    assert_eq!(terms(&bench.disk.log), [1, 2, 3]);
}

/// A run that is bad only behind a conflict truncates nothing either.
pub fn a_run_that_is_bad_behind_a_conflict_truncates_nothing() {
    let mut bench = Bench::follower(&[1, 1, 1]);
    let mut run: heapless::Vec<u8, 32> = heapless::Vec::new();
    let mut good = Run::new();
    good.push(2, EntryKind::Command, b"a");
    run.extend_from_slice(good.bytes()).expect("a short run");
    run.extend_from_slice(&[9, 0, 2]).expect("a short run");
    bench.reacts(ONE, append(2, at(1, 1), 0, &run));
    assert_eq!(terms(&bench.disk.log), [1, 1, 1]);
    assert_eq!(bench.raft.last(), at(1, 3));
}

/// An entry that calls itself a configuration and is none, at the place of the first: the node knows
/// no members then, and does not fail.
pub fn a_malformed_configuration_makes_no_members() {
    let mut bench = Bench::blank(3);
    bench.drive();
    let mut run = Run::new();
    run.push(1, EntryKind::Configuration, &[7; 13]);
    bench.reacts(ONE, append(1, coracle::EntryId::default(), 1, run.bytes()));
    assert!(bench.raft.configuration().members.is_empty());
    assert_eq!(bench.violation, None);
    bench.pass_unseen(Ticks(3 * ELECTION_MAX.0));
    assert_eq!(bench.violation, None);
}

/// More members than there is room for make no configuration, and no failure.
pub fn a_configuration_beyond_the_capacity_makes_no_members() {
    let mut bench = Bench::blank(3);
    bench.drive();
    let mut data: heapless::Vec<u8, 96> = heapless::Vec::new();
    for id in 1..=6_u8 {
        data.extend_from_slice(&[id, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 0, 1]).expect("six fit");
    }
    let mut run = Run::new();
    run.push(1, EntryKind::Configuration, &data);
    bench.reacts(ONE, append(1, coracle::EntryId::default(), 1, run.bytes()));
    assert_eq!(bench.violation, None);
    bench.pass_unseen(Ticks(3 * ELECTION_MAX.0));
    assert_eq!(bench.violation, None);
    assert_eq!(bench.raft.term(), Term(1), "it campaigns in a cluster that it cannot count");
}

/// PITFALLS 23: answers that no follower gives.
pub fn impossible_answers_change_nothing_at_a_leader() {
    let mut bench = Bench::leader(&[1, 1]);
    let before = bench.state();
    let sent = bench.beats();
    let number = sent.append_number_to(ONE).expect("a heartbeat");
    for message in [
        matched(2, number, u64::MAX),
        matched(2, u64::MAX, 3),
        matched(2, 0, 3),
        mismatch(2, number + 100, at(1, 1)),
        mismatch(2, number, at(u64::MAX, u64::MAX)),
        mismatch(2, number, at(u64::MAX, 0)),
        mismatch(2, number, at(0, u64::MAX)),
        granted(2),
        Message::ReadReply(ReadReply {
            term: Term(2),
            echo: u64::MAX,
            nonce: Nonce(0),
            index: Index(u64::MAX),
        }),
    ] {
        bench.reacts(ONE, message);
        assert_eq!(bench.state(), before, "{message:?}");
        assert_eq!(bench.violation, None);
    }
    bench.propose(b"command");
    let sent = bench.drive();
    let append = sent.append_to(ONE).expect("it still replicates");
    assert!(append.prev.index >= Index(2), "what is acknowledged is not sent again");
}

/// A read reply of an impossible index answers no read, and does no harm.
pub fn a_read_index_beyond_the_log_is_waited_for() {
    let mut bench = Bench::follower(&[1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 2), 2));
    let read = bench.raft.read().expect("a leader is known");
    let sent = bench.drive();
    let echo = sent.read_request_number_to(ONE).expect("the leader is asked");
    let nonce = sent.read_request_to(ONE).expect("the leader is asked").nonce;
    let (term, index) = (Term(1), Index(u64::MAX));
    bench.reacts(ONE, Message::ReadReply(ReadReply { term, echo, nonce, index }));
    assert_eq!(bench.read_end(read), None);
    assert_eq!((bench.raft.commit(), bench.violation), (Index(2), None));
}

/// The wire: a message of the protocol in a client's form, and a client's in a member's, are
/// dropped.
pub fn a_message_in_the_wrong_form_of_address_is_dropped() {
    let mut bench = Bench::follower(&[1]);
    let before = bench.state();
    let client = crate::wire::route(2);
    assert!(!bench.hears_route(Header { number: 1, route: client }, vote(9, at(9, 9))));
    let member = Route::Full(bench.introduction(ONE));
    let request = crate::wire::sample(12);
    assert!(!bench.hears_route(Header { number: 1, route: member }, request));
    let hello = crate::wire::sample(0);
    assert!(!bench.hears_route(Header { number: 2, route: member }, hello), "it is of an epoch");
    let tagged = Route::Tagged(bench.introduction(ONE).tag());
    assert!(!bench.hears_route(Header { number: 3, route: tagged }, hello));
    assert!(bench.drive().is_empty());
    assert_eq!(bench.state(), before);
}

/// PITFALLS 17: the last term has no successor: nobody wraps around into an early one.
pub fn the_last_term_has_no_successor() {
    let mut bench = Bench::of(3, u64::MAX, None, &[1, u64::MAX]);
    for _beat in 0..3 * ELECTION_MAX.0 / HEARTBEAT.0 {
        let sent = bench.pass(HEARTBEAT);
        for peer in [ONE, THREE] {
            assert!(sent.pre_vote_to(peer).is_none_or(|request| request.term == Term(u64::MAX)));
            assert!(sent.vote_to(peer).is_none(), "an election in the last term, or in the first");
        }
        let asked = Term(u64::MAX);
        let reply = coracle::message::VoteReply { term: asked, asked, granted: true };
        bench.may_hear(ONE, Message::PreVoteReply(reply));
        bench.drive();
    }
    assert_eq!(bench.disk.hard.term, Term(u64::MAX));
    let end = at(u64::MAX, 2);
    assert_eq!(bench.answers(ONE, vote(u64::MAX, end)).verdict_to(ONE), Some(true));
    bench.answers(ONE, heartbeat(u64::MAX, end, 2));
    assert!(bench.has_applied(end), "it still follows");
    assert_eq!(bench.violation, None);
}

/// PITFALLS 17: a term may be as large as it likes; the log, the wire and the disk keep it.
pub fn terms_of_any_size_are_kept() {
    let log = [1, 127, 128, 1 << 32, u64::MAX - 1];
    let mut bench = Bench::of(3, u64::MAX - 1, None, &log);
    assert_eq!(terms(&bench.disk.log), log);
    bench.lead();
    assert_eq!(bench.disk.hard.term, Term(u64::MAX));
    assert_eq!(bench.raft.commit(), Index(6));
    bench.restart();
    assert_eq!(bench.raft.last(), at(u64::MAX, 6));
}

/// PITFALLS 23: what was said once may be said again, minutes later and in any order. The replay of
/// a whole history changes nothing.
pub fn a_replayed_history_changes_nothing() {
    let mut network = Network::<3, 40>::new(50);
    network.start();
    network.is_keeping = true;
    network.settle();
    for count in 0..4_u8 {
        network.propose(&[count; 4]);
        network.pass(HEARTBEAT);
    }
    network.pass(HEARTBEAT);
    let kept = network.kept_count();
    assert!(kept == 40, "{kept} datagrams are kept");
    network.is_keeping = false;
    let before: heapless::Vec<_, 3> = network.nodes.iter().map(state).collect();
    for order in [1, kept - 1, 7] {
        for place in 0..kept {
            network.replay((place * order) % kept);
            for node in &network.nodes {
                assert_eq!(node.violation, None);
            }
        }
        let after: heapless::Vec<_, 3> = network.nodes.iter().map(state).collect();
        assert_eq!(after, before);
    }
    network.pass(Ticks(2 * ELECTION_MAX.0));
    let after: heapless::Vec<_, 3> = network.nodes.iter().map(state).collect();
    assert_eq!(after, before, "and nothing comes of it later");
}

/// PITFALLS 23: a datagram of the life before, to the life after: dropped, though the id is right.
pub fn a_datagram_to_the_life_before_is_dropped() {
    let mut first = Bench::blank(3);
    let run = first.run(1, &[1]);
    let old = first.introduction(ONE);
    let mut second = Bench::blank_sized(3, TWO, 2);
    assert_ne!(first.raft.member(), second.raft.member());
    let header = Header { number: 1, route: Route::Full(old) };
    let message = append(1, coracle::EntryId::default(), 0, run.bytes());
    assert!(first.hears_route(header, message));
    assert!(!second.hears_route(header, message));
    assert_eq!(second.raft.role(), coracle::RoleName::Blank);
}

/// A stale answer speaks of a later term than ours: the leader steps down and nothing else happens.
pub fn a_forged_term_deposes_but_corrupts_nothing() {
    let mut bench = Bench::leader(&[1, 1]);
    let (last, commit) = (bench.raft.last(), bench.raft.commit());
    let outcome = AppendOutcome::Matched(Index(u64::MAX));
    let reply = AppendReply { term: Term(u64::MAX), echo: 1, outcome };
    bench.reacts(ONE, Message::AppendReply(reply));
    assert_eq!((bench.raft.last(), bench.raft.commit()), (last, commit));
    assert_eq!(entries(&bench.disk.log).count(), 3);
    assert_eq!(bench.violation, None);
}

/// What of a node may not change by itself.
fn state(
    node: &crate::harness::Driver,
) -> (coracle::HardState, coracle::EntryId, Index, u64, Option<NodeId>) {
    let raft = &node.raft;
    (node.disk.hard, raft.last(), raft.commit(), node.applied_digest, raft.leader())
}
