//! Each check rejects what it is there for: otherwise it would prove nothing.

use coracle::message::{AppendOutcome, AppendReply, BootReply, Message, VoteReply, VoteRequest};
use coracle::{EntryId, Epoch, HardState, Incarnation, Index, MemberId, NodeId, RoleName, Term};

use super::*;
use crate::disk::Durable;
use crate::machine::Taken;

const EPOCH: Epoch = Epoch(7);

/// A world of three members, in which a test says what is where.
#[derive(Clone, Default)]
struct Stub {
    log: Vec<(u64, u64)>,
    durable_on: Vec<u32>,
    durable_lasts: Vec<EntryId>,
    digest: u64,
}

impl Scene for Stub {
    fn entry(&self, index: Index) -> Option<Known> {
        let (term, hash) = *self.log.get((index.0.checked_sub(1)?) as usize)?;
        Some(Known { id: EntryId { term: Term(term), index }, hash })
    }

    fn is_command(&self, index: Index) -> bool {
        index > Index(1)
    }

    fn halves(&self) -> Vec<Vec<MemberId>> {
        vec![(1..=3).map(member).collect()]
    }

    fn is_durable(&self, member: MemberId, _: Known) -> bool {
        self.durable_on.contains(&member.id.0)
    }

    fn durable_last(&self, member: MemberId) -> Option<EntryId> {
        self.durable_lasts.get(member.id.0 as usize - 1).copied()
    }

    fn digest(&self) -> u64 {
        self.digest
    }
}

fn member(id: u32) -> MemberId {
    MemberId { id: NodeId(id), incarnation: Incarnation(u64::from(id) + 100) }
}

/// The node `id` in a term, with this log of terms; the hash of an entry is its term by default.
fn node(id: u32, term: u64, role: RoleName, terms: &[u64]) -> (View, Stub) {
    let index = Index(terms.len() as u64);
    let last = EntryId { term: Term(terms.last().copied().unwrap_or(0)), index };
    let hard = HardState {
        incarnation: member(id).incarnation,
        epoch: EPOCH,
        term: Term(term),
        vote: None,
    };
    let view = View { hard, member: member(id), role: Role(role), last, ..View::default() };
    let log = terms.iter().map(|term| (*term, *term)).collect();
    (view, Stub { log, durable_on: vec![1, 2, 3], ..Stub::default() })
}

fn invariant(verdict: &Verdict) -> u8 {
    verdict.as_ref().err().map_or(0, |violation| violation.invariant)
}

/// What the last of these looks breaks; all before it must be fine.
fn look(looks: &[(usize, (View, Stub))]) -> u8 {
    look_in(&mut Chronicle::new(3), looks)
}

fn look_in(chronicle: &mut Chronicle, looks: &[(usize, (View, Stub))]) -> u8 {
    let (last, before) = looks.split_last().expect("at least one look");
    for (place, (view, stub)) in before {
        assert_eq!(chronicle.look(*place, view, stub), Ok(()));
    }
    let (place, (view, stub)) = last;
    invariant(&chronicle.look(*place, view, stub))
}

fn leader(id: u32, term: u64, terms: &[u64]) -> (View, Stub) {
    node(id, term, RoleName::Leader, terms)
}

fn follower(id: u32, term: u64, terms: &[u64]) -> (View, Stub) {
    node(id, term, RoleName::Follower, terms)
}

fn committed(mut of: (View, Stub), commit: u64) -> (View, Stub) {
    of.0.commit = Index(commit);
    of
}

fn applied(of: (View, Stub), applied: u64, digest: u64) -> (View, Stub) {
    let mut of = committed(of, applied);
    of.0.applied = Index(applied);
    of.1.digest = digest;
    of
}

