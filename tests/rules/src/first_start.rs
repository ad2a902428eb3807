//! How a majority starts a cluster for the first time, when its operators say so.

use coracle::message::{BootReply, HelloReply, Message, Standing};
use coracle::{
    Address, Epoch, Incarnation, Index, Member, MemberId, Members, NodeId, Nonce, Options, Part,
    RoleName, SetupError, Term, Ticks,
};

use crate::harness::{
    Bench, CLUSTER, DATAGRAM_BYTES, ELECTION_MAX, FIVE, FOUR, HEARTBEAT, Network, ONE, Persisting,
    Sent, THREE, TWO, at, configuration, entries, member, options,
};

/// First start: a majority that says so is enough, and names the absent without a life; but these
/// have half a round to answer.
pub fn a_majority_proposes_the_absent_without_a_life() {
    let mut bench = Bench::first_start(3, ONE);
    let nonce = bench.drive().hello_to(TWO).expect("a hello").nonce;
    let sent = bench.answers_outside(member(TWO), starting(nonce));
    assert!(sent.boot_to(TWO).is_none(), "node 3 may be there");
    let before = bench.pass(Ticks(HALF_A_ROUND.0 - 1));
    assert!(before.boot_to(TWO).is_none());
    let sent = bench.pass(Ticks(1));
    let members = sent.boot_to(TWO).expect("half a round is over");
    let lives = [bench.raft.member(), member(TWO), absent(THREE)];
    assert!(members.iter().map(|named| named.member).eq(lives));
    assert!(members.iter().all(|named| named.part == Part::Voter));
    assert!(sent.boot_to(THREE).is_none(), "nobody is there who could accept");
}

/// First start: a blank store alone may be a lost one, so blank answers without the word of an
/// operator start nothing, however many they are.
pub fn without_the_word_of_an_operator_a_majority_proposes_nothing() {
    let mut told = Bench::first_start(5, ONE);
    let mut untold = Bench::blank_coordinator(5);
    for _round in 0..3 {
        let nonce = next_nonce(&mut told);
        told.answers_outside(member(TWO), blank(nonce));
        told.answers_outside(member(THREE), blank(nonce));
        told.answers_outside(member(FOUR), starting(nonce));
        assert!(boots(&told.pass(HALF_A_ROUND)).next().is_none());
        let nonce = next_nonce(&mut untold);
        for peer in [TWO, THREE, FOUR] {
            untold.answers_outside(member(peer), starting(nonce));
        }
        assert!(boots(&untold.pass(HALF_A_ROUND)).next().is_none());
    }
}

/// First start: whoever is blank and does not say so counts as absent, although it answers: what it
/// holds may have been lost.
pub fn a_blank_answer_without_the_word_counts_as_absent() {
    let mut bench = Bench::first_start(5, ONE);
    let nonce = next_nonce(&mut bench);
    bench.answers_outside(member(TWO), starting(nonce));
    bench.answers_outside(member(THREE), starting(nonce));
    // Its life before said so, and is over.
    bench.answers_outside(member(FOUR), starting(nonce));
    bench.answers_outside(MemberId { incarnation: Incarnation(7), ..member(FOUR) }, blank(nonce));
    let sent = bench.pass(HALF_A_ROUND);
    let members = sent.boot_to(TWO).expect("three of five say so");
    let lives = [bench.raft.member(), member(TWO), member(THREE), absent(FOUR), absent(FIVE)];
    assert!(members.iter().map(|named| named.member).eq(lives));
    assert!(sent.boot_to(FOUR).is_none());
}

/// First start: "never two clusters": one node that is in an epoch, or was started with other ids,
/// shows that this is none.
pub fn a_node_in_an_epoch_or_of_other_ids_prevents_a_first_start() {
    let other = Standing::In { epoch: Epoch(9), hopeless: false, leader: None };
    for standing in [other, Standing::OtherIds] {
        let mut bench = Bench::first_start(5, ONE);
        for _round in 0..2 {
            let nonce = next_nonce(&mut bench);
            for peer in [TWO, THREE, FOUR, FIVE] {
                bench.answers_outside(member(peer), starting(nonce));
                if peer == FOUR {
                    // It was blank a moment ago.
                    bench.answers_outside(member(FOUR), stands(nonce, standing));
                    break;
                }
            }
            assert!(boots(&bench.pass(HALF_A_ROUND)).next().is_none());
        }
    }
}

