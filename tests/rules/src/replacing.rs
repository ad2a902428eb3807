//! How a member that comes back with nothing is replaced by its new life.

use coracle::message::{Hello, HelloReply, Message, Standing};
use coracle::{
    Address, Change, Condition, Epoch, Incarnation, Member, MemberId, Nonce, Part, RoleName,
};

use crate::harness::{
    Bench, DATAGRAM_BYTES, ELECTION_MAX, ELECTION_MIN, HEARTBEAT, MEMBERS, ONE, Sent, Small, THREE,
    at, heartbeat, matched, member, vote, voters,
};

/// Replacing: a hello may be old, so the leader asks back, and believes the answer to that alone.
pub fn a_blank_life_of_a_silent_member_is_taken_in_when_it_has_answered() {
    let mut bench = with_three_silent();
    let sent = says_hello(&mut bench, NEW);
    let question = sent.hello_to(THREE).expect("it is asked back");
    assert!(sent.hello_reply_to(THREE).is_none());
    bench.answers_outside(NEW, blank(Nonce(question.nonce.0 ^ 1)));
    assert_eq!(lives(&bench), [(member(THREE).incarnation, Part::Voter)], "that was not asked");
    bench.answers_outside(NEW, blank(question.nonce));
    let both = [(member(THREE).incarnation, Part::Voter), (NEW.incarnation, Part::Recruit)];
    assert_eq!(lives(&bench), sorted(both));
    let named = bench.raft.configuration().find(NEW).expect("the new life");
    assert_eq!((named.datagram, named.address), (DATAGRAM_BYTES, there()));
}

/// Replacing: the vote goes from one life to the other by a joint configuration, once the new one has
/// the log.
pub fn the_new_life_gets_the_vote_of_the_old_one_when_it_has_the_log() {
    let mut bench = with_three_silent();
    take_in(&mut bench, NEW);
    beat(&mut bench);
    assert_eq!(lives(&bench).len(), 2, "it has said nothing");
    let last = bench.raft.last().index.0;
    assert!(bench.hears_from(NEW, bench.epoch, matched(2, 1, last)));
    let sent = bench.beats();
    let swapped = [(member(THREE).incarnation, Part::Outgoing), (NEW.incarnation, Part::Incoming)];
    assert_eq!(lives(&bench), sorted(swapped));
    bench.accepts(&sent, ONE);
    bench.drive();
    beat(&mut bench);
    assert_eq!(lives(&bench), [(NEW.incarnation, Part::Voter)]);
    assert!(!bench.raft.is_changing());
}

/// Replacing: a life that is fed, and has no vote yet, is not ready, though a committed configuration
/// names it: whoever restarted the next node now would leave too few.
pub fn a_new_life_is_ready_when_it_has_the_vote_of_the_old_one() {
    for (part, condition) in [
        (Part::Recruit, Condition::CatchingUp),
        (Part::Learner, Condition::Ready),
        (Part::Voter, Condition::Ready),
    ] {
        let mut members = voters(3);
        members[1].part = part;
        let mut bench = Bench::stored(Small::fresh(), members, 1, None, &[1]);
        assert_eq!(bench.raft.condition(), Condition::CatchingUp, "nothing is known committed");
        bench.answers(ONE, heartbeat(1, at(1, 1), 1));
        assert_eq!(bench.raft.condition(), condition, "{part:?}");
    }
}

/// Replacing: a member that is heard is not replaced by whoever has its id.
pub fn a_life_that_is_heard_is_not_replaced() {
    let mut bench = Bench::leader(&[1]);
    for _beat in 0..10 {
        let sent = bench.beats();
        [ONE, THREE].iter().for_each(|peer| bench.accepts(&sent, *peer));
        let sent = says_hello(&mut bench, NEW);
        assert!(sent.hello_to(THREE).is_none());
        let reply = sent.hello_reply_to(THREE).expect("it is told where we stand");
        assert!(matches!(reply.standing, Standing::In { .. }));
    }
}

