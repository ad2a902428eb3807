//! Reads under a lease (thesis 6.4.1; PITFALLS 12).

use coracle::message::{Message, ReadRequest};
use coracle::{Lease, Nonce, Options, SetupError, Term, Ticks};

use crate::harness::{
    Bench, ELECTION_MIN, HEARTBEAT, ONE, Small, THREE, TWO, at, heartbeat, options, pre_vote, vote,
    voters,
};

/// Thesis 6.4.1: once a quorum has answered, the leader answers reads without asking anybody.
pub fn a_read_under_a_lease_needs_no_round() {
    let mut bench = leader(100);
    let read = bench.raft.read().expect("it leads");
    let sent = bench.drive();
    assert!(sent.is_empty(), "nobody is asked");
    assert_eq!(bench.read_end(read), Some(true));
    assert_eq!(bench.raft.counters().lease_reads, 1);
}

/// A follower's question is answered at once, too.
pub fn a_followers_read_under_a_lease_is_answered_at_once() {
    let mut bench = leader(100);
    let term = bench.raft.term();
    let question = Message::ReadRequest(ReadRequest { term, nonce: Nonce(5) });
    let sent = bench.answers(ONE, question);
    assert_eq!(sent.count(), 1, "the answer, and no heartbeat");
    assert_eq!(sent.read_reply_to(ONE).map(|reply| reply.index), Some(bench.raft.commit()));
}

/// PITFALLS 12: "never without a stated drift bound".
pub fn without_a_lease_every_read_asks_a_quorum() {
    let mut bench = Bench::leader(&[1]);
    let read = bench.raft.read().expect("it leads");
    assert!(!bench.drive().is_empty());
    assert_eq!(bench.read_end(read), None);
    assert_eq!(bench.raft.counters().lease_reads, 0);
}

/// Thesis 6.4.1: the lease counts from when the round that was answered began, and is shorter than
/// the shortest election timeout by what two clocks may differ: 30 ticks times 800 / 1200 are 20.
pub fn a_lease_is_shortened_by_the_drift_of_clocks() {
    let mut bench = leader(200);
    // The round of this heartbeat is answered at once: it began now.
    let sent = bench.beats();
    bench.accepts(&sent, ONE);
    bench.drive();
    bench.pass_unseen(Ticks(19));
    let last = bench.raft.read().expect("it leads");
    bench.drive();
    assert_eq!(bench.read_end(last), Some(true), "one tick before its end");
    bench.pass_unseen(Ticks(1));
    let late = bench.raft.read().expect("it leads still");
    bench.drive();
    assert_eq!(bench.read_end(late), None, "its end");
}

/// A lease is renewed by each heartbeat that a quorum answers.
pub fn a_lease_is_renewed_while_a_quorum_answers() {
    let mut bench = leader(100);
    for _beat in 0..20 {
        let sent = bench.beats();
        bench.accepts(&sent, THREE);
        bench.drive();
        let read = bench.raft.read().expect("it leads");
        assert!(bench.drive().is_empty());
        assert_eq!(bench.read_end(read), Some(true));
        bench.reads.clear();
    }
}

/// PITFALLS 12: an answer that comes late renews nothing beyond what its round allows.
pub fn a_late_answer_gives_no_longer_lease() {
    let mut bench = leader(200);
    bench.pass_unseen(Ticks(20));
    let sent = bench.pass(Ticks(1));
    let beats = bench.beats();
    bench.pass_unseen(Ticks(9));
    // Both answer the round of a heartbeat that was sent 9 ticks ago or earlier.
    bench.accepts(&sent, ONE);
    bench.accepts(&beats, ONE);
    bench.drive();
    bench.pass_unseen(Ticks(21));
    let read = bench.raft.read();
    bench.drive();
    let end = read.ok().and_then(|read| bench.read_end(read));
    assert_ne!(end, Some(true), "20 ticks after any round that was answered");
}

/// PITFALLS 12: "never across a leadership transfer", also when the transfer has failed.
pub fn a_transfer_ends_the_lease_for_good() {
    let mut bench = leader(100);
    bench.raft.transfer(Some(ONE)).expect("node 1 has the log");
    bench.drive();
    let read = bench.raft.read().expect("it leads still");
    bench.drive();
    assert_eq!(bench.read_end(read), None);
    for _beat in 0..8 {
        let sent = bench.beats();
        bench.accepts(&sent, ONE);
        bench.accepts(&sent, THREE);
        bench.drive();
    }
    let before = bench.raft.counters().lease_reads;
    let read = bench.raft.read().expect("the transfer has failed");
    assert!(!bench.drive().is_empty(), "it asks a quorum");
    assert_eq!(bench.read_end(read), None);
    assert_eq!(bench.raft.counters().lease_reads, before);
}