/// First start: the lowest id of those that say so coordinates.
pub fn the_lowest_of_those_who_start_coordinates() {
    let mut bench = Bench::first_start(3, TWO);
    let nonce = next_nonce(&mut bench);
    bench.answers_outside(member(THREE), starting(nonce));
    let members = bench.pass(HALF_A_ROUND);
    assert!(members.boot_to(THREE).is_some(), "node 1 is absent");
    let mut bench = Bench::first_start(3, TWO);
    let nonce = next_nonce(&mut bench);
    bench.answers_outside(member(ONE), starting(nonce));
    assert!(boots(&bench.pass(HALF_A_ROUND)).next().is_none(), "node 1 does");
}

/// First start: with everybody there and blank the epoch is that of all, whoever says what.
pub fn with_everybody_there_all_are_named() {
    let mut bench = Bench::first_start(3, ONE);
    let nonce = next_nonce(&mut bench);
    bench.answers_outside(member(TWO), starting(nonce));
    let sent = bench.answers_outside(member(THREE), blank(nonce));
    assert!(sent.boot_to(TWO).is_some_and(is_of_all), "at once");
    let mut bench = Bench::first_start(3, TWO);
    let nonce = next_nonce(&mut bench);
    bench.answers_outside(member(ONE), blank(nonce));
    bench.answers_outside(member(THREE), starting(nonce));
    assert!(boots(&bench.pass(HALF_A_ROUND)).next().is_none(), "that is node 1's affair");
}

/// First start: one that comes while the proposal is out makes for a new one, with it.
pub fn one_that_comes_in_time_is_named() {
    let mut bench = Bench::first_start(3, ONE);
    propose(&mut bench);
    let nonce = next_nonce(&mut bench);
    let sent = bench.answers_outside(member(TWO), starting(nonce));
    assert!(boots(&sent).next().is_none(), "another round, another proposal");
    let sent = bench.answers_outside(member(THREE), starting(nonce));
    assert!(sent.boot_to(TWO).is_some_and(is_of_all));
}

/// First start: it forms when all accept that are named with a life, in term 1, and its quorums count
/// everybody: what the absent have not acknowledged is not committed by fewer than a majority of all.
pub fn the_quorums_of_a_first_start_count_the_absent() {
    let mut bench = Bench::first_start(5, ONE);
    let nonce = next_nonce(&mut bench);
    bench.answers_outside(member(TWO), starting(nonce));
    bench.answers_outside(member(THREE), starting(nonce));
    let sent = bench.pass(HALF_A_ROUND);
    let members = sent.boot_to(TWO).expect("three of five say so");
    let epoch = members.epoch(CLUSTER);
    bench.voters = members.iter().collect();
    bench.epoch = epoch;
    let sent = bench.answers_outside(member(TWO), accept(epoch));
    assert!(sent.append_to(TWO).is_none(), "node 3 has not accepted");
    let sent = bench.answers_outside(member(THREE), accept(epoch));
    assert_eq!((bench.raft.role(), bench.raft.term()), (RoleName::Leader, Term(1)));
    let append = sent.append_to(TWO).expect("it leads");
    let (.., data, _) = entries(append.run).next().expect("the first entry");
    assert_eq!(data, &configuration(&bench.voters)[..]);
    bench.accepts(&sent, TWO);
    bench.drive();
    assert_eq!(bench.raft.commit(), Index(0), "two of five");
    bench.accepts(&sent, THREE);
    bench.drive();
    assert_eq!(bench.raft.commit(), Index(1));
}

/// First start: what binds the coordinator is durable before anybody hears of the epoch.
pub fn the_epoch_of_a_first_start_is_durable_before_anybody_is_in_it() {
    let mut bench = Bench::first_start(3, ONE);
    let epoch = propose(&mut bench);
    bench.persisting = Persisting::Submitted;
    let sent = bench.answers_outside(member(TWO), accept(epoch));
    assert!(sent.append_to(TWO).is_none());
    bench.finish(0);
    assert_eq!(bench.disk.hard.epoch, epoch);
    assert!(bench.drive().append_to(TWO).is_some());
}

/// First start: a coordinator that stops before its record is on the disk is blank again, and starts
/// anew; one that has it leads the same epoch again, with its operator's word or without.
pub fn a_coordinator_that_comes_back_has_its_own_epoch_or_none() {
    let mut bench = Bench::first_start(3, ONE);
    let epoch = propose(&mut bench);
    bench.voters[2] = Member::voter(absent(THREE), DATAGRAM_BYTES);
    bench.voters[0].member = bench.raft.member();
    let mut early = bench.clone();
    early.persisting = Persisting::Submitted;
    early.answers_outside(member(TWO), accept(epoch));
    early.restart();
    assert_eq!((early.raft.role(), early.disk.hard.epoch), (RoleName::Blank, Epoch(0)));
    bench.answers_outside(member(TWO), accept(epoch));
    bench.restart();
    bench.epoch = epoch;
    assert_eq!((bench.raft.role(), bench.raft.last()), (RoleName::Follower, at(1, 1)));
    bench.get_elected();
    assert_eq!((bench.raft.role(), bench.raft.term()), (RoleName::Leader, Term(2)));
    assert_eq!(bench.disk.hard.epoch, epoch);
}

