//! Who counts for what (thesis 4.1 to 4.3; PITFALLS 7 to 10): voters, learners, and the two halves of
//! a joint configuration.

use coracle::message::Message;
use coracle::{
    Change, EntryKind, Epoch, Incarnation, Index, Member, MemberId, NodeId, Part, RoleName, Term,
    Ticks,
};

use crate::harness::{
    Bench, DATAGRAM_BYTES, ELECTION_MAX, ELECTION_MIN, FIVE, FOUR, HEARTBEAT, MEMBERS, ONE, Run,
    Sent, Small, THREE, TWO, append, at, configuration, entries, granted, handover_vote, heartbeat,
    matched, member, pre_granted, pre_vote, timeout_now, vote, voters,
};

/// Thesis 6.4: a late answer proves nothing, so the numbers of a process go on when a life is named
/// that was named before, with another one in between.
pub fn the_numbers_of_a_process_never_begin_anew() {
    let mut bench = Bench::follower(&[1]);
    (0..4).for_each(|_| _ = bench.pass(ELECTION_MAX));
    let before = number_to_three(&bench.pass(ELECTION_MAX));
    assert!(before > 4);
    let named = |incarnation| {
        let mut members = voters(3);
        members[2].member.incarnation = incarnation;
        configuration(&members)
    };
    for (last, life) in [(at(1, 1), Incarnation(77)), (at(2, 2), member(THREE).incarnation)] {
        let mut run = Run::new();
        run.push(2, EntryKind::Configuration, &named(life));
        bench.answers(ONE, append(2, last, 1, run.bytes()));
    }
    assert!(bench.raft.configuration().find(member(THREE)).is_some());
    (0..2).for_each(|_| _ = bench.pass(ELECTION_MAX));
    assert!(number_to_three(&bench.pass(ELECTION_MAX)) > before);
}

fn number_to_three(sent: &Sent) -> u64 {
    sent.messages_to(THREE).map(|(number, _)| number).max().expect("it asks for a pre-vote")
}

/// Thesis 4.3: "agreement (for elections and entry commitment) requires separate majorities from both
/// the old and new configurations", here for a pre-vote and an election.
pub fn an_election_in_a_joint_configuration_needs_both_majorities() {
    for (half, other) in [([ONE, THREE], FOUR), ([FOUR, FIVE], ONE)] {
        let mut bench = joint();
        let sent = bench.campaign();
        assert!(bench.peers().iter().all(|peer| sent.pre_vote_to(*peer).is_some()));
        half.iter().for_each(|from| _ = bench.hears(*from, pre_granted(1)));
        bench.drive();
        assert_eq!(bench.raft.role(), RoleName::PreCandidate, "one half is enough");
        let sent = bench.answers(other, pre_granted(1));
        assert!(bench.peers().iter().all(|peer| sent.vote_to(*peer).is_some()));
        half.iter().for_each(|from| _ = bench.hears(*from, granted(2)));
        bench.drive();
        assert_eq!(bench.raft.role(), RoleName::Candidate, "one half is enough");
        bench.answers(other, granted(2));
        assert_eq!(bench.raft.role(), RoleName::Leader);
    }
}

/// The same for the commit; and "leaves the joint configuration by itself" (PITFALLS 8), also under a
/// leader that did not begin the change.
pub fn a_commit_in_a_joint_configuration_needs_both_majorities() {
    for (half, other) in [([ONE, THREE], FOUR), ([FOUR, FIVE], ONE)] {
        let mut bench = joint();
        let sent = bench.get_elected();
        half.iter().for_each(|from| bench.accepts(&sent, *from));
        bench.drive();
        assert_eq!(bench.raft.commit(), Index(0), "one half is enough");
        bench.accepts(&sent, other);
        let sent = bench.drive();
        assert_eq!(bench.raft.commit(), Index(2));
        // The new configuration alone, which counts from now on.
        assert_eq!(names(&sent, FOUR), [(2, Part::Voter), (4, Part::Voter), (5, Part::Voter)]);
        bench.accepts(&sent, ONE);
        bench.accepts(&sent, THREE);
        bench.drive();
        assert_eq!(bench.raft.commit(), Index(2), "the old half counts still");
        bench.accepts(&sent, FOUR);
        bench.drive();
        assert_eq!(bench.raft.commit(), Index(3));
        assert!(!bench.raft.is_changing());
    }
}

