//! How blank nodes form an epoch, once and all together.

use coracle::message::{BootReply, Hello, HelloReply, Message, Standing};
use coracle::{
    Address, EntryId, EntryKind, Epoch, Incarnation, MemberId, Members, NodeId, Nonce, RoleName,
};
use coracle::{Term, Ticks};

use crate::harness::{
    Bench, CLUSTER, DATAGRAM_BYTES, ELECTION_MAX, HEARTBEAT, Network, ONE, Persisting, THREE, TWO,
    at, configuration, entries, member, vote,
};

/// Formation: a round is a hello with a new nonce to all other ids, repeated while it is not
/// answered.
pub fn a_blank_node_asks_all_others_who_they_are() {
    let mut bench = Bench::blank(3);
    let first = bench.drive();
    let nonce = first.hello_to(ONE).expect("everybody is asked").nonce;
    assert_ne!(nonce, Nonce(0));
    assert_eq!(first.hello_to(THREE).map(|hello| hello.nonce), Some(nonce));
    bench.answers_outside(member(ONE), blank(nonce));
    let again = bench.pass(HEARTBEAT);
    assert_eq!(again.hello_to(THREE).map(|hello| hello.nonce), Some(nonce), "it may be lost");
    assert!(again.hello_to(ONE).is_none(), "it has answered");
}

/// Formation: a life is on the disk before anybody hears of it, or a restart would deny it.
pub fn a_blank_nodes_life_is_durable_before_anybody_hears_of_it() {
    let mut bench = Bench::blank(3);
    bench.persisting = Persisting::Submitted;
    assert!(bench.drive().is_empty());
    bench.finish(0);
    assert_eq!(bench.disk.hard.incarnation, bench.raft.member().incarnation);
    assert!(bench.drive().hello_to(ONE).is_some());
    let life = bench.raft.member();
    bench.restart();
    assert_eq!(bench.raft.member(), life, "a restart is the same life");
    assert_eq!(bench.raft.role(), RoleName::Blank);
}

/// Formation: the answer repeats the question's nonce, so that a late one is recognised.
pub fn a_hello_is_answered_with_its_nonce() {
    let mut bench = Bench::blank(3);
    let ids = bench.drive().hello_to(ONE).expect("a hello").ids;
    let hello = hello(Nonce(77), ids);
    let sent = bench.answers_outside(member(ONE), hello);
    let reply = sent.hello_reply_to(ONE).expect("an answer");
    assert_eq!((reply.nonce, reply.standing), (Nonce(77), Standing::Blank));
}

/// Formation: a member says which epoch it is in and whom it follows.
pub fn a_member_says_which_epoch_it_is_in() {
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, crate::harness::heartbeat(1, at(1, 1), 1));
    let ids = ids_of_three();
    let hello = hello(Nonce(77), ids);
    let from = MemberId { id: THREE, incarnation: Incarnation(1234) };
    let sent = bench.answers_outside(from, hello);
    let reply = sent.hello_reply_to(THREE).expect("an answer");
    let epoch = bench.epoch;
    let standing = Standing::In { epoch, hopeless: false, leader: Some(ONE) };
    assert_eq!((reply.nonce, reply.standing), (Nonce(77), standing));
}

/// PITFALLS 24: nobody who has not proved an address gets a longer answer than the question.
pub fn the_answer_to_a_hello_is_no_longer_than_the_hello() {
    let mut bench = Bench::blank(3);
    let sent = bench.drive();
    let question = sent.datagrams().next().expect("a hello").bytes.len();
    let ids = sent.hello_to(ONE).expect("a hello").ids;
    let hello = hello(Nonce(77), ids);
    let sent = bench.answers_outside(member(ONE), hello);
    let answer = sent.datagrams().next().expect("an answer").bytes.len();
    assert!(answer <= question, "{answer} bytes for {question}");
    let mut bench = Bench::follower(&[1]);
    bench.answers(ONE, crate::harness::heartbeat(1, at(1, 1), 1));
    let sent = bench.answers_outside(member(THREE), hello);
    let answer = sent.datagrams().last().expect("an answer").bytes.len();
    assert!(answer <= question, "{answer} bytes for {question}");
}

