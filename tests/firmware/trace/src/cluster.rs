//! The members, their clients and their time.

use coracle::{
    Array, Checksum, ClusterId, Destination, Event, Node, NodeId, Options, Platform, Raft,
    RoleName, Ticks, Timing, Volatile,
};
use coracle_machines::{Number, Response, Small};
use coracle_rules::harness::Random;

use crate::Report;
use crate::hash::Hash;
use crate::network::{DATAGRAM, DATAGRAM_BYTES, Network};
use crate::user::User;

/// How many members there are.
pub const MEMBERS: usize = 3;

const USERS: usize = 2;

/// Logs so short that they go round many times.
type Log = Array<2048, 64>;

type Member = Node<Board, MEMBERS, 4, 2>;

struct Board;

impl Platform for Board {
    type Memory = Log;
    type Random = Random;
    type Seal = Checksum;
    type Storage = Volatile;
    type Machine = Small;
    type Address = usize;
}

/// All of it.
pub struct Cluster {
    seed: u64,
    answers: u32,
    now: u64,
    members: heapless::Vec<Member, MEMBERS>,
    users: heapless::Vec<User, USERS>,
    network: Network,
    /// Whether the first leader has been cut off.
    was_cut: bool,
    hash: Hash,
}

impl Cluster {
    /// Nobody yet. It is large, so it is filled in place.
    pub const fn new(seed: u64, answers: u32) -> Self {
        Self {
            seed,
            answers,
            now: 0,
            members: heapless::Vec::new(),
            users: heapless::Vec::new(),
            network: Network::new(seed),
            was_cut: false,
            hash: Hash::new(),
        }
    }

    /// Blank members, with initial values of their own, and clients.
    pub fn start(&mut self) {
        for (id, seed) in IDS.into_iter().zip(self.seed..) {
            let member = member(id, seed);
            assert!(self.members.push(member).is_ok(), "there is room for all");
        }
        for place in 0..USERS {
            let seed = self.seed + 100 + as_number(place);
            let user = User::new(seed, CLUSTER, self.answers);
            assert!(self.users.push(user).is_ok(), "there is room for all");
        }
    }

    /// Goes on to the next point of time at which something happens, and lets it happen.
    pub fn advance(&mut self) {
        let timeouts = self.members.iter().filter_map(Node::next_timeout);
        let timeouts = timeouts.chain(self.users.iter().filter_map(User::next_timeout));
        let arrival = self.network.next().map(|due| Ticks(due - self.now));
        let elapsed = timeouts.chain(arrival).min().expect("somebody waits for something");
        self.now += elapsed.0;
        self.members.iter_mut().for_each(|member| member.tick(elapsed));
        self.users.iter_mut().for_each(|user| user.tick(elapsed));
        while let Some(packet) = self.network.arrived(self.now) {
            self.hash.add_number(self.now);
            self.hash.add_number(as_number(packet.to));
            let taken = match self.members.get_mut(packet.to) {
                Some(member) => member.receive(packet.from, &packet.bytes).is_ok(),
                None => self.users[packet.to - MEMBERS].receive(packet.from, &packet.bytes),
            };
            self.hash.add_number(u64::from(taken));
        }
        (0..MEMBERS).for_each(|place| self.drive(place));
        (0..USERS).for_each(|place| self.drive_user(place));
        self.cut_the_leader();
    }

    /// Whether the clients have their answers, and all members have applied the same.
    pub fn is_done(&self) -> bool {
        let Some(leader) = self.leader() else { return false };
        let last = self.members[leader].raft().last();
        self.users.iter().all(User::is_done)
            && self.network.cut.is_none()
            && self.members.iter().all(|member| member.raft().applied() == last.index)
    }

