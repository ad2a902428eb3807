//! What a voter does (figure 2, "RequestVote RPC"; sections 5.2 and 5.4.1; thesis 4.2.3 and 9.6).

use coracle::wire::{Header, Introduction, Route};
use coracle::{Incarnation, MemberId, Term, Ticks};

use crate::harness::{
    Bench, ELECTION_MIN, FIVE, FOUR, ONE, Persisting, THREE, TWO, at, heartbeat, member, pre_vote,
    vote,
};

/// Figure 2, RequestVote receiver 1: "reply false if term < currentTerm".
pub fn a_vote_is_refused_to_a_candidate_of_an_earlier_term() {
    let mut bench = Bench::of(3, 5, None, &[1, 2]);
    let sent = bench.answers(ONE, vote(4, at(4, 9)));
    let reply = sent.vote_reply_to(ONE).expect("the candidate is answered");
    assert!(!reply.granted);
    assert_eq!(reply.asked, Term(4));
    assert_eq!(reply.term, Term(5), "the candidate learns the later term");
    assert_eq!(bench.disk.hard.vote, None);
}

/// Figure 2, RequestVote receiver 2: a candidate whose log is at least as new gets the vote.
pub fn a_vote_is_granted_to_a_candidate_with_an_equal_log() {
    let mut bench = Bench::follower(&[1, 1, 2]);
    let sent = bench.answers(ONE, vote(3, at(2, 3)));
    assert_eq!(sent.verdict_to(ONE), Some(true));
    assert_eq!(bench.disk.hard.term, Term(3));
    assert_eq!(bench.disk.hard.vote, Some(member(ONE)));
}

/// Section 5.2: first come, first served, and one vote a term.
pub fn a_second_candidate_of_the_same_term_gets_no_vote() {
    let mut bench = Bench::follower(&[1]);
    assert_eq!(bench.answers(ONE, vote(2, at(1, 1))).verdict_to(ONE), Some(true));
    assert_eq!(bench.answers(THREE, vote(2, at(1, 9))).verdict_to(THREE), Some(false));
    assert_eq!(bench.disk.hard.vote, Some(member(ONE)));
}

/// Section 5.2: the same candidate may ask again, because the first answer may be lost.
pub fn a_candidate_that_asks_again_gets_the_same_vote() {
    let mut bench = Bench::follower(&[1]);
    assert_eq!(bench.answers(ONE, vote(2, at(1, 1))).verdict_to(ONE), Some(true));
    assert_eq!(bench.answers(ONE, vote(2, at(1, 1))).verdict_to(ONE), Some(true));
}

/// Section 5.2: a vote binds for its term alone.
pub fn a_vote_in_one_term_does_not_bind_in_the_next() {
    let mut bench = Bench::follower(&[1]);
    assert_eq!(bench.answers(ONE, vote(2, at(1, 1))).verdict_to(ONE), Some(true));
    assert_eq!(bench.answers(THREE, vote(3, at(1, 1))).verdict_to(THREE), Some(true));
    assert_eq!(bench.disk.hard.vote, Some(member(THREE)));
}

/// Section 5.4.1: "the log with the later term is more up-to-date", however short.
pub fn a_candidate_with_a_longer_log_of_an_earlier_term_gets_no_vote() {
    let mut bench = Bench::follower(&[1, 3]);
    assert_eq!(bench.answers(ONE, vote(4, at(2, 9))).verdict_to(ONE), Some(false));
    assert_eq!(bench.disk.hard.vote, None);
}

/// Section 5.4.1: in the same last term, "whichever log is longer is more up-to-date".
pub fn a_candidate_with_a_shorter_log_gets_no_vote() {
    let mut bench = Bench::follower(&[1, 2, 2]);
    assert_eq!(bench.answers(ONE, vote(3, at(2, 2))).verdict_to(ONE), Some(false));
    assert_eq!(bench.disk.hard.vote, None);
}

/// Section 5.4.1, from the other side.
pub fn a_candidate_with_a_shorter_log_of_a_later_term_gets_the_vote() {
    let mut bench = Bench::of(3, 4, None, &[1, 2, 2, 2]);
    assert_eq!(bench.answers(ONE, vote(5, at(3, 2))).verdict_to(ONE), Some(true));
}

/// Figure 2, all servers: a later term is taken, also from a candidate that gets no vote.
pub fn a_refused_candidate_still_raises_the_term() {
    let mut bench = Bench::follower(&[1, 2, 2]);
    let sent = bench.answers(ONE, vote(7, at(1, 9)));
    let reply = sent.vote_reply_to(ONE).expect("the candidate is answered");
    assert!(!reply.granted);
    assert_eq!(reply.term, Term(7));
    assert_eq!(bench.disk.hard.term, Term(7));
    assert_eq!(bench.answers(THREE, vote(7, at(2, 3))).verdict_to(THREE), Some(true));
}

