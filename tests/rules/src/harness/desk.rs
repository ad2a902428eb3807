//! Whole members and their clients: what a client asks and what it is told.

use coracle::message::{AdminAnswer, Answer, Message, Refusal, Reply, Request, Want};
use coracle::wire::{self, ClientRoute, Header, Route};
use coracle::{
    BadSnapshot, ChangeError, Checksum, ClientId, Contents, Destination, EntryId, Epoch, Event,
    FoundError, Full, Index, Members, Node, NodeId, PeerPage, PeerStatus, Persisted, Place,
    Platform, Raft, Receipt, RoleName, Saving, SessionId, Sink, Snapshot, SnapshotName, Source,
    Staging, StateMachine, Status, Storage, Ticks, TransferError, VolatileSnapshots, Write,
};

use super::{CLUSTER, DATAGRAM, HEARTBEAT, MEMBERS, Random, Small, options, others};

/// Whole members on a network that loses nothing, and their clients.
pub struct Desk<const N: usize> {
    /// The nodes, by id.
    pub nodes: heapless::Vec<Node<Board, MEMBERS, SESSIONS, PENDING>, N>,
    queue: heapless::Deque<Mail, 12>,
    /// The answers to clients.
    pub mail: heapless::Deque<Mail, 4>,
    /// The last command told as applied by the node that leads.
    pub applied: Option<(EntryId, i64)>,
    /// Who does not run.
    pub is_down: [bool; N],
    /// Whom no other node hears, and who hears no other.
    pub is_cut: [bool; N],
    /// The epoch of the clients' sessions.
    pub epoch: Epoch,
    number: u64,
}

/// A datagram under way.
pub struct Mail {
    /// The place of the node that sent it.
    from: usize,
    to: usize,
    /// All of it.
    pub bytes: heapless::Vec<u8, DATAGRAM>,
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The session is open.
    Opened(SessionId),
    /// The command took effect, from this entry and with this sum.
    Applied(EntryId, i64),
    /// The query is answered from a state in which this entry is applied.
    Answered(Index, i64),
    /// How the node is.
    Status(Status),
    /// How it sees the others.
    Peers {
        /// How many were passed over.
        first: u8,
        /// How many there are.
        total: u8,
        /// The page.
        peers: [Option<PeerStatus>; MEMBERS],
    },
    /// Another node leads.
    NotLeader(Option<NodeId>),
    /// A table is full.
    Busy,
    /// The fate of the command is not known.
    Unknown,
    /// There is no such session.
    Expired,
    /// It will never be done.
    Refused(Refusal),
    /// The members are others now, from this entry on.
    Changed(Index),
    /// The members are the same.
    NotChanged(ChangeError),
    /// This node will lead.
    Transferring(NodeId),
    /// Nobody else will lead.
    NotTransferred(TransferError),
    /// The node has founded a cluster of this epoch alone; this entry names it.
    Founded(Epoch, EntryId),
    /// It has not.
    NotFounded(FoundError),
    /// The members: the entry that names them, whether it is committed, and how many there are.
    Members(Index, bool, usize),
}

