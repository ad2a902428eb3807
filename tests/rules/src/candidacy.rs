//! How a node becomes leader (figure 2, "candidates"; section 5.2; thesis 9.6).

use coracle::message::{Message, VoteReply};
use coracle::wire::{Header, Introduction, Route};
use coracle::{Incarnation, MemberId, Term, Ticks};

use crate::harness::{
    Bench, ELECTION_MAX, ELECTION_MIN, FIVE, FOUR, HEARTBEAT, Network, ONE, Persisting, Sent,
    THREE, TWO, at, entries, granted, heartbeat, member, mismatch, pre_granted, refused,
};

/// Section 5.2: "when servers start up, they begin as followers".
pub fn a_node_starts_as_a_follower() {
    let mut bench = Bench::follower(&[1, 2]);
    let sent = bench.pass(Ticks(ELECTION_MIN.0 - 1));
    assert!(sent.is_empty(), "a follower is passive");
}

/// Figure 2, followers: "if election timeout elapses without receiving AppendEntries RPC from
/// current leader or granting vote to candidate: convert to candidate".
pub fn a_follower_campaigns_after_a_silent_election_timeout() {
    let mut bench = Bench::follower(&[1, 2]);
    bench.pass(Ticks(ELECTION_MIN.0 - 1));
    let sent = bench.campaign();
    assert_eq!(sent.pre_vote_to(ONE).map(|request| request.last), Some(at(2, 2)));
    assert_eq!(sent.pre_vote_to(THREE).map(|request| request.term), Some(Term(3)));
}

/// Section 5.2: the leader's heartbeats keep followers from campaigning.
pub fn a_heartbeat_restarts_the_election_timeout() {
    let mut bench = Bench::follower(&[1]);
    for _beat in 0..20 {
        let sent = bench.pass(Ticks(ELECTION_MIN.0 - 1));
        assert!(sent.pre_vote_to(ONE).is_none(), "a follower deserts a living leader");
        bench.answers(ONE, heartbeat(1, at(1, 1), 1));
    }
}

/// Figure 2, followers: only the *current* leader holds an election off.
pub fn a_deposed_leader_does_not_hold_off_an_election() {
    let mut bench = Bench::of(3, 3, None, &[1]);
    for _beat in 0..7 {
        bench.may_hear(ONE, heartbeat(2, at(1, 1), 1));
        let sent = bench.pass(HEARTBEAT);
        if sent.pre_vote_to(THREE).is_some() {
            return;
        }
    }
    panic!("the heartbeats of an earlier term hold off an election");
}

/// Section 5.2: time-outs are drawn anew each time, so that split votes are rare.
pub fn election_timeouts_are_drawn_at_random_and_keep_to_their_limits() {
    let mut seen = 0_u64;
    let mut bench = Bench::follower(&[1]);
    for _round in 0..12 {
        bench.answers(ONE, heartbeat(1, at(1, 1), 1));
        let mut waited = 0;
        while bench.pass(Ticks(1)).pre_vote_to(ONE).is_none() {
            waited += 1;
            assert!(waited <= ELECTION_MAX.0);
        }
        assert!(waited + 1 >= ELECTION_MIN.0);
        seen |= 1 << (waited + 1 - ELECTION_MIN.0);
    }
    assert!(seen.count_ones() >= 4, "twelve time-outs are of {} kinds", seen.count_ones());
}

/// Thesis 9.6: a candidate asks first, and raises its term only when it would be elected.
pub fn a_campaign_without_pre_votes_raises_no_term() {
    let mut bench = Bench::follower(&[1]);
    let mut asked = 0;
    for _tick in 0..5 * ELECTION_MAX.0 {
        let sent = bench.pass(Ticks(1));
        for peer in [ONE, THREE] {
            assert!(sent.vote_to(peer).is_none());
            let Some(request) = sent.pre_vote_to(peer) else { continue };
            assert_eq!(request.term, Term(2));
            asked += 1;
            bench.may_hear(peer, Message::PreVoteReply(no(1, 2)));
        }
    }
    assert!(asked >= 8, "it asks anew after each election timeout");
    assert_eq!(bench.disk.hard.term, Term(1));
    assert_eq!(bench.disk.hard.vote, None);
}