/// The same for reads (thesis 6.4).
pub fn a_read_in_a_joint_configuration_needs_both_majorities() {
    for (half, other) in [([ONE, THREE], FOUR), ([FOUR, FIVE], ONE)] {
        let mut bench = changing();
        let read = bench.raft.read().expect("it leads");
        let sent = bench.drive();
        half.iter().for_each(|from| answer_beat(&mut bench, &sent, *from));
        bench.drive();
        assert_eq!(bench.read_end(read), None, "one half is enough");
        answer_beat(&mut bench, &sent, other);
        bench.drive();
        assert_eq!(bench.read_end(read), Some(true));
    }
}

/// The same for the leader's look at its quorum (thesis 6.2).
pub fn a_leader_of_a_joint_configuration_needs_both_majorities() {
    let stays = |who: &[NodeId]| {
        let mut bench = changing();
        for _tick in 0..3 * ELECTION_MIN.0 {
            let sent = bench.pass(Ticks(1));
            for from in who {
                answer_beat(&mut bench, &sent, *from);
            }
            bench.drive();
        }
        bench.raft.role() == RoleName::Leader
    };
    assert!(!stays(&[ONE, THREE]));
    assert!(!stays(&[FOUR, FIVE]));
    assert!(stays(&[ONE, FOUR]), "one of each half, and itself");
}

/// PITFALLS 7: "configuration is always derived from the log that is there: two configuration entries
/// not known to be committed may be rolled back at once".
pub fn two_configurations_are_rolled_back_at_once() {
    let mut bench = Bench::follower(&[1]);
    let mut run = Run::new();
    run.push(1, EntryKind::Configuration, &configuration(&joint_members()));
    let after: heapless::Vec<Member, MEMBERS> = [2, 4, 5].into_iter().map(voter).collect();
    run.push(1, EntryKind::Configuration, &configuration(&after));
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    assert_eq!(bench.raft.configuration().index, Index(3));
    let other = bench.run(2, &[2]);
    bench.answers(THREE, append(2, at(1, 1), 0, other.bytes()));
    let configuration = bench.raft.configuration();
    assert_eq!((configuration.index, configuration.members.len()), (Index(1), 3));
    // It is the old members that are asked now.
    let sent = bench.campaign();
    assert!(sent.pre_vote_to(ONE).is_some() && sent.pre_vote_to(THREE).is_some());
    assert!(sent.pre_vote_to(FOUR).is_none() && sent.pre_vote_to(FIVE).is_none());
}

/// And one of two.
pub fn the_configuration_before_a_truncated_one_counts_again() {
    let mut bench = Bench::follower(&[1]);
    let mut run = Run::new();
    run.push(1, EntryKind::Configuration, &configuration(&joint_members()));
    let after: heapless::Vec<Member, MEMBERS> = [2, 4, 5].into_iter().map(voter).collect();
    run.push(1, EntryKind::Configuration, &configuration(&after));
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    let other = bench.run(3, &[2]);
    bench.answers(FOUR, append(2, at(1, 2), 0, other.bytes()));
    assert_eq!(bench.raft.configuration().index, Index(2));
    assert!(bench.raft.configuration().is_joint() && bench.raft.is_changing());
}