/// Replacing: whoever was asked before the members changed says nothing of those after.
pub fn an_answer_from_before_a_change_takes_nobody_in() {
    let mut bench = with_three_silent();
    let question = says_hello(&mut bench, NEW).hello_to(THREE).expect("it is asked back");
    (0..2).for_each(|_| beat(&mut bench));
    take_in(&mut bench, OTHER);
    let before = lives(&bench);
    bench.answers_outside(NEW, blank(question.nonce));
    assert_eq!(lives(&bench), before);
    assert!(before.iter().all(|(life, _)| *life != NEW.incarnation));
}

/// Replacing: a newer life takes the place of one that has not got its vote.
pub fn a_newer_life_takes_the_place_of_one_without_a_vote() {
    let mut bench = with_three_silent();
    take_in(&mut bench, OTHER);
    (0..SILENCE).for_each(|_| beat(&mut bench));
    take_in(&mut bench, NEW);
    let both = [(member(THREE).incarnation, Part::Voter), (NEW.incarnation, Part::Recruit)];
    assert_eq!(lives(&bench), sorted(both));
}

/// Replacing: who counted for nothing counts for nothing afterwards.
pub fn a_learner_is_replaced_by_a_learner() {
    let mut learner = Member::voter(member(THREE), DATAGRAM_BYTES);
    learner.part = Part::Learner;
    let voters = [1, 2].map(|id| Member::voter(member(coracle::NodeId(id)), DATAGRAM_BYTES));
    let members = [voters[0], voters[1], learner];
    let members = heapless::Vec::from_slice(&members).expect("a few members");
    let mut bench = Bench::stored(Small::fresh(), members, 1, None, &[1]);
    bench.lead();
    (0..SILENCE).for_each(|_| beat(&mut bench));
    take_in(&mut bench, NEW);
    assert_eq!(lives(&bench), [(NEW.incarnation, Part::Learner)]);
}

/// Replacing: who was removed stays out, whoever it was started with.
pub fn whom_the_configuration_does_not_name_is_not_taken_in() {
    let mut bench = with_three_silent();
    bench.raft.change(&[Change::Remove(THREE)]).expect("a change");
    (0..3).for_each(|_| beat(&mut bench));
    assert!(!bench.raft.is_changing());
    for _beat in 0..=SILENCE {
        beat(&mut bench);
        let sent = says_hello(&mut bench, NEW);
        assert!(sent.hello_to(THREE).is_none(), "it is not asked");
        assert!(sent.hello_reply_to(THREE).is_some(), "it is told where we stand");
    }
    assert!(lives(&bench).is_empty());
}

/// Replacing: a new life is asked again if it says hello and its answer was lost, but not each time.
pub fn a_life_is_asked_again_after_a_while_and_else_told_where_we_stand() {
    let mut bench = with_three_silent();
    let first = says_hello(&mut bench, NEW).hello_to(THREE).expect("it is asked back");
    let sent = says_hello(&mut bench, NEW);
    assert!(sent.hello_to(THREE).is_none());
    assert!(sent.hello_reply_to(THREE).is_some());
    (0..2).for_each(|_| beat(&mut bench));
    let second = says_hello(&mut bench, NEW).hello_to(THREE).expect("it is asked again");
    assert_ne!(first.nonce, second.nonce);
    bench.answers_outside(NEW, blank(first.nonce));
    assert_eq!(lives(&bench).len(), 1, "only the last question counts");
}

/// Replacing: a life that says hello does not void the question to another one, or two that say it in
/// turn would wait for ever.
pub fn two_lives_that_say_hello_in_turn_are_asked_one_after_the_other() {
    let mut bench = with_three_silent();
    let first = says_hello(&mut bench, NEW).hello_to(THREE).expect("it is asked back");
    assert!(says_hello(&mut bench, OTHER).hello_to(THREE).is_none(), "the other one may answer");
    bench.answers_outside(NEW, blank(first.nonce));
    assert!(bench.raft.configuration().find(NEW).is_some());
}