/// Figure 2, candidates: "increment currentTerm, vote for self, reset election timer, send
/// RequestVote RPCs to all other servers".
pub fn a_candidate_raises_its_term_votes_for_itself_and_asks_everybody() {
    let mut bench = Bench::follower(&[1, 2]);
    let sent = bench.stand();
    assert_eq!(bench.disk.hard.term, Term(3));
    assert_eq!(bench.disk.hard.vote, Some(member(TWO)));
    for peer in [ONE, THREE] {
        let request = sent.vote_to(peer).expect("everybody is asked");
        assert_eq!((request.term, request.last), (Term(3), at(2, 2)));
    }
    let quiet = bench.pass(Ticks(ELECTION_MIN.0 - 1));
    assert!(quiet.pre_vote_to(ONE).is_none(), "the election timer was not reset");
}

/// Figure 2: its own vote is a vote, so it must be durable before anybody hears of the term.
pub fn a_candidate_does_not_ask_before_its_own_vote_is_durable() {
    let mut bench = Bench::follower(&[1]);
    bench.campaign();
    bench.persisting = Persisting::Submitted;
    let sent = bench.win_pre_vote();
    assert!(sent.is_empty(), "vote requests of a term that a crash would forget");
    bench.finish(0);
    assert_eq!(bench.disk.hard.vote, Some(member(TWO)));
    assert!(bench.drive().vote_to(ONE).is_some());
}

/// Loss: a vote request may be lost, so it is repeated until it is answered, in one term.
pub fn a_candidate_repeats_its_requests_to_those_who_have_not_answered() {
    let mut bench = Bench::follower_of_five(&[1]);
    bench.stand();
    bench.answers(ONE, granted(2));
    let sent = bench.pass(HEARTBEAT);
    for peer in [THREE, FOUR, FIVE] {
        assert_eq!(sent.vote_to(peer).map(|request| request.term), Some(Term(2)));
    }
    assert!(!sent.has_to(ONE), "it has answered");
}

/// Loss: the same for pre-votes.
pub fn a_pre_candidate_repeats_its_requests_to_those_who_have_not_answered() {
    let mut bench = Bench::follower_of_five(&[1]);
    bench.campaign();
    bench.answers(ONE, pre_granted(1));
    let sent = bench.pass(HEARTBEAT);
    for peer in [THREE, FOUR, FIVE] {
        assert_eq!(sent.pre_vote_to(peer).map(|request| request.term), Some(Term(2)));
    }
    assert!(!sent.has_to(ONE), "it has answered");
}

/// Figure 2, candidates: "if votes received from majority of servers: become leader".
pub fn a_candidate_with_the_votes_of_a_majority_leads() {
    let mut bench = Bench::follower_of_five(&[1]);
    bench.stand();
    assert!(leads_not(&bench.answers(ONE, granted(2))), "two votes of five are no majority");
    let sent = bench.answers(FIVE, granted(2));
    for peer in [ONE, THREE, FOUR, FIVE] {
        assert_eq!(sent.append_to(peer).map(|append| append.term), Some(Term(2)));
    }
}

/// Thesis 9.6: the same majority decides a pre-vote.
pub fn a_minority_of_pre_votes_starts_no_election() {
    let mut bench = Bench::follower_of_five(&[1]);
    bench.campaign();
    assert!(bench.answers(ONE, pre_granted(1)).vote_to(ONE).is_none());
    assert!(bench.answers(ONE, pre_granted(1)).vote_to(ONE).is_none(), "one node, one vote");
    assert!(bench.answers(THREE, pre_granted(1)).vote_to(ONE).is_some());
}

