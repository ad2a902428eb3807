//! One node, [`TWO`], among peers that the test makes up. It says what they say, datagram by
//! datagram, and reads what the node sends to them.

use core::ops::{Deref, DerefMut};

use coracle::Checksum;
use coracle::message::Message;
use coracle::wire::{self, Header, Introduction, Route};
use coracle::{
    EntryId, Epoch, HardState, Index, MemberId, Memory, NodeId, Options, Raft, Term, Ticks,
};
use coracle::{Member, Members};

use super::driver::{Driver, Node};
use super::run::configuration;
use super::{
    CLUSTER, DATAGRAM, DATAGRAM_BYTES, Disk, ELECTION_MAX, MEMBERS, ONE, Random, Run, Sent, Small,
    TWO, granted, matched, member, options, others, pre_granted, voters,
};

/// The node under test and the cluster that it believes to be in.
#[derive(Clone)]
pub struct Bench<M = Small> {
    driver: Driver<M>,
    /// The members that the configuration names.
    pub voters: heapless::Vec<Member, MEMBERS>,
    /// The epoch that they form.
    pub epoch: Epoch,
    /// How many datagrams each peer has sent, by id.
    numbers: [u64; 8],
    /// How many those have sent that a test names by their lives.
    strangers: u64,
}

impl<M> Deref for Bench<M> {
    type Target = Driver<M>;

    fn deref(&self) -> &Self::Target {
        &self.driver
    }
}

impl<M> DerefMut for Bench<M> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.driver
    }
}

impl Bench {
    /// One of three, with a log of these terms and in the last of them. It has not voted.
    #[must_use]
    #[inline(never)]
    pub fn follower(terms: &[u64]) -> Self {
        let term = terms.last().copied().unwrap_or(0);
        Self::of(3, term, None, terms)
    }

    /// One of five, likewise.
    #[must_use]
    #[inline(never)]
    pub fn follower_of_five(terms: &[u64]) -> Self {
        let term = terms.last().copied().unwrap_or(0);
        Self::of(5, term, None, terms)
    }

    /// One of `count` whose disk held this when its process started.
    #[must_use]
    #[inline(never)]
    pub fn of(count: u32, term: u64, vote: Option<NodeId>, terms: &[u64]) -> Self {
        Self::stored(Small::fresh(), voters(count), term, vote, terms)
    }

    /// One of three in term 1 whose log may take only so many bytes and slots.
    #[must_use]
    #[inline(never)]
    pub fn limited(bytes: usize, slots: usize) -> Self {
        Self::stored(Small::limited(bytes, slots), voters(3), 1, None, &[1])
    }

    /// A cluster by itself, node 2, with a log of these terms.
    #[must_use]
    #[inline(never)]
    pub fn of_one(terms: &[u64]) -> Self {
        let voters = [Member::voter(member(TWO), DATAGRAM_BYTES)];
        let voters = heapless::Vec::from_slice(&voters).expect("one member fits");
        Self::stored(Small::fresh(), voters, terms.last().copied().unwrap_or(0), None, terms)
    }

    /// One of `count` that holds nothing.
    #[must_use]
    #[inline(never)]
    pub fn blank(count: u32) -> Self {
        Self::blank_sized(count, TWO, 1)
    }

    /// One of `count` that holds nothing and has the id that coordinates.
    #[must_use]
    #[inline(never)]
    pub fn blank_coordinator(count: u32) -> Self {
        Self::blank_sized(count, ONE, 1)
    }

    /// The leader of the term after the log's last, of three, whose first entry everybody has.
    #[must_use]
    #[inline(never)]
    pub fn leader(terms: &[u64]) -> Self {
        let mut bench = Self::follower(terms);
        bench.lead();
        bench
    }

    /// The same of five.
    #[must_use]
    #[inline(never)]
    pub fn leader_of_five(terms: &[u64]) -> Self {
        let mut bench = Self::follower_of_five(terms);
        bench.lead();
        bench
    }