/// Figure 2: votedFor is updated on stable storage before responding (PITFALLS invariant 6).
pub fn a_vote_is_not_sent_before_it_is_durable() {
    let mut bench = Bench::follower(&[1]);
    bench.persisting = Persisting::Submitted;
    let sent = bench.answers(ONE, vote(2, at(1, 1)));
    assert!(!sent.has_to(ONE), "the vote is out and the disk does not have it");
    bench.finish(0);
    assert_eq!(bench.disk.hard.vote, Some(member(ONE)));
    assert_eq!(bench.drive().verdict_to(ONE), Some(true));
}

/// Figure 2: a refusal names the term, which must be durable as well.
pub fn a_refusal_that_raises_the_term_waits_for_the_disk() {
    let mut bench = Bench::follower(&[1, 2]);
    bench.persisting = Persisting::Submitted;
    assert!(!bench.answers(ONE, vote(9, at(1, 1))).has_to(ONE));
    bench.finish(0);
    assert_eq!(bench.drive().verdict_to(ONE), Some(false));
}

/// Figure 2, persistent state; PITFALLS 4.
pub fn a_vote_survives_a_restart() {
    let mut bench = Bench::follower(&[1]);
    assert_eq!(bench.answers(ONE, vote(2, at(1, 1))).verdict_to(ONE), Some(true));
    bench.restart();
    assert_eq!(bench.answers(THREE, vote(2, at(1, 1))).verdict_to(THREE), Some(false));
    assert_eq!(bench.answers(ONE, vote(2, at(1, 1))).verdict_to(ONE), Some(true));
}

/// Section 5.2; PITFALLS 4: who steps down keeps the vote that it gave itself in that term.
pub fn a_vote_survives_a_step_down_in_the_same_term() {
    let mut bench = Bench::follower(&[1]);
    bench.stand();
    assert_eq!(bench.disk.hard.vote, Some(member(TWO)));
    bench.answers(ONE, heartbeat(2, at(1, 1), 0));
    bench.pass_unseen(ELECTION_MIN);
    assert_eq!(bench.answers(THREE, vote(2, at(1, 9))).verdict_to(THREE), Some(false));
    assert_eq!(bench.disk.hard.vote, Some(member(TWO)));
}

/// Thesis 4.2.3 and 6.2: who heard a live leader within the minimum election time-out neither
/// votes nor takes the candidate's term.
pub fn who_hears_a_leader_votes_for_nobody_else() {
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, heartbeat(1, at(1, 1), 0));
    bench.pass(Ticks(ELECTION_MIN.0 - 1));
    let sent = bench.reacts(THREE, vote(9, at(1, 9)));
    assert_ne!(sent.verdict_to(THREE), Some(true));
    assert_eq!(bench.disk.hard.term, Term(1), "a disruptive server raises no term");
    assert_eq!(bench.disk.hard.vote, None);
}

/// Thesis 4.2.3, from the other side: silence frees the voter.
pub fn who_hears_no_leader_for_the_minimum_time_votes() {
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, heartbeat(1, at(1, 1), 0));
    bench.pass_unseen(ELECTION_MIN);
    assert_eq!(bench.answers(THREE, vote(9, at(1, 9))).verdict_to(THREE), Some(true));
}

/// Thesis 9.6 with 4.2.3: not even a pre-vote against a live leader.
pub fn who_hears_a_leader_grants_no_pre_vote() {
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, heartbeat(1, at(1, 1), 0));
    bench.pass(Ticks(ELECTION_MIN.0 - 1));
    assert_ne!(bench.reacts(THREE, pre_vote(2, at(1, 9))).pre_verdict_to(THREE), Some(true));
    bench.pass_unseen(Ticks(1));
    assert_eq!(bench.answers(THREE, pre_vote(2, at(1, 9))).pre_verdict_to(THREE), Some(true));
}

/// Thesis 9.6: "the pre-vote does not change the voter's state".
pub fn a_pre_vote_changes_nothing_at_the_voter() {
    let mut bench = Bench::follower(&[1, 2]);
    let before = bench.state();
    let sent = bench.answers(ONE, pre_vote(9, at(2, 2)));
    assert_eq!(sent.pre_verdict_to(ONE), Some(true));
    assert_eq!(bench.state(), before, "nothing is written");
    let sent = bench.answers(THREE, pre_vote(9, at(2, 2)));
    assert_eq!(sent.pre_verdict_to(THREE), Some(true), "it is no promise to anybody");
    let sent = bench.answers(THREE, vote(3, at(2, 2)));
    assert_eq!(sent.verdict_to(THREE), Some(true), "the later term was only spoken of");
}

