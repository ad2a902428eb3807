//! How the members change (thesis chapter 4; PITFALLS 8 to 10 and 20): one change at a time, what is
//! refused changes nothing, and who goes is told.

use coracle::message::{Admin, Want};
use coracle::{
    Address, Change, ChangeError, EntryKind, Incarnation, Index, Member, MemberId, NodeId, Part,
    RoleName, Ticks,
};

use crate::harness::desk::{Desk, Told};
use crate::harness::{
    Bench, DATAGRAM_BYTES, ELECTION_MAX, ELECTION_MIN, FIVE, FOUR, HEARTBEAT, MEMBERS, ONE, Run,
    Small, THREE, TWO, append, at, configuration, entries, heartbeat, matched, member, mismatch,
    pre_vote, vote,
};

/// Thesis 4.3: the joint configuration first, then the new one; the change is done when that is
/// committed.
pub fn a_change_of_voters_goes_through_a_joint_configuration() {
    let mut bench = Bench::leader(&[1]);
    let entry = bench.raft.change(&[Change::Remove(THREE)]).expect("a leader changes its members");
    assert_eq!(parts(&bench), [(1, Part::Voter), (2, Part::Voter), (3, Part::Outgoing)]);
    assert_eq!(bench.raft.change_is_done(entry), Some(false));
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    let sent = bench.drive();
    assert_eq!(parts(&bench), [(1, Part::Voter), (2, Part::Voter)]);
    assert_eq!(bench.raft.change_is_done(entry), Some(false));
    bench.accepts(&sent, ONE);
    bench.drive();
    assert_eq!(bench.raft.change_is_done(entry), Some(true));
    assert_eq!(bench.raft.counters().changes, 1);
}

/// A change that leaves the voters as they are is one entry.
pub fn a_change_of_learners_needs_no_joint_configuration() {
    let mut bench = Bench::leader(&[1]);
    let entry = bench.raft.change(&[add(FOUR, false)]).expect("there is room");
    assert!(!bench.raft.configuration().is_joint() && bench.raft.is_changing());
    commit(&mut bench);
    assert_eq!(bench.raft.change_is_done(entry), Some(true));
    assert_eq!(bench.raft.configuration().members.len(), 4);
}

/// Thesis 4.3: "any set of changes at once".
pub fn all_voters_may_change_at_once() {
    let mut bench = learners_at_hand();
    let changes =
        [Change::Promote(FOUR), Change::Promote(FIVE), Change::Remove(ONE), Change::Demote(THREE)];
    bench.raft.change(&changes).expect("a leader changes its members");
    for _entry in 0..2 {
        commit_by(&mut bench, &[ONE, THREE, FOUR, FIVE]);
    }
    let after = [(2, Part::Voter), (3, Part::Learner), (4, Part::Voter), (5, Part::Voter)];
    assert_eq!(parts(&bench), after);
    assert!(!bench.raft.is_changing());
}

/// Thesis 4.2.1: who is to vote is caught up first, and is promoted when it has the log.
pub fn a_recruit_is_promoted_when_it_has_the_log() {
    let mut bench = Bench::leader(&[1]);
    bench.raft.change(&[add(FOUR, true)]).expect("there is room");
    commit(&mut bench);
    for _beat in 0..5 {
        let sent = bench.beats();
        bench.accepts(&sent, ONE);
        bench.accepts(&sent, THREE);
        bench.drive();
        assert_eq!(parts(&bench)[3], (4, Part::Recruit), "it has said nothing");
    }
    let sent = bench.beats();
    let echo = sent.append_number_to(FOUR).expect("a heartbeat");
    let last = bench.raft.last().index.0;
    bench.accepts(&sent, ONE);
    bench.hears(FOUR, matched(2, echo, last));
    let sent = bench.beats();
    assert_eq!(parts(&bench)[3], (4, Part::Incoming));
    bench.accepts(&sent, ONE);
    bench.accepts(&sent, FOUR);
    bench.drive();
    assert_eq!(parts(&bench)[3], (4, Part::Voter));
}

