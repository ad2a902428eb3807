//! A cluster in virtual time, on a network that loses by a seed: what loss costs, to the last digit.
//!
//! The core is the real one, and so are its datagrams. Time is counted in microseconds. A node is
//! busy for a while with each datagram that it takes or sends, and so is its client; a datagram is
//! on its way for a while. No process is ever late. So a figure from here repeats exactly, and one
//! from real processes shows what machines add to it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use coracle::{
    Buffers, Checksum, ClusterId, Counters, NodeId, Options, Output, Raft, RoleName, Slot, Ticks,
    Timing,
};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What is modelled.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What is drawn follows from it.
    pub seed: u64,
    /// Of a thousand datagrams between nodes, how many are lost.
    pub lost: u32,
    /// How many commands are in flight.
    pub inflight: usize,
    /// For how long, in microseconds.
    pub span: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many commands were answered.
    pub answered: u64,
    /// How long each took, in microseconds, in ascending order.
    pub latencies: Vec<u64>,
    /// Datagrams that nodes sent to each other.
    pub sent: u64,
    /// How many of them were lost.
    pub lost: u64,
    /// How often there was a new leader.
    pub elections: u64,
    /// Of all nodes: appends sent again because a timer ran out.
    pub retransmissions: u64,
    /// Of all nodes: appends refused because the entry before was not there.
    pub mismatches: u64,
}

/// Runs it.
///
/// # Panics
/// When the core breaks a promise.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    let mut model = Model::new(plan);
    model.run_until(FORMATION);
    model.outcome = Outcome::default();
    for slot in 0..plan.inflight {
        model.ask(slot);
    }
    let (start, counted) = (model.now, model.counted());
    model.run_until(start + plan.span);
    let [retransmissions, mismatches, leaderships] = model.counted();
    model.outcome.retransmissions = retransmissions - counted[0];
    model.outcome.mismatches = mismatches - counted[1];
    model.outcome.elections = leaderships - counted[2];
    model.outcome.latencies.sort_unstable();
    model.outcome
}

impl Outcome {
    /// The latency below which this part of all latencies lie, in microseconds.
    #[must_use]
    pub fn quantile(&self, of_thousand: usize) -> u64 {
        let place = self.latencies.len().saturating_sub(1) * of_thousand / 1000;
        self.latencies.get(place).copied().unwrap_or_default()
    }
}

type Member = Raft<Buffers<Box<[u8]>, Box<[Slot]>>, Xoshiro256PlusPlus, Checksum, NODES>;

struct Model {
    now: u64,
    members: [Member; NODES],
    /// What each member's clock shows.
    clocks: [u64; NODES],
    /// How often each has set its timer.
    timers: [u64; NODES],
    /// Until when each is busy.
    busy: [u64; NODES],
    inboxes: [Vec<Arrival>; NODES],
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    random: Xoshiro256PlusPlus,
    lost: u32,
    slots: Vec<InFlight>,
    client_busy: u64,
    outcome: Outcome,
}

