//! Restarts on purpose of members that store nothing: an image of a node, left in memory.

use coracle::message::Message;
use coracle::wire::{self, Header, Introduction, Route};
use coracle::{
    Checksum, ClusterId, Event, Lease, MemberId, Node, NodeError, NodeId, Options, Raft,
    ResumeError, RetireError, Ticks,
};

use crate::harness::desk::{Board, Desk, Medium, Mode, PENDING, SESSIONS, Sum, Told};
use crate::harness::{
    CLUSTER, ELECTION_MIN, HEARTBEAT, MEMBERS, Random, Small, options, others, pre_vote,
};

/// Warm restart: the same life goes on, with its state and its sessions, and nobody replaces it.
pub fn a_member_that_left_an_image_goes_on_in_the_same_life() {
    let mut desk = three();
    let session = desk.open(7);
    assert!(matches!(desk.commands(7, session, 1, 5), Some(Told::Applied(_, 5))));
    let place = follower(&desk);
    let before = seen(&desk, place);
    let index = desk.nodes[place].raft().configuration().index;
    let mut image = retired(&mut desk, place);
    start_again(&mut desk, place);
    assert_ne!(desk.nodes[place].raft().member(), before.0, "it has drawn a new life");
    assert_eq!(desk.nodes[place].resume(&mut image), Ok(()));
    assert_eq!(seen(&desk, place), before);
    wait(&mut desk);
    assert!(matches!(desk.commands(7, session, 2, 6), Some(Told::Applied(_, 11))));
    wait(&mut desk);
    assert_eq!(desk.sum(place), 11);
    assert_eq!(desk.nodes[place].raft().configuration().index, index, "nobody was replaced");
    assert_eq!(desk.nodes[place].raft().member(), before.0);
}

/// Warm restart: a leader that left an image follows, and a command that it had answered is answered
/// from its session by whoever leads next.
pub fn a_leader_that_left_an_image_follows_at_first() {
    let mut desk = three();
    let session = desk.open(7);
    let first = desk.commands(7, session, 1, 5);
    let place = desk.leader().expect("somebody leads");
    let before = seen(&desk, place);
    let mut image = retired(&mut desk, place);
    start_again(&mut desk, place);
    assert_eq!(desk.nodes[place].resume(&mut image), Ok(()));
    assert_eq!(desk.leader(), None, "it does not lead the term in which it has");
    wait(&mut desk);
    assert_eq!(desk.commands(7, session, 1, 5), first);
    assert_eq!(desk.nodes[place].raft().member(), before.0);
}

/// Warm restart: what was acknowledged before is held afterwards. Here the entry is on two of three
/// when its client is told, and one of the two goes for good.
pub fn what_was_acknowledged_before_an_image_is_held_after_it() {
    let mut desk = three();
    let session = desk.open(7);
    let leader = desk.leader().expect("somebody leads");
    let [holder, lacking] = [1, 2].map(|step| (leader + step) % 3);
    desk.is_cut[lacking] = true;
    assert!(matches!(desk.commands(7, session, 1, 5), Some(Told::Applied(_, 5))));
    let last = desk.nodes[holder].raft().last();
    assert_eq!(desk.nodes[leader].raft().last(), last);
    let mut image = retired(&mut desk, holder);
    desk.is_down[leader] = true;
    desk.is_cut[lacking] = false;
    start_again(&mut desk, holder);
    assert_eq!(desk.nodes[holder].resume(&mut image), Ok(()));
    assert_eq!(desk.nodes[holder].raft().last(), last);
    wait(&mut desk);
    assert_eq!(desk.leader(), Some(holder), "only it has the entry");
    assert_eq!(desk.sum(lacking), 5);
}