impl<const N: usize> Desk<N> {
    /// No members yet. It is large, so it is filled in place.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            nodes: heapless::Vec::new(),
            queue: heapless::Deque::new(),
            mail: heapless::Deque::new(),
            applied: None,
            is_down: [false; N],
            is_cut: [false; N],
            epoch: Epoch(0),
            number: 0,
        }
    }

    /// Starts blank members, which form an epoch and have a leader that takes proposals then.
    pub fn form(&mut self) {
        for place in 0..N {
            let node = member(place, u32::try_from(N).expect("a few"), 60);
            assert!(self.nodes.push(node).is_ok(), "there is room for all");
        }
        for _beat in 0..20 {
            self.pass(HEARTBEAT);
        }
        let leader = self.leader().expect("blank nodes form an epoch");
        self.epoch = self.nodes[leader].raft().hard_state().epoch;
    }

    /// The process of a node ends, and a blank one starts in its place with randomness of its own.
    #[inline(never)]
    pub fn start_again(&mut self, place: usize, seed: u64) {
        self.nodes[place] = member(place, u32::try_from(N).expect("a few"), seed);
    }

    /// Who leads in the highest term, of those that run.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        (0..N)
            .filter(|place| !self.is_down[*place])
            .filter(|place| self.nodes[*place].raft().role() == RoleName::Leader)
            .max_by_key(|place| self.nodes[*place].raft().term())
    }

    /// The sum at a node.
    #[must_use]
    pub fn sum(&self, place: usize) -> i64 {
        self.nodes[place].machine().sum
    }

    /// Starts a node again that has forgotten everything: it draws another incarnation.
    pub fn start_blank(&mut self, place: usize, seed: u64) {
        self.nodes[place] = member(place, u32::try_from(N).expect("a few"), seed);
        self.is_down[place] = false;
    }

    /// Lets time pass on every node that runs, delivering all datagrams after each tick.
    pub fn pass(&mut self, ticks: Ticks) {
        for _tick in 0..ticks.0 {
            for place in (0..N).filter(|place| !self.is_down[*place]) {
                self.nodes[place].tick(Ticks(1));
            }
            self.run();
        }
    }

    /// Does what is to do until nothing is under way.
    pub fn run(&mut self) {
        (0..N).for_each(|place| self.drive(place));
        for _datagram in 0..1000 {
            let Some(mail) = self.queue.pop_front() else { return };
            if !self.is_down[mail.to] && !self.is_cut[mail.from] && !self.is_cut[mail.to] {
                // What is dropped there is the receiver's affair.
                let _dropped = self.nodes[mail.to].receive(0, &mail.bytes);
                self.drive(mail.to);
            }
        }
        panic!("the datagrams never end");
    }

    fn drive(&mut self, place: usize) {
        if self.is_down[place] {
            return;
        }
        let leads = self.leader() == Some(place);
        let mut buffer = [0; DATAGRAM];
        for _output in 0..100 {
            let event = self.nodes[place].poll(&mut buffer).expect("the node is well");
            match event {
                None => return,
                Some(Event::Send { to: Destination::Peer(to, _), datagram }) => {
                    let to = usize::try_from(to.0).expect("a small id") - 1;
                    if to >= N {
                        // It was added and never started.
                        continue;
                    }
                    let bytes = heapless::Vec::from_slice(datagram).expect("within its limit");
                    let mail = Mail { from: place, to, bytes };
                    // A full queue loses it.
                    let _lost = self.queue.push_back(mail);
                }
                Some(Event::Send { to: Destination::Client(to), datagram }) => {
                    let bytes = heapless::Vec::from_slice(datagram).expect("within its limit");
                    let mail = Mail { from: place, to: usize::from(to), bytes };
                    self.mail.push_back(mail).ok().expect("more answers than a test looks at");
                }
                Some(Event::Applied { entry, response }) if leads => {
                    self.applied = Some((entry, response));
                }
                Some(
                    Event::Applied { .. }
                    | Event::Reads(_)
                    | Event::Restored { .. }
                    | Event::LeftEpoch { .. },
                ) => {}
            }
        }
        panic!("poll has always something left");
    }

    /// The write under way finishes.
    pub fn finish(&mut self, place: usize) {
        if let Some(receipt) = self.nodes[place].storage_mut().receipt.take() {
            self.nodes[place].durable(receipt);
        }
    }

    /// A client asks a node something, with enough padding for most answers.
    pub fn ask(&mut self, place: usize, client: u64, want: Want<'_>) {
        self.ask_padded(place, client, want, 60);
    }

    /// The same with this padding; how long the request is.
    pub fn ask_padded(
        &mut self,
        place: usize,
        client: u64,
        want: Want<'_>,
        padding: usize,
    ) -> usize {
        self.number += 1;
        let (cluster, epoch) = (CLUSTER, self.epoch);
        let route = ClientRoute { cluster, epoch, client: ClientId(client) };
        let header = Header { number: self.number, route: Route::Client(route) };
        let padding = &[0; DATAGRAM][..padding];
        let request = Message::Request(Request { want, padding });
        let mut buffer = [0; 2 * DATAGRAM];
        let length = wire::encode(&header, &request, &Checksum, &mut buffer).expect("it fits");
        let address = u8::try_from(client).expect("a few clients");
        self.nodes[place].receive(address, &buffer[..length]).expect("a client's request");
        length
    }

    /// The next thing that a client is told.
    pub fn told(&mut self) -> Option<Told> {
        self.run();
        let mail = self.mail.pop_front()?;
        let (_, message) = wire::decode(&mail.bytes, &Checksum).expect("an answer can be read");
        let Message::Reply(Reply { answer, .. }) = message else { panic!("{message:?}") };
        let value = |bytes: &[u8]| postcard::from_bytes(bytes).expect("the state machine's answer");
        Some(match answer {
            Answer::Opened(session) => Told::Opened(session),
            Answer::Applied { entry, response } => Told::Applied(entry, value(response)),
            Answer::Answered { index, answer } => Told::Answered(index, value(answer)),
            Answer::Status(status) => Told::Status(Status::decode(status).expect("a status")),
            Answer::Admin(AdminAnswer::Changed(version)) => Told::Changed(version),
            Answer::Admin(AdminAnswer::NotChanged(error)) => Told::NotChanged(error),
            Answer::Admin(AdminAnswer::Transferring(to)) => Told::Transferring(to),
            Answer::Admin(AdminAnswer::NotTransferred(error)) => Told::NotTransferred(error),
            Answer::Admin(AdminAnswer::Founded { epoch, last }) => Told::Founded(epoch, last),
            Answer::Admin(AdminAnswer::NotFounded(error)) => Told::NotFounded(error),
            Answer::Admin(AdminAnswer::Members { version, is_committed, members }) => {
                let members = Members::parse(members).expect("well-formed members");
                Told::Members(version, is_committed, members.count())
            }
            Answer::Peers { first, total, peers } => {
                let mut page = PeerPage::parse(peers).expect("a page").iter();
                Told::Peers { first, total, peers: [(); MEMBERS].map(|()| page.next()) }
            }
            Answer::NotLeader(leader) => Told::NotLeader(leader),
            Answer::Busy => Told::Busy,
            Answer::Unknown => Told::Unknown,
            Answer::SessionExpired => Told::Expired,
            Answer::Refused(refusal) => Told::Refused(refusal),
        })
    }

    /// A client opens a session at the leader.
    pub fn open(&mut self, client: u64) -> SessionId {
        let leader = self.leader().expect("somebody leads");
        self.ask(leader, client, Want::Open);
        match self.told() {
            Some(Told::Opened(session)) => session,
            other => panic!("{other:?}"),
        }
    }

    /// A client sends the leader the command to add something.
    pub fn commands(
        &mut self,
        client: u64,
        session: SessionId,
        sequence: u64,
        add: i64,
    ) -> Option<Told> {
        let leader = self.leader().expect("somebody leads");
        let mut space = [0; 10];
        let bytes = postcard::to_slice(&add, &mut space).expect("a number fits");
        self.ask(leader, client, command(session, sequence, bytes));
        self.told()
    }
}