/// Thesis 9.6: a pre-vote is judged as a vote would be.
pub fn a_pre_vote_is_refused_where_a_vote_would_be() {
    let mut bench = Bench::follower(&[1, 2, 2]);
    assert_eq!(bench.answers(ONE, pre_vote(3, at(2, 2))).pre_verdict_to(ONE), Some(false));
    assert_eq!(bench.answers(ONE, pre_vote(3, at(1, 9))).pre_verdict_to(ONE), Some(false));
    assert_eq!(bench.answers(ONE, pre_vote(3, at(2, 3))).pre_verdict_to(ONE), Some(true));
}

/// Thesis 9.6; PITFALLS 14: who asks for a pre-vote in an old term learns the term, or it would
/// ask for ever.
pub fn a_pre_vote_for_an_old_term_is_answered_with_the_term() {
    let mut bench = Bench::of(3, 8, None, &[1]);
    let sent = bench.answers(ONE, pre_vote(3, at(1, 9)));
    let reply = sent.pre_vote_reply_to(ONE).expect("the asker is answered");
    assert!(!reply.granted);
    assert_eq!(reply.term, Term(8));
}

/// Section 5.2: "a server remains in follower state as long as it receives valid RPCs": a grant
/// gives the candidate time to win.
pub fn a_granted_vote_restarts_the_election_timeout() {
    let mut bench = Bench::follower(&[1]);
    // Nobody campaigns before the minimum, so just before it there is no campaign yet.
    bench.pass(Ticks(ELECTION_MIN.0 - 1));
    bench.answers(ONE, vote(2, at(1, 1)));
    let sent = bench.pass(Ticks(ELECTION_MIN.0 - 1));
    assert!(sent.is_empty(), "it campaigns against a candidate that it has just voted for");
}

/// Section 5.2, from the other side: candidates that get no vote cannot hold an election off.
pub fn a_refused_vote_does_not_restart_the_election_timeout() {
    let mut bench = Bench::of(3, 2, Some(ONE), &[1, 2]);
    for _round in 0..6 {
        let sent = bench.pass(Ticks(10));
        if sent.pre_vote_to(ONE).is_some() {
            return;
        }
        bench.answers(THREE, vote(2, at(2, 2)));
    }
    panic!("a candidate without our vote holds off our own campaign");
}

/// Thesis 4.2.1: "a server casts a vote without consulting its own configuration". Its log here
/// names only one to three.
pub fn a_voter_does_not_consult_its_own_configuration() {
    let mut bench = Bench::follower_of_five(&[]);
    assert_eq!(bench.answers(FIVE, pre_vote(1, at(0, 0))).pre_verdict_to(FIVE), Some(true));
    assert_eq!(bench.answers(FIVE, vote(1, at(0, 0))).verdict_to(FIVE), Some(true));
    assert_eq!(bench.answers(FOUR, vote(1, at(1, 1))).verdict_to(FOUR), Some(false));
}

/// Formation; PITFALLS 4: a vote is for one life of a node. Another life of the same id is another
/// candidate.
pub fn a_vote_for_one_life_of_a_node_is_none_for_the_next() {
    let mut bench = Bench::follower(&[1]);
    assert_eq!(bench.answers(ONE, vote(2, at(1, 1))).verdict_to(ONE), Some(true));
    let from = MemberId { id: ONE, incarnation: Incarnation(77) };
    let route = Route::Full(Introduction { from, ..bench.introduction(ONE) });
    bench.hears_route(Header { number: 1, route }, vote(2, at(1, 1)));
    let sent = bench.drive();
    assert_ne!(sent.verdict_to(ONE), Some(true));
    assert_eq!(bench.disk.hard.vote, Some(member(ONE)));
}

/// The same while the node knows no members, and any life of node 1 might be one.
pub fn a_vote_for_one_life_is_none_for_the_next_while_no_members_are_known() {
    let mut bench = Bench::blank(3);
    bench.drive();
    assert_eq!(bench.answers(ONE, vote(2, at(1, 1))).verdict_to(ONE), Some(true));
    let from = MemberId { id: ONE, incarnation: Incarnation(77) };
    let route = Route::Full(Introduction { from, ..bench.introduction(ONE) });
    bench.hears_route(Header { number: 1, route }, vote(2, at(1, 1)));
    assert_ne!(bench.drive().verdict_to(ONE), Some(true));
    assert_eq!(bench.disk.hard.vote, Some(member(ONE)));
}
