//! What a node learns of the others when it hears no leader, and what it does when nothing can come
//! of its epoch any more.

use coracle::message::{Hello, HelloReply, Message, Standing};
use coracle::{
    Address, Condition, EntryKind, Epoch, Incarnation, MemberId, NodeId, Nonce, RoleName, Ticks,
};

use crate::harness::{
    Bench, DATAGRAM_BYTES, ELECTION_MAX, FOUR, HEARTBEAT, ONE, Run, Sent, THREE, append, at,
    configuration, heartbeat, member, vote, voters,
};

/// Evidence: nobody asks who hears a leader, or whose first election timeout has passed; then all
/// others are asked, under one nonce, and again until they answer, and then under another.
pub fn who_waits_in_vain_asks_all_others_until_they_answer() {
    let mut bench = Bench::follower(&[1]);
    assert!(hellos(&bench.campaign()).is_empty(), "the first election may be won");
    let first = looks_around(&mut bench);
    let sent = bench.pass(ELECTION_MAX);
    assert_eq!(hellos(&sent).as_slice(), [(ONE, first), (THREE, first)], "nobody has answered");
    says(&mut bench, member(ONE), first, there());
    let sent = wait(&mut bench);
    assert_eq!(hellos(&sent).as_slice(), [(THREE, first)]);
    says(&mut bench, member(THREE), first, there());
    let second = looks_around(&mut bench);
    assert_ne!(first, second);
    bench.hears(ONE, heartbeat(2, at(1, 1), 1));
    for _beat in 0..20 {
        assert!(hellos(&bench.pass(HEARTBEAT)).is_empty(), "it hears a leader");
        bench.hears(ONE, heartbeat(2, at(1, 1), 1));
    }
}

/// Evidence: questions that some never answer are given up, and asked anew.
pub fn a_round_that_somebody_does_not_answer_is_given_up() {
    let mut bench = Bench::follower(&[1]);
    let first = looks_around(&mut bench);
    let mut nonces = 0;
    let mut last = first;
    for _timeout in 0..30 {
        says(&mut bench, member(ONE), last, Standing::Blank);
        let nonce = looks_around(&mut bench);
        nonces += u32::from(nonce != last);
        last = nonce;
    }
    assert!((2..=5).contains(&nonces), "{nonces} rounds in thirty timeouts");
    assert_ne!(bench.raft.condition(), Condition::Halted);
}

/// Rule 8: when other lives answer for a majority of the members, no hope is left; the node goes on
/// following and voting, since it may be merely behind.
pub fn without_a_majority_that_may_be_alive_there_is_no_hope() {
    let mut bench = Bench::follower(&[1]);
    let nonce = looks_around(&mut bench);
    says(&mut bench, life(ONE, 1), nonce, Standing::Blank);
    assert!(!bench.raft.is_hopeless(), "two of three may be alive");
    says(&mut bench, life(THREE, 1), nonce, Standing::Blank);
    assert!(bench.raft.is_hopeless());
    assert_eq!(bench.raft.condition(), Condition::Hopeless);
    assert_eq!(bench.answers(ONE, vote(9, at(1, 1))).verdict_to(ONE), Some(true));
    assert_eq!(bench.raft.term().0, 9);
    bench.answers(ONE, heartbeat(9, at(1, 1), 1));
    assert_eq!(bench.raft.leader(), Some(ONE));
    assert_eq!(bench.raft.condition(), Condition::Ready, "somebody leads");
}

/// Rule 8: whoever asks hears that no hope is left.
pub fn who_has_no_hope_says_so() {
    let mut bench = Bench::follower(&[1]);
    assert_eq!(stated_hopeless(&mut bench), Some(false));
    let nonce = looks_around(&mut bench);
    says(&mut bench, life(ONE, 1), nonce, Standing::Blank);
    says(&mut bench, life(THREE, 1), nonce, Standing::Blank);
    assert_eq!(stated_hopeless(&mut bench), Some(true));
}