    /// What happened. All members must be in the state that the clients were told of.
    #[inline(never)]
    pub fn report(&self) -> Report {
        let mut hash = self.hash.clone();
        let added: i64 = self.users.iter().map(|user| user.added).sum();
        let mut snapshots = self.members.iter().map(|member| {
            let sum = Number::<16>::from(added);
            assert!(
                member.machine().function().b() == sum.as_integer(),
                "each command took effect once"
            );
            let mut snapshot = Hash::new();
            member.snapshot(&mut snapshot).expect("a hash is never full");
            snapshot.value()
        });
        let snapshot = snapshots.next().expect("there are members");
        assert!(snapshots.all(|other| other == snapshot), "the members are equal");
        hash.add_number(snapshot);
        for member in &self.members {
            hash.add_number(member.raft().term().0);
            hash.add_number(member.raft().commit().0);
        }
        Report {
            hash: hash.value(),
            commands: self.users.iter().map(|user| user.commands).sum(),
            sent: self.network.sent,
            lost: self.network.lost,
            term: self.members.iter().map(|member| member.raft().term().0).max().unwrap_or(0),
        }
    }

    /// Once half of the answers are there, the leader is cut off until another one is elected.
    fn cut_the_leader(&mut self) {
        let Some(leader) = self.leader() else { return };
        let commands: u32 = self.users.iter().map(|user| user.commands).sum();
        if !self.was_cut && commands >= self.answers / 2 {
            self.was_cut = true;
            self.network.cut = Some(leader);
        } else if self.network.cut.is_some_and(|cut| cut != leader) {
            self.network.cut = None;
        }
    }

    /// Who leads in the highest term.
    fn leader(&self) -> Option<usize> {
        (0..self.members.len())
            .filter(|place| self.members[*place].raft().role() == RoleName::Leader)
            .max_by_key(|place| self.members[*place].raft().term())
    }

    fn drive(&mut self, place: usize) {
        let mut buffer = [0; DATAGRAM];
        let Self { members, network, hash, now, .. } = self;
        while let Some(event) = members[place].poll(&mut buffer).expect("the node is well") {
            match event {
                Event::Send { to, datagram } => {
                    let to = match to {
                        Destination::Peer(id, _) => place_of(id),
                        Destination::Client(place) => place,
                    };
                    post(network, hash, (*now, place, to), datagram);
                }
                Event::Applied { entry, response } => {
                    hash.add_number(entry.index.0);
                    hash.add_number(u64::from(response == Response::Done));
                }
                Event::Reads(reads) => hash.add_number(u64::from(reads.is_ready)),
                Event::Restored { last } => hash.add_number(last.index.0),
                Event::LeftEpoch { epoch } => hash.add_number(epoch.0),
            }
        }
    }

    fn drive_user(&mut self, place: usize) {
        let mut buffer = [0; DATAGRAM];
        let Self { users, network, hash, now, .. } = self;
        while let Some((to, datagram)) = users[place].poll(&mut buffer, hash) {
            post(network, hash, (*now, MEMBERS + place, to), datagram);
        }
    }
}

/// Sends a datagram, of which every byte counts.
fn post(
    network: &mut Network,
    hash: &mut Hash,
    (now, from, to): (u64, usize, usize),
    datagram: &[u8],
) {
    hash.add_number(as_number(from));
    hash.add_number(as_number(to));
    hash.add(datagram);
    let arrives = network.send(now, from, to, datagram);
    hash.add_number(u64::from(arrives));
}

#[inline(never)]
fn member(id: NodeId, seed: u64) -> Member {
    let mut options = Options::new(CLUSTER, id, Timing::from_heartbeat(Ticks(50)));
    options.datagram = DATAGRAM_BYTES;
    let others: heapless::Vec<NodeId, MEMBERS> =
        IDS.into_iter().filter(|other| *other != id).collect();
    let raft = Raft::new(&options, &others, Array::zeroed(), Random::new(seed), Checksum);
    let machine = Small::small(i128::from(id.0));
    Node::new(raft.expect("a sound set-up"), Volatile, machine)
}

fn place_of(id: NodeId) -> usize {
    IDS.iter().position(|other| *other == id).expect("it is a member")
}

fn as_number(place: usize) -> u64 {
    u64::try_from(place).expect("few places")
}

const IDS: [NodeId; MEMBERS] = [NodeId(1), NodeId(2), NodeId(3)];

const CLUSTER: ClusterId = ClusterId(0x0c0f_fee0);