    /// A leader of three of which nobody has acknowledged anything, and its first appends.
    #[must_use]
    #[inline(never)]
    pub fn new_leader(terms: &[u64]) -> (Self, Sent) {
        let mut bench = Self::follower(terms);
        let sent = bench.get_elected();
        (bench, sent)
    }

    /// One of `count` with this id that holds nothing, drawn with this seed.
    #[must_use]
    #[inline(never)]
    pub fn blank_sized(count: u32, id: NodeId, seed: u64) -> Self {
        Self::blank_tuned(count, &options(id), seed)
    }

    /// One of `count` with this id that holds nothing, and whose operator says that this is the first
    /// start.
    #[must_use]
    #[inline(never)]
    pub fn first_start(count: u32, id: NodeId) -> Self {
        Self::blank_tuned(count, &Options { is_first_start: true, ..options(id) }, 1)
    }

    fn blank_tuned(count: u32, options: &Options, seed: u64) -> Self {
        let id = options.id;
        let others = others(id, count);
        let memory = Small::fresh();
        let random = Random::new(seed);
        let raft = Raft::new(options, &others, memory, random, Checksum).expect("a sound set-up");
        let mut voters = voters(count);
        let own = voters.iter_mut().find(|voter| voter.member.id == id);
        own.expect("it is a member").member = raft.member();
        let epoch = epoch(&voters);
        let driver = Driver::new(raft, Disk::default());
        Self { driver, voters, epoch, numbers: [0; 8], strangers: 0 }
    }

    /// The process ends and another one starts from what the medium holds.
    #[inline(never)]
    pub fn restart(&mut self) {
        let disk = self.disk.clone();
        let id = self.raft.member().id;
        let shelf = self.shelf.clone();
        let recovered = recovered(Small::fresh(), &options(id), &self.voters, &disk);
        self.driver = Driver::new(recovered, disk);
        self.shelf = shelf;
    }
}

impl<M: Memory> Bench<M> {
    /// One of these members, with this memory.
    #[must_use]
    #[inline(never)]
    pub fn stored(
        memory: M,
        voters: heapless::Vec<Member, MEMBERS>,
        term: u64,
        vote: Option<NodeId>,
        terms: &[u64],
    ) -> Self {
        Self::tuned(&options(TWO), memory, voters, (term, vote), terms)
    }

    /// The same with options of its own.
    #[must_use]
    #[inline(never)]
    pub fn tuned(
        options: &Options,
        memory: M,
        voters: heapless::Vec<Member, MEMBERS>,
        (term, vote): (u64, Option<NodeId>),
        terms: &[u64],
    ) -> Self {
        let epoch = epoch(&voters);
        let vote = vote.map(member);
        let incarnation = member(TWO).incarnation;
        let hard = HardState { incarnation, epoch, term: Term(term), vote };
        let mut disk = Disk { hard, ..Disk::default() };
        disk.put(Some(hard), Index(1), Run::of(&voters, 1, terms).bytes(), &[]);
        let driver = Driver::new(recovered(memory, options, &voters, &disk), disk);
        Self { driver, voters, epoch, numbers: [0; 8], strangers: 0 }
    }

    /// The life of a node, as the configuration names it.
    #[must_use]
    pub fn member(&self, id: NodeId) -> MemberId {
        let voter = self.voters.iter().find(|voter| voter.member.id == id);
        voter.map_or(member(id), |voter| voter.member)
    }

    /// The entries of these terms from `first` on, as every leader here writes them.
    #[must_use]
    pub fn run(&self, first: u64, terms: &[u64]) -> Run {
        Run::of(&self.voters, first, terms)
    }

    /// How a member of the epoch addresses the node.
    #[must_use]
    pub fn introduction(&self, from: NodeId) -> Introduction {
        let (from, to) = (self.member(from), self.raft.member());
        Introduction { cluster: CLUSTER, epoch: self.epoch, from, to }
    }