/// Rule 9: one round in which nobody has hope is not enough; a second one with the same answers is.
/// Whoever holds a command keeps it.
pub fn two_equal_rounds_without_hope_halt_who_holds_a_command() {
    let mut bench = with_a_command();
    let (before, last) = (bench.raft.member(), bench.raft.last());
    let restarted = [(life(ONE, 1), Standing::Blank), (life(THREE, 1), Standing::Blank)];
    round(&mut bench, &restarted);
    assert_eq!(bench.raft.condition(), Condition::Hopeless);
    round(&mut bench, &restarted);
    assert_eq!(bench.raft.condition(), Condition::Halted);
    assert_eq!(bench.raft.counters().epochs_lost, 1);
    assert!(
        bench.raft.leave_dead_epoch(false).is_none(),
        "a client may have been told of the command"
    );
    round(&mut bench, &restarted);
    assert_eq!((bench.raft.member(), bench.raft.last()), (before, last));
    assert_eq!(bench.raft.counters().epochs_lost, 1, "it is the same loss");
}

/// Rule 9: a life that was restarted between two rounds makes them different.
pub fn rounds_with_different_answers_halt_nobody() {
    let mut bench = with_a_command();
    let first = [(life(ONE, 1), Standing::Blank), (life(THREE, 1), Standing::Blank)];
    let second = [(life(ONE, 2), Standing::Blank), (life(THREE, 1), Standing::Blank)];
    round(&mut bench, &first);
    round(&mut bench, &second);
    assert_eq!(bench.raft.condition(), Condition::Hopeless);
    round(&mut bench, &first);
    assert_eq!(bench.raft.condition(), Condition::Hopeless);
    round(&mut bench, &first);
    assert_eq!(bench.raft.condition(), Condition::Halted);
}

/// Rule 9: a single other that has hope keeps the epoch alive.
pub fn one_other_with_hope_keeps_the_epoch_alive() {
    let mut bench = with_a_command();
    let epoch = bench.epoch;
    let hopes = Standing::In { epoch, hopeless: false, leader: None };
    let answers = [(life(ONE, 1), Standing::Blank), (life(THREE, 1), hopes)];
    (0..4).for_each(|_| round(&mut bench, &answers));
    assert_eq!(bench.raft.condition(), Condition::Hopeless, "it may be behind, and not dead");
    let gives_up = Standing::In { epoch, hopeless: true, leader: None };
    let answers = [(life(ONE, 1), Standing::Blank), (life(THREE, 1), gives_up)];
    (0..2).for_each(|_| round(&mut bench, &answers));
    assert_eq!(bench.raft.condition(), Condition::Halted);
}

/// Rule 9: a leader that is heard after all ends the halt.
pub fn a_late_append_ends_a_halt() {
    let mut bench = with_a_command();
    let restarted = [(life(ONE, 1), Standing::Blank), (life(THREE, 1), Standing::Blank)];
    (0..2).for_each(|_| round(&mut bench, &restarted));
    assert_eq!(bench.raft.condition(), Condition::Halted);
    bench.answers(ONE, heartbeat(2, at(1, 2), 2));
    assert_eq!(bench.raft.condition(), Condition::Ready);
}

/// Rule 2: only an answer to the question of the current round counts.
pub fn a_late_answer_of_an_older_life_condemns_nobody() {
    let mut bench = with_a_command();
    let old = looks_around(&mut bench);
    says(&mut bench, member(ONE), old, there());
    says(&mut bench, member(THREE), old, there());
    let new = looks_around(&mut bench);
    assert_ne!(old, new);
    for id in [ONE, THREE] {
        says(&mut bench, life(id, 1), old, Standing::Blank);
        says(&mut bench, life(id, 1), Nonce(0), Standing::Blank);
    }
    assert!(!bench.raft.is_hopeless());
}