/// A command in flight.
#[derive(Clone, Copy)]
struct InFlight {
    command: u64,
    since: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arrival {
    Peer(Vec<u8>),
    Command(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize, Arrival),
    /// A member is free again.
    Turns(usize),
    /// A member's timer runs out, unless it was set anew since.
    Timer(usize, u64),
    Answered(u64),
    /// A client looks whether its command was answered.
    Looks(usize, u64),
}

impl Model {
    fn new(plan: &Plan) -> Self {
        let member = |place: usize| {
            let id = NodeId(u32::try_from(place + 1).unwrap_or(u32::MAX));
            let others = (1..=3).map(NodeId).filter(|other| *other != id);
            let others: Vec<NodeId> = others.collect();
            let log = Buffers::new(
                vec![0; 1 << 22].into_boxed_slice(),
                vec![Slot::ZERO; 1 << 17].into_boxed_slice(),
            );
            let random = Xoshiro256PlusPlus::seed_from_u64(plan.seed * 10 + place as u64);
            let options = Options::new(ClusterId(1), id, TIMING);
            Raft::new(&options, &others, log, random, Checksum).expect("three sound members")
        };
        let mut model = Self {
            now: 0,
            members: [0, 1, 2].map(member),
            clocks: [0; NODES],
            timers: [0; NODES],
            busy: [0; NODES],
            inboxes: Default::default(),
            events: BinaryHeap::new(),
            order: 0,
            random: Xoshiro256PlusPlus::seed_from_u64(plan.seed),
            lost: plan.lost,
            slots: vec![InFlight { command: 0, since: 0 }; plan.inflight],
            client_busy: 0,
            outcome: Outcome::default(),
        };
        for place in 0..NODES {
            model.schedule(0, Event::Timer(place, 0));
        }
        model
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, event)));
    }

    fn run_until(&mut self, end: u64) {
        while let Some(Reverse((at, ..))) = self.events.peek()
            && *at < end
        {
            let Some(Reverse((at, _, event))) = self.events.pop() else { return };
            self.now = at;
            match event {
                Event::Arrives(place, arrival) => {
                    self.inboxes[place].push(arrival);
                    self.schedule(at.max(self.busy[place]), Event::Turns(place));
                }
                Event::Timer(place, set) if set == self.timers[place] => self.turn(place),
                Event::Timer(..) => {}
                // What had arrived may have been taken with something else.
                Event::Turns(place) if self.inboxes[place].is_empty() => {}
                Event::Turns(place) if at >= self.busy[place] => self.turn(place),
                Event::Turns(place) => self.schedule(self.busy[place], Event::Turns(place)),
                Event::Answered(command) => self.answered(command),
                Event::Looks(slot, command) if self.slots[slot].command == command => {
                    self.send_command(slot);
                }
                Event::Looks(..) => {}
            }
        }
        self.now = end;
    }

    /// A member takes all that has arrived, and does all that follows.
    fn turn(&mut self, place: usize) {
        let mut busy = self.now;
        self.members[place].tick(Ticks(self.now - self.clocks[place]));
        self.clocks[place] = self.now;
        for arrival in std::mem::take(&mut self.inboxes[place]) {
            busy += WORK;
            match arrival {
                Arrival::Peer(datagram) => {
                    let _counted = self.members[place].receive(&datagram);
                }
                Arrival::Command(command) => self.propose(place, command),
            }
        }
        self.poll(place, &mut busy);
        let upto = self.members[place].compactable();
        self.members[place].compact(upto);
        self.busy[place] = busy;
        if let Some(span) = self.members[place].next_timeout() {
            self.timers[place] += 1;
            let timer = Event::Timer(place, self.timers[place]);
            self.schedule((self.now + span.0).max(busy), timer);
        }
    }

    /// Whoever does not lead drops it; its client looks again.
    fn propose(&mut self, place: usize, command: u64) {
        let mut bytes = [0; COMMAND_BYTES];
        bytes[..8].copy_from_slice(&command.to_le_bytes());
        let _refused = self.members[place].propose(&bytes);
    }

    fn poll(&mut self, place: usize, busy: &mut u64) {
        let mut buffer = [0; 1200];
        let mut sends = Vec::new();
        let leads = self.members[place].role() == RoleName::Leader;
        while let Some(output) = self.members[place].poll() {
            match output {
                Output::Transmit(transmit) => {
                    let to = transmit.to();
                    let length = transmit.write(&mut buffer).expect("a datagram fits");
                    if length > 0 {
                        *busy += WORK;
                        let arrival = Arrival::Peer(buffer[..length].to_vec());
                        sends.push((*busy, to, arrival));
                    }
                }
                Output::Persist(write) => write.done(),
                Output::Apply(apply) => {
                    let data = apply.entry().map(|entry| entry.data.first_chunk().copied());
                    if let (Some(Some(command)), true) = (data, leads) {
                        *busy += WORK;
                        let command = u64::from_le_bytes(command);
                        self.order += 1;
                        let event = Event::Answered(command);
                        self.events.push(Reverse((*busy + WAY, self.order, event)));
                    }
                    apply.done();
                }
                Output::Reads(_) => {}
                Output::Install(_) | Output::Chunk(_) => panic!("no member keeps a snapshot"),
                Output::Failed(violation) => panic!("{violation:?}"),
            }
        }
        for (at, to, arrival) in sends {
            self.outcome.sent += 1;
            if self.random.next_u64() % 1000 < u64::from(self.lost) {
                self.outcome.lost += 1;
            } else {
                self.schedule(at + WAY, Event::Arrives(to.0 as usize - 1, arrival));
            }
        }
    }

    fn answered(&mut self, command: u64) {
        let slot = usize::try_from(command).unwrap_or(0) % self.slots.len();
        if self.slots[slot].command != command {
            return;
        }
        self.client_busy = self.client_busy.max(self.now) + WORK;
        self.outcome.answered += 1;
        self.outcome.latencies.push(self.now - self.slots[slot].since);
        self.ask(slot);
    }

    fn ask(&mut self, slot: usize) {
        let (command, since) = (self.slots[slot].command, self.now);
        let next = command + self.slots.len() as u64;
        let command = if command == 0 { next + slot as u64 } else { next };
        self.slots[slot] = InFlight { command, since };
        self.send_command(slot);
    }

    /// To whoever leads the latest term, or else later.
    fn send_command(&mut self, slot: usize) {
        let command = self.slots[slot].command;
        let leads = |place: &usize| self.members[*place].role() == RoleName::Leader;
        let leader = (0..NODES).filter(leads).max_by_key(|place| self.members[*place].term());
        let Some(leader) = leader else {
            return self.schedule(self.now + 1000, Event::Looks(slot, command));
        };
        self.client_busy = self.client_busy.max(self.now) + WORK;
        let arrives = Event::Arrives(leader, Arrival::Command(command));
        self.schedule(self.client_busy + WAY, arrives);
        self.schedule(self.now + PATIENCE, Event::Looks(slot, command));
    }

    fn counted(&self) -> [u64; 3] {
        let sum = |take: fn(&Counters) -> u32| {
            self.members.iter().map(|member| u64::from(take(member.counters()))).sum()
        };
        [
            sum(|counters| counters.retransmissions),
            sum(|counters| counters.mismatches),
            sum(|counters| counters.leaderships),
        ]
    }
}

