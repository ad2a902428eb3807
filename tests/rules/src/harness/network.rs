//! A few nodes and what is between them: a queue of datagrams, some of which get lost, late or
//! doubled, and links that can be cut.

use coracle::Checksum;
use coracle::message::Message;
use coracle::{
    EntryId, HardState, Index, Members, NodeId, Options, Raft, RoleName, Saved, Term, Ticks, wire,
};

use super::driver::Driver;
use super::run::configuration;
use super::{
    CLUSTER, DATAGRAM, Disk, ELECTION_MAX, ELECTION_MIN, Random, Run, Small, member, options,
    others, voters,
};

/// The datagrams under way at most; what comes on top is lost, as in a full receive buffer.
const QUEUE: usize = 14;

/// `N` nodes, whose ids are 1 to `N`, on one network that can keep so many datagrams for a replay.
pub struct Network<const N: usize, const KEPT: usize = 0> {
    /// The nodes, by id.
    pub nodes: heapless::Vec<Driver, N>,
    queue: heapless::Deque<Packet, QUEUE>,
    /// Whether nothing gets from one to the other.
    cut: [[bool; N]; N],
    /// Which nodes run.
    runs: [bool; N],
    seed: u64,
    random: Random,
    /// How many datagrams in a hundred are lost.
    pub loss_percent: u64,
    /// How many in a hundred arrive twice.
    pub double_percent: u64,
    /// How many in a hundred are overtaken by the next.
    pub late_percent: u64,
    /// How many datagrams were sent.
    pub sent_count: u64,
    kept: heapless::Vec<Packet, KEPT>,
    /// Whether the datagrams that arrive are kept, as long as there is room.
    pub is_keeping: bool,
}

#[derive(Clone)]
struct Packet {
    from: usize,
    to: usize,
    bytes: heapless::Vec<u8, DATAGRAM>,
}