    /// The node gets a message from a member of its epoch and takes it for one. Gives its number.
    pub fn hears(&mut self, from: NodeId, message: Message<'_>) -> u64 {
        let number = self.next_number(from);
        let heard = self.hears_number(from, number, message);
        assert!(heard, "a member's {message:?} is dropped");
        number
    }

    /// The node gets a message that need not mean anything to it. Gives its number.
    pub fn may_hear(&mut self, from: NodeId, message: Message<'_>) -> u64 {
        let number = self.next_number(from);
        self.hears_number(from, number, message);
        number
    }

    /// The node gets a message from this life of a node, in this epoch; whether it is taken.
    pub fn hears_from(&mut self, from: MemberId, epoch: Epoch, message: Message<'_>) -> bool {
        self.strangers += 1;
        let route = Route::Full(Introduction { from, epoch, ..self.introduction(ONE) });
        self.hears_route(Header { number: self.strangers, route }, message)
    }

    /// The node gets a message with this number; whether it is taken.
    pub fn hears_number(&mut self, from: NodeId, number: u64, message: Message<'_>) -> bool {
        let route = Route::Full(self.introduction(from));
        self.hears_route(Header { number, route }, message)
    }

    /// The node gets a message from whomever the header says; whether it is taken.
    #[inline(never)]
    pub fn hears_route(&mut self, header: Header, message: Message<'_>) -> bool {
        let mut buffer = [0; 2 * DATAGRAM];
        let length = wire::encode(&header, &message, &Checksum, &mut buffer);
        self.hears_bytes(&buffer[..length.expect("a forged datagram fits")])
    }

    /// The node gets a message that belongs to no epoch, from this life of a node.
    pub fn hears_outside(&mut self, from: MemberId, message: Message<'_>) -> bool {
        let to = self.raft.member();
        let introduction = Introduction { cluster: CLUSTER, epoch: Epoch(0), from, to };
        let number = self.next_number(from.id);
        self.hears_route(Header { number, route: Route::Full(introduction) }, message)
    }

    /// The same; gives what the node sends then.
    #[inline(never)]
    pub fn answers_outside(&mut self, from: MemberId, message: Message<'_>) -> Sent {
        assert!(self.hears_outside(from, message), "{message:?} is dropped");
        self.drive()
    }

    /// The node gets these bytes; whether they are taken.
    pub fn hears_bytes(&mut self, datagram: &[u8]) -> bool {
        self.driver.receive(datagram).is_ok()
    }

    /// The number of the next datagram of a peer.
    pub fn next_number(&mut self, from: NodeId) -> u64 {
        let id = usize::try_from(from.0).expect("a small id");
        self.numbers[id] += 1;
        self.numbers[id]
    }

    /// The node gets a message and does what is to do; gives what it sends.
    #[inline(never)]
    pub fn answers(&mut self, from: NodeId, message: Message<'_>) -> Sent {
        self.hears(from, message);
        self.drive()
    }

    /// The same with a message that need not mean anything to it.
    #[inline(never)]
    pub fn reacts(&mut self, from: NodeId, message: Message<'_>) -> Sent {
        self.may_hear(from, message);
        self.drive()
    }

    /// A peer answers every append in `sent` as a follower does that has all before it.
    pub fn accepts(&mut self, sent: &Sent, from: NodeId) {
        for (number, append) in sent.appends_to(from) {
            let count = super::entries(append.run).count();
            let index = append.prev.index.0 + u64::try_from(count).expect("few entries");
            self.hears(from, matched(append.term.0, number, index));
        }
    }

    /// The same, when the node may no longer lead.
    pub fn may_accept(&mut self, sent: &Sent, from: NodeId) {
        for (number, append) in sent.appends_to(from) {
            let count = super::entries(append.run).count();
            let index = append.prev.index.0 + u64::try_from(count).expect("few entries");
            self.may_hear(from, matched(append.term.0, number, index));
        }
    }