/// Thesis 4.2.1: learners "are not yet counted towards majorities".
pub fn learners_count_for_nothing() {
    let mut bench = with_learners();
    let sent = bench.campaign();
    assert!([THREE, FOUR, FIVE].iter().all(|learner| sent.pre_vote_to(*learner).is_none()));
    [THREE, FOUR, FIVE].iter().for_each(|from| _ = bench.may_hear(*from, pre_granted(1)));
    bench.drive();
    assert_eq!(bench.raft.role(), RoleName::PreCandidate);
    bench.answers(ONE, pre_granted(1));
    [THREE, FOUR, FIVE].iter().for_each(|from| _ = bench.may_hear(*from, granted(2)));
    bench.drive();
    assert_eq!(bench.raft.role(), RoleName::Candidate);
    let sent = bench.answers(ONE, granted(2));
    // They get everything, and their word commits nothing and confirms nothing.
    [THREE, FOUR, FIVE].iter().for_each(|from| bench.accepts(&sent, *from));
    bench.drive();
    assert_eq!(bench.raft.commit(), Index(0));
    bench.accepts(&sent, ONE);
    bench.drive();
    assert_eq!(bench.raft.commit(), Index(2));
    let read = bench.raft.read().expect("it leads");
    let sent = bench.drive();
    [THREE, FOUR, FIVE].iter().for_each(|from| answer_beat(&mut bench, &sent, *from));
    bench.drive();
    assert_eq!(bench.read_end(read), None);
    for _beat in 0..3 * ELECTION_MIN.0 / HEARTBEAT.0 {
        let sent = bench.beats();
        [THREE, FOUR, FIVE].iter().for_each(|from| answer_beat(&mut bench, &sent, *from));
        bench.drive();
    }
    assert_ne!(bench.raft.role(), RoleName::Leader, "learners keep no leader in office");
}

/// PITFALLS 9: "a learner never leads and never campaigns".
pub fn a_learner_never_campaigns() {
    for part in [Part::Learner, Part::Recruit] {
        let mut bench = bench_of(&[voter(1), of(2, part), voter(3)]);
        for _beat in 0..5 * ELECTION_MAX.0 / HEARTBEAT.0 {
            // It may only ask whether it is still known.
            let sent = bench.beats();
            assert!(sent.messages().all(|(_, _, message)| matches!(message, Message::Hello(_))));
        }
        // Not even when its leader says so.
        bench.answers(ONE, heartbeat(1, at(1, 1), 1));
        assert!(bench.reacts(ONE, timeout_now(1)).is_empty());
        assert_eq!((bench.raft.role(), bench.raft.term()), (RoleName::Follower, Term(1)));
    }
}

/// PITFALLS 9: "a promoted learner that has not heard of it yet must still vote"; thesis 4.2.3.
pub fn a_learner_that_does_not_know_of_its_vote_votes() {
    let mut bench = bench_of(&[voter(1), of(2, Part::Learner), voter(3)]);
    assert_eq!(bench.answers(ONE, pre_vote(2, at(1, 2))).pre_verdict_to(ONE), Some(true));
    assert_eq!(bench.answers(ONE, vote(2, at(1, 2))).verdict_to(ONE), Some(true));
    assert_eq!(bench.disk.hard.vote, Some(member(ONE)));
}

/// Thesis 4.1: "a server ... may grant its vote to a candidate that is not part of its configuration".
pub fn a_voter_votes_for_a_candidate_that_it_does_not_know() {
    let mut bench = Bench::follower(&[1, 1]);
    let candidate = MemberId { id: NodeId(9), incarnation: Incarnation(9) };
    let epoch = bench.epoch;
    assert!(bench.hears_from(candidate, epoch, pre_vote(2, at(1, 2))));
    assert_eq!(bench.drive().pre_verdict_to(NodeId(9)), Some(true));
    assert!(bench.hears_from(candidate, epoch, vote(2, at(1, 2))));
    assert_eq!(bench.drive().verdict_to(NodeId(9)), Some(true));
    assert_eq!(bench.disk.hard.vote, Some(candidate));
    // And follows it when it leads.
    let run = bench.run(3, &[2]);
    assert!(bench.hears_from(candidate, epoch, append(2, at(1, 2), 0, run.bytes())));
    assert!(bench.drive().append_reply_to(NodeId(9)).is_some());
    assert_eq!(bench.raft.leader(), Some(NodeId(9)));
}