/// Warm restart: the state is in the image, so that a log whose front is gone needs no snapshot.
pub fn a_log_that_was_dropped_in_front_needs_no_snapshot() {
    let mut desk = three();
    for _command in 0..100 {
        let leader = desk.leader().expect("somebody leads");
        desk.nodes[leader].propose(&1).expect("a leader with room");
        desk.pass(Ticks(1));
    }
    wait(&mut desk);
    for place in 0..3 {
        let before = seen(&desk, place);
        let base = desk.nodes[place].raft().base();
        assert!(base.index.0 > 0, "the log's front is gone");
        let mut image = retired(&mut desk, place);
        start_again(&mut desk, place);
        assert_eq!(desk.nodes[place].resume(&mut image), Ok(()));
        assert_eq!(seen(&desk, place), before);
        assert_eq!(desk.nodes[place].raft().base(), base);
        wait(&mut desk);
    }
    assert_eq!([0, 1, 2].map(|place| desk.sum(place)), [100; 3]);
}

/// Thesis 6.4.1: who was started again does not know whom it has heard, and that one may answer reads
/// under a lease.
pub fn a_member_with_leases_votes_for_nobody_at_first() {
    for (lease, is_granted) in [(None, true), (Some(Lease { drift_permille: 10 }), false)] {
        let mut desk = three();
        let place = follower(&desk);
        let candidate = desk.nodes[(place + 1) % 3].raft().member();
        let mut image = retired(&mut desk, place);
        let id = desk.nodes[place].raft().member().id;
        let mut node = node(&Options { lease, ..options(id) }, &others(id, 3), 200);
        assert_eq!(node.resume(&mut image), Ok(()));
        assert_eq!(grants(&mut node, candidate), is_granted);
        node.tick(Ticks(ELECTION_MIN.0 - 1));
        assert_eq!(grants(&mut node, candidate), is_granted);
        node.tick(Ticks(1));
        assert!(grants(&mut node, candidate), "nobody that it has heard leads any more");
    }
}

/// Warm restart: a member that has not joined anything yet is blank in the same life.
pub fn a_blank_member_that_left_an_image_is_blank_in_the_same_life() {
    let mut node = blank(1, 3, 1);
    let life = node.raft().member();
    let mut image = [0; IMAGE];
    node.retire(&mut image).expect("there is room");
    let mut next = blank(1, 3, 2);
    assert_eq!(next.resume(&mut image), Ok(()));
    assert_eq!(next.raft().member(), life);
    assert_eq!(next.raft().hard_state().epoch.0, 0);
}

/// Warm restart: an image is the last that a node does, so that it is not older than what was said.
pub fn a_node_that_left_an_image_says_nothing_more() {
    let mut desk = three();
    let leader = desk.leader().expect("somebody leads");
    desk.nodes[leader].propose(&5).expect("a leader with room");
    let mut image = retired(&mut desk, leader);
    let node = &mut desk.nodes[leader];
    node.tick(Ticks(1000));
    assert_eq!(node.poll(&mut [0; 256]), Err(NodeError::Dead));
    assert_eq!(node.next_timeout(), None);
    let whole = image;
    assert_eq!(node.retire(&mut image), Err(RetireError::Dead));
    assert_eq!(image, whole, "it was not touched");
}

/// Warm restart: an image stands for one process, so it is void once it was looked at.
pub fn an_image_is_taken_up_once() {
    let (mut image, _) = image();
    assert_eq!(blank(1, 1, 2).resume(&mut image), Ok(()));
    assert_eq!(blank(1, 1, 3).resume(&mut image), Err(ResumeError::NoImage));
    let (mut image, _) = self::image();
    assert_eq!(blank(2, 2, 2).resume(&mut image), Err(ResumeError::Other));
    assert_eq!(blank(1, 1, 3).resume(&mut image), Err(ResumeError::NoImage), "nor by another");
}

/// Warm restart: a reset while an image is made void finds it void, or whole: nothing has left the
/// next process then.
pub fn an_image_of_which_a_part_is_void_is_none() {
    let (whole, length) = image();
    for voided in 0..length {
        let mut image = whole;
        image[..voided].fill(0);
        let resumed = blank(1, 1, 2).resume(&mut image);
        let expected = if voided == 0 { Ok(()) } else { Err(ResumeError::NoImage) };
        assert_eq!(resumed, expected, "{voided} bytes");
    }
}