/// First start: an accept of whom the proposal does not name counts for nothing.
pub fn an_accept_of_the_absent_does_not_count() {
    let mut bench = Bench::first_start(5, ONE);
    let nonce = next_nonce(&mut bench);
    bench.answers_outside(member(TWO), starting(nonce));
    bench.answers_outside(member(THREE), starting(nonce));
    bench.answers_outside(member(FOUR), blank(nonce));
    let sent = bench.pass(HALF_A_ROUND);
    let epoch = sent.boot_to(TWO).expect("three of five say so").epoch(CLUSTER);
    bench.answers_outside(member(TWO), accept(epoch));
    bench.answers_outside(member(FOUR), accept(epoch));
    assert_eq!(bench.raft.role(), RoleName::Blank);
}

/// First start: a node accepts to leave others out only on its own operator's word.
pub fn a_node_accepts_a_first_start_only_if_its_operator_says_so() {
    let mut untold = Bench::blank(3);
    assert_eq!(offer(&mut untold, [true, true, false]), Some(false));
    let mut told = Bench::first_start(3, TWO);
    told.drive();
    let before = told.state();
    assert_eq!(offer(&mut told, [true, true, false]), Some(true));
    assert_eq!(told.state(), before, "nothing is bound by it yet");
}

/// First start: a proposal is of a majority of our ids, names this life, and comes from the lowest
/// id that has a life in it.
pub fn a_first_start_that_is_none_is_refused() {
    let mut bench = Bench::first_start(5, TWO);
    assert_eq!(offer(&mut bench, [true, true, false, false, false]), Some(false), "a minority");
    assert_eq!(offer(&mut bench, [true, false, true, true, false]), Some(false), "without us");
    let from_three = |bench: &mut Bench, lives| offer_from(bench, THREE, lives);
    assert_eq!(from_three(&mut bench, [true, true, true, false, false]), Some(false));
    let mut foreign = lives(&bench, [true, true, true, false, false]);
    foreign[4].member.id = NodeId(9);
    assert_eq!(offer_members(&mut bench, ONE, &foreign), Some(false), "other ids");
    let mut learner = lives(&bench, [true, true, true, false, false]);
    learner[3].part = Part::Learner;
    assert_eq!(offer_members(&mut bench, ONE, &learner), Some(false), "voters only");
    let few = lives(&bench, [true, true, true, false, false]);
    assert_eq!(offer_members(&mut bench, ONE, &few[..4]), Some(false), "all ids");
    assert_eq!(offer(&mut bench, [true, true, true, false, false]), Some(true));
}

/// First start: who knows of somebody in an epoch accepts none.
pub fn who_knows_of_an_epoch_accepts_no_first_start() {
    let mut bench = Bench::first_start(3, TWO);
    let nonce = next_nonce(&mut bench);
    let standing = Standing::In { epoch: Epoch(9), hopeless: false, leader: None };
    bench.answers_outside(member(THREE), stands(nonce, standing));
    assert_eq!(offer(&mut bench, [true, true, false]), Some(false));
}

/// First start: who has accepted gives the coordinator half a round before it proposes another.
pub fn who_has_accepted_waits_before_it_proposes() {
    let mut bench = Bench::first_start(3, TWO);
    let nonce = bench.drive().hello_to(THREE).expect("a hello").nonce;
    bench.pass(Ticks(HALF_A_ROUND.0 - 1));
    bench.answers_outside(member(THREE), starting(nonce));
    assert_eq!(offer(&mut bench, [true, true, false]), Some(true));
    let nonce = next_nonce(&mut bench);
    bench.answers_outside(member(THREE), starting(nonce));
    let meanwhile = bench.pass(Ticks(HALF_A_ROUND.0 - HEARTBEAT.0 - 1));
    assert!(boots(&meanwhile).next().is_none());
    assert!(bench.pass(Ticks(1)).boot_to(THREE).is_some(), "node 1 has given up");
}

