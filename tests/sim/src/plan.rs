//! What a seed decides before its run begins: the cluster, its sizes and its speeds.

use std::fmt;

use coracle::{ClusterId, Lease, NodeId, Ticks, Timing};

use crate::chance::Chance;
use crate::disk::Habits;
use crate::faults::{Phase, phases};
use crate::network::{NODES, Weather};
use crate::queue::Micros;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// From which all of it follows.
    pub seed: u64,
    /// The cluster's name.
    pub cluster: ClusterId,
    /// The nodes.
    pub ids: Vec<NodeId>,
    /// How many of them form the cluster; the others wait until they are added.
    pub founders: usize,
    /// Whether an operator changes the members.
    pub is_operated: bool,
    /// Whether whoever crashes comes back with nothing, as long as the rest can do without it.
    pub is_forgetful: bool,
    /// Whether nothing is stored anywhere, and how many may be restarted at once.
    pub storm: Option<Storm>,
    /// Whether nothing is stored, and whoever ends may leave an image of itself.
    pub is_warm: bool,
    /// Whether operators say that this is the first start: of every disk that was not lost. Then the
    /// founders have logs and datagrams of one size, so that whoever comes late fits.
    pub is_first_start: bool,
    /// When each founder that is absent then is started first.
    pub late: Vec<(usize, Micros)>,
    /// How large a log each of them has.
    pub logs: Vec<LogSize>,
    /// The largest datagram that each of them takes.
    pub datagrams: Vec<u16>,
    /// How many sessions and pending requests each node has room for.
    pub tables: Tables,
    /// How many bytes may be on their way to one follower.
    pub window_bytes: usize,
    /// How long a tick is.
    pub tick: Micros,
    /// Their spans of time.
    pub timing: Timing,
    /// How far clocks may drift apart, in a run whose reads need no round.
    pub lease: Option<Lease>,
    /// Whether a node is woken only when something is due, or else at each tick.
    pub is_tickless: bool,
    /// How long a node takes from a datagram's arrival to looking at it: others may arrive meanwhile.
    pub batching: Micros,
    /// How many times in a thousand a node looks at new datagrams before it has polled everything.
    pub impatience: u64,
    /// How the disks behave.
    pub disk: DiskPlan,
    /// What the clients do.
    pub clients: ClientPlan,
    /// How the network is when all is well.
    pub calm: Weather,
    /// What goes wrong, one phase after another.
    pub phases: Vec<Phase>,
}

/// How bad the restarts are where nothing is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storm {
    /// At most so many are down or recovering at once as the rest can do without.
    Borne,
    /// Any number.
    Beyond,
}

/// The memory of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSize {
    /// Bytes of entries.
    pub bytes: usize,
    /// How many entries.
    pub slots: usize,
}

/// The capacities that are a part of a node's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// Two sessions, one pending request.
    Tiny,
    /// Four of each.
    Small,
    /// Sixteen sessions, eight pending requests.
    Roomy,
}

/// How the disks of a run behave.
#[derive(Clone, Copy, Debug)]
pub struct DiskPlan {
    /// Each disk.
    pub habits: Habits,
    /// How long a write takes that is not done at once.
    pub sync: Micros,
    /// How much later the node may hear of it.
    pub news: Micros,
}

impl DiskPlan {
    /// No disk at all, if it is memory: what is written is there at once, and never refused.
    const fn or_memory(mut self, is_memory: bool) -> Self {
        if is_memory {
            self.habits.is_memory = true;
            self.habits.at_once = 1000;
            self.habits.failing = 0;
        }
        self
    }
}

/// What the clients of a run do.
#[derive(Clone, Copy, Debug)]
pub struct ClientPlan {
    /// How many there are.
    pub count: usize,
    /// How many different numbers they work on.
    pub keys: u64,
    /// How long they think between two operations, at most.
    pub think: Micros,
    /// How long they wait for an answer at first.
    pub patience: Micros,
    /// How many bytes are added to commands at most.
    pub padding: u64,
    /// How many operations a leader may be given at once, so that it has more than one datagram of
    /// entries which are not committed.
    pub burst: u64,
    /// How many operations in a thousand are given up while they wait.
    pub quitting: u64,
    /// How many are begun in all, at most.
    pub operations: u64,
}

