//! Leadership that is handed over (thesis 3.10; PITFALLS 13), and who leads rather.

use coracle::message::{Admin, Want};
use coracle::{ProposeError, RoleName, Term, Ticks, TransferError};

use crate::harness::desk::{Desk, Told};
use crate::harness::{
    Bench, ELECTION_MAX, ELECTION_MIN, FOUR, HEARTBEAT, ONE, Persisting, Small, THREE, TWO, at,
    granted, handover_vote, heartbeat, options, timeout_now, vote, voters,
};

/// PITFALLS 13: "check the target's reachability and log first"; what is refused changes nothing.
pub fn a_target_is_checked_first() {
    let mut bench = Bench::leader(&[1]);
    let is_refused = |bench: &mut Bench, to, error| {
        assert_eq!(bench.raft.transfer(to), Err(error));
        assert!(bench.raft.propose(b"").is_ok(), "it serves as before");
    };
    is_refused(&mut bench, Some(TWO), TransferError::UnknownMember);
    is_refused(&mut bench, Some(FOUR), TransferError::UnknownMember);
    // Node 3 is silent for the shortest election timeout, to the tick.
    for _tick in 0..ELECTION_MIN.0 {
        assert_eq!(bench.clone().raft.transfer(Some(THREE)), Ok(THREE));
        let sent = bench.pass(Ticks(1));
        bench.accepts(&sent, ONE);
        bench.drive();
    }
    is_refused(&mut bench, Some(THREE), TransferError::Unreachable);
    assert_eq!(bench.raft.transfer(None), Ok(ONE), "whoever is there");
    assert_eq!(bench.raft.transfer(Some(ONE)), Err(TransferError::InProgress));
    let mut follower = Bench::follower(&[1]);
    follower.answers(ONE, heartbeat(1, at(1, 1), 1));
    assert_eq!(follower.raft.transfer(Some(THREE)), Err(TransferError::NotLeader(Some(ONE))));
    let mut alone = Bench::of_one(&[1]);
    alone.pass_unseen(Ticks(ELECTION_MAX.0 + 1));
    assert_eq!(alone.raft.transfer(None), Err(TransferError::Unreachable));
}

/// Thesis 3.10: the target gets the whole log before it is told to stand.
pub fn a_target_has_the_whole_log_before_it_is_told() {
    let mut bench = Bench::leader(&[1]);
    bench.propose(b"last");
    assert_eq!(bench.raft.transfer(Some(THREE)), Ok(THREE));
    let sent = bench.drive();
    assert!(sent.timeout_now_to(THREE).is_none(), "it lacks an entry");
    bench.accepts(&sent, THREE);
    let sent = bench.drive();
    assert_eq!(sent.timeout_now_to(THREE).map(|order| order.term), Some(Term(2)));
    assert!(sent.timeout_now_to(ONE).is_none());
}

/// Thesis 3.10: "the prior leader stops accepting new client requests", and PITFALLS 13: "proposals
/// resume on time-out".
pub fn proposals_are_refused_meanwhile_and_resume_on_time_out() {
    let mut bench = Bench::leader(&[1]);
    assert_eq!(bench.raft.transfer(Some(THREE)), Ok(THREE));
    for _tick in 0..ELECTION_MIN.0 {
        assert_eq!(bench.raft.propose(b"x"), Err(ProposeError::NotReady));
        let sent = bench.pass(Ticks(1));
        bench.accepts(&sent, ONE);
        bench.drive();
    }
    assert_eq!(bench.raft.role(), RoleName::Leader);
    assert!(bench.raft.propose(b"x").is_ok());
    assert_eq!(bench.raft.counters().transfers_failed, 1);
}

/// Loss is normal: the order is repeated with the heartbeats.
pub fn an_order_to_stand_is_repeated() {
    let mut bench = Bench::leader(&[1]);
    assert_eq!(bench.raft.transfer(Some(THREE)), Ok(THREE));
    assert!(bench.drive().timeout_now_to(THREE).is_some());
    assert!(bench.beats().timeout_now_to(THREE).is_some());
}

/// Thesis 3.10: the target "starts an election immediately", without a pre-vote, and says why.
pub fn who_is_told_stands_at_once() {
    let mut bench = Bench::follower(&[1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 2), 2));
    let sent = bench.answers(ONE, timeout_now(1));
    for peer in [ONE, THREE] {
        let request = sent.vote_to(peer).expect("it asks for votes");
        assert!(request.is_handover);
        assert_eq!(request.term, Term(2));
    }
    // Its own vote is durable first, like any other.
    let mut bench = Bench::follower(&[1, 1]);
    bench.persisting = Persisting::Never;
    bench.hears(ONE, timeout_now(1));
    assert!(bench.drive().is_empty());
}