    /// Lets time pass until the node asks for pre-votes, and gives the requests.
    #[inline(never)]
    pub fn campaign(&mut self) -> Sent {
        for _tick in 0..=ELECTION_MAX.0 {
            let sent = self.pass(Ticks(1));
            if sent.messages().any(|(_, _, message)| matches!(message, Message::PreVote(_))) {
                return sent;
            }
        }
        panic!("no campaign after the longest election timeout");
    }

    /// Everybody would vote for the node, which asks for votes: gives the requests.
    #[inline(never)]
    pub fn win_pre_vote(&mut self) -> Sent {
        let term = self.raft.term().0;
        let mut sent = Sent::new();
        for from in self.peers() {
            self.may_hear(from, pre_granted(term));
            self.driver.drive_into(&mut |to, bytes| sent.push(to, bytes));
        }
        sent
    }

    /// The node becomes a candidate, from whatever it is: gives its requests for votes.
    #[inline(never)]
    pub fn stand(&mut self) -> Sent {
        self.campaign();
        self.win_pre_vote()
    }

    /// The node is elected by everybody; gives its first appends.
    #[inline(never)]
    pub fn get_elected(&mut self) -> Sent {
        self.stand();
        let term = self.raft.term().0;
        let mut sent = Sent::new();
        for from in self.peers() {
            self.may_hear(from, granted(term));
            self.driver.drive_into(&mut |to, bytes| sent.push(to, bytes));
        }
        sent
    }

    /// The node is elected, and everybody has its log.
    pub fn lead(&mut self) {
        let sent = self.get_elected();
        for from in self.peers() {
            self.accepts(&sent, from);
        }
        self.drive();
        let beats = self.beats();
        for from in self.peers() {
            self.accepts(&beats, from);
        }
        self.drive();
    }

    /// Lets a heartbeat interval pass and gives what the node sends in it.
    #[inline(never)]
    pub fn beats(&mut self) -> Sent {
        self.pass(super::HEARTBEAT)
    }

    /// A command that the node accepts as leader.
    pub fn propose(&mut self, command: &[u8]) -> EntryId {
        self.driver.raft.propose(command).expect("a leader takes proposals")
    }

    /// A command that every peer acknowledges; gives what is sent last.
    pub fn commit(&mut self, command: &[u8]) -> EntryId {
        let entry = self.propose(command);
        let sent = self.drive();
        for from in self.peers() {
            self.accepts(&sent, from);
        }
        self.drive();
        entry
    }

    /// The ids of the others.
    #[must_use]
    pub fn peers(&self) -> heapless::Vec<NodeId, 8> {
        let own = self.raft.member().id;
        self.voters.iter().map(|voter| voter.member.id).filter(|id| *id != own).collect()
    }

    /// What another node could learn of the node by any means: nothing of it may change when a
    /// datagram is dropped.
    #[must_use]
    pub fn state(&self) -> (HardState, EntryId, Index, u32) {
        (self.disk.hard, self.raft.last(), self.raft.commit(), self.disk.writes)
    }
}

/// The epoch that these members form.
fn epoch(voters: &[Member]) -> Epoch {
    let bytes = configuration(voters);
    Members::parse(&bytes).expect("the members are well-formed").epoch(CLUSTER)
}

/// A node that starts from what a medium holds.
#[inline(never)]
fn recovered<M: Memory>(memory: M, options: &Options, voters: &[Member], disk: &Disk) -> Node<M> {
    let saved = disk.saved();
    let ids = voters.iter().map(|voter| voter.member.id).filter(|other| *other != options.id);
    let mut others = heapless::Vec::<NodeId, MEMBERS>::new();
    for id in ids {
        // Two lives of one id are one node to its operator.
        if !others.contains(&id) {
            others.push(id).expect("a few members");
        }
    }
    let random = Random::new(7);
    let mut raft = Raft::recover(options, &others, memory, random, Checksum, &saved)
        .expect("what was saved is sound");
    if !disk.log.is_empty() {
        raft.recover_run(&disk.log).expect("the entries are sound");
    }
    raft
}