/// Formation: nodes with different lists of ids are not one cluster.
pub fn another_list_of_ids_is_refused() {
    let mut bench = Bench::blank_coordinator(3);
    let sent = bench.drive();
    let Hello { nonce, ids, .. } = sent.hello_to(TWO).expect("a hello");
    let foreign = hello(Nonce(5), Nonce(ids.0 ^ 1));
    let sent = bench.answers_outside(member(TWO), foreign);
    let standing = sent.hello_reply_to(TWO).map(|reply| reply.standing);
    assert_eq!(standing, Some(Standing::OtherIds));
    bench.answers_outside(member(TWO), blank(nonce));
    let other = HelloReply {
        nonce,
        standing: Standing::OtherIds,
        datagram: DATAGRAM_BYTES,
        address: Address::EMPTY,
    };
    let sent = bench.answers_outside(member(THREE), Message::HelloReply(other));
    assert!(sent.boot_to(TWO).is_none() && sent.boot_to(THREE).is_none());
    assert!(bench.raft.counters().other_ids >= 2);
}

/// Formation: the lowest id coordinates, and nobody else.
pub fn only_the_lowest_id_coordinates() {
    let mut bench = Bench::blank(3);
    let nonce = bench.drive().hello_to(ONE).expect("a hello").nonce;
    bench.answers_outside(member(ONE), blank(nonce));
    let sent = bench.answers_outside(member(THREE), blank(nonce));
    assert!(sent.boot_to(ONE).is_none() && sent.boot_to(THREE).is_none());
}

/// Formation: with fresh blank answers from *all* others.
pub fn the_coordinator_proposes_only_when_all_are_there() {
    let mut bench = Bench::blank_coordinator(3);
    let nonce = bench.drive().hello_to(TWO).expect("a hello").nonce;
    let sent = bench.answers_outside(member(TWO), blank(nonce));
    assert!(sent.boot_to(TWO).is_none(), "never with fewer than all");
    let sent = bench.answers_outside(member(TWO), blank(nonce));
    assert!(sent.boot_to(TWO).is_none(), "one answer twice is one answer");
    let sent = bench.answers_outside(member(THREE), blank(nonce));
    let members = sent.boot_to(TWO).expect("all are there");
    assert!(members.iter().eq(bench.voters.iter().copied()));
    assert_eq!(sent.boot_to(THREE), Some(members));
}

/// Formation: only the current nonce counts: an old answer may be of a life that is over.
pub fn an_answer_to_an_earlier_round_does_not_count() {
    let mut bench = Bench::blank_coordinator(3);
    let old = bench.drive().hello_to(TWO).expect("a hello").nonce;
    bench.answers_outside(member(TWO), blank(old));
    let mut nonce = old;
    for _beat in 0..40 {
        if let Some(hello) = bench.pass(HEARTBEAT).hello_to(TWO) {
            nonce = hello.nonce;
        }
        if nonce != old {
            break;
        }
    }
    assert_ne!(nonce, old, "a round ends");
    bench.answers_outside(member(TWO), blank(nonce));
    let sent = bench.answers_outside(member(THREE), blank(old));
    assert!(sent.boot_to(TWO).is_none());
    let sent = bench.answers_outside(member(THREE), blank(nonce));
    assert!(sent.boot_to(TWO).is_some());
}

/// Formation: a node that is in an epoch already is no part of a first formation.
pub fn the_coordinator_proposes_nothing_when_one_is_in_an_epoch() {
    let mut bench = Bench::blank_coordinator(3);
    let nonce = bench.drive().hello_to(TWO).expect("a hello").nonce;
    bench.answers_outside(member(TWO), blank(nonce));
    let standing = Standing::In { epoch: Epoch(9), hopeless: false, leader: None };
    let reply = HelloReply { nonce, standing, datagram: DATAGRAM_BYTES, address: Address::EMPTY };
    let sent = bench.answers_outside(member(THREE), Message::HelloReply(reply));
    assert!(sent.boot_to(TWO).is_none());
}