/// Section 5.2; PITFALLS 4: a datagram may arrive twice, and a voter may answer twice.
pub fn a_vote_counts_once_however_often_it_arrives() {
    let mut bench = Bench::follower_of_five(&[1]);
    bench.stand();
    for number in [1000, 1000, 1001, 1002] {
        bench.hears_number(ONE, number, granted(2));
        assert!(leads_not(&bench.drive()), "one voter elects it");
    }
}

/// Section 5.2: a refusal is an answer, not a vote.
pub fn a_refusal_is_no_vote() {
    let mut bench = Bench::follower_of_five(&[1]);
    bench.stand();
    for peer in [ONE, THREE, FOUR, FIVE] {
        assert!(leads_not(&bench.answers(peer, refused(2))));
    }
}

/// Figure 2: a vote is for one term; one that was given in an earlier term comes too late.
pub fn a_vote_of_an_earlier_term_does_not_count() {
    let mut bench = Bench::follower(&[1]);
    bench.stand();
    bench.stand();
    assert_eq!(bench.disk.hard.term, Term(3));
    let late = VoteReply { term: Term(2), asked: Term(2), granted: true };
    assert!(leads_not(&bench.reacts(ONE, Message::VoteReply(late))));
    let unasked = VoteReply { term: Term(3), asked: Term(2), granted: true };
    assert!(leads_not(&bench.reacts(ONE, Message::VoteReply(unasked))));
    assert!(!leads_not(&bench.answers(ONE, granted(3))));
}

/// Thesis 9.6: a pre-vote is not a vote.
pub fn a_pre_vote_does_not_count_as_a_vote() {
    let mut bench = Bench::follower(&[1]);
    bench.stand();
    let asked = VoteReply { term: Term(2), asked: Term(2), granted: true };
    assert!(leads_not(&bench.reacts(ONE, Message::PreVoteReply(asked))));
    assert!(leads_not(&bench.reacts(ONE, pre_granted(2))));
}

/// Formation; PITFALLS 4: votes are counted by life.
pub fn a_vote_of_another_life_of_a_voter_does_not_count() {
    let mut bench = Bench::follower(&[1]);
    bench.stand();
    let from = MemberId { id: ONE, incarnation: Incarnation(77) };
    let route = Route::Full(Introduction { from, ..bench.introduction(ONE) });
    bench.hears_route(Header { number: 1, route }, granted(2));
    assert!(leads_not(&bench.drive()));
}

/// Formation: who is no member has no vote.
pub fn a_vote_of_a_stranger_does_not_count() {
    let mut bench = Bench::follower(&[1]);
    bench.stand();
    let from = member(FIVE);
    let route = Route::Full(Introduction { from, ..bench.introduction(ONE) });
    assert!(!bench.hears_route(Header { number: 1, route }, granted(2)));
    assert!(leads_not(&bench.drive()));
}

/// Figure 2, candidates: "if AppendEntries RPC received from new leader: convert to follower".
pub fn a_candidate_that_hears_the_leader_of_its_term_follows_it() {
    let mut bench = Bench::follower(&[1]);
    bench.stand();
    let sent = bench.answers(ONE, heartbeat(2, at(1, 1), 0));
    assert!(sent.append_reply_to(ONE).is_some());
    assert!(leads_not(&bench.reacts(THREE, granted(2))), "it has given up its candidacy");
    assert_eq!(bench.raft.leader(), Some(ONE));
}

/// Section 5.2: "if the term in the RPC is smaller, the candidate rejects the RPC and continues in
/// candidate state".
pub fn a_candidate_does_not_follow_the_leader_of_an_earlier_term() {
    let mut bench = Bench::follower(&[1]);
    bench.stand();
    let sent = bench.answers(ONE, heartbeat(1, at(1, 1), 0));
    let reply = sent.append_reply_to(ONE).expect("the old leader is told");
    assert_eq!(reply.term, Term(2));
    assert!(!leads_not(&bench.answers(THREE, granted(2))), "the candidacy goes on");
}