const NODES: usize = 3;
const COMMAND_BYTES: usize = 16;
/// How long a datagram keeps its sender busy, and its receiver, in microseconds.
const WORK: u64 = 1;
/// How long it is on its way, and its receiver not awake yet.
const WAY: u64 = 4;
/// After so long a client asks again.
const PATIENCE: u64 = 30_000;
/// By then there is a leader.
const FORMATION: u64 = 2_000_000;

/// A host's.
const TIMING: Timing = Timing {
    heartbeat: Ticks(50_000),
    election_min: Ticks(150_000),
    election_max: Ticks(300_000),
    retransmit_min: Ticks(100),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(lost: u32, inflight: usize) -> Outcome {
        run(&Plan { seed: 3, lost, inflight, span: 200_000 })
    }

    #[test]
    fn the_same_seed_gives_the_same_outcome() {
        let (one, other) = (outcome(100, 4), outcome(100, 4));
        assert_eq!(one.latencies, other.latencies);
        assert!((8..12).contains(&(one.lost * 100 / one.sent)), "{}", one.lost);
    }

    #[test]
    fn a_lone_command_costs_four_datagrams_where_nothing_is_lost() {
        let Outcome { answered, sent, retransmissions, .. } = outcome(0, 1);
        assert!(answered > 5000, "{answered}");
        // The heartbeats and the last command are not whole.
        assert!(sent.abs_diff(4 * answered) < 40, "{sent} for {answered}");
        assert_eq!(retransmissions, 0);
    }

    #[test]
    fn the_goals_are_met_at_every_loss() {
        for inflight in [1, 16] {
            let good = outcome(0, inflight).answered;
            for (lost, goal) in [(10, 98), (50, 90), (100, 75), (200, 50), (300, 30)] {
                let answered = outcome(lost, inflight).answered;
                let left = answered * 100 / good;
                assert!(left >= goal, "{inflight} in flight: {left} % left at {lost} of 1000 lost");
            }
        }
    }
}