impl Plan {
    /// The run of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let chance = &mut Chance::new(seed, PURPOSE);
        let founders = cluster_size(chance);
        let is_operated = chance.permille(300);
        let spares = if is_operated { chance.below((NODES - founders) as u64 + 1) } else { 0 };
        let nodes = founders + spares as usize;
        let ids = ids(nodes, chance);
        let (tick, timing) = timing(chance);
        let lease = lease(timing, chance);
        let election = Micros(timing.election_max.0 * tick.0);
        let calm = calm(election, chance);
        let logs = log_sizes(nodes, chance);
        let is_forgetful = Chance::new(seed, FORGETTING).permille(200);
        let storm = storm(Chance::new(seed, STORMS)).filter(|_| !is_operated && founders < NODES);
        let is_forgetful =
            !is_operated && storm.is_none() && founders > 2 && founders < NODES && is_forgetful;
        let is_warm = is_forgetful && Chance::new(seed, WARMTH).permille(700);
        let plan = Self {
            seed,
            cluster: ClusterId(chance.number()),
            ids,
            founders,
            is_operated,
            is_forgetful,
            storm,
            is_warm,
            is_first_start: false,
            late: Vec::new(),
            datagrams: datagrams(nodes, chance),
            tables: chance.pick(&[
                Tables::Tiny,
                Tables::Tiny,
                Tables::Small,
                Tables::Small,
                Tables::Roomy,
            ]),
            window_bytes: chance.pick(&[64, 512, 4096, 65536]),
            tick,
            timing,
            lease,
            is_tickless: chance.permille(700),
            batching: Micros(chance.pick(&[0, 0, election.0 / 200])),
            impatience: chance.pick(&[0, 0, 100, 500]),
            disk: disk(election, chance).or_memory(is_warm || storm.is_some()),
            clients: clients(election, chance),
            calm,
            phases: phases(nodes, election, calm, lease.is_some(), chance),
            logs,
        };
        plan.with_first_start(&mut Chance::new(seed, STARTING))
    }

    /// A quarter of the runs whose disks keep what they have are first starts; in most of these a
    /// minority is absent for a while.
    fn with_first_start(mut self, chance: &mut Chance) -> Self {
        let is_sound = !self.is_forgetful
            && self.storm.is_none()
            && self.founders > 2
            && self.founders < NODES;
        if !is_sound || !chance.permille(250) {
            return self;
        }
        self.is_first_start = true;
        self.logs = vec![self.logs[0]; self.nodes()];
        self.datagrams = vec![self.datagrams[0]; self.nodes()];
        let most = (self.founders as u64 - 1) / 2;
        let mut founders: Vec<usize> = (0..self.founders).collect();
        for _ in 0..chance.between(0, most) {
            let place = founders.remove(chance.place(founders.len()));
            let at = Micros(self.election().0 * chance.between(1, 300) / 10);
            self.late.push((place, at));
        }
        self
    }

    /// How long the longest election time-out is, when clocks are right.
    #[must_use]
    pub fn election(&self) -> Micros {
        Micros(self.timing.election_max.0 * self.tick.0)
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.ids.len()
    }
}

impl fmt::Display for Plan {
    /// The sizes and speeds, for the head of a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timing { heartbeat, election_min, election_max, .. } = self.timing;
        write!(
            f,
            "{} nodes {:?}, {} of them from the start, operated: {}, forgetful: {}, storm: {:?}, warm: {}, first start: {} without {:?}, lease: {:?}, ticks of {} us, heartbeat {heartbeat}, election {election_min} to \
             {election_max}, logs {:?}, datagrams {:?}, tables {:?}, window {}, {:?}, {:?}, calm {:?}",
            self.ids.len(),
            self.ids,
            self.founders,
            self.is_operated,
            self.is_forgetful,
            self.storm,
            self.is_warm,
            self.is_first_start,
            self.late,
            self.lease,
            self.tick.0,
            self.logs,
            self.datagrams,
            self.tables,
            self.window_bytes,
            self.disk,
            self.clients,
            self.calm,
        )
    }
}

const PURPOSE: u64 = 1;
const FORGETTING: u64 = 11;
const STORMS: u64 = 12;
const WARMTH: u64 = 13;
const STARTING: u64 = 14;

fn cluster_size(chance: &mut Chance) -> usize {
    match chance.below(100) {
        0..4 => 1,
        4..12 => 2,
        12..60 => 3,
        60..68 => 4,
        68..96 => 5,
        _ => NODES,
    }
}