/// Formation: with *all* accepts it forms: epoch hash(V), log V, term 1, leader.
pub fn the_coordinator_forms_only_when_all_accept() {
    let mut bench = Bench::blank_coordinator(3);
    propose(&mut bench);
    let epoch = bench.epoch;
    let sent = bench.answers_outside(member(TWO), accept(epoch));
    assert!(sent.append_to(TWO).is_none(), "never with fewer than all");
    let sent = bench.answers_outside(member(TWO), accept(epoch));
    assert!(sent.append_to(TWO).is_none(), "one accept twice is one accept");
    let sent = bench.answers_outside(member(THREE), accept(epoch));
    assert_eq!(bench.raft.role(), RoleName::Leader);
    let voters = configuration(&bench.voters);
    for peer in [TWO, THREE] {
        let append = sent.append_to(peer).expect("it leads");
        assert_eq!((append.term, append.prev), (Term(1), EntryId::default()));
        let (term, kind, data, _) = entries(append.run).next().expect("the first entry");
        assert_eq!((term, kind, data), (1, EntryKind::Configuration, &voters[..]));
    }
    let members = Members::parse(&voters).expect("well-formed members");
    assert_eq!(bench.disk.hard.epoch, members.epoch(CLUSTER));
}

/// Formation: the epoch is durable before anybody hears of it: it is formed once per life.
pub fn an_epoch_is_durable_before_anybody_is_in_it() {
    let mut bench = Bench::blank_coordinator(3);
    propose(&mut bench);
    bench.persisting = Persisting::Submitted;
    let epoch = bench.epoch;
    bench.answers_outside(member(TWO), accept(epoch));
    let sent = bench.answers_outside(member(THREE), accept(epoch));
    assert!(sent.append_to(TWO).is_none() && sent.append_to(THREE).is_none());
    bench.finish(0);
    let hard = bench.disk.hard;
    assert_eq!((hard.epoch, hard.term), (epoch, Term(1)));
    assert_eq!(hard.vote, Some(bench.raft.member()));
    assert!(bench.drive().append_to(TWO).is_some());
}

/// Formation: a crash may leave the coordinator's hard state on the disk without its first entry.
/// Nobody has heard of that epoch, and the same life is blank again.
pub fn a_coordinator_without_its_first_entry_is_blank_again() {
    let mut bench = Bench::blank_coordinator(3);
    propose(&mut bench);
    bench.persisting = Persisting::Submitted;
    let epoch = bench.epoch;
    bench.answers_outside(member(TWO), accept(epoch));
    bench.answers_outside(member(THREE), accept(epoch));
    let life = bench.raft.member();
    bench.disk.hard = bench.raft.hard_state();
    bench.restart();
    assert_eq!((bench.raft.term(), bench.raft.role()), (Term(1), RoleName::Follower));
    assert_eq!(bench.raft.last(), EntryId::default());
    let sent = bench.pass(ELECTION_MAX);
    assert_eq!((bench.raft.term(), bench.raft.role()), (Term(0), RoleName::Blank));
    assert_eq!(bench.raft.member(), life);
    assert!(sent.hello_to(TWO).is_some() && sent.hello_to(THREE).is_some());
}

/// Formation: an accept is for one V.
pub fn an_accept_of_another_proposal_does_not_count() {
    let mut bench = Bench::blank_coordinator(3);
    propose(&mut bench);
    let epoch = bench.epoch;
    bench.answers_outside(member(TWO), accept(epoch));
    bench.hears_outside(member(THREE), accept(Epoch(epoch.0 ^ 1)));
    let other = MemberId { id: THREE, incarnation: Incarnation(99) };
    bench.hears_outside(other, accept(epoch));
    assert!(bench.drive().append_to(TWO).is_none());
    assert_eq!(bench.raft.role(), RoleName::Blank);
}