impl<const N: usize> Default for Desk<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// A blank member.
#[inline(never)]
fn member(place: usize, count: u32, seed: u64) -> Node<Board, MEMBERS, SESSIONS, PENDING> {
    let id = NodeId(u32::try_from(place).expect("a few") + 1);
    let random = Random::new(seed + u64::from(id.0));
    let raft = Raft::new(&options(id), &others(id, count), Small::fresh(), random, Checksum);
    Node::new(raft.expect("a sound set-up"), Medium::new(), Sum::default())
}

/// A client's command in a session; `[10]` is the number 5.
#[must_use]
pub const fn command(session: SessionId, sequence: u64, command: &[u8]) -> Want<'_> {
    Want::Command { session, sequence, command }
}

/// A sum: no command may be run twice without being noticed.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// All numbers added.
    pub sum: i64,
}

impl StateMachine for Sum {
    type Command<'a> = i64;
    type Response = i64;
    type Query = u8;
    type Answer<'a> = i64;

    fn apply(&mut self, command: i64) -> i64 {
        self.sum += command;
        self.sum
    }

    fn query(&self, _: &u8) -> i64 {
        self.sum
    }

    fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
        sink.write(&self.sum.to_le_bytes())
    }

    fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        let mut bytes = [0; 8];
        source.read(&mut bytes)?;
        self.sum = i64::from_le_bytes(bytes);
        Ok(())
    }
}

