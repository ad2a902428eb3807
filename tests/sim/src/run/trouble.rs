//! What goes wrong: phases, crashes, pauses, clocks and disks.

use coracle::Part;

use super::{Event, Run, Trace};
use crate::faults::{Trouble, Victim};
use crate::host::Host;
use crate::hostile::{Target, forge};
use crate::invariants::{Recovered, Verdict};
use crate::network::{Address, Partition};
use crate::peer::view;
use crate::plan::Storm;
use crate::queue::Micros;

use super::step::Stage;

impl Run {
    pub(super) fn on_phase(&mut self, place: usize) -> Verdict {
        let Some(phase) = self.plan.phases.get(place).cloned() else {
            self.queue.put_in(Micros(0), Event::Calm);
            return Ok(());
        };
        self.note(|| format!("phase {place}: {:?}, {:?}", phase.partition, phase.weather));
        self.phase = place;
        self.network.weather = phase.weather;
        let leader = self.leader();
        self.network.cut(phase.partition, leader, self.hosts.len());
        self.is_aligned.set(phase.is_aligned);
        if let Partition::Flapping(_) = phase.partition {
            self.queue.put_in(phase.flap, Event::Flap { phase: place, is_cut: false });
        }
        if phase.partition != Partition::Whole {
            self.counts.add(partition_name(phase.partition), 1);
        }
        for (at, trouble) in phase.troubles {
            self.queue.put_in(at, Event::Trouble(trouble));
        }
        self.queue.put_in(phase.length, Event::Phase(place + 1));
        Ok(())
    }

    pub(super) fn on_flap(&mut self, place: usize, is_cut: bool) -> Verdict {
        if self.phase != place || self.calm.is_some() {
            return Ok(());
        }
        let phase = &self.plan.phases[place];
        let (flap, partition) = (phase.flap, phase.partition);
        let now = if is_cut { partition } else { Partition::Whole };
        self.network.cut(now, None, self.hosts.len());
        self.queue.put_in(flap, Event::Flap { phase: place, is_cut: !is_cut });
        Ok(())
    }

    /// A new leader was seen. While leaders are hunted it is cut off at once, before anybody hears of
    /// it, or when it has work.
    pub(super) fn on_new_leader(&mut self, node: usize) {
        let phase = self.plan.phases.get(self.phase);
        let is_hunt = phase.is_some_and(|phase| phase.partition == Partition::Hunt);
        if !is_hunt || self.calm.is_some() {
            return;
        }
        if self.chance.coin() {
            self.cut_off(node);
        } else {
            let soon = Micros(self.chance.below(self.plan.election().0));
            self.queue.put_in(soon, Event::Hunt { node, phase: self.phase });
        }
    }

    /// A leader gets work, and is cut off.
    pub(super) fn on_hunt(&mut self, node: usize, phase: usize) -> Verdict {
        if self.phase != phase || self.calm.is_some() || self.leader() != Some(node) {
            return Ok(());
        }
        self.cut_off(node);
        self.burst(node)
    }

    /// Leaves a node with a minority.
    fn cut_off(&mut self, node: usize) {
        let nodes = self.hosts.len();
        let mut side = 1 << node;
        for _ in 0..self.chance.below((nodes as u64 - 1) / 2) {
            side |= 1 << self.chance.place(nodes);
        }
        self.note(|| format!("n{node} is hunted, with the set {side:b}"));
        self.counts.add("leaders hunted", 1);
        self.network.cut(Partition::Split(side), None, nodes);
    }

    pub(super) fn on_trouble(&mut self, trouble: Trouble) -> Verdict {
        if self.calm.is_some() {
            return Ok(());
        }
        self.note(|| format!("{trouble:?}"));
        let now = self.queue.now();
        match trouble {
            Trouble::Crash { victim, steps, down } => {
                let node = self.victim(victim);
                self.hosts[node].crash_in = Some((steps, down));
            }
            // There is no medium in whose midst it could crash.
            Trouble::CrashInWrite { victim, down }
                if self.plan.is_warm || self.plan.storm.is_some() =>
            {
                let node = self.victim(victim);
                self.hosts[node].crash_in = Some((0, down));
            }
            Trouble::CrashInWrite { victim, down } => {
                let node = self.victim(victim);
                self.hosts[node].crash_in_write = Some(down);
                self.disks[node].0.borrow_mut().habits.crash_in_write = true;
            }
            Trouble::Wipe { victim, down } => {
                let node = self.victim(victim);
                if self.plan.storm.is_some() {
                    self.crash(node, down);
                    return Ok(());
                }
                let is_too_much = self.plan.is_operated && !self.may_lose(node)
                    || self.plan.is_forgetful && !self.may_forget(node);
                if is_too_much {
                    return Ok(());
                }
                self.fall(node, down);
                self.lose_disk(node);
                self.hosts[node].image = None;
            }
            Trouble::Pause { victim, length } => {
                let node = self.victim(victim);
                self.hosts[node].paused_until = now.plus(length);
                self.counts.add("pauses", 1);
            }
            Trouble::Rate { victim, rate } => {
                let node = self.victim(victim);
                self.hosts[node].clock.set_rate(now, rate);
                self.counts.add("clocks that change their rate", 1);
                self.reset_alarm(node);
            }
            Trouble::Garbage { victim } => {
                let node = self.victim(victim);
                self.insult(node);
            }
        }
        Ok(())
    }