/// A recruit whose log lacks more than may be on its way is not promoted yet.
pub fn a_recruit_that_lags_is_not_promoted() {
    let mut bench = Bench::leader(&[1]);
    bench.raft.change(&[add(FOUR, true)]).expect("there is room");
    commit(&mut bench);
    let sent = bench.beats();
    let echo = sent.append_number_to(FOUR).expect("a heartbeat");
    bench.hears(FOUR, matched(2, echo, 1));
    for _command in 0..6 {
        bench.propose(&[7; 30]);
        let sent = bench.drive();
        bench.accepts(&sent, ONE);
    }
    for _beat in 0..2 {
        let sent = bench.beats();
        bench.accepts(&sent, ONE);
        bench.hears(FOUR, matched(2, echo, 1));
        assert_eq!(parts(&bench)[3], (4, Part::Recruit));
    }
}

/// Section 6; PITFALLS, invariant 10: "at most one configuration change under way as its leader sees
/// it".
pub fn one_change_at_a_time() {
    let mut bench = Bench::leader(&[1]);
    bench.raft.change(&[Change::Demote(THREE)]).expect("a leader changes its members");
    for _entry in 0..2 {
        is_refused(&mut bench, &[Change::Remove(ONE)], ChangeError::InProgress);
        commit(&mut bench);
    }
    bench.raft.change(&[Change::Remove(THREE)]).expect("the first one is done");
}

/// What cannot be done is refused with the reason, and nothing has changed.
pub fn a_change_that_cannot_be_is_refused() {
    let mut bench = Bench::leader(&[1]);
    let nobody = MemberId { id: FOUR, incarnation: Incarnation(0) };
    let refusals: [(&[Change], ChangeError); 10] = [
        (&[], ChangeError::NothingToDo),
        (&[Change::Remove(FOUR)], ChangeError::UnknownMember),
        (&[Change::Promote(FOUR)], ChangeError::UnknownMember),
        (&[Change::Demote(FOUR)], ChangeError::UnknownMember),
        (&[Change::Promote(ONE)], ChangeError::NothingToDo),
        (&[add(ONE, true)], ChangeError::AlreadyMember),
        (&[add(ONE, false)], ChangeError::AlreadyMember),
        (&[added(nobody, DATAGRAM_BYTES, false)], ChangeError::UnknownMember),
        (
            &[added(member(FOUR), DATAGRAM_BYTES - 1, false)],
            ChangeError::DatagramTooSmall { least: DATAGRAM_BYTES },
        ),
        (
            &[Change::Remove(ONE), Change::Demote(TWO), Change::Remove(THREE)],
            ChangeError::LastVoter,
        ),
    ];
    for (changes, error) in refusals {
        is_refused(&mut bench, changes, error);
    }
    assert_eq!(bench.raft.counters().changes, 0);
    // The smallest datagram of a member is enough.
    bench.raft.change(&[added(member(FOUR), DATAGRAM_BYTES, false)]).expect("it is large enough");
}

/// The last voter stays, whatever happens to it.
pub fn the_last_voter_stays() {
    let mut bench = Bench::of_one(&[1]);
    bench.pass_unseen(Ticks(ELECTION_MAX.0 + 1));
    assert_eq!(bench.raft.role(), RoleName::Leader);
    is_refused(&mut bench, &[Change::Remove(TWO)], ChangeError::LastVoter);
    is_refused(&mut bench, &[Change::Demote(TWO)], ChangeError::LastVoter);
}

/// PITFALLS 20: "members full", at the border.
pub fn members_beyond_the_capacity_are_refused() {
    let mut bench = Bench::leader(&[1]);
    for id in 4..=5 {
        bench.raft.change(&[add(NodeId(id), false)]).expect("there is room for five");
        commit(&mut bench);
    }
    assert_eq!(bench.raft.configuration().members.len(), MEMBERS);
    let full = ChangeError::TooManyMembers { capacity: 5 };
    is_refused(&mut bench, &[add(NodeId(6), false)], full);
    // One that goes makes room, in one change too.
    let changes = [Change::Remove(FIVE), add(NodeId(6), false)];
    bench.raft.change(&changes).expect("there is room again");
}

/// Only a leader changes members, and only when it knows what is committed (section 8).
pub fn only_a_ready_leader_changes_members() {
    let mut follower = Bench::follower(&[1]);
    follower.answers(ONE, heartbeat(1, at(1, 1), 1));
    is_refused(&mut follower, &[Change::Remove(THREE)], ChangeError::NotLeader(Some(ONE)));
    let (mut leader, sent) = Bench::new_leader(&[1]);
    is_refused(&mut leader, &[Change::Remove(THREE)], ChangeError::NotReady);
    leader.accepts(&sent, ONE);
    leader.drive();
    leader.raft.change(&[Change::Remove(THREE)]).expect("it knows what is committed");
}

