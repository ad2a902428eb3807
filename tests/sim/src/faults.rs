//! What goes wrong in a run, and when.

use crate::chance::Chance;
use crate::network::{Partition, Weather};
use crate::queue::Micros;

/// A while in which the network is of one kind, and things happen to nodes.
#[derive(Clone, Debug)]
pub struct Phase {
    /// How long it takes.
    pub length: Micros,
    /// How datagrams fare.
    pub weather: Weather,
    /// Who cannot reach whom.
    pub partition: Partition,
    /// How long a flapping partition stays as it is.
    pub flap: Micros,
    /// Whether all nodes draw the same time-outs.
    pub is_aligned: bool,
    /// What happens, and how long after the phase's beginning.
    pub troubles: Vec<(Micros, Trouble)>,
}

/// Something that happens to one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It stops after so many more steps, wherever it is then, and starts again after a while.
    Crash {
        /// The node, or whoever leads.
        victim: Victim,
        /// After so many more steps.
        steps: u64,
        /// How long it is down.
        down: Micros,
    },
    /// It stops in the middle of its next write.
    CrashInWrite {
        /// The node, or whoever leads.
        victim: Victim,
        /// How long it is down.
        down: Micros,
    },
    /// It stops, and its disk is lost.
    Wipe {
        /// The node, or whoever leads.
        victim: Victim,
        /// How long it is down.
        down: Micros,
    },
    /// It does nothing for a while.
    Pause {
        /// The node, or whoever leads.
        victim: Victim,
        /// How long.
        length: Micros,
    },
    /// Its clock runs at another rate, in 64ths.
    Rate {
        /// The node, or whoever leads.
        victim: Victim,
        /// The rate.
        rate: u64,
    },
    /// Bytes that nobody sent arrive.
    Garbage {
        /// The node, or whoever leads.
        victim: Victim,
    },
}

/// To whom something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// This node.
    Node(usize),
    /// Whoever leads then; this node if nobody does.
    Leader(usize),
}

/// Which kinds of faults a run has at all. A run with few kinds reaches states in which one with all
/// of them never is.
#[derive(Clone, Copy, Debug)]
struct Kinds {
    weather: bool,
    slowness: bool,
    partitions: bool,
    crashes: bool,
    wipes: bool,
    pauses: bool,
    clocks: bool,
    /// Whether clocks may be wrong by any factor.
    wild_clocks: bool,
    alignment: bool,
    garbage: bool,
}

/// The phases of a run.
pub fn phases(
    nodes: usize,
    election: Micros,
    calm: Weather,
    has_lease: bool,
    chance: &mut Chance,
) -> Vec<Phase> {
    let kinds = Kinds {
        weather: chance.permille(700),
        slowness: chance.permille(400),
        partitions: nodes > 1 && chance.permille(600),
        crashes: chance.permille(700),
        wipes: nodes > 2 && chance.permille(150),
        pauses: chance.permille(300),
        clocks: chance.permille(300),
        wild_clocks: !has_lease,
        alignment: chance.permille(100),
        garbage: chance.permille(200),
    };
    let mut phases = Vec::new();
    if chance.permille(800) {
        // Most clusters are formed in peace.
        phases.push(quiet(Micros(election.0 * chance.between(1, 4)), calm));
    }
    for _ in 0..chance.between(2, 10) {
        phases.push(phase(nodes, election, calm, kinds, chance));
    }
    if kinds.wipes {
        add_wipes(&mut phases, nodes, election, chance);
    }
    phases
}

/// Nothing goes wrong.
const fn quiet(length: Micros, weather: Weather) -> Phase {
    Phase {
        length,
        weather,
        partition: Partition::Whole,
        flap: Micros(0),
        is_aligned: false,
        troubles: Vec::new(),
    }
}