/// Rule 2: what was learned under another configuration says nothing of this one.
pub fn a_new_configuration_drops_the_evidence() {
    let mut bench = Bench::follower(&[1]);
    let nonce = looks_around(&mut bench);
    says(&mut bench, life(ONE, 1), nonce, Standing::Blank);
    says(&mut bench, life(THREE, 1), nonce, Standing::Blank);
    assert!(bench.raft.is_hopeless());
    let mut members = voters(3);
    members[0].member = life(ONE, 1);
    let mut run = Run::new();
    run.push(2, EntryKind::Configuration, &configuration(&members));
    bench.answers(THREE, append(2, at(1, 1), 1, run.bytes()));
    assert!(!bench.raft.is_hopeless());
    says(&mut bench, life(THREE, 1), nonce, Standing::Blank);
    says(&mut bench, life(ONE, 7), nonce, Standing::Blank);
    assert!(!bench.raft.is_hopeless(), "that round is over");
}

/// Rule 12: of four members two that were restarted are too many, and of two members one is; what
/// the others hold is kept.
pub fn of_four_two_and_of_two_one_are_too_many() {
    let mut bench = Bench::of(4, 1, None, &[1, 1]);
    let epoch = bench.epoch;
    let gives_up = Standing::In { epoch, hopeless: true, leader: None };
    let answers = [
        (life(ONE, 1), Standing::Blank),
        (life(THREE, 1), Standing::Blank),
        (member(FOUR), gives_up),
    ];
    (0..2).for_each(|_| round(&mut bench, &answers));
    assert_eq!(bench.raft.condition(), Condition::Halted);
    assert!(bench.raft.leave_dead_epoch(false).is_none());
    assert_eq!(bench.raft.last(), at(1, 2));
    let mut bench = Bench::of(2, 1, None, &[1, 1]);
    (0..2).for_each(|_| round(&mut bench, &[(life(ONE, 1), Standing::Blank)]));
    assert_eq!(bench.raft.condition(), Condition::Halted);
    assert!(bench.raft.leave_dead_epoch(false).is_none());
    assert_eq!(bench.raft.last(), at(1, 2));
}

/// Rule 9: whoever holds nothing that a client was told of begins anew, as another life, and blank.
pub fn who_holds_no_command_leaves_a_dead_epoch_as_another_life() {
    let mut bench = taken_in();
    let before = bench.raft.member();
    assert!(bench.raft.is_hopeless(), "its log names nobody");
    let other = Standing::In { epoch: Epoch(77), hopeless: false, leader: None };
    let answers = [(life(ONE, 1), other), (life(THREE, 1), Standing::Blank)];
    (0..2).for_each(|_| round(&mut bench, &answers));
    assert_eq!(bench.raft.condition(), Condition::Halted);
    assert!(bench.raft.leave_dead_epoch(true).is_some(), "nothing is stored but its name");
    assert_ne!(bench.raft.member().incarnation, before.incarnation);
    assert_eq!(bench.raft.role(), RoleName::Blank);
    assert_eq!(bench.raft.condition(), Condition::Blank);
    let hard = bench.raft.hard_state();
    assert_eq!((hard.epoch, hard.term.0, hard.vote), (Epoch(0), 0, None));
    let sent = bench.drive();
    assert!(sent.hello_to(ONE).is_some() && sent.hello_to(THREE).is_some());
    assert_eq!(bench.disk.hard, hard, "the new life is known to the medium");
}

/// Rule 9: entries that were stored stay stored: with a medium only an empty log is left behind.
pub fn what_is_stored_is_not_left_behind() {
    let mut bench = Bench::follower(&[1]);
    let restarted = [(life(ONE, 1), Standing::Blank), (life(THREE, 1), Standing::Blank)];
    (0..2).for_each(|_| round(&mut bench, &restarted));
    assert_eq!(bench.raft.condition(), Condition::Halted);
    assert!(bench.raft.leave_dead_epoch(true).is_none(), "the members are on the medium");
    assert!(bench.raft.leave_dead_epoch(false).is_some());
    assert_eq!(bench.raft.last(), at(0, 0));
    assert!(bench.raft.configuration().members.is_empty());
}