#[test]
fn an_ordinary_course_breaks_nothing() {
    let course = [
        (0, leader(1, 1, &[1])),
        (1, follower(2, 1, &[1])),
        (0, applied(leader(1, 1, &[1, 1]), 2, 5)),
        (1, applied(follower(2, 1, &[1, 1]), 2, 5)),
        (1, applied(leader(2, 2, &[1, 1, 2]), 2, 5)),
        (0, applied(follower(1, 2, &[1, 1, 2]), 2, 5)),
    ];
    assert_eq!(look(&course), 0);
}

#[test]
fn two_leaders_of_one_term_break_1() {
    assert_eq!(look(&[(0, leader(1, 2, &[1])), (1, leader(2, 2, &[1]))]), 1);
}

#[test]
fn another_state_after_the_same_entries_breaks_2() {
    let first = applied(leader(1, 1, &[1]), 1, 5);
    assert_eq!(look(&[(0, first), (1, applied(follower(2, 1, &[1]), 1, 6))]), 2);
}

#[test]
fn commits_in_two_epochs_break_2() {
    let first = committed(leader(1, 1, &[1, 1]), 2);
    let mut other = committed(leader(2, 1, &[1, 1]), 2);
    other.0.hard.epoch = Epoch(8);
    assert_eq!(look(&[(0, first), (1, other)]), 2);
}

#[test]
fn a_later_leader_without_a_committed_entry_breaks_3() {
    let first = committed(leader(1, 2, &[1, 2]), 2);
    assert_eq!(look(&[(0, first), (1, leader(2, 3, &[1]))]), 3);
}

#[test]
fn a_commit_that_a_later_leader_has_not_breaks_3() {
    let course = [
        (0, leader(1, 2, &[1, 2])),
        (1, leader(2, 3, &[1, 3])),
        (0, committed(leader(1, 2, &[1, 2]), 2)),
    ];
    assert_eq!(look(&course), 3);
}

#[test]
fn a_leader_of_an_earlier_term_need_not_have_what_a_later_one_commits() {
    // It is the committing leader's term that counts: the entry itself is of term 1.
    let course = [(0, committed(leader(1, 4, &[1, 1, 4]), 3)), (1, leader(2, 3, &[1, 3]))];
    assert_eq!(look(&course), 0);
}

#[test]
fn a_commit_without_which_another_could_be_elected_breaks_3() {
    // Figure 8 (c): the entry of term 2 is on a majority, and node 3 has one of term 3.
    let id = |term, index| EntryId { term: Term(term), index: Index(index) };
    let mut hasty = committed(leader(1, 4, &[1, 2, 4]), 2);
    hasty.1.durable_on = vec![1, 2];
    hasty.1.durable_lasts = vec![id(4, 3), id(2, 2), id(3, 2)];
    assert_eq!(look(&[(0, hasty.clone())]), 3);
    // With the entry of term 4 it is safe.
    let mut safe = committed(hasty, 3);
    safe.1.durable_lasts[1] = id(4, 3);
    assert_eq!(look(&[(0, safe)]), 0);
}

#[test]
fn a_follower_that_commits_before_any_leader_breaks_3() {
    assert_eq!(look(&[(0, leader(1, 1, &[1])), (1, committed(follower(2, 1, &[1]), 1))]), 3);
}

#[test]
fn two_entries_of_one_id_break_4() {
    let mut other = follower(2, 1, &[1]);
    other.1.log[0].1 = 99;
    assert_eq!(look(&[(0, leader(1, 1, &[1])), (1, other)]), 4);
}

#[test]
fn one_entry_behind_two_others_breaks_4() {
    assert_eq!(look(&[(0, leader(1, 3, &[1, 3])), (1, follower(2, 3, &[2, 3]))]), 4);
}

#[test]
fn a_commit_that_is_durable_on_a_minority_breaks_5() {
    let mut hasty = committed(leader(1, 1, &[1]), 1);
    hasty.1.durable_on = vec![1];
    assert_eq!(look(&[(0, hasty)]), 5);
}