/// Warm restart: any single bit that is not as it was written is found.
pub fn a_flipped_bit_anywhere_in_an_image_is_found() {
    let (whole, length) = image();
    let mut node = blank(1, 1, 2);
    let life = node.raft().member();
    for bit in 0..8 * length {
        let mut image = whole;
        image[bit / 8] ^= 1 << (bit % 8);
        let refused = node.resume(&mut image);
        let expected = match bit / 8 {
            0..7 => ResumeError::NoImage,
            7 => ResumeError::Version,
            _ => ResumeError::Damaged,
        };
        assert_eq!(refused, Err(expected), "bit {bit}");
    }
    assert_eq!(node.raft().member(), life);
    lives(&mut node);
}

/// Warm restart: an image of which the end is missing is found, however much of it.
pub fn an_image_that_was_cut_short_is_found() {
    let (whole, length) = image();
    let mut node = blank(1, 1, 2);
    for kept in 0..length {
        let mut image = whole;
        let expected = if kept < 8 { ResumeError::NoImage } else { ResumeError::Damaged };
        assert_eq!(node.resume(&mut image[..kept]), Err(expected), "{kept} bytes");
    }
    let mut image = whole;
    assert_eq!(node.resume(&mut image[..length]), Ok(()));
}

/// Warm restart: what follows an image in its memory does not matter.
pub fn an_image_may_lie_in_more_memory_than_it_takes() {
    let (mut image, length) = image();
    image[length..].fill(0xa5);
    assert_eq!(blank(1, 1, 2).resume(&mut image), Ok(()));
}

/// Warm restart: the image must be of this node, of this cluster, and of one that told others of the
/// same ids and of datagrams that are not larger.
pub fn an_image_of_another_node_is_refused() {
    let others = |count| others(NodeId(1), count);
    let set_up = options(NodeId(1));
    let refused = |options: Options, count: u32| {
        let (mut image, _) = image();
        node(&options, &others(count), 2).resume(&mut image)
    };
    assert_eq!(refused(set_up, 1), Ok(()));
    assert_eq!(refused(Options { cluster: ClusterId(1), ..set_up }, 1), Err(ResumeError::Other));
    assert_eq!(refused(Options { id: NodeId(9), ..set_up }, 1), Err(ResumeError::Other));
    assert_eq!(refused(set_up, 2), Err(ResumeError::Other));
    let mut large = set_up;
    large.datagram = 260;
    let mut image = [0; IMAGE];
    node(&large, &[], 1).retire(&mut image).expect("there is room");
    assert_eq!(node(&set_up, &[], 2).resume(&mut image), Err(ResumeError::Other));
    node(&set_up, &[], 1).retire(&mut image).expect("there is room");
    assert_eq!(node(&large, &[], 2).resume(&mut image), Ok(()));
}

/// Warm restart: what does not fit any more leaves the node blank and able to go on.
pub fn an_image_that_does_not_fit_leaves_a_blank_node() {
    let mut desk = Desk::<1>::new();
    desk.form();
    (1..=2).for_each(|client| {
        desk.open(client);
    });
    for _command in 0..10 {
        desk.nodes[0].propose(&1).expect("a leader with room");
        desk.run();
    }
    assert_eq!(desk.nodes[0].raft().base().index.0, 0);
    let mut whole = [0; IMAGE];
    desk.nodes[0].retire(&mut whole).expect("there is room");

    let raft = raft(&options(NodeId(1)), &[], 2, Small::limited(640, 16));
    let mut small = Node::<Board, MEMBERS, SESSIONS, PENDING>::new(raft, Medium::new(), SUM);
    let life = small.raft().member();
    assert_eq!(small.resume(&mut whole.clone()), Err(ResumeError::TooSmall));
    assert_eq!(small.raft().member(), life);
    assert_eq!(small.raft().last(), coracle::EntryId::default());
    lives(&mut small);

    let raft = self::raft(&options(NodeId(1)), &[], 2, Small::fresh());
    let mut forgetful = Node::<Board, MEMBERS, 1, PENDING>::new(raft, Medium::new(), SUM);
    assert_eq!(forgetful.resume(&mut whole), Err(ResumeError::State));
    assert_eq!(forgetful.poll(&mut [0; 256]), Err(NodeError::Dead), "its state may be anything");
}