/// A medium that keeps nothing and can be slow or broken.
#[derive(Debug)]
pub struct Medium {
    /// How it writes.
    pub mode: Mode,
    /// Whether there is room for snapshots.
    pub has_room: bool,
    /// Whether it says that it keeps what it is given.
    pub is_durable: bool,
    receipt: Option<Receipt>,
    snapshots: VolatileSnapshots<[u8; SNAPSHOT_BYTES]>,
}

impl Medium {
    /// One that writes at once.
    #[must_use]
    pub const fn new() -> Self {
        let snapshots = VolatileSnapshots::new([0; SNAPSHOT_BYTES], [0; SNAPSHOT_BYTES]);
        let (mode, receipt) = (Mode::AtOnce, None);
        Self { mode, receipt, snapshots, has_room: true, is_durable: false }
    }
}

impl Default for Medium {
    fn default() -> Self {
        Self::new()
    }
}

/// Room for one snapshot.
const SNAPSHOT_BYTES: usize = 400;

/// How a medium writes.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Before `persist` returns.
    AtOnce,
    /// When [`Desk::finish`] says so.
    Later,
    /// Not at all: it is broken.
    Fails,
}

/// The medium is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl Storage for Medium {
    type Error = Broken;

    fn is_durable(&self) -> bool {
        self.is_durable
    }

    fn persist(&mut self, _: &Write<'_>, receipt: Receipt) -> Result<Persisted, Broken> {
        match self.mode {
            Mode::AtOnce => Ok(Persisted::Done),
            Mode::Later => {
                self.receipt = Some(receipt);
                Ok(Persisted::Submitted)
            }
            Mode::Fails => Err(Broken),
        }
    }

    fn save_snapshot(
        &mut self,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Saving, Broken> {
        if self.has_room {
            self.snapshots.save_snapshot(snapshot, contents).map_err(|_| Broken)
        } else {
            Ok(Saving::NoRoom)
        }
    }

    fn read_snapshot(&mut self, place: Place, offset: u64, into: &mut [u8]) -> Result<(), Broken> {
        self.snapshots.read_snapshot(place, offset, into).map_err(|_| Broken)
    }

    fn stage(&mut self, name: SnapshotName, offset: u64, bytes: &[u8]) -> Result<Staging, Broken> {
        if self.has_room {
            self.snapshots.stage(name, offset, bytes).map_err(|_| Broken)
        } else {
            Ok(Staging::NoRoom)
        }
    }

    fn install(&mut self, snapshot: &Snapshot<'_>) -> Result<(), Broken> {
        self.snapshots.install(snapshot).map_err(|_| Broken)
    }
}

/// What a member here is made of.
pub struct Board;

impl Platform for Board {
    type Memory = Small;
    type Random = Random;
    type Seal = Checksum;
    type Storage = Medium;
    type Machine = Sum;
    type Address = u8;
}

/// How many sessions a node has room for.
pub const SESSIONS: usize = 2;
/// How many requests may wait at a node.
pub const PENDING: usize = 2;