#[test]
fn a_changed_vote_breaks_6() {
    let with_vote = |id| {
        let mut of = follower(1, 2, &[]);
        of.0.hard.vote = Some(member(id));
        of
    };
    assert_eq!(look(&[(0, with_vote(2)), (0, with_vote(3))]), 6);
    let mut chronicle = Chronicle::new(3);
    assert_eq!(chronicle.vote(EPOCH, Term(2), member(1), member(2)), Ok(()));
    assert_eq!(chronicle.vote(EPOCH, Term(3), member(1), member(3)), Ok(()));
    assert_eq!(invariant(&chronicle.vote(EPOCH, Term(2), member(1), member(3))), 6);
}

#[test]
fn what_falls_breaks_7() {
    assert_eq!(look(&[(0, follower(1, 3, &[])), (0, follower(1, 2, &[]))]), 7);
    let course =
        [(0, committed(leader(1, 1, &[1, 1]), 2)), (0, committed(leader(1, 1, &[1, 1]), 1))];
    assert_eq!(look(&course), 7);
    let mut elsewhere = follower(1, 3, &[]);
    elsewhere.0.hard.epoch = Epoch(8);
    assert_eq!(look(&[(0, follower(1, 3, &[])), (0, elsewhere)]), 7);
}

#[test]
fn a_leader_that_takes_back_an_entry_breaks_8() {
    assert_eq!(look(&[(0, leader(1, 2, &[1, 2])), (0, leader(1, 2, &[1]))]), 8);
}

#[test]
fn a_committed_entry_that_goes_or_changes_breaks_8() {
    let first = committed(leader(1, 1, &[1, 1]), 2);
    let gone = committed(follower(1, 2, &[1, 2]), 2);
    assert_eq!(look(&[(0, first.clone()), (0, gone)]), 8);
    let other = committed(follower(2, 2, &[1, 2]), 2);
    assert_eq!(look(&[(0, first), (1, other)]), 8);
}

#[test]
fn an_entry_that_changes_in_the_middle_breaks_8_at_the_next_audit() {
    let mut chronicle = Chronicle::new(1);
    let (view, stub) = leader(1, 1, &[1, 1]);
    let mut changed = stub.clone();
    changed.log[0].1 = 99;
    let broken = (0..AUDIT_EVERY).map(|look| {
        let now = if look == 0 { &stub } else { &changed };
        invariant(&chronicle.look(0, &view, now))
    });
    assert_eq!(broken.max(), Some(8));
}

#[test]
fn indices_out_of_order_break_9() {
    let mut of = leader(1, 1, &[1]);
    of.0.commit = Index(2);
    assert_eq!(look(&[(0, of)]), 9);
    let mut of = leader(1, 1, &[1]);
    of.0.applied = Index(1);
    assert_eq!(look(&[(0, of)]), 9);
    assert_eq!(look(&[(0, follower(1, 3, &[1, 3, 2]))]), 9);
    assert_eq!(look(&[(0, follower(1, 2, &[1, 3]))]), 9);
    let mut missing = leader(1, 1, &[1, 1]);
    missing.1.log.pop();
    assert_eq!(look(&[(0, missing)]), 9);
}

#[test]
fn an_operation_that_takes_effect_twice_breaks_11() {
    let mut chronicle = Chronicle::new(1);
    let taken = |value| Taken { operation: OperationId(4), value };
    assert_eq!(chronicle.take(taken(1), Index(5)), Ok(()));
    assert_eq!(chronicle.take(taken(1), Index(5)), Ok(()));
    assert_eq!(invariant(&chronicle.take(taken(1), Index(6))), 11);
    assert_eq!(invariant(&chronicle.take(taken(2), Index(5))), 11);
}