/// Thesis 4.2.2: "a leader that is removed from the configuration steps down once the C_new entry is
/// committed", counts without itself until then, and hands over first (PITFALLS 10).
pub fn a_removed_leader_commits_hands_over_and_steps_down() {
    let mut bench = Bench::leader(&[1]);
    let entry = bench.raft.change(&[Change::Remove(TWO)]).expect("a leader changes its members");
    let sent = bench.drive();
    bench.accepts(&sent, ONE);
    bench.drive();
    assert!(bench.raft.commit() < entry.index, "itself counts in the old half only");
    bench.accepts(&sent, THREE);
    let sent = bench.drive();
    assert_eq!(parts(&bench), [(1, Part::Voter), (3, Part::Voter)]);
    bench.accepts(&sent, ONE);
    bench.drive();
    assert_eq!(bench.raft.commit(), entry.index, "itself counts no more");
    assert!(bench.raft.propose(b"late").is_ok(), "it leads until the change is committed");
    bench.accepts(&sent, THREE);
    assert_eq!(bench.raft.change_is_done(entry), Some(true));
    assert!(bench.raft.propose(b"later").is_err());
    // Whoever has all is told to stand.
    let mut is_told = false;
    for _exchange in 0..4 {
        let sent = if is_told { break } else { bench.beats() };
        is_told |= sent.timeout_now_to(ONE).is_some() || sent.timeout_now_to(THREE).is_some();
        bench.may_accept(&sent, ONE);
        bench.may_accept(&sent, THREE);
    }
    assert!(is_told, "nobody is told to stand");
    bench.pass_unseen(Ticks(2 * ELECTION_MIN.0));
    assert_eq!(bench.raft.role(), RoleName::Follower, "it steps down, heard or not");
    assert!(bench.raft.is_removed());
    for _beat in 0..3 * ELECTION_MAX.0 / HEARTBEAT.0 {
        assert!(bench.beats().is_empty(), "it disturbs nobody");
    }
}

/// PITFALLS 10: who is removed is told so, for a while.
pub fn a_removed_voter_is_told() {
    let mut bench = Bench::leader(&[1]);
    bench.raft.change(&[Change::Remove(THREE)]).expect("a leader changes its members");
    is_told(&mut bench);
}

/// The same of a learner, which would wait for a leader for ever.
pub fn a_removed_learner_is_told() {
    let mut bench = Bench::leader(&[1]);
    bench.raft.change(&[Change::Demote(THREE)]).expect("a leader changes its members");
    commit(&mut bench);
    commit(&mut bench);
    bench.raft.change(&[Change::Remove(THREE)]).expect("the first one is done");
    is_told(&mut bench);
}

/// A member that is removed while it is down is told nothing for ever, and the leader has nothing to
/// do about it: it sleeps from heartbeat to heartbeat.
pub fn a_leader_forgets_who_was_removed_while_it_was_down() {
    let mut bench = Bench::leader(&[1]);
    bench.pass(Ticks(3));
    bench.propose(b"lost");
    bench.raft.change(&[Change::Remove(THREE)]).expect("a leader changes its members");
    for _beat in 0..4 * ELECTION_MAX.0 / HEARTBEAT.0 {
        let sent = bench.beats();
        bench.accepts(&sent, ONE);
        let sent = bench.drive();
        bench.accepts(&sent, ONE);
        bench.drive();
    }
    for _beat in 0..3 {
        let sent = bench.beats();
        assert!(sent.has_to(ONE) && !sent.has_to(THREE), "it is let go");
        bench.accepts(&sent, ONE);
        bench.drive();
        let due = bench.raft.next_timeout().expect("a heartbeat is due");
        assert!(due > Ticks(0) && due <= HEARTBEAT, "something is always due");
    }
    // Nor does it stir when that member is back, or when the log is compacted.
    let before = bench.sent_count;
    bench.may_hear(THREE, mismatch(2, 1, at(1, 1)));
    bench.may_hear(THREE, matched(2, 1, 1));
    bench.drive();
    bench.compact();
    bench.drive();
    assert_eq!(bench.sent_count, before);
    assert!(!bench.raft.wants_snapshot() && !bench.raft.is_sending_snapshot());
    let due = bench.raft.next_timeout().expect("a heartbeat is due");
    assert!(due > Ticks(0), "something is always due");
}