/// Warm restart: a node that finds no room for its image says how much it takes, and goes on.
pub fn an_image_without_room_is_an_error_and_no_end() {
    let mut desk = Desk::<1>::new();
    desk.form();
    let node = &mut desk.nodes[0];
    let mut image = [0xff; IMAGE];
    let Err(RetireError::TooSmall { needed }) = node.retire(&mut []) else {
        panic!("nothing holds no image")
    };
    for length in 0..needed {
        let refused = node.retire(&mut image[..length]);
        assert_eq!(refused, Err(RetireError::TooSmall { needed }));
    }
    lives(node);
    let Err(RetireError::TooSmall { needed }) = node.retire(&mut image[..needed]) else {
        panic!("there is one entry more now")
    };
    assert_eq!(blank(1, 1, 2).resume(&mut image), Err(ResumeError::NoImage));
    assert_eq!(desk.nodes[0].retire(&mut image[..needed]), Ok(needed));
    assert_eq!(blank(1, 1, 2).resume(&mut image), Ok(()));
}

/// Warm restart: a durable storage needs no image, and two places that remember could disagree.
pub fn a_durable_storage_neither_leaves_an_image_nor_takes_one() {
    let (mut image, _) = image();
    let mut node = blank(1, 1, 2);
    node.storage_mut().is_durable = true;
    assert_eq!(node.resume(&mut image.clone()), Err(ResumeError::Durable));
    assert_eq!(node.retire(&mut image), Err(RetireError::Durable));
    assert_eq!(blank(1, 1, 3).resume(&mut image), Ok(()), "it was not touched");
}

/// Warm restart: who has run is another life already.
pub fn a_node_that_has_run_takes_no_image() {
    let (whole, _) = image();
    let mut node = blank(1, 1, 2);
    node.tick(Ticks(1));
    assert_eq!(node.resume(&mut whole.clone()), Err(ResumeError::Running));
    lives(&mut node);
    let mut again = blank(1, 1, 2);
    assert_eq!(again.resume(&mut whole.clone()), Ok(()));
    assert_eq!(again.resume(&mut whole.clone()), Err(ResumeError::Running));
}

/// Warm restart: a node that has failed leaves no image.
pub fn a_node_that_has_failed_leaves_no_image() {
    let mut desk = Desk::<1>::new();
    desk.form();
    desk.nodes[0].storage_mut().mode = Mode::Fails;
    desk.nodes[0].propose(&5).expect("a leader with room");
    assert!(matches!(desk.nodes[0].poll(&mut [0; 256]), Err(NodeError::Storage(_))));
    let mut image = [0; IMAGE];
    assert_eq!(desk.nodes[0].retire(&mut image), Err(RetireError::Dead));
    assert_eq!(image, [0; IMAGE]);
}

/// Warm restart: after any doubt the member is a new one, which takes the place of the old one.
pub fn a_damaged_image_makes_a_new_life_that_is_taken_in() {
    let mut desk = three();
    let session = desk.open(7);
    assert!(matches!(desk.commands(7, session, 1, 5), Some(Told::Applied(_, 5))));
    let place = follower(&desk);
    let before = desk.nodes[place].raft().member();
    let mut image = retired(&mut desk, place);
    image[200] ^= 1;
    start_again(&mut desk, place);
    assert_eq!(desk.nodes[place].resume(&mut image), Err(ResumeError::Damaged));
    let new = desk.nodes[place].raft().member();
    assert_ne!(new, before);
    wait(&mut desk);
    let leader = desk.leader().expect("somebody leads");
    let configuration = desk.nodes[leader].raft().configuration();
    assert!(configuration.find(new).is_some(), "it was not taken in");
    assert!(configuration.find(before).is_none(), "the old life still counts");
    assert_eq!(desk.sum(place), 5);
}

/// More than any image here takes.
const IMAGE: usize = 1400;

const SUM: Sum = Sum { sum: 0 };