/// PITFALLS 13: a late order is none: the leader has led on, or its term is over.
pub fn a_late_order_to_stand_is_ignored() {
    let mut bench = Bench::follower(&[1, 1]);
    let number = bench.next_number(ONE);
    bench.answers(ONE, heartbeat(1, at(1, 2), 2));
    assert!(bench.hears_number(ONE, number, timeout_now(1)));
    assert!(bench.drive().is_empty());
    assert_eq!((bench.raft.role(), bench.raft.counters().stale), (RoleName::Follower, 1));
    bench.answers(THREE, heartbeat(2, at(1, 2), 2));
    bench.answers(ONE, timeout_now(1));
    assert_eq!((bench.raft.term(), bench.raft.leader()), (Term(2), Some(THREE)));
    // Nor does one count twice.
    let mut bench = Bench::follower(&[1, 1]);
    bench.answers(ONE, timeout_now(1));
    bench.may_hear(ONE, timeout_now(1));
    bench.drive();
    assert_eq!(bench.raft.term(), Term(2));
}

/// PITFALLS 13; section 4.2.3 of the dissertation: who hears a leader refuses votes, unless the
/// leader itself wanted the election.
pub fn stickiness_does_not_refuse_who_was_told_to_stand() {
    let mut bench = Bench::follower(&[1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 2), 2));
    assert_eq!(bench.answers(THREE, vote(2, at(1, 2))).verdict_to(THREE), Some(false));
    assert_eq!(bench.answers(THREE, handover_vote(2, at(1, 2))).verdict_to(THREE), Some(true));
    // The log counts all the same (section 5.4.1), and so does the vote that was given.
    let mut bench = Bench::follower(&[1, 1]);
    bench.answers(ONE, heartbeat(1, at(1, 2), 2));
    assert_eq!(bench.answers(THREE, handover_vote(2, at(1, 1))).verdict_to(THREE), Some(false));
    // The old leader votes too.
    let mut leader = Bench::leader(&[1]);
    let last = leader.raft.last();
    assert_eq!(leader.answers(THREE, handover_vote(3, last)).verdict_to(THREE), Some(true));
    assert_eq!(leader.raft.role(), RoleName::Follower);
}

/// Commands are neither lost nor doubled, and service resumes under whoever was asked for.
pub fn a_transfer_loses_and_doubles_no_command() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let session = desk.open(1);
    let mut sum = 0;
    for round in 1..=6 {
        let before = desk.leader().expect("somebody leads");
        let to = (before + 1) % 3;
        sum += 1;
        assert!(
            matches!(desk.commands(1, session, round, 1), Some(Told::Applied(_, told)) if told == sum)
        );
        let id = desk.nodes[to].raft().member().id;
        desk.ask(before, 2, Want::Admin(Admin::Transfer(Some(id))));
        assert_eq!(desk.told(), Some(Told::Transferring(id)));
        desk.run();
        assert_eq!(desk.leader(), Some(to), "within a few round trips");
        // The last command again, at the new leader: it is told what it did.
        assert!(
            matches!(desk.commands(1, session, round, 1), Some(Told::Applied(_, told)) if told == sum)
        );
        desk.pass(HEARTBEAT);
    }
    assert!((0..3).all(|place| desk.sum(place) == sum));
}

/// A target that has gone fails nobody: the leader serves on.
pub fn a_transfer_to_who_is_gone_is_over_soon() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let session = desk.open(1);
    let leader = desk.leader().expect("somebody leads");
    let to = (leader + 1) % 3;
    desk.is_down[to] = true;
    let id = desk.nodes[to].raft().member().id;
    desk.ask(leader, 2, Want::Admin(Admin::Transfer(Some(id))));
    assert_eq!(desk.told(), Some(Told::Transferring(id)));
    assert_eq!(desk.commands(1, session, 1, 5), Some(Told::Busy));
    desk.pass(ELECTION_MIN);
    assert_eq!(desk.leader(), Some(leader));
    assert!(matches!(desk.commands(1, session, 1, 5), Some(Told::Applied(_, 5))));
}

/// Priorities bias elections: who has less waits longer, by one more shortest timeout at most.
pub fn a_lower_priority_waits_longer_and_not_for_ever() {
    let wait = |priority: u8| {
        let mut options = options(TWO);
        options.priority = priority;
        options.timing.election_max = options.timing.election_min;
        let mut bench = Bench::tuned(&options, Small::fresh(), voters(3), (1, None), &[1]);
        bench.answers(ONE, heartbeat(1, at(1, 1), 1));
        for tick in 1..=3 * ELECTION_MIN.0 {
            if bench.pass(Ticks(1)).pre_vote_to(ONE).is_some() {
                return tick;
            }
        }
        panic!("a node of priority {priority} never campaigns");
    };
    // The timeout that a process begins with was drawn under the same options.
    assert_eq!([255, 100, 50, 0].map(wait), [30, 30, 45, 60]);
}

/// Nothing else depends on them: a node of the lowest priority votes, is elected and leads.
pub fn the_lowest_priority_leads_when_nobody_else_does() {
    let mut options = options(TWO);
    options.priority = 0;
    let mut bench = Bench::tuned(&options, Small::fresh(), voters(3), (1, None), &[1]);
    let mut waited = 0;
    while bench.raft.role() == RoleName::Follower {
        bench.pass_unseen(Ticks(1));
        waited += 1;
        assert!(waited <= ELECTION_MAX.0 + ELECTION_MIN.0, "it waits too long");
    }
    bench.win_pre_vote();
    bench.answers(ONE, granted(2));
    assert_eq!(bench.raft.role(), RoleName::Leader);
}