/// First start: the first append binds, durably: whoever was taken into one epoch accepts no other,
/// in no process of this life.
pub fn a_member_of_a_first_start_is_in_no_other() {
    let mut bench = Bench::first_start(3, TWO);
    bench.drive();
    bench.voters = lives(&bench, [true, true, false]);
    let bytes = configuration(&bench.voters);
    let epoch = Members::parse(&bytes).expect("well-formed members").epoch(CLUSTER);
    bench.epoch = epoch;
    bench.persisting = Persisting::Submitted;
    let run = bench.run(1, &[1]);
    let append = crate::harness::append(1, at(0, 0), 0, run.bytes());
    let sent = bench.answers(ONE, append);
    assert!(sent.append_reply_to(ONE).is_none(), "not before it is durable");
    bench.finish(0);
    assert!(bench.drive().append_reply_to(ONE).is_some());
    bench.persisting = Persisting::AtOnce;
    for _process in 0..2 {
        assert_eq!(bench.disk.hard.epoch, epoch);
        let mut other = bench.voters.clone();
        other[0].member.incarnation = Incarnation(99);
        let from = other[0].member;
        let bytes = configuration(&other);
        let members = Members::parse(&bytes).expect("well-formed members");
        let sent = bench.answers_outside(from, Message::Boot(members));
        assert_eq!(sent.boot_reply_to(ONE).map(|reply| reply.accepted), Some(false));
        let run = bench.run(1, &[1]);
        let append = crate::harness::append(1, at(0, 0), 0, run.bytes());
        assert!(!bench.hears_from(from, members.epoch(CLUSTER), append));
        bench.restart();
    }
}

/// First start: two of three form and commit; the third comes in when it is there, with its
/// operator's word or without, and has its own vote then.
pub fn two_of_three_start_and_the_third_comes_in() {
    for missing in 0..3 {
        let mut network = Network::<3>::new(50);
        network.start_first();
        network.stop(missing);
        network.settle();
        let entry = network.propose(b"early");
        network.settle();
        let leader = network.leader().expect("two of three elect");
        assert!(network.nodes[leader].raft.commit() >= entry.index);
        assert!(network.nodes[missing].raft.commit() == Index(0));
        network.resume(missing);
        comes_in(&mut network, missing);
    }
}

/// The same of four, at whose capacity there is room for one life more.
pub fn three_of_four_start_and_the_fourth_comes_in() {
    for missing in 0..4 {
        let mut network = Network::<4>::new(51);
        network.start_first();
        network.stop(missing);
        network.settle();
        network.resume(missing);
        comes_in(&mut network, missing);
    }
}

/// At the whole capacity of five, three are enough and two are not.
pub fn three_of_five_start_and_two_never_do() {
    let mut network = Network::<5>::new(52);
    network.start_first();
    [0, 2, 4].iter().for_each(|place| network.stop(*place));
    network.pass(Ticks(10 * ELECTION_MAX.0));
    assert!(network.running().all(|node| node.raft.role() == RoleName::Blank));
    network.resume(4);
    network.settle();
    network.propose(b"three of five");
    network.settle();
    let leader = network.leader().expect("three of five elect");
    let named = &network.nodes[leader].raft.configuration().members;
    assert_eq!(named.iter().filter(|named| named.member.has_life()).count(), 3);
}

/// First start: half of an even number is no majority.
pub fn two_halves_never_start() {
    let mut network = Network::<4>::new(53);
    network.start_first();
    for (one, other) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
        network.cut(one, other);
    }
    network.pass(Ticks(20 * ELECTION_MAX.0));
    assert!(network.running().all(|node| node.raft.role() == RoleName::Blank));
    network.heal();
    network.settle();
    let leader = network.leader().expect("all four are there");
    let named = &network.nodes[leader].raft.configuration().members;
    assert!(named.iter().all(|named| named.member.has_life()));
}

/// First start: with links that are cut one by one, or lose much, one epoch at most commits anything.
pub fn one_epoch_at_most_commits() {
    for seed in 60..72 {
        let mut network = Network::<3>::new(seed);
        network.start_first();
        (network.loss_percent, network.double_percent, network.late_percent) = (30, 20, 30);
        for turn in 0..12 {
            let (one, other) = [(0, 1), (1, 2), (0, 2)][(turn + usize::from(seed % 2 == 0)) % 3];
            network.cut(one, other);
            network.pass(HALF_A_ROUND);
            if turn % 2 == 0 {
                network.join(one, other);
            }
            let mut epochs = network.running().filter(|node| node.raft.commit() > Index(0));
            if let Some(first) = epochs.next() {
                let epoch = first.raft.hard_state().epoch;
                assert!(epochs.all(|node| node.raft.hard_state().epoch == epoch), "seed {seed}");
            }
        }
    }
}