/// Ids that are not in the order in which the nodes were made.
fn ids(nodes: usize, chance: &mut Chance) -> Vec<NodeId> {
    let mut ids: Vec<NodeId> = Vec::with_capacity(nodes);
    let highest = chance.pick(&[9, 9, 65_535, u64::from(u32::MAX)]);
    while ids.len() < nodes {
        let id = NodeId(u32::try_from(chance.between(1, highest)).unwrap_or(u32::MAX));
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// From microseconds to ticks so coarse that a time-out has two lengths.
fn timing(chance: &mut Chance) -> (Micros, Timing) {
    let heartbeat = match chance.below(10) {
        0 => return (Micros(10_000), ticks(1, 2, 3)),
        1 => return (Micros(10_000), ticks(1, 3, 5)),
        2 | 3 => {
            let heartbeat = chance.between(2, 5);
            let shortest = heartbeat * chance.between(2, 4);
            return (Micros(5_000), ticks(heartbeat, shortest, shortest + chance.between(2, 15)));
        }
        _ => chance.between(5_000, 30_000),
    };
    let shortest = heartbeat * chance.between(2, 5);
    let longest = shortest + shortest * chance.between(5, 20) / 10;
    (Micros(1), ticks(heartbeat, shortest, longest))
}

const fn ticks(heartbeat: u64, election_min: u64, election_max: u64) -> Timing {
    Timing {
        heartbeat: Ticks(heartbeat),
        election_min: Ticks(election_min),
        election_max: Ticks(election_max),
        retransmit_min: Ticks(1),
    }
}

/// Clocks of such a run are within a sixteenth of the truth.
fn lease(timing: Timing, chance: &mut Chance) -> Option<Lease> {
    let lease = Lease { drift_permille: 63 };
    let is_long = timing.election_min.0 * 937 / 1063 > timing.heartbeat.0 + 1;
    (is_long && chance.permille(250)).then_some(lease)
}

/// Round trips of a fiftieth to a tenth of an election time-out.
fn calm(election: Micros, chance: &mut Chance) -> Weather {
    let latency = Micros(election.0 / chance.between(40, 400));
    Weather {
        latency,
        jitter: Micros(latency.0 * chance.between(0, 20) / 10),
        slow: 0,
        slow_by: Micros(0),
        lost: 0,
        doubled: 0,
        replayed: 0,
        replayed_by: Micros(0),
        damaged: 0,
    }
}

/// One size for all nodes, or, rarely, one for each.
fn log_sizes(nodes: usize, chance: &mut Chance) -> Vec<LogSize> {
    let one = log_size(nodes, chance);
    let differ = chance.permille(150);
    (0..nodes).map(|_| if differ { log_size(nodes, chance) } else { one }).collect()
}

fn log_size(nodes: usize, chance: &mut Chance) -> LogSize {
    // The configuration must fit a quarter of the ring.
    let least = 256.max(4 * (16 * (nodes as u64 + 1) + 24));
    let (bytes, slots) = match chance.below(10) {
        0..4 => (chance.between(least, least.max(2048)), chance.pick(&[16, 16, 32])),
        4..8 => (chance.between(2048, 16 * 1024), chance.pick(&[16, 64, 256])),
        _ => (64 * 1024, 1024),
    };
    LogSize { bytes: bytes as usize, slots }
}

fn datagrams(nodes: usize, chance: &mut Chance) -> Vec<u16> {
    let one = chance.pick(&[256, 300, 512, 1200, 1400]);
    let differ = chance.permille(100);
    (0..nodes).map(|_| if differ { chance.pick(&[256, 512, 1200]) } else { one }).collect()
}

/// A fifth of the seeds, half of them without a bound.
fn storm(mut chance: Chance) -> Option<Storm> {
    let storm = if chance.coin() { Storm::Borne } else { Storm::Beyond };
    chance.permille(200).then_some(storm)
}

fn disk(election: Micros, chance: &mut Chance) -> DiskPlan {
    let at_once = chance.pick(&[1000, 1000, 0, 500]);
    let habits = Habits {
        at_once,
        hard_first: chance.coin(),
        snapshot_is_barrier: chance.coin(),
        failing: chance.pick(&[0, 0, 0, 2]),
        snapshot_room: chance.pick(&[u64::MAX, u64::MAX, u64::MAX, 250]),
        crash_in_write: false,
        is_memory: false,
    };
    DiskPlan {
        habits,
        sync: Micros(election.0 / chance.pick(&[3, 20, 200])),
        news: Micros(election.0 / chance.pick(&[10, 100, 10_000])),
    }
}

fn clients(election: Micros, chance: &mut Chance) -> ClientPlan {
    ClientPlan {
        count: chance.between(1, 5) as usize,
        keys: chance.between(1, 8),
        think: Micros(election.0 * chance.between(1, 20) / 10),
        patience: Micros(election.0 / chance.between(1, 8)),
        padding: chance.pick(&[0, 0, 20, 100, 1000]),
        burst: chance.pick(&[1, 1, 4, 12]),
        quitting: chance.pick(&[0, 10, 50]),
        operations: chance.between(50, 500),
    }
}
