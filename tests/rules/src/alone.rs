//! How the last survivor of a cluster goes on alone, when its operator says so.

use coracle::message::{Admin, Want};
use coracle::{EntryId, Epoch, FoundError, HardState, NodeId, Part, RoleName, Ticks};

use crate::harness::desk::{Desk, Told, command};
use crate::harness::{ELECTION_MAX, HEARTBEAT};

/// Founding: a new life in a new epoch names itself alone, in an entry behind all that it held, and
/// serves at once.
pub fn a_survivor_goes_on_alone_with_all_that_it_holds() {
    let mut desk = survived(Desk::new());
    let before = hard(&desk, SURVIVOR);
    let last = desk.nodes[SURVIVOR].raft().last();
    let (epoch, first) = found(&mut desk);
    let now = hard(&desk, SURVIVOR);
    assert_ne!(now.incarnation, before.incarnation);
    assert_ne!(now.epoch, before.epoch);
    assert_eq!(now.epoch, epoch);
    assert_eq!(now.term, before.term.next());
    assert_eq!(first, EntryId { term: now.term, index: last.index.next() });
    let raft = desk.nodes[SURVIVOR].raft();
    assert_eq!((raft.role(), raft.leader()), (RoleName::Leader, Some(NodeId(3))));
    assert_eq!((raft.commit(), raft.applied(), raft.last()), (first.index, first.index, first));
    let members = &raft.configuration().members;
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].member, members[0].part), (raft.member(), Part::Voter));
    assert_eq!(desk.sum(SURVIVOR), 5);
    desk.epoch = epoch;
    let session = desk.open(8);
    assert!(matches!(desk.commands(8, session, 1, 2), Some(Told::Applied(_, 7))));
}

/// Founding: whether an entry was committed nobody can say any more, so all of them were.
pub fn what_was_never_acknowledged_takes_effect_too() {
    let mut desk = Desk::<3>::new();
    desk.form();
    allow(&mut desk);
    let session = desk.open(7);
    let leader = desk.leader().expect("somebody leads");
    for place in (0..3).filter(|place| *place != leader) {
        desk.is_down[place] = true;
    }
    desk.ask(leader, 7, command(session, 1, &[10]));
    assert_eq!(desk.told(), None, "nobody else has it");
    assert_eq!(desk.sum(leader), 0);
    desk.pass(Ticks(5 * ELECTION_MAX.0));
    desk.mail.clear();
    wish(&mut desk, leader);
    assert!(matches!(desk.told(), Some(Told::Founded(..))));
    assert_eq!(desk.sum(leader), 5);
}

/// Founding: a cluster that has a leader needs no way out.
pub fn a_node_that_has_a_leader_gives_nothing_up() {
    let mut desk = Desk::<3>::new();
    desk.form();
    allow(&mut desk);
    let leader = desk.leader().expect("somebody leads");
    let id = desk.nodes[leader].raft().member().id;
    let before = [0, 1, 2].map(|place| hard(&desk, place));
    for place in 0..3 {
        wish(&mut desk, place);
        assert_eq!(desk.told(), Some(Told::NotFounded(FoundError::HasLeader(Some(id)))));
    }
    assert_eq!([0, 1, 2].map(|place| hard(&desk, place)), before);
}