/// Formation: who refuses is no longer what it was; the coordinator asks again.
pub fn a_refused_proposal_is_given_up() {
    let mut bench = Bench::blank_coordinator(3);
    let old = propose(&mut bench);
    let epoch = bench.epoch;
    let no = Message::BootReply(BootReply { epoch, accepted: false });
    bench.answers_outside(member(TWO), accept(epoch));
    let sent = bench.answers_outside(member(THREE), no);
    let sent = if sent.hello_to(TWO).is_some() { sent } else { bench.pass(HEARTBEAT) };
    assert_ne!(sent.hello_to(TWO).map(|hello| hello.nonce), Some(old));
    let sent = bench.answers_outside(member(THREE), accept(epoch));
    assert!(sent.append_to(TWO).is_none(), "that proposal is over");
}

/// Formation: "a member superseded: the coordinator takes a new V".
pub fn a_member_that_restarts_makes_for_a_new_proposal() {
    let mut bench = Bench::blank_coordinator(3);
    let old = propose(&mut bench);
    let epoch = bench.epoch;
    bench.answers_outside(member(TWO), accept(epoch));
    // Node 3 has another life now, which does not know of the proposal.
    let next = MemberId { id: THREE, incarnation: Incarnation(99) };
    for _beat in 0..40 {
        let sent = bench.pass(HEARTBEAT);
        let Some(hello) = sent.hello_to(THREE).filter(|hello| hello.nonce != old) else { continue };
        bench.answers_outside(member(TWO), blank(hello.nonce));
        let sent = bench.answers_outside(next, blank(hello.nonce));
        let members = sent.boot_to(TWO).expect("all are there");
        assert!(members.iter().any(|voter| voter.member == next));
        assert_ne!(members.epoch(CLUSTER), epoch);
        return;
    }
    panic!("the coordinator waits for a life that is over");
}

/// Formation: accepting "binds it to nothing": not even a write, and another V may follow.
pub fn accepting_a_proposal_binds_to_nothing() {
    let mut bench = Bench::blank(3);
    bench.drive();
    let before = bench.state();
    let first = configuration(&bench.voters);
    assert_eq!(offer(&mut bench, &first), Some(true));
    bench.voters[2].member.incarnation = Incarnation(99);
    let second = configuration(&bench.voters);
    assert_eq!(offer(&mut bench, &second), Some(true));
    assert_eq!(bench.state(), before);
    assert_eq!(bench.raft.role(), RoleName::Blank);
    // It is free to join whichever epoch comes to life.
    let epoch = Members::parse(&first).expect("well-formed members").epoch(CLUSTER);
    bench.epoch = epoch;
    assert!(bench.answers(ONE, vote(1, EntryId::default())).vote_reply_to(ONE).is_some());
    assert_eq!(bench.disk.hard.epoch, epoch);
}

/// Formation: a node accepts only what names this life of it.
pub fn a_proposal_for_another_life_is_refused() {
    let mut bench = Bench::blank(3);
    bench.drive();
    bench.voters[1].member.incarnation = Incarnation(99);
    let members = configuration(&bench.voters);
    assert_ne!(offer(&mut bench, &members), Some(true));
}

/// Formation: and only from the lowest id that it names.
pub fn a_proposal_of_another_than_the_coordinator_is_refused() {
    let mut bench = Bench::blank(3);
    bench.drive();
    let bytes = configuration(&bench.voters);
    let members = Members::parse(&bytes).expect("well-formed members");
    let sent = bench.answers_outside(member(THREE), Message::Boot(members));
    assert_ne!(sent.boot_reply_to(THREE).map(|reply| reply.accepted), Some(true));
}

/// Formation: a node accepts "if still BLANK".
pub fn a_member_accepts_no_proposal() {
    let mut bench = Bench::follower(&[1]);
    let members = configuration(&bench.voters);
    assert_ne!(offer(&mut bench, &members), Some(true));
    assert_eq!(bench.raft.term(), Term(1));
}

/// Formation: alone there is nobody to wait for.
pub fn a_single_node_forms_alone_and_commits() {
    let mut bench = Bench::blank_sized_one();
    bench.pass(Ticks(1));
    assert_eq!(bench.raft.role(), RoleName::Leader);
    let entry = bench.propose(b"command");
    let read = bench.raft.read().expect("it leads");
    assert!(bench.drive().is_empty(), "there is nobody to talk to");
    assert!(bench.has_applied(entry));
    assert_eq!(bench.read_end(read), Some(true));
    bench.pass(Ticks(10 * ELECTION_MAX.0));
    assert_eq!(bench.raft.role(), RoleName::Leader, "it is its own quorum");
}