impl<const N: usize, const KEPT: usize> Network<N, KEPT> {
    /// No nodes yet. It is large, so it is filled in place.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            nodes: heapless::Vec::new(),
            queue: heapless::Deque::new(),
            cut: [[false; N]; N],
            runs: [true; N],
            seed,
            random: Random::new(seed),
            loss_percent: 0,
            double_percent: 0,
            late_percent: 0,
            sent_count: 0,
            kept: heapless::Vec::new(),
            is_keeping: false,
        }
    }

    /// Starts blank nodes.
    pub fn start(&mut self) {
        self.start_timed(ELECTION_MIN, ELECTION_MAX);
    }

    /// Starts blank nodes whose operators say that this is the first start.
    pub fn start_first(&mut self) {
        for place in 0..N {
            let options = Options { is_first_start: true, ..options(id(place)) };
            let driver = blank(self.seed, N, &options);
            assert!(self.nodes.push(driver).is_ok(), "there is room for all");
        }
    }

    /// Starts blank nodes with election timeouts of this range.
    pub fn start_timed(&mut self, election_min: Ticks, election_max: Ticks) {
        for place in 0..N {
            let mut options = options(id(place));
            options.timing.election_min = election_min;
            options.timing.election_max = election_max;
            let driver = blank(self.seed, N, &options);
            assert!(self.nodes.push(driver).is_ok(), "there is room for all");
        }
    }

    /// Starts nodes whose disks held these terms of entries, each in this term.
    pub fn start_from(&mut self, saved: [(u64, &[u64]); N]) {
        for (place, (term, terms)) in saved.into_iter().enumerate() {
            let driver = recovered(self.seed, id(place), N, term, terms);
            assert!(self.nodes.push(driver).is_ok(), "there is room for all");
        }
    }

    /// Starts blank nodes, and runs until they have formed an epoch and all follow its leader.
    pub fn form(&mut self) {
        self.start();
        self.settle();
    }

    /// Runs until one node leads, all that run follow it and have its log applied.
    ///
    /// Panics after ten of the longest election timeouts.
    #[inline(never)]
    pub fn settle(&mut self) {
        let mut running = heapless::Vec::<usize, N>::new();
        running.extend((0..N).filter(|place| self.runs[*place]));
        self.settle_among(&running);
    }

    /// Runs until one node leads, these follow it and have its log applied.
    ///
    /// Panics after ten of the longest election timeouts.
    pub fn settle_among(&mut self, places: &[usize]) {
        for _tick in 0..10 * ELECTION_MAX.0 {
            self.pass(Ticks(1));
            if places.iter().all(|place| self.has_settled(*place)) {
                return;
            }
        }
        panic!("no agreement after ten election timeouts");
    }

    /// Whether one node leads, and all that run follow it and have applied its log.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        (0..N).filter(|place| self.runs[*place]).all(|place| self.has_settled(place))
    }

    fn has_settled(&self, place: usize) -> bool {
        let Some(leader) = self.leader() else { return false };
        let last = self.nodes[leader].raft.last();
        let raft = &self.nodes[place].raft;
        raft.leader() == Some(id(leader)) && raft.last() == last && raft.applied() == last.index
    }

    /// Lets time pass on every node that runs, delivering all datagrams after each tick.
    #[inline(never)]
    pub fn pass(&mut self, ticks: Ticks) {
        for _tick in 0..ticks.0 {
            for place in 0..N {
                self.pass_on(place, Ticks(1));
            }
            self.deliver();
        }
    }

    /// Lets time pass on one node only, and puts what it sends on its way.
    pub fn pass_on(&mut self, place: usize, ticks: Ticks) {
        if self.runs[place] {
            self.nodes[place].raft.tick(ticks);
            self.drive(place);
        }
    }

    /// Delivers until nothing is under way.
    pub fn deliver(&mut self) {
        for place in 0..N {
            self.drive(place);
        }
        // Every answer ends somewhere, and the queue is short.
        for _datagram in 0..2000 {
            let late = self.queue.len() > 1 && self.random.happens(self.late_percent);
            let Some(packet) = self.queue.pop_front() else { return };
            if late {
                self.queue.push_back(packet).ok().expect("it was in there before");
                continue;
            }
            if self.random.happens(self.double_percent) {
                self.hand_over(&packet);
            }
            self.hand_over(&packet);
        }
        panic!("the datagrams never end");
    }

    /// Puts what a node has to send on its way.
    pub fn drive(&mut self, place: usize) {
        if !self.runs[place] {
            return;
        }
        let Self { nodes, queue, cut, random, loss_percent, sent_count, .. } = self;
        nodes[place].drive_into(&mut |to, bytes| {
            *sent_count += 1;
            let to = usize::try_from(to.0).expect("a small id") - 1;
            if cut[place][to] || random.happens(*loss_percent) {
                return;
            }
            let bytes = heapless::Vec::from_slice(bytes).expect("a datagram keeps to its limit");
            // A full queue loses it.
            let _lost = queue.push_back(Packet { from: place, to, bytes });
        });
    }

    fn hand_over(&mut self, packet: &Packet) {
        if self.is_keeping {
            // What comes after the first ones is not kept.
            let _too_late = self.kept.push(packet.clone());
        }
        if self.runs[packet.to] && !self.cut[packet.from][packet.to] {
            // What is dropped there is the receiver's affair.
            let _dropped = self.nodes[packet.to].receive(&packet.bytes);
            self.drive(packet.to);
        }
    }

    /// How many datagrams are kept.
    #[must_use]
    pub fn kept_count(&self) -> usize {
        self.kept.len()
    }

    /// A datagram that has arrived before arrives again; what comes of it is delivered.
    pub fn replay(&mut self, which: usize) {
        self.is_keeping = false;
        let packet = self.kept[which].clone();
        self.hand_over(&packet);
        self.deliver();
    }

    /// Loses what is under way and for which this holds.
    pub fn lose(&mut self, mut lost: impl FnMut(usize, usize, &Message<'_>) -> bool) {
        for _datagram in 0..self.queue.len() {
            let Some(packet) = self.queue.pop_front() else { return };
            let (_, message) =
                wire::decode(&packet.bytes, &Checksum).expect("what is sent can be read");
            if !lost(packet.from, packet.to, &message) {
                self.queue.push_back(packet).ok().expect("it was in there before");
            }
        }
    }

    /// Nothing gets from one of the two to the other any more.
    pub fn cut(&mut self, one: usize, other: usize) {
        self.cut[one][other] = true;
        self.cut[other][one] = true;
    }

    /// Nothing gets from the first to the second any more; the other way is as it was.
    pub fn cut_one_way(&mut self, from: usize, to: usize) {
        self.cut[from][to] = true;
    }

    /// Nobody hears this node, and it hears nobody.
    pub fn isolate(&mut self, place: usize) {
        (0..N).for_each(|other| self.cut(place, other));
    }

    /// The two hear each other again.
    pub fn join(&mut self, one: usize, other: usize) {
        self.cut[one][other] = false;
        self.cut[other][one] = false;
    }

    /// Every link works again.
    pub fn heal(&mut self) {
        self.cut = [[false; N]; N];
    }

    /// The process of a node ends; what is under way to it is lost.
    pub fn stop(&mut self, place: usize) {
        self.runs[place] = false;
    }

    /// A node that has not run yet does so now, or one that was stopped goes on as it was.
    pub fn resume(&mut self, place: usize) {
        self.runs[place] = true;
    }

    /// The nodes that run.
    pub fn running(&self) -> impl Iterator<Item = &Driver> {
        self.nodes.iter().zip(self.runs).filter_map(|(node, runs)| runs.then_some(node))
    }

    /// The node that leads in the highest term in which any running node leads.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        (0..N)
            .filter(|place| self.runs[*place] && self.leads(*place))
            .max_by_key(|place| self.nodes[*place].raft.term())
    }

    /// Whether a node leads.
    #[must_use]
    pub fn leads(&self, place: usize) -> bool {
        self.nodes[place].raft.role() == RoleName::Leader
    }

    /// The highest term of any node.
    #[must_use]
    pub fn highest_term(&self) -> Term {
        self.nodes.iter().map(|node| node.raft.term()).max().unwrap_or_default()
    }

    /// The leader takes a command; its datagrams are put on their way.
    pub fn propose(&mut self, command: &[u8]) -> EntryId {
        let leader = self.leader().expect("there is a leader");
        let entry = self.nodes[leader].raft.propose(command).expect("a leader takes proposals");
        self.drive(leader);
        entry
    }
}