    /// Something arrives that no correct node sent.
    fn insult(&mut self, node: usize) {
        let Some(peer) = &self.hosts[node].peer else { return };
        let from = self.chance.place(self.hosts.len());
        let hard = peer.raft().hard_state();
        let (id, other) = (self.plan.ids[node], self.plan.ids[from]);
        let datagram = if hard.epoch.0 == 0 || self.chance.coin() {
            self.counts.add("garbage datagrams", 1);
            self.network.garbage()
        } else {
            self.counts.add("hostile datagrams", 1);
            forge(&Target { cluster: self.plan.cluster, id, hard, other }, &mut self.chance)
        };
        let (from, to) = (Address::Node(from), Address::Node(node));
        self.queue.put_in(Micros(0), Event::Arrive { from, to, datagram });
    }

    fn victim(&self, victim: Victim) -> usize {
        match victim {
            Victim::Node(node) => node,
            Victim::Leader(node) => self.leader().unwrap_or(node),
        }
    }

    /// The clock of a node shows the time at which it is to be woken at another moment now.
    pub(super) fn reset_alarm(&mut self, node: usize) {
        let now = self.queue.now();
        self.hosts[node].run_at = None;
        self.wake(node, now);
    }

    /// The power of a node goes, and comes back after a while: with nothing left where the run is
    /// forgetful and the others can bear it.
    pub(super) fn crash(&mut self, node: usize, down: Micros) {
        if self.plan.is_warm {
            return self.reset(node, down);
        }
        if self.hosts[node].peer.is_none() {
            return;
        }
        let may = self.may_forget(node);
        if self.plan.storm == Some(Storm::Borne) && !may {
            // The others could not do without it.
            self.hosts[node].crash_in = None;
            return;
        }
        self.fall(node, down);
        if self.plan.storm.is_some() {
            self.counts.add("restarts with nothing stored", 1);
            if !may {
                self.has_gone_beyond = true;
                self.chronicle.let_worlds_end();
            }
            self.disks[node].0.borrow_mut().wipe();
        } else if self.plan.is_forgetful && self.calm.is_none() && may {
            self.lose_disk(node);
        }
    }

    /// The same, with everything kept.
    pub(super) fn fall(&mut self, node: usize, down: Micros) {
        if self.hosts[node].peer.is_none() {
            return;
        }
        self.note(|| format!("n{node} crashes"));
        self.count_node(node);
        self.counts.add("crashes", 1);
        self.locals.forget(node);
        let host = &mut self.hosts[node];
        host.stop(&self.disks[node]);
        let life = host.life;
        let down = if self.calm.is_some() { Micros(0) } else { down };
        self.queue.put_in(down, Event::Start { node, life });
    }

    pub(super) fn lose_disk(&mut self, node: usize) {
        self.disks[node].0.borrow_mut().wipe();
        // An image that nobody has taken up is lost with it.
        self.hosts[node].image = None;
        self.counts.add("disks lost", 1);
    }

    /// Whether at most as many are down or recovering, with this one, as the rest can do without.
    pub(super) fn may_forget(&self, node: usize) -> bool {
        let is_ready = |host: &Host| {
            host.peer.as_ref().is_some_and(|peer| {
                let raft = peer.raft();
                let named = raft.configuration().find(raft.member());
                let is_voter = named.is_some_and(|named| named.part == Part::Voter);
                is_voter && !raft.is_changing()
            })
        };
        let others = self.hosts.iter().enumerate().filter(|(other, _)| *other != node);
        let unready = others.filter(|(_, host)| !is_ready(host)).count();
        unready < (self.hosts.len() - 1) / 2
    }

    pub(super) fn on_start(&mut self, node: usize, life: u32) -> Verdict {
        if self.hosts[node].life != life || self.hosts[node].peer.is_some() {
            return Ok(());
        }
        let now = self.queue.now();
        self.hosts[node].start(&self.plan, node, &self.disks[node], &self.is_aligned, now)?;
        if self.hosts[node].is_resumed
            && let Some(peer) = self.hosts[node].peer.take()
        {
            let verdict = self.on_resumed(node, &*peer);
            self.hosts[node].peer = Some(peer);
            self.wake(node, now);
            return verdict;
        }
        let Some(peer) = &self.hosts[node].peer else { return Ok(()) };
        let view = view(&**peer);
        if self.trace == Trace::On {
            self.note(|| format!("n{node} starts: {view:?}"));
        }
        let stage = Stage { peer: &**peer, disks: &self.disks, ids: &self.plan.ids };
        let disk = self.disks[node].0.borrow();
        let recovered = Recovered { view: &view, durable: disk.durable() };
        self.chronicle.start(node, &recovered, &stage)?;
        if disk.durable().snapshot.is_some() {
            self.counts.add("snapshots restored", 1);
        }
        drop(disk);
        self.wake(node, now);
        Ok(())
    }
}

const fn partition_name(partition: Partition) -> &'static str {
    match partition {
        Partition::Whole => "no partition",
        Partition::Split(_) => "partitions: split",
        Partition::OneWay(_) => "partitions: one-way",
        Partition::LeaderAlone => "partitions: leader alone",
        Partition::LeaderDeaf => "partitions: leader deaf",
        Partition::LeaderMute => "partitions: leader mute",
        Partition::Bridge { .. } => "partitions: bridge",
        Partition::Chain => "partitions: chain",
        Partition::Flapping(_) => "partitions: flapping",
        Partition::Hunt => "partitions: hunts",
    }
}