/// Rules 4 and 8: a node that a leader takes in, and whose first append it refuses, has no hope of its
/// own, but others have.
pub fn a_joiner_whose_first_append_is_refused_stays_who_it_is() {
    let mut bench = taken_in();
    let before = bench.raft.member();
    let (epoch, leader) = (bench.epoch, Some(ONE));
    let lives = Standing::In { epoch, hopeless: false, leader };
    let answers = [(member(ONE), lives), (member(THREE), lives)];
    for _round in 0..4 {
        round(&mut bench, &answers);
        assert!(bench.raft.leave_dead_epoch(false).is_none());
    }
    assert_eq!(bench.raft.member(), before);
    assert_eq!(bench.raft.condition(), Condition::CatchingUp);
}

/// Evidence: a leader has none, and answers to what it asked before count for nothing.
pub fn a_leader_acts_upon_no_evidence() {
    let mut bench = Bench::follower(&[1]);
    let nonce = looks_around(&mut bench);
    says(&mut bench, life(ONE, 1), nonce, Standing::Blank);
    bench.lead();
    says(&mut bench, life(THREE, 1), nonce, Standing::Blank);
    assert!(!bench.raft.is_hopeless());
    assert_eq!(bench.raft.condition(), Condition::Ready);
}

/// Another life of a node than the members name.
const fn life(id: NodeId, which: u64) -> MemberId {
    MemberId { id, incarnation: Incarnation(0xabcd_0000 + which) }
}

/// Node 2 of three, with a command in its log.
fn with_a_command() -> Bench {
    Bench::follower(&[1, 1])
}

/// Node 2 of three, blank until an append of this epoch came that it had to refuse.
fn taken_in() -> Bench {
    let mut bench = Bench::blank(3);
    bench.drive();
    bench.answers(ONE, heartbeat(3, at(2, 5), 5));
    assert_eq!(bench.raft.role(), RoleName::Follower);
    assert_eq!(bench.raft.last(), at(0, 0));
    bench
}

/// Lets the longest election timeout pass, and a little more, tick by tick.
fn wait(bench: &mut Bench) -> Sent {
    for _tick in 0..2 * ELECTION_MAX.0 {
        let sent = bench.pass(Ticks(1));
        if !hellos(&sent).is_empty() {
            return sent;
        }
    }
    panic!("it asks nobody");
}

/// Lets time pass until the node asks; gives the question's nonce.
fn looks_around(bench: &mut Bench) -> Nonce {
    let sent = wait(bench);
    hellos(&sent)[0].1
}

/// One round: the node asks, and each answers.
fn round(bench: &mut Bench, answers: &[(MemberId, Standing)]) {
    let nonce = looks_around(bench);
    for (from, standing) in answers {
        says(bench, *from, nonce, *standing);
    }
}

fn says(bench: &mut Bench, from: MemberId, nonce: Nonce, standing: Standing) {
    let address = Address::EMPTY;
    let reply = HelloReply { nonce, standing, datagram: DATAGRAM_BYTES, address };
    bench.answers_outside(from, Message::HelloReply(reply));
}

/// A member that is in some epoch with hope; which does not matter to who asks.
fn there() -> Standing {
    let epoch = Bench::follower(&[1]).epoch;
    Standing::In { epoch, hopeless: false, leader: None }
}

fn hellos(sent: &Sent) -> heapless::Vec<(NodeId, Nonce), 8> {
    let asked = |(to, _, message)| match message {
        Message::Hello(hello) => Some((to, hello.nonce)),
        _ => None,
    };
    sent.messages().filter_map(asked).collect()
}

/// What the node answers who asks.
fn stated_hopeless(bench: &mut Bench) -> Option<bool> {
    let ids = Bench::blank(3).drive().hello_to(ONE).expect("a hello").ids;
    let padding = [0; coracle::message::HELLO_PADDING];
    let hello = Hello { nonce: Nonce(77), ids, datagram: DATAGRAM_BYTES, padding };
    let sent = bench.answers_outside(life(THREE, 9), Message::Hello(hello));
    match sent.hello_reply_to(THREE)?.standing {
        Standing::In { hopeless, .. } => Some(hopeless),
        Standing::Blank | Standing::FirstStart | Standing::OtherIds => None,
    }
}