/// Founding: neither does one in which a majority answers, though nobody has been elected yet.
pub fn a_node_that_a_majority_answers_gives_nothing_up() {
    let mut desk = Desk::<3>::new();
    desk.form();
    allow(&mut desk);
    let session = desk.open(7);
    let leader = desk.leader().expect("somebody leads");
    // One falls behind, so that the other never votes for it, and asks for votes in vain; then the
    // leader goes.
    let behind = (leader + 1) % 3;
    desk.is_cut[behind] = true;
    assert!(matches!(desk.commands(7, session, 1, 5), Some(Told::Applied(_, 5))));
    desk.pass(Ticks(2 * ELECTION_MAX.0));
    desk.is_down[leader] = true;
    desk.is_cut[behind] = false;
    // It asks again, and is refused.
    desk.pass(HEARTBEAT);
    let mut told = 0;
    for _tick in 0..5 * ELECTION_MAX.0 {
        desk.pass(Ticks(1));
        if desk.leader().is_some() {
            break;
        }
        wish(&mut desk, behind);
        match desk.told() {
            Some(Told::NotFounded(FoundError::HasQuorum)) => told += 1,
            Some(Told::NotFounded(FoundError::TooEarly | FoundError::HasLeader(_))) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(told > 0, "it has asked the other one");
    assert!(desk.leader().is_some(), "the other one is elected");
}

/// Founding: who has not given the others time to answer does not know that they are gone.
pub fn a_node_that_has_just_asked_for_votes_gives_nothing_up() {
    let mut desk = with_value(Desk::new());
    (0..3).filter(|place| *place != SURVIVOR).for_each(|place| desk.is_down[place] = true);
    let mut early = [0; 2];
    for _tick in 0..5 * ELECTION_MAX.0 {
        desk.pass(Ticks(1));
        let role = desk.nodes[SURVIVOR].raft().role();
        wish(&mut desk, SURVIVOR);
        match desk.told() {
            Some(Told::NotFounded(FoundError::TooEarly)) if role == RoleName::Follower => {
                early[0] += 1;
            }
            Some(Told::NotFounded(FoundError::TooEarly)) => early[1] += 1,
            Some(Told::NotFounded(FoundError::HasLeader(_))) => {}
            Some(Told::Founded(..)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(early[1] >= HEARTBEAT.0 - 1, "{early:?}");
    assert_eq!(desk.nodes[SURVIVOR].raft().role(), RoleName::Leader);
}

/// Founding: the wish names the epoch that it gives up, so a copy of it that is late does nothing.
pub fn a_wish_that_comes_twice_is_done_once() {
    let mut desk = survived(Desk::new());
    let given_up = hard(&desk, SURVIVOR).epoch;
    let (epoch, _) = found(&mut desk);
    let now = hard(&desk, SURVIVOR);
    for _copy in 0..3 {
        desk.ask(SURVIVOR, 9, Want::Admin(Admin::FoundAlone(given_up)));
        assert_eq!(desk.told(), Some(Told::NotFounded(FoundError::OtherEpoch(epoch))));
    }
    assert_eq!(hard(&desk, SURVIVOR), now);
}

/// Founding: there must be something to go on with.
pub fn who_holds_nothing_founds_nothing() {
    let mut desk = survived(Desk::new());
    desk.start_blank(0, 200);
    desk.nodes[0].allow_founding();
    desk.pass(ELECTION_MAX);
    for epoch in [Epoch(0), hard(&desk, SURVIVOR).epoch] {
        desk.ask(0, 9, Want::Admin(Admin::FoundAlone(epoch)));
        assert_eq!(desk.told(), Some(Told::NotFounded(FoundError::Blank)));
    }
    assert_eq!(desk.nodes[0].found_alone(), Err(FoundError::Blank));
    assert_eq!(desk.nodes[0].raft().role(), RoleName::Blank);
}

/// Founding: it is for an embedder to allow.
pub fn a_node_whose_embedder_does_not_allow_it_gives_nothing_up() {
    let mut desk = Desk::<3>::new();
    desk.form();
    [0, 1].into_iter().for_each(|place| desk.is_down[place] = true);
    desk.pass(Ticks(5 * ELECTION_MAX.0));
    let before = hard(&desk, SURVIVOR);
    wish(&mut desk, SURVIVOR);
    assert_eq!(desk.told(), Some(Told::NotFounded(FoundError::NotAllowed)));
    assert_eq!(hard(&desk, SURVIVOR), before);
}

/// Founding: where nothing is stored, those that were started with the same ids come back blank, get
/// a snapshot of the new epoch, and vote.
pub fn blank_lives_come_back_to_a_cluster_that_one_of_them_founded_alone() {
    let mut desk = come_back(Desk::new());
    let session = desk.open(8);
    assert!(matches!(desk.commands(8, session, 1, 2), Some(Told::Applied(_, 7))));
    desk.pass(Ticks(2 * HEARTBEAT.0));
    assert_eq!([0, 1, 2].map(|place| desk.sum(place)), [7; 3]);
    // And they do without the one that had it all.
    desk.is_down[SURVIVOR] = true;
    desk.pass(Ticks(5 * ELECTION_MAX.0));
    assert!(matches!(desk.commands(8, session, 2, 1), Some(Told::Applied(_, 8))));
}

/// Founding: whoever leads then takes back who is still missing.
pub fn a_later_leader_takes_them_back_too() {
    let mut desk = survived(Desk::new());
    let (epoch, _) = found(&mut desk);
    desk.epoch = epoch;
    desk.start_blank(0, 300);
    desk.nodes[0].allow_founding();
    desk.pass(Ticks(10 * ELECTION_MAX.0));
    assert_eq!(desk.nodes[SURVIVOR].raft().configuration().voters(), 2);
    desk.ask(SURVIVOR, 9, Want::Admin(Admin::Transfer(Some(NodeId(1)))));
    assert_eq!(desk.told(), Some(Told::Transferring(NodeId(1))));
    desk.pass(Ticks(2 * HEARTBEAT.0));
    assert_eq!(desk.leader(), Some(0));
    desk.start_blank(1, 301);
    desk.pass(Ticks(10 * ELECTION_MAX.0));
    assert_eq!(desk.nodes[0].raft().configuration().voters(), 3);
    assert_eq!(desk.sum(1), 5);
}

/// Founding: to the new cluster the old one does not exist, and the other way round.
pub fn who_is_still_in_the_epoch_that_was_given_up_is_not_heard() {
    let mut desk = with_value(Desk::new());
    [0, 1].into_iter().for_each(|place| desk.is_cut[place] = true);
    desk.pass(Ticks(5 * ELECTION_MAX.0));
    let (epoch, first) = found(&mut desk);
    let before = [0, 1].map(|place| hard(&desk, place));
    [0, 1].into_iter().for_each(|place| desk.is_cut[place] = false);
    // Now there are two clusters: that is what must not be let happen.
    desk.pass(Ticks(5 * ELECTION_MAX.0));
    let raft = desk.nodes[SURVIVOR].raft();
    assert_eq!(
        (raft.role(), raft.hard_state().epoch, raft.last()),
        (RoleName::Leader, epoch, first)
    );
    assert_eq!(raft.configuration().members.len(), 1);
    for (place, before) in [0, 1].into_iter().zip(before) {
        assert_eq!(hard(&desk, place).epoch, before.epoch);
        assert_eq!(desk.nodes[place].raft().configuration().members.len(), 3);
    }
}

/// Founding: what a session's last command did cannot be told across epochs.
pub fn a_session_of_the_epoch_that_was_given_up_has_ended() {
    let mut desk = survived(Desk::new());
    let (epoch, _) = found(&mut desk);
    let session = coracle::SessionId(2);
    assert_ne!(desk.epoch, epoch);
    assert_eq!(desk.commands(7, session, 1, 5), Some(Told::Expired));
    assert_eq!(desk.sum(SURVIVOR), 5);
}

/// Founding: an epoch is founded once.
pub fn a_member_that_founds_a_cluster_alone_does_so_again_as_another_life() {
    let mut desk = survived(Desk::new());
    let (epoch, first) = found(&mut desk);
    let again = desk.nodes[SURVIVOR].found_alone().expect("it holds something");
    assert_eq!(again, EntryId { term: first.term.next(), index: first.index.next() });
    assert_ne!(hard(&desk, SURVIVOR).epoch, epoch);
    assert_eq!(desk.sum(SURVIVOR), 5);
    assert_eq!(desk.nodes[SURVIVOR].raft().base(), again);
}

/// The node that outlives the others.
const SURVIVOR: usize = 2;

fn hard<const N: usize>(desk: &Desk<N>, place: usize) -> HardState {
    desk.nodes[place].raft().hard_state()
}

fn allow(desk: &mut Desk<3>) {
    desk.nodes.iter_mut().for_each(coracle::Node::allow_founding);
}

/// An operator wants a node to give up the epoch that it is in.
fn wish(desk: &mut Desk<3>, place: usize) {
    let epoch = hard(desk, place).epoch;
    desk.ask(place, 9, Want::Admin(Admin::FoundAlone(epoch)));
}

/// Members that all hold the sum 5.
#[inline(never)]
fn with_value(mut desk: Desk<3>) -> Desk<3> {
    desk.form();
    allow(&mut desk);
    let session = desk.open(7);
    assert!(matches!(desk.commands(7, session, 1, 5), Some(Told::Applied(_, 5))));
    desk.pass(HEARTBEAT);
    assert_eq!(desk.sum(SURVIVOR), 5);
    desk
}

/// The same, of which one is left, that has asked for votes in vain.
#[inline(never)]
fn survived(desk: Desk<3>) -> Desk<3> {
    let mut desk = with_value(desk);
    (0..3).filter(|place| *place != SURVIVOR).for_each(|place| desk.is_down[place] = true);
    desk.pass(Ticks(5 * ELECTION_MAX.0));
    assert_ne!(desk.nodes[SURVIVOR].raft().role(), RoleName::Leader);
    desk
}

/// The survivor gives the cluster up.
fn found(desk: &mut Desk<3>) -> (Epoch, EntryId) {
    // It may have begun a campaign just now.
    for _tick in 0..2 * HEARTBEAT.0 {
        wish(desk, SURVIVOR);
        match desk.told() {
            Some(Told::Founded(epoch, first)) => return (epoch, first),
            Some(Told::NotFounded(FoundError::TooEarly)) => desk.pass(Ticks(1)),
            other => panic!("{other:?}"),
        }
    }
    panic!("it is always too early");
}

/// The survivor has founded a cluster, and the others have come back to it with nothing.
#[inline(never)]
fn come_back(desk: Desk<3>) -> Desk<3> {
    let mut desk = survived(desk);
    let (epoch, _) = found(&mut desk);
    desk.epoch = epoch;
    for (place, seed) in [(0, 300), (1, 301)] {
        desk.start_blank(place, seed);
        desk.nodes[place].allow_founding();
    }
    desk.pass(Ticks(20 * ELECTION_MAX.0));
    for place in 0..3 {
        assert_eq!(hard(&desk, place).epoch, epoch);
        let configuration = desk.nodes[place].raft().configuration();
        assert_eq!((configuration.voters(), configuration.members.len()), (3, 3));
    }
    assert_eq!([0, 1, 2].map(|place| desk.sum(place)), [5; 3]);
    desk
}