fn phase(
    nodes: usize,
    election: Micros,
    calm: Weather,
    kinds: Kinds,
    chance: &mut Chance,
) -> Phase {
    let mut phase = quiet(Micros(election.0 * chance.between(2, 10)), calm);
    if kinds.weather && chance.permille(700) {
        let severity = chance.pick(&[20, 100, 300, 500]);
        phase.weather.lost = chance.between(0, severity);
        phase.weather.doubled = chance.between(0, 200);
        phase.weather.replayed = chance.pick(&[0, 5, 50]);
        phase.weather.replayed_by = election.times(20);
        phase.weather.damaged = chance.pick(&[0, 5, 50]);
    }
    if kinds.slowness && chance.permille(700) {
        phase.weather.jitter = Micros(election.0 * chance.pick(&[5, 20, 50]) / 100);
        phase.weather.slow = chance.pick(&[0, 20, 200]);
        phase.weather.slow_by = election.times(3);
    }
    if kinds.partitions && chance.permille(700) {
        phase.partition = partition(nodes, chance);
        phase.flap = Micros(election.0 * chance.between(3, 30) / 10);
    }
    phase.is_aligned = kinds.alignment && chance.permille(700);
    let span = phase.length;
    let at = |chance: &mut Chance| Micros(chance.below(span.0));
    if kinds.crashes {
        for _ in 0..chance.pick(&[0, 1, 1, 2, 4]) {
            phase.troubles.push((at(chance), crash(nodes, election, chance)));
        }
    }
    if kinds.pauses && chance.coin() {
        let length = Micros(election.0 * chance.between(1, 40) / 10);
        phase.troubles.push((at(chance), Trouble::Pause { victim: victim(nodes, chance), length }));
    }
    if kinds.clocks {
        for _ in 0..chance.between(0, 2) {
            let rate = chance.pick(&[16, 32, 60, 64, 68, 128, 256]);
            let rate = if kinds.wild_clocks { rate } else { rate.clamp(60, 68) };
            phase
                .troubles
                .push((at(chance), Trouble::Rate { victim: victim(nodes, chance), rate }));
        }
    }
    if kinds.garbage {
        for _ in 0..chance.between(0, 5) {
            phase.troubles.push((at(chance), Trouble::Garbage { victim: victim(nodes, chance) }));
        }
    }
    phase
}

fn crash(nodes: usize, election: Micros, chance: &mut Chance) -> Trouble {
    let victim = victim(nodes, chance);
    let down = match chance.below(4) {
        0 => Micros(election.0 / 100),
        1 => Micros(election.0 / 4),
        _ => Micros(election.0 * chance.between(5, 60) / 10),
    };
    if chance.permille(300) {
        Trouble::CrashInWrite { victim, down }
    } else {
        Trouble::Crash { victim, steps: chance.below(40), down }
    }
}

fn victim(nodes: usize, chance: &mut Chance) -> Victim {
    let node = chance.place(nodes);
    if chance.permille(400) { Victim::Leader(node) } else { Victim::Node(node) }
}

fn partition(nodes: usize, chance: &mut Chance) -> Partition {
    let side = chance.between(1, (1 << nodes) - 2) as u8;
    match chance.below(if nodes > 2 { 12 } else { 9 }) {
        0 | 1 => Partition::Split(side),
        2 => Partition::OneWay(side),
        3 => Partition::LeaderAlone,
        4 => Partition::LeaderDeaf,
        5 => Partition::LeaderMute,
        6 => Partition::Bridge { over: chance.place(nodes), side },
        7 => Partition::Chain,
        8 => Partition::Flapping(side),
        _ => Partition::Hunt,
    }
}

/// A lost disk is a new member, which takes the place of the old one: at most as many are lost as the
/// rest can do without.
fn add_wipes(phases: &mut [Phase], nodes: usize, election: Micros, chance: &mut Chance) {
    let most = (nodes - 1) / 2;
    let mut victims: Vec<usize> = (0..nodes).collect();
    for _ in 0..chance.between(1, most as u64) {
        let node = victims.remove(chance.place(victims.len()));
        let place = 1 + chance.place(phases.len().saturating_sub(1));
        let Some(phase) = phases.get_mut(place) else { return };
        let at = Micros(chance.below(phase.length.0));
        let down = Micros(election.0 * chance.between(1, 20) / 10);
        phase.troubles.push((at, Trouble::Wipe { victim: Victim::Node(node), down }));
    }
}