/// PITFALLS 10: "a removed or partitioned-and-removed node disturbs nobody".
pub fn a_removed_node_disturbs_nobody() {
    // It knows: it asks nobody.
    let mut bench = Bench::follower(&[1, 1]);
    let mut run = Run::new();
    run.push(1, EntryKind::Configuration, &configuration(&[voter(1), voter(3), voter(4)]));
    bench.answers(ONE, append(1, at(1, 2), 3, run.bytes()));
    assert!(bench.raft.is_removed());
    for _beat in 0..3 * ELECTION_MAX.0 / HEARTBEAT.0 {
        assert!(bench.beats().is_empty());
    }
    // It does not know: those who hear a leader refuse it, and keep their term.
    let mut bench = Bench::follower(&[1, 1]);
    bench.answers(ONE, append(1, at(1, 2), 3, run.bytes()));
    let epoch = bench.epoch;
    for term in [2, 9] {
        bench.answers(ONE, heartbeat(1, at(1, 3), 3));
        let removed = MemberId { id: FIVE, incarnation: Incarnation(5) };
        bench.hears_from(removed, epoch, pre_vote(term, at(1, 9)));
        assert_eq!(bench.drive().pre_verdict_to(FIVE), Some(false));
        bench.hears_from(removed, epoch, vote(term, at(1, 9)));
        assert_eq!(bench.drive().verdict_to(FIVE), Some(false));
        assert_eq!(bench.raft.term().0, 1);
    }
}

/// All of Raft: another life of a voter takes its place in one change, when it has the log; until
/// then the old one counts.
pub fn another_life_of_a_voter_takes_its_place() {
    let mut bench = Bench::leader(&[1]);
    let newer = MemberId { id: THREE, incarnation: Incarnation(0xffff) };
    bench.raft.change(&[added(newer, DATAGRAM_BYTES, true)]).expect("a leader changes its members");
    commit(&mut bench);
    assert_eq!(parts(&bench)[2..], [(3, Part::Voter), (3, Part::Recruit)]);
    let epoch = bench.epoch;
    let last = bench.raft.last().index.0;
    let sent = bench.beats();
    assert_eq!(sent.appends_to(THREE).count(), 2, "a heartbeat for each");
    bench.accepts(&sent, ONE);
    assert!(bench.hears_from(newer, epoch, matched(2, 1, last)));
    bench.beats();
    assert_eq!(parts(&bench)[2..], [(3, Part::Outgoing), (3, Part::Incoming)]);
    let last = bench.raft.last().index.0;
    let sent = bench.beats();
    bench.accepts(&sent, ONE);
    assert!(bench.hears_from(newer, epoch, matched(2, 2, last)));
    commit(&mut bench);
    assert_eq!(parts(&bench)[2..], [(3, Part::Voter)]);
    assert!(bench.raft.configuration().find(newer).is_some());
}

/// What is said of an id with two lives is said of the one that votes.
pub fn a_voter_is_meant_rather_than_its_successor() {
    for incarnation in [1, 0xffff] {
        let newer = MemberId { id: THREE, incarnation: Incarnation(incarnation) };
        let mut bench = Bench::leader(&[1]);
        bench.raft.change(&[added(newer, DATAGRAM_BYTES, true)]).expect("there is room");
        commit(&mut bench);
        assert_eq!(bench.raft.transfer(Some(THREE)), Ok(THREE));
        let mut bench = Bench::leader(&[1]);
        bench.raft.change(&[added(newer, DATAGRAM_BYTES, true)]).expect("there is room");
        commit(&mut bench);
        bench.raft.change(&[Change::Demote(THREE)]).expect("it has a vote");
        let old = bench.raft.configuration().find(member(THREE)).map(|member| member.part);
        assert_eq!(old, Some(Part::Demoted));
    }
}

/// Formation: "a cluster that stores nothing keeps the voters' ids": learners may join it, and a new
/// life of a voter takes its place.
pub fn a_cluster_that_stores_nothing_keeps_its_voters() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let leader = desk.leader().expect("it has formed");
    let node = &mut desk.nodes[leader];
    let last = node.raft().last();
    for change in [
        add(FOUR, true),
        Change::Remove(THREE),
        Change::Promote(THREE),
        Change::Demote(THREE),
        add(THREE, false),
    ] {
        assert_eq!(node.change(change), Err(ChangeError::FixedVoters), "{change:?}");
    }
    assert_eq!(node.raft().last(), last);
    assert_eq!(node.change(add(FOUR, false)).map(|entry| entry.index), Ok(last.index.next()));
    desk.run();
    let node = &mut desk.nodes[leader];
    assert!(node.change(add(THREE, true)).is_ok(), "another life of a voter");
}