/// Formation: a single node with a disk leads again after a restart.
pub fn a_single_node_leads_again_after_a_restart() {
    let mut bench = Bench::of_one(&[1, 1]);
    bench.pass(ELECTION_MAX);
    assert_eq!(bench.raft.role(), RoleName::Leader);
    assert_eq!(bench.disk.hard.term, Term(2));
    assert!(bench.has_applied(at(1, 2)));
}

/// Formation: three blank nodes form one epoch.
pub fn blank_nodes_form_one_epoch_and_elect() {
    for seed in 40..44 {
        let mut network = Network::<3>::new(seed);
        network.form();
        let epoch = network.nodes[0].disk.hard.epoch;
        assert_ne!(epoch, Epoch(0));
        assert!(network.nodes.iter().all(|node| node.disk.hard.epoch == epoch));
        assert_eq!(network.leader(), Some(0), "the coordinator leads its first term");
    }
}

/// The same through loss, duplicates and reordering.
pub fn blank_nodes_form_one_epoch_through_loss() {
    for seed in 44..48 {
        let mut network = Network::<3>::new(seed);
        network.start();
        (network.loss_percent, network.double_percent, network.late_percent) = (20, 20, 30);
        network.pass(Ticks(10 * ELECTION_MAX.0));
        (network.loss_percent, network.double_percent, network.late_percent) = (0, 0, 0);
        network.settle();
        let epoch = network.nodes[0].disk.hard.epoch;
        assert!(network.nodes.iter().all(|node| node.disk.hard.epoch == epoch));
    }
}

/// Formation: "never with fewer than n", however long they wait: the missing ones might be a
/// cluster of their own.
pub fn two_of_three_never_form() {
    for missing in 0..3 {
        let mut network = Network::<3>::new(48);
        network.start();
        network.stop(missing);
        network.pass(Ticks(30 * ELECTION_MAX.0));
        assert!(network.running().all(|node| node.raft.role() == RoleName::Blank));
        assert!(network.running().all(|node| node.disk.hard.epoch == Epoch(0)));
    }
}

const fn hello(nonce: Nonce, ids: Nonce) -> Message<'static> {
    Message::Hello(Hello { nonce, ids, datagram: DATAGRAM_BYTES, padding: [0; 28] })
}

fn blank(nonce: Nonce) -> Message<'static> {
    let standing = Standing::Blank;
    Message::HelloReply(HelloReply {
        nonce,
        standing,
        datagram: DATAGRAM_BYTES,
        address: Address::EMPTY,
    })
}

fn accept(epoch: Epoch) -> Message<'static> {
    Message::BootReply(BootReply { epoch, accepted: true })
}

/// Everybody answers blank, and the coordinator proposes; gives the round's nonce.
fn propose(bench: &mut Bench) -> Nonce {
    let nonce = bench.drive().hello_to(TWO).expect("a hello").nonce;
    bench.answers_outside(member(TWO), blank(nonce));
    let sent = bench.answers_outside(member(THREE), blank(nonce));
    let members = sent.boot_to(TWO).expect("all are there");
    assert_eq!(members.epoch(CLUSTER), bench.epoch);
    nonce
}

/// Node 1 proposes these members; whether they are accepted.
fn offer(bench: &mut Bench, members: &[u8]) -> Option<bool> {
    let members = Members::parse(members).expect("well-formed members");
    let sent = bench.answers_outside(bench.member(ONE), Message::Boot(members));
    sent.boot_reply_to(ONE).map(|reply| reply.accepted)
}

/// The hash of the ids 1 to 3, as a blank node says it.
fn ids_of_three() -> Nonce {
    Bench::blank(3).drive().hello_to(ONE).expect("a hello").ids
}

impl Bench {
    /// A blank node that is a cluster by itself.
    fn blank_sized_one() -> Self {
        Self::blank_sized(1, NodeId(1), 3)
    }
}