/// Strangers take the places of strangers, never that of a member.
pub fn no_number_of_strangers_pushes_a_member_out() {
    let mut bench = Bench::follower(&[1, 1]);
    let epoch = bench.epoch;
    for id in 20..60 {
        let stranger = MemberId { id: NodeId(id), incarnation: Incarnation(9) };
        bench.hears_from(stranger, epoch, pre_vote(2, at(1, 2)));
        bench.drive();
    }
    let sent = bench.campaign();
    assert!(sent.pre_vote_to(ONE).is_some() && sent.pre_vote_to(THREE).is_some());
    assert_eq!(sent.count(), 2);
    assert_eq!(bench.answers(ONE, vote(2, at(1, 2))).verdict_to(ONE), Some(true));
}

/// Formation: a blank node waits for those that it was started with, and for nobody else.
pub fn a_stranger_does_not_keep_blank_nodes_from_forming() {
    let mut bench = Bench::blank_coordinator(3);
    bench.drive();
    for id in 20..30 {
        let stranger = MemberId { id: NodeId(id), incarnation: Incarnation(9) };
        bench.hears_from(stranger, Epoch(5), pre_vote(2, at(1, 2)));
        bench.drive();
    }
    let sent = bench.pass(HEARTBEAT);
    assert_eq!(sent.count(), 2, "a hello to each of the others");
    assert!(sent.hello_to(TWO).is_some() && sent.hello_to(THREE).is_some());
}

/// All of Raft: "both incarnations of an id can stand in one joint configuration", and each counts
/// where it stands.
pub fn two_lives_of_one_id_count_each_for_itself() {
    let newer = MemberId { id: THREE, incarnation: Incarnation(0xffff) };
    let members = [
        voter(1),
        voter(2),
        of(3, Part::Outgoing),
        Member { member: newer, ..of(3, Part::Incoming) },
    ];
    for first in [member(THREE), newer] {
        let second = if first == newer { member(THREE) } else { newer };
        let mut bench = bench_of(&members);
        let epoch = bench.epoch;
        let sent = bench.campaign();
        assert_eq!(sent.messages_to(THREE).count(), 2, "both are asked");
        bench.hears_from(first, epoch, pre_granted(1));
        bench.hears_from(first, epoch, pre_granted(1));
        bench.drive();
        assert_eq!(bench.raft.role(), RoleName::PreCandidate);
        bench.hears_from(second, epoch, pre_granted(1));
        bench.drive();
        assert_eq!(bench.raft.role(), RoleName::Candidate);
        bench.hears_from(first, epoch, granted(2));
        bench.drive();
        assert_eq!(bench.raft.role(), RoleName::Candidate);
        bench.hears_from(second, epoch, granted(2));
        let sent = bench.drive();
        assert_eq!(bench.raft.role(), RoleName::Leader);
        assert_eq!(sent.appends_to(THREE).count(), 2);
        for (life, commit) in [(first, 0), (first, 0), (second, 2)] {
            bench.hears_from(life, epoch, matched(2, 3, 2));
            bench.drive();
            assert_eq!(bench.raft.commit(), Index(commit));
        }
    }
}

/// A vote for one life of a candidate is none for the other, though both are members.
pub fn a_vote_for_one_of_two_lives_is_none_for_the_other() {
    let newer = MemberId { id: THREE, incarnation: Incarnation(0xffff) };
    let members = [
        voter(1),
        voter(2),
        of(3, Part::Outgoing),
        Member { member: newer, ..of(3, Part::Incoming) },
    ];
    let mut bench = bench_of(&members);
    let epoch = bench.epoch;
    bench.hears_from(newer, epoch, vote(2, at(1, 1)));
    assert_eq!(bench.drive().verdict_to(THREE), Some(true));
    bench.hears_from(member(THREE), epoch, vote(2, at(1, 1)));
    assert_eq!(bench.drive().verdict_to(THREE), Some(false));
}