/// A node cannot join a cluster and start one.
pub fn to_join_and_to_start_is_refused() {
    let both = Options { is_first_start: true, is_joining: true, ..options(ONE) };
    let memory = crate::harness::Small::fresh();
    let random = crate::harness::Random::new(1);
    let raft: Result<coracle::Raft<_, _, _, 5>, _> =
        coracle::Raft::new(&both, &[], memory, random, coracle::Checksum);
    assert_eq!(raft.err(), Some(SetupError::FirstStart));
}

/// How long the absent have to answer.
const HALF_A_ROUND: Ticks = Ticks(4 * HEARTBEAT.0);

fn comes_in<const N: usize>(network: &mut Network<N>, place: usize) {
    let member = network.nodes[place].raft.member();
    for _tick in 0..20 * ELECTION_MAX.0 {
        network.pass(Ticks(1));
        let Some(leader) = network.leader() else { continue };
        let raft = &network.nodes[leader].raft;
        let has_vote = raft.configuration().find(member).is_some_and(|it| it.part == Part::Voter);
        if has_vote && !raft.is_changing() && raft.configuration().members.len() == N {
            network.settle();
            assert!(network.nodes.iter().all(|node| node.raft.commit() > Index(0)));
            return;
        }
    }
    panic!("node {} is not taken in", member.id);
}

const fn absent(id: NodeId) -> MemberId {
    MemberId { id, incarnation: Incarnation(0) }
}

fn stands(nonce: Nonce, standing: Standing) -> Message<'static> {
    let address = Address::EMPTY;
    Message::HelloReply(HelloReply { nonce, standing, datagram: DATAGRAM_BYTES, address })
}

fn starting(nonce: Nonce) -> Message<'static> {
    stands(nonce, Standing::FirstStart)
}

fn blank(nonce: Nonce) -> Message<'static> {
    stands(nonce, Standing::Blank)
}

fn accept(epoch: Epoch) -> Message<'static> {
    Message::BootReply(BootReply { epoch, accepted: true })
}

fn is_of_all(members: Members<'_>) -> bool {
    members.iter().all(|named| named.member.has_life())
}

fn boots(sent: &Sent) -> impl Iterator<Item = Members<'_>> {
    sent.messages().filter_map(|(_, _, message)| match message {
        Message::Boot(members) => Some(members),
        _ => None,
    })
}

/// The nonce of the round that runs, or of the next one.
fn next_nonce(bench: &mut Bench) -> Nonce {
    for _beat in 0..10 {
        let sent = bench.pass(HEARTBEAT);
        let hello = [ONE, TWO, THREE].iter().find_map(|peer| sent.hello_to(*peer));
        if let Some(hello) = hello {
            return hello.nonce;
        }
    }
    panic!("a blank node asks");
}

/// Node 2 says that this is the first start, node 1 of three proposes: gives the epoch.
fn propose(bench: &mut Bench) -> Epoch {
    let nonce = bench.drive().hello_to(TWO).expect("a hello").nonce;
    bench.answers_outside(member(TWO), starting(nonce));
    let sent = bench.pass(HALF_A_ROUND);
    sent.boot_to(TWO).expect("two of three say so").epoch(CLUSTER)
}

/// The members of the bench, those of them with a life that are `present`.
fn lives<const N: usize>(bench: &Bench, present: [bool; N]) -> heapless::Vec<Member, 5> {
    let with = |(voter, present): (&Member, bool)| match present {
        true => *voter,
        false => Member::voter(absent(voter.member.id), DATAGRAM_BYTES),
    };
    bench.voters.iter().zip(present).map(with).collect()
}

/// Node 1 proposes a first start of those who are present; whether that is accepted.
fn offer<const N: usize>(bench: &mut Bench, present: [bool; N]) -> Option<bool> {
    offer_from(bench, ONE, present)
}

fn offer_from<const N: usize>(bench: &mut Bench, from: NodeId, present: [bool; N]) -> Option<bool> {
    let members = lives(bench, present);
    offer_members(bench, from, &members)
}

fn offer_members(bench: &mut Bench, from: NodeId, members: &[Member]) -> Option<bool> {
    let bytes = configuration(members);
    let members = Members::parse(&bytes).expect("well-formed members");
    let sent = bench.answers_outside(bench.member(from), Message::Boot(members));
    sent.boot_reply_to(from).map(|reply| reply.accepted)
}