/// PITFALLS 12: "a paused process wakes up without a lease": the time that has passed is told first.
pub fn a_paused_process_wakes_up_without_a_lease() {
    let mut bench = leader(100);
    bench.raft.tick(Ticks(1000));
    let read = bench.raft.read();
    bench.drive();
    let end = read.ok().and_then(|read| bench.read_end(read));
    assert_ne!(end, Some(true));
}

/// A new leader has no lease before a round of its own, and none before its first entry is committed.
pub fn a_new_leader_has_no_lease() {
    let mut bench = tuned(100);
    bench.get_elected();
    let read = bench.raft.read().expect("it leads");
    bench.drive();
    assert_eq!(bench.read_end(read), None);
    assert_eq!(bench.raft.counters().lease_reads, 0);
}

/// A voter that was started again does not know whom it has heard: under leases it elects nobody for
/// the shortest election timeout.
pub fn a_restarted_voter_waits_where_there_are_leases() {
    let mut bench = tuned(100);
    let sent = bench.answers(ONE, pre_vote(2, at(1, 9)));
    assert_eq!(sent.pre_vote_reply_to(ONE).map(|reply| reply.granted), Some(false));
    let sent = bench.reacts(ONE, vote(2, at(1, 9)));
    assert_eq!(sent.vote_reply_to(ONE).map(|reply| reply.granted), Some(false));
    assert_eq!(bench.raft.term(), Term(1), "it does not even look at the term");
    bench.pass_unseen(Ticks(ELECTION_MIN.0));
    let sent = bench.answers(ONE, vote(9, at(1, 9)));
    assert_eq!(sent.vote_reply_to(ONE).map(|reply| reply.granted), Some(true));
}

/// Thesis 4.2.3: whom a voter has heard counts by time, whatever has become of its term since.
pub fn a_voter_stays_loyal_when_its_term_rises() {
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, heartbeat(1, at(1, 1), 1));
    // A late candidate's answer raises the term, so that no leader of the new one is known.
    let question = Message::ReadRequest(ReadRequest { term: Term(2), nonce: Nonce(5) });
    bench.may_hear(THREE, question);
    assert_eq!(bench.raft.term(), Term(2));
    let sent = bench.reacts(THREE, vote(3, at(1, 9)));
    assert_eq!(sent.vote_reply_to(THREE).map(|reply| reply.granted), Some(false));
    bench.pass_unseen(ELECTION_MIN);
    let sent = bench.reacts(THREE, vote(9, at(1, 9)));
    assert_eq!(sent.vote_reply_to(THREE).map(|reply| reply.granted), Some(true));
}

/// What the drift leaves must be longer than a heartbeat, or no lease could be renewed in time.
pub fn a_drift_that_leaves_no_lease_is_refused() {
    fn refused(drift_permille: u16) -> Option<SetupError> {
        let options = with_lease(drift_permille);
        let others = crate::harness::others(TWO, 3);
        let (random, seal) = (crate::harness::Random::new(1), coracle::Checksum);
        let memory = Small::fresh();
        coracle::Raft::<_, _, _, 5>::new(&options, &others, memory, random, seal).err()
    }
    // A heartbeat is ten ticks: 30 times 537 / 1463 are eleven, and 30 times 536 / 1464 not quite.
    assert_eq!(HEARTBEAT, Ticks(10));
    assert_eq!(refused(463), None);
    for drift in [464, 500, 999, 1000, u16::MAX] {
        assert_eq!(refused(drift), Some(SetupError::Lease), "{drift}");
    }
}

/// Node 2 of three, which leads under leases and has one.
fn leader(drift_permille: u16) -> Bench {
    let mut bench = tuned(drift_permille);
    bench.lead();
    let sent = bench.beats();
    bench.accepts(&sent, ONE);
    bench.drive();
    bench
}

/// Node 2 of three, just started again, with an entry of term 1.
fn tuned(drift_permille: u16) -> Bench {
    Bench::tuned(&with_lease(drift_permille), Small::fresh(), voters(3), (1, None), &[1])
}

fn with_lease(drift_permille: u16) -> Options {
    Options { lease: Some(Lease { drift_permille }), ..options(TWO) }
}