/// An operator's change is answered when it is done, with the configuration's version.
pub fn an_operator_is_told_when_a_change_is_done() {
    let mut desk = Desk::<3>::new();
    desk.form();
    let leader = desk.leader().expect("it has formed");
    let change = Admin::Change(add(FOUR, false));
    desk.ask(leader, 1, Want::Admin(change));
    let Some(Told::Changed(version)) = desk.told() else { panic!("it is done") };
    desk.ask_padded(leader, 1, Want::Admin(Admin::Members), 120);
    assert_eq!(desk.told(), Some(Told::Members(version, true, 4)));
    desk.ask(leader, 1, Want::Admin(change));
    assert_eq!(desk.told(), Some(Told::NotChanged(ChangeError::AlreadyMember)));
    let change = Admin::Change(add(FIVE, true));
    desk.ask(leader, 1, Want::Admin(change));
    assert_eq!(desk.told(), Some(Told::NotChanged(ChangeError::FixedVoters)));
    // Whoever does not lead says who does.
    let other = (leader + 1) % 3;
    desk.ask(other, 1, Want::Admin(change));
    assert!(matches!(desk.told(), Some(Told::NotLeader(_) | Told::NotChanged(_))));
}

fn of(id: u32, part: Part) -> Member {
    Member { part, ..Member::voter(member(NodeId(id)), DATAGRAM_BYTES) }
}

fn voter(id: u32) -> Member {
    of(id, Part::Voter)
}

fn added(member: MemberId, datagram: u16, is_voter: bool) -> Change {
    Change::Add { member, datagram, address: Address::EMPTY, is_voter }
}

fn add(id: NodeId, is_voter: bool) -> Change {
    added(member(id), DATAGRAM_BYTES, is_voter)
}

fn parts(bench: &Bench) -> heapless::Vec<(u32, Part), MEMBERS> {
    let members = bench.raft.configuration().members.iter();
    members.map(|member| (member.member.id.0, member.part)).collect()
}

/// Nothing has changed.
fn is_refused(bench: &mut Bench, changes: &[Change], error: ChangeError) {
    let before =
        (bench.raft.last(), bench.raft.configuration().clone(), bench.raft.counters().changes);
    assert_eq!(bench.raft.change(changes), Err(error), "{changes:?}");
    let after =
        (bench.raft.last(), bench.raft.configuration().clone(), bench.raft.counters().changes);
    assert_eq!(before, after);
}

/// Nodes 1 and 3 acknowledge what they are sent.
fn commit(bench: &mut Bench) {
    commit_by(bench, &[ONE, THREE]);
}

fn commit_by(bench: &mut Bench, peers: &[NodeId]) {
    let sent = bench.drive();
    peers.iter().for_each(|peer| bench.may_accept(&sent, *peer));
}

/// Node 2 leads the voters 1 to 3 and the learners 4 and 5, which have the log.
fn learners_at_hand() -> Bench {
    let members = [voter(1), voter(2), voter(3), of(4, Part::Learner), of(5, Part::Learner)];
    let members = heapless::Vec::from_slice(&members).expect("a few members");
    let mut bench = Bench::stored(Small::fresh(), members, 1, None, &[1]);
    bench.lead();
    bench
}

/// The change under way removes node 3, which hears of it and of its commit, and then of nothing.
fn is_told(bench: &mut Bench) {
    let (mut is_named, mut commit) = (false, Index::ZERO);
    for _beat in 0..6 {
        let sent = bench.beats();
        for (_, append) in sent.appends_to(THREE) {
            commit = commit.max(append.commit);
            is_named |= entries(append.run).any(|(_, kind, data, _)| {
                let members = coracle::Members::parse(data).map(coracle::Members::count);
                kind == EntryKind::Configuration && members == Some(2)
            });
        }
        bench.accepts(&sent, ONE);
        bench.may_accept(&sent, THREE);
    }
    assert_eq!(parts(bench), [(1, Part::Voter), (2, Part::Voter)]);
    assert!(is_named, "it does not hear that it is removed");
    assert!(commit >= bench.raft.configuration().index, "it does not hear that this is committed");
    for _beat in 0..4 * ELECTION_MAX.0 / HEARTBEAT.0 {
        let sent = bench.beats();
        bench.accepts(&sent, ONE);
    }
    assert!(!bench.beats().has_to(THREE), "it is told for ever");
}