/// Figure 2, all servers: a later term in a reply ends the candidacy.
pub fn a_candidate_that_hears_of_a_later_term_gives_up() {
    let mut bench = Bench::follower(&[1]);
    bench.stand();
    bench.answers(ONE, Message::VoteReply(no(8, 2)));
    assert_eq!(bench.disk.hard.term, Term(8));
    assert_eq!(bench.disk.hard.vote, None);
    assert!(leads_not(&bench.reacts(THREE, granted(2))));
}

/// PITFALLS 14: a pre-candidate takes a later term from a refusal, or its cohort would ask in an
/// old term for ever.
pub fn a_pre_candidate_takes_the_later_term_of_a_refusal() {
    let mut bench = Bench::follower(&[1]);
    bench.campaign();
    bench.answers(ONE, Message::PreVoteReply(no(8, 2)));
    assert_eq!(bench.disk.hard.term, Term(8));
    let sent = bench.campaign();
    assert_eq!(sent.pre_vote_to(ONE).map(|request| request.term), Some(Term(9)));
}

/// Figure 2, candidates: "if election timeout elapses: start new election".
pub fn an_election_without_a_winner_starts_anew() {
    let mut bench = Bench::follower(&[1]);
    bench.stand();
    let sent = bench.stand();
    assert_eq!(sent.vote_to(ONE).map(|request| request.term), Some(Term(3)));
    assert_eq!(bench.disk.hard.term, Term(3));
}

/// Section 8: "it needs to commit an entry from its term. Raft handles this by having each leader
/// commit a blank no-op entry into the log at the start of its term".
pub fn a_new_leader_begins_with_an_entry_of_its_own_term() {
    let (mut bench, sent) = Bench::new_leader(&[1, 2]);
    let append = sent.append_to(ONE).expect("the leader speaks");
    if append.run.is_empty() {
        // It may first ask where the logs agree.
        bench.accepts(&sent, ONE);
    }
    let sent = bench.drive();
    let append = sent.append_to(ONE).unwrap_or(append);
    let (term, kind, ..) = entries(append.run).last().expect("an entry");
    assert_eq!((term, kind), (3, coracle::EntryKind::Noop));
}

/// Figure 2, leaders: nextIndex is "initialized to leader last log index + 1", so the first append
/// asks for what precedes it.
pub fn a_new_leader_begins_behind_its_last_entry() {
    let (_, sent) = Bench::new_leader(&[1, 2, 2]);
    for peer in [ONE, THREE] {
        let append = sent.append_to(peer).expect("upon election: send initial AppendEntries");
        assert_eq!(append.prev, at(2, 3));
    }
}

/// Figure 2, leaders: matchIndex is "initialized to 0": what a follower has is not known before it
/// says so, whatever it acknowledged to an earlier leader, this node included.
pub fn a_new_leader_believes_nothing_of_its_followers() {
    let (mut bench, sent) = Bench::new_leader(&[1, 2, 2]);
    let number = sent.append_number_to(ONE).expect("the leader speaks");
    let sent = bench.answers(ONE, mismatch(3, number, at(1, 1)));
    let append = sent.append_to(ONE).expect("it tries again");
    assert_eq!(append.prev.index.0, 1, "it goes back behind what it had itself");
    assert_eq!(append.commit.0, 0, "nothing is committed yet");
}

/// PITFALLS 18: time-outs of one range of two ticks still elect.
pub fn a_range_of_two_ticks_still_elects() {
    for seed in 0..8 {
        let mut network = Network::<3>::new(seed);
        network.start_timed(Ticks(30), Ticks(32));
        network.settle();
        let leader = network.leader().expect("it has settled");
        network.isolate(leader);
        network.pass(Ticks(20 * 32));
        let another = network.leader().expect("a leader among the two that are left");
        assert_ne!(another, leader);
    }
}

/// A refusal by a voter in `term`.
const fn no(term: u64, asked: u64) -> VoteReply {
    VoteReply { term: Term(term), asked: Term(asked), granted: false }
}

/// Whether nothing that was sent is a leader's.
fn leads_not(sent: &Sent) -> bool {
    sent.append_to(ONE).is_none() && sent.append_to(THREE).is_none()
}