/// Replacing: a life that was taken into the epoch, by a leader which then lost the entry that named
/// it, is taken in like one that is blank; one of another epoch is not.
pub fn a_life_that_is_in_the_epoch_already_is_taken_in_too() {
    let mut bench = with_three_silent();
    let question = says_hello(&mut bench, NEW).hello_to(THREE).expect("it is asked back");
    let other = Epoch(bench.epoch.0 ^ 1);
    bench.answers_outside(NEW, in_epoch(question.nonce, other));
    assert_eq!(lives(&bench).len(), 1, "of another epoch");
    (0..2).for_each(|_| beat(&mut bench));
    let question = says_hello(&mut bench, NEW).hello_to(THREE).expect("it is asked again");
    let ours = bench.epoch;
    bench.answers_outside(NEW, in_epoch(question.nonce, ours));
    assert_eq!(lives(&bench).len(), 2);
}

/// Replacing: whom no configuration names, and who hears no leader, asks to be found.
pub fn a_life_that_no_configuration_names_says_hello_when_it_hears_no_leader() {
    let mut bench = Bench::blank(3);
    bench.drive();
    // A candidate's request takes it into the epoch, with an empty log.
    bench.answers(THREE, vote(2, at(1, 1)));
    assert_eq!(bench.raft.role(), RoleName::Follower);
    let sent = bench.pass(ELECTION_MAX);
    assert!(sent.hello_to(ONE).is_some() && sent.hello_to(THREE).is_some());
    assert_eq!(bench.raft.role(), RoleName::Follower);
}

/// Two new lives of node 3, of which each begins blank.
const NEW: MemberId = MemberId { id: THREE, incarnation: Incarnation(0x1234_5678_9abc) };
const OTHER: MemberId = MemberId { id: THREE, incarnation: Incarnation(0x1111_2222_3333) };

/// How many heartbeats make a silence.
const SILENCE: u64 = ELECTION_MIN.0 / HEARTBEAT.0 + 1;

/// Node 2 leads, and node 3 was not heard for a while.
fn with_three_silent() -> Bench {
    let mut bench = Bench::leader(&[1]);
    (0..SILENCE).for_each(|_| beat(&mut bench));
    bench
}

/// A heartbeat passes, which node 1 answers alone.
fn beat(bench: &mut Bench) {
    let sent = bench.beats();
    bench.accepts(&sent, ONE);
    bench.drive();
}

fn says_hello(bench: &mut Bench, from: MemberId) -> Sent {
    let ids = Bench::blank(3).drive().hello_to(ONE).expect("a hello").ids;
    let padding = [0; coracle::message::HELLO_PADDING];
    let hello = Hello { nonce: Nonce(77), ids, datagram: DATAGRAM_BYTES, padding };
    bench.answers_outside(from, Message::Hello(hello))
}

fn take_in(bench: &mut Bench, new: MemberId) {
    let question = says_hello(bench, new).hello_to(THREE).expect("it is asked back");
    let sent = bench.answers_outside(new, blank(question.nonce));
    assert!(bench.raft.configuration().find(new).is_some());
    bench.may_accept(&sent, ONE);
    bench.drive();
}

fn blank(nonce: Nonce) -> Message<'static> {
    let (standing, address) = (Standing::Blank, there());
    Message::HelloReply(HelloReply { nonce, standing, datagram: DATAGRAM_BYTES, address })
}

fn in_epoch(nonce: Nonce, epoch: Epoch) -> Message<'static> {
    let standing = Standing::In { epoch, hopeless: false, leader: None };
    let address = there();
    Message::HelloReply(HelloReply { nonce, standing, datagram: DATAGRAM_BYTES, address })
}

fn there() -> Address {
    Address::new(&[1, 2, 3]).expect("a short address")
}

/// The lives of node 3 in the configuration.
fn lives(bench: &Bench) -> heapless::Vec<(Incarnation, Part), MEMBERS> {
    let members = bench.raft.configuration().members.iter();
    let three = members.filter(|named| named.member.id == THREE);
    three.map(|named| (named.member.incarnation, named.part)).collect()
}

fn sorted(mut lives: [(Incarnation, Part); 2]) -> [(Incarnation, Part); 2] {
    lives.sort_unstable();
    lives
}