#[test]
fn an_answer_that_no_machine_gave_breaks_11() {
    let mut chronicle = Chronicle::new(1);
    let entry = EntryId { term: Term(1), index: Index(5) };
    let taken = Taken { operation: OperationId(4), value: 9 };
    assert_eq!(invariant(&chronicle.told(taken.operation, entry, 9)), 11);
    assert_eq!(chronicle.take(taken, Index(5)), Ok(()));
    assert_eq!(chronicle.told(taken.operation, entry, 9), Ok(()));
    assert_eq!(invariant(&chronicle.told(taken.operation, entry, 8)), 11);
}

/// Sends one message from node 1 to node 2, with this on the disk of node 1.
fn send(of: &(View, Stub), durable: &Durable, message: &Message<'_>) -> u8 {
    let mut chronicle = Chronicle::new(3);
    assert_eq!(look_in(&mut chronicle, &[(0, of.clone())]), 0);
    let sent = Sent { view: &of.0, to: Some(member(2)), message, durable };
    invariant(&chronicle.sent(0, &sent))
}

fn durable(view: &View, vote: Option<MemberId>) -> Durable {
    let mut durable = Durable::default();
    durable.hard = Some(HardState { vote, ..view.hard });
    durable
}

#[test]
fn a_vote_that_is_not_durable_breaks_6() {
    let of = follower(1, 2, &[]);
    let reply = VoteReply { term: Term(2), asked: Term(2), granted: true };
    let message = Message::VoteReply(reply);
    assert_eq!(send(&of, &durable(&of.0, Some(member(2))), &message), 0);
    assert_eq!(send(&of, &durable(&of.0, Some(member(3))), &message), 6);
    assert_eq!(send(&of, &durable(&of.0, None), &message), 6);
    assert_eq!(send(&of, &Durable::default(), &message), 6);
    let request =
        Message::Vote(VoteRequest { term: Term(2), last: EntryId::default(), is_handover: false });
    assert_eq!(send(&of, &durable(&of.0, Some(member(1))), &request), 0);
    assert_eq!(send(&of, &durable(&of.0, None), &request), 6);
}

#[test]
fn a_term_that_is_not_durable_breaks_6() {
    let of = follower(1, 2, &[]);
    let mut old = durable(&of.0, None);
    if let Some(hard) = &mut old.hard {
        hard.term = Term(1);
    }
    let reply = AppendReply { term: Term(2), echo: 1, outcome: AppendOutcome::Stale };
    assert_eq!(send(&of, &durable(&of.0, None), &Message::AppendReply(reply)), 0);
    assert_eq!(send(&of, &old, &Message::AppendReply(reply)), 6);
}

#[test]
fn an_acknowledgement_of_what_is_not_durable_breaks_6() {
    let of = follower(1, 1, &[1]);
    let outcome = AppendOutcome::Matched(Index(1));
    let message = Message::AppendReply(AppendReply { term: Term(1), echo: 1, outcome });
    assert_eq!(send(&of, &durable(&of.0, None), &message), 6);
}

#[test]
fn an_epoch_accepted_for_a_forgettable_incarnation_breaks_6() {
    let of = follower(1, 1, &[]);
    let message = Message::BootReply(BootReply { epoch: EPOCH, accepted: true });
    assert_eq!(send(&of, &durable(&of.0, None), &message), 0);
    assert_eq!(send(&of, &Durable::default(), &message), 6);
}

#[test]
fn a_node_that_knows_more_or_less_than_its_disk_breaks_14() {
    let start = |of: &(View, Stub), durable: &Durable| {
        let recovered = Recovered { view: &of.0, durable };
        invariant(&Chronicle::new(1).start(0, &recovered, &of.1))
    };
    let of = follower(1, 2, &[]);
    assert_eq!(start(&of, &durable(&of.0, None)), 0);
    assert_eq!(start(&of, &durable(&of.0, Some(member(2)))), 14);
    assert_eq!(start(&follower(1, 2, &[1]), &durable(&of.0, None)), 14);
    assert_eq!(start(&follower(1, 1, &[]), &durable(&of.0, None)), 14);
    assert_eq!(start(&follower(1, 2, &[1]), &Durable::default()), 14);
}