/// Members for which a node has no room are members all the same: it follows, and never leads.
pub fn a_node_without_room_for_the_members_never_leads() {
    let mut bench = Bench::follower(&[1]);
    let six: heapless::Vec<Member, 6> = (1..=6).map(voter).collect();
    let mut run = Run::new();
    run.push(1, EntryKind::Configuration, &configuration(&six));
    let sent = bench.answers(ONE, append(1, at(1, 1), 2, run.bytes()));
    assert!(sent.append_reply_to(ONE).is_some());
    assert_eq!((bench.raft.last(), bench.raft.commit()), (at(1, 2), Index(2)));
    for _beat in 0..3 * ELECTION_MAX.0 / HEARTBEAT.0 {
        assert!(bench.beats().is_empty(), "it campaigns without knowing whom to ask");
    }
    assert_eq!(bench.answers(ONE, handover_vote(2, at(1, 2))).verdict_to(ONE), Some(true));
    assert_eq!(bench.violation, None);
}

/// What a node says of the others is by ascending id, whatever the order in which they came.
pub fn the_others_are_told_by_ascending_id() {
    let mut bench = Bench::follower(&[1]);
    let four = Member { member: member(FOUR), ..voter(4) };
    let members = [voter(1), voter(2), voter(3), four];
    let mut run = Run::new();
    run.push(1, EntryKind::Configuration, &configuration(&members));
    bench.answers(ONE, append(1, at(1, 1), 0, run.bytes()));
    let zero = MemberId { id: NodeId(0), incarnation: Incarnation(5) };
    let epoch = bench.epoch;
    bench.hears_from(zero, epoch, pre_vote(2, at(1, 2)));
    let ids: heapless::Vec<u32, 8> = bench.raft.peers().map(|peer| peer.member.id.0).collect();
    assert_eq!(ids, [0, 1, 3, 4]);
}

/// A member with this part.
fn of(id: u32, part: Part) -> Member {
    Member { part, ..Member::voter(member(NodeId(id)), DATAGRAM_BYTES) }
}

fn voter(id: u32) -> Member {
    of(id, Part::Voter)
}

/// The old half has the nodes 1 to 3, the new one 2, 4 and 5.
fn joint_members() -> [Member; 5] {
    [
        of(1, Part::Outgoing),
        voter(2),
        of(3, Part::Outgoing),
        of(4, Part::Incoming),
        of(5, Part::Incoming),
    ]
}

/// Node 2 with these members, in term 1.
fn bench_of(members: &[Member]) -> Bench {
    let members = heapless::Vec::from_slice(members).expect("a few members");
    Bench::stored(Small::fresh(), members, 1, None, &[1])
}

/// Node 2 in a joint configuration that is not known to be committed.
fn joint() -> Bench {
    bench_of(&joint_members())
}

/// Two voters and three learners.
fn with_learners() -> Bench {
    bench_of(&[
        voter(1),
        voter(2),
        of(3, Part::Learner),
        of(4, Part::Learner),
        of(5, Part::Recruit),
    ])
}

/// Node 2 leads and has just begun to change the voters 1 to 3 into 2, 4 and 5.
fn changing() -> Bench {
    let learners = [voter(1), voter(2), voter(3), of(4, Part::Learner), of(5, Part::Learner)];
    let mut bench = bench_of(&learners);
    bench.lead();
    let changes =
        [Change::Promote(FOUR), Change::Promote(FIVE), Change::Remove(ONE), Change::Remove(THREE)];
    bench.raft.change(&changes).expect("a leader changes its members");
    assert_eq!(bench.raft.configuration().members[..], joint_members());
    bench
}

/// A follower confirms the leader, and has nothing new.
fn answer_beat(bench: &mut Bench, sent: &Sent, from: NodeId) {
    if let Some(number) = sent.append_number_to(from) {
        let term = bench.raft.term().0;
        bench.may_hear(from, matched(term, number, 2));
    }
}

/// The members that the last configuration sent to a node names.
fn names(sent: &Sent, to: NodeId) -> heapless::Vec<(u32, Part), MEMBERS> {
    let mut named = heapless::Vec::new();
    for (_, append) in sent.appends_to(to) {
        for (_, kind, data, _) in entries(append.run) {
            if kind == EntryKind::Configuration {
                let members = coracle::Members::parse(data).expect("well-formed members");
                named = members.iter().map(|member| (member.member.id.0, member.part)).collect();
            }
        }
    }
    named
}