fn three() -> Desk<3> {
    let mut desk = Desk::new();
    desk.form();
    desk
}

/// Long enough for an election, and for a life to be replaced.
fn wait<const N: usize>(desk: &mut Desk<N>) {
    (0..40).for_each(|_| desk.pass(HEARTBEAT));
}

fn follower(desk: &Desk<3>) -> usize {
    (desk.leader().expect("somebody leads") + 1) % 3
}

/// A node ends and leaves an image.
#[inline(never)]
fn retired<const N: usize>(desk: &mut Desk<N>, place: usize) -> [u8; IMAGE] {
    let mut image = [0; IMAGE];
    desk.nodes[place].retire(&mut image).expect("there is room");
    image
}

#[inline(never)]
fn start_again<const N: usize>(desk: &mut Desk<N>, place: usize) {
    desk.start_again(place, 100);
}

/// What must be the same before and after.
fn seen<const N: usize>(
    desk: &Desk<N>,
    place: usize,
) -> (MemberId, coracle::HardState, [coracle::EntryId; 2], [coracle::Index; 2], usize, i64) {
    let node = &desk.nodes[place];
    let raft = node.raft();
    (
        raft.member(),
        raft.hard_state(),
        [raft.base(), raft.last()],
        [raft.commit(), raft.applied()],
        node.session_count(),
        node.machine().sum,
    )
}

type Plain = Node<Board, MEMBERS, SESSIONS, PENDING>;

fn raft(
    options: &Options,
    others: &[NodeId],
    seed: u64,
    memory: Small,
) -> Raft<Small, Random, Checksum, MEMBERS> {
    Raft::new(options, others, memory, Random::new(seed), Checksum).expect("a sound set-up")
}

#[inline(never)]
fn node(options: &Options, others: &[NodeId], seed: u64) -> Plain {
    Node::new(raft(options, others, seed, Small::fresh()), Medium::new(), SUM)
}

/// A blank node of a cluster of `count`.
fn blank(id: u32, count: u32, seed: u64) -> Plain {
    node(&options(NodeId(id)), &others(NodeId(id), count), seed)
}

/// The image of a cluster by itself which has a session and a state, and its length.
#[inline(never)]
fn image() -> ([u8; IMAGE], usize) {
    let mut desk = Desk::<1>::new();
    desk.form();
    let session = desk.open(7);
    assert!(matches!(desk.commands(7, session, 1, 5), Some(Told::Applied(_, 5))));
    let mut image = [0; IMAGE];
    let length = desk.nodes[0].retire(&mut image).expect("there is room");
    (image, length)
}

/// Whether a node would vote for this candidate in the next term.
fn grants(node: &mut Plain, candidate: MemberId) -> bool {
    let hard = node.raft().hard_state();
    let (cluster, epoch, to) = (CLUSTER, hard.epoch, node.raft().member());
    let route = Route::Full(Introduction { cluster, epoch, from: candidate, to });
    let request = pre_vote(hard.term.0 + 1, node.raft().last());
    let mut buffer = [0; 256];
    let header = Header { number: 1, route };
    let length = wire::encode(&header, &request, &Checksum, &mut buffer).expect("it fits");
    node.receive(0, &buffer[..length]).expect("a member's request");
    for _output in 0..10 {
        let Some(event) = node.poll(&mut buffer).expect("the node is well") else { break };
        let Event::Send { datagram, .. } = event else { continue };
        if let Ok((_, Message::PreVoteReply(reply))) = wire::decode(datagram, &Checksum) {
            return reply.granted;
        }
    }
    panic!("no answer")
}

/// A node by itself goes on: it leads, and does a command.
fn lives(node: &mut Plain) {
    let mut buffer = [0; 256];
    let mut run = |node: &mut Plain| {
        for _output in 0..100 {
            if node.poll(&mut buffer).expect("the node is well").is_none() {
                return;
            }
        }
    };
    node.tick(HEARTBEAT);
    run(node);
    let before = node.machine().sum;
    node.propose(&3).expect("it leads");
    run(node);
    assert_eq!(node.machine().sum, before + 3);
}