/// The id of the node at a place.
#[must_use]
pub fn id(place: usize) -> NodeId {
    NodeId(u32::try_from(place).expect("a few") + 1)
}

/// A node that holds nothing.
#[inline(never)]
fn blank(seed: u64, count: usize, options: &Options) -> Driver {
    let others = others(options.id, u32::try_from(count).expect("a few"));
    let raft = Raft::new(options, &others, Small::fresh(), random(seed, options.id), Checksum);
    Driver::new(raft.expect("a sound set-up"), Disk::default())
}

/// A node whose disk held this.
#[inline(never)]
fn recovered(seed: u64, id: NodeId, count: usize, term: u64, terms: &[u64]) -> Driver {
    let count = u32::try_from(count).expect("a few");
    let voters = voters(count);
    let bytes = configuration(&voters);
    let members = Members::parse(&bytes).expect("well-formed members");
    let hard = HardState {
        incarnation: member(id).incarnation,
        epoch: members.epoch(CLUSTER),
        term: Term(term),
        vote: None,
    };
    let saved = Saved {
        hard,
        applied: Index::ZERO,
        base: EntryId::default(),
        configuration: Index::ZERO,
        members: None,
    };
    let (options, others) = (options(id), others(id, count));
    let (memory, random) = (Small::fresh(), random(seed, id));
    let raft = Raft::recover(&options, &others, memory, random, Checksum, &saved);
    let run = Run::of(&voters, 1, terms);
    let mut driver = Driver::new(raft.expect("what was saved is sound"), Disk::default());
    driver.raft.recover_run(run.bytes()).expect("the entries are sound");
    driver.disk.put(Some(hard), Index(1), run.bytes(), &[]);
    driver
}

fn random(seed: u64, id: NodeId) -> Random {
    Random::new(seed.wrapping_mul(31).wrapping_add(u64::from(id.0)))
}
