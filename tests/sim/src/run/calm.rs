//! The faults stop, and all must be well soon (invariant 12); and what a run leaves to count.

use std::collections::BTreeSet;

use coracle::{Condition, Epoch, Index, Term};

use super::{Event, Outcome, Run};
use crate::clock::TRUE_RATE;
use crate::invariants::{Verdict, ensure};
use crate::network::Partition;
use crate::peer::Peer;
use crate::plan::Tables;
use crate::queue::Micros;

/// How it was when the faults stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calm {
    term: Term,
}

impl Run {
    /// From here on the network is whole, clocks are right and nobody falls.
    pub(super) fn on_calm(&mut self) -> Verdict {
        self.note(|| "the faults stop".to_owned());
        let term = self.highest_term();
        self.calm = Some(Calm { term });
        self.network.weather = self.plan.calm;
        self.network.cut(Partition::Whole, None, self.hosts.len());
        self.is_aligned.set(false);
        let now = self.queue.now();
        for node in 0..self.hosts.len() {
            let host = &mut self.hosts[node];
            host.paused_until = now;
            host.crash_in = None;
            host.crash_in_write = None;
            host.clock.set_rate(now, TRUE_RATE);
            let life = host.life;
            if host.peer.is_none() {
                self.queue.put_at(now, Event::Start { node, life });
            } else {
                self.reset_alarm(node);
            }
            let habits = &mut self.disks[node].0.borrow_mut().habits;
            habits.crash_in_write = false;
            habits.failing = 0;
            habits.snapshot_room = u64::MAX;
        }
        let election = self.plan.election();
        self.queue.put_in(election.times(LEADER_WITHIN), Event::LeaderDue);
        self.queue.put_in(election.times(SILENCE_AFTER), Event::Silence);
        self.queue.put_in(election.times(AGREEMENT_WITHIN), Event::AgreementDue);
        Ok(())
    }

    pub(super) fn on_leader_due(&mut self) -> Verdict {
        self.may_begin = false;
        let leader = self.leader();
        if leader.is_none() && self.has_gone_beyond {
            return self.begin_anew();
        }
        if self.is_divided() {
            self.counts.add("first starts that were divided", 1);
            return Ok(());
        }
        ensure(12, leader.is_some(), || {
            format!("{LEADER_WITHIN} election time-outs after the faults nobody leads")
        })
    }

    /// Who still waits for an answer when clients fall silent waits for ever.
    pub(super) fn clients_are_served(&mut self) -> Verdict {
        let waiting = self.clients.iter().filter(|client| client.is_waiting()).count();
        self.counts.add("clients that were never answered", waiting as u64);
        let has_lost = self.has_lost();
        let is_roomy = self.plan.tables == Tables::Roomy;
        let is_choked = self.plan.is_first_start && self.has_a_full_log();
        let is_excused = has_lost || !is_roomy || is_choked || self.is_divided();
        ensure(12, waiting == 0 || is_excused, || {
            format!("{waiting} clients wait for an answer although all is well")
        })
    }

    /// Every member has applied every entry that its leader has.
    pub(super) fn on_agreement_due(&mut self) -> Verdict {
        for (node, host) in self.hosts.iter().enumerate() {
            let status = host.peer.as_ref().map(|peer| peer.raft().status());
            self.note(|| format!("n{node} ends as {status:?}"));
        }
        if self.is_divided() {
            return Ok(());
        }
        let Some(leader) = self.leader() else {
            return ensure(12, false, || "in the end nobody leads".to_owned());
        };
        let Some(peer) = &self.hosts[leader].peer else { return Ok(()) };
        let raft = peer.raft();
        let (epoch, term, last) = (raft.hard_state().epoch, raft.term(), raft.last().index);
        let has_dead = self.has_lost() || self.plan.is_first_start;
        let is_choked = self.has_a_full_log() && has_dead;
        if is_choked && raft.commit() < last {
            // One of the voters is dead or was absent, and a log is full that is smaller than others, or
            // wastes more of its ring: what an earlier leader has left finds no room there.
            self.counts.add("clusters choked by full logs beside a lost disk", 1);
            return Ok(());
        }
        let members = raft.configuration().members.clone();
        let mut strangers = 0;
        let mut strays = 0;
        let mut agreeing = 0;
        let mut stray = None;
        for node in 0..self.hosts.len() {
            let Some(peer) = &self.hosts[node].peer else { continue };
            let raft = peer.raft();
            if self.is_elsewhere(&**peer, epoch) {
                strays += 1;
                continue;
            }
            if !members.iter().any(|member| member.member == raft.member()) {
                strangers += 1;
                continue;
            }
            let seen = (raft.hard_state().epoch, raft.term(), raft.applied(), raft.last().index);
            if seen == (epoch, term, last, last) {
                agreeing += 1;
            } else {
                stray = Some((node, seen));
            }
        }
        self.counts.add("nodes that are no members in the end", strangers);
        self.counts.add("nodes in a first start of their own in the end", strays);
        let comes_in = self.has_lost() || self.plan.is_first_start;
        ensure(12, strangers == 0 || !comes_in || self.plan.is_operated, || {
            format!("in the end {strangers} nodes that are new or have lost their disks are out")
        })?;
        if !self.plan.late.is_empty() {
            self.counts.add("first starts without some", 1);
        }
        // A member whose disk is lost has another life now, which is no member; and one that was
        // named in two first starts is in one of them.
        let is_here = |member: &&coracle::Member| {
            let peers = self.hosts.iter().filter_map(|host| host.peer.as_ref());
            let lives = peers.filter(|peer| !self.is_elsewhere(&***peer, epoch));
            lives.map(|peer| peer.raft().member()).any(|life| life == member.member)
        };
        let expected = members.iter().filter(is_here).count();
        ensure(12, agreeing == expected, || {
            format!(
                "in the end {agreeing} of {expected} nodes agree, and {stray:?} not with {:?}",
                (epoch, term, last)
            )
        })?;
        // Terms begin anew in another epoch.
        let before = self.calm.map_or(Term(0), |calm| calm.term);
        let grown = self.highest_term().0.saturating_sub(before.0);
        self.counts.add("terms after the faults", grown);
        let peers = self.hosts.iter().filter_map(|host| host.peer.as_ref());
        let was_full = peers.map(|peer| peer.raft().counters().log_full).any(|times| times > 0);
        ensure(12, grown <= MOST_TERMS || was_full, || {
            format!("{grown} terms passed after the faults")
        })
    }

    /// Whether a node's log is as full as commands may make it, or nearly so.
    fn has_a_full_log(&self) -> bool {
        let peers = self.hosts.iter().filter_map(|host| host.peer.as_ref());
        peers.map(|peer| peer.raft().status()).any(|status| {
            let entries = status.limits.log_entries;
            4 * entries.used >= 3 * entries.bound || 4 * status.log_bytes >= 3 * status.log_capacity
        })
    }

    /// Whether a node ever came back with nothing.
    fn has_lost(&self) -> bool {
        self.counts.times("disks lost") + self.counts.times("restarts with nothing stored") > 0
    }

    /// Too many were restarted with nothing: somebody says so, and keeps what it holds, until its
    /// operator gives that up. Then a new epoch begins.
    fn begin_anew(&mut self) -> Verdict {
        let mut halted = 0;
        let mut hopeless = 0;
        for node in 0..self.hosts.len() {
            let Some(peer) = &self.hosts[node].peer else { continue };
            let condition = peer.raft().condition();
            halted += u64::from(condition == Condition::Halted);
            // A very late append of a leader that is gone hides that for one election timeout.
            hopeless += u64::from(peer.raft().is_hopeless());
            if condition != Condition::Blank {
                self.note(|| format!("n{node} is {condition}, and given up"));
                self.crash(node, Micros(0));
            }
        }
        self.counts.add("nodes halted in the end", halted);
        self.counts.add("clusters given up by their operator", 1);
        ensure(12, halted + hopeless > 0, || "nobody leads, and nobody says why".to_owned())
    }

    /// Whether a first start was begun twice, and so many nodes are bound to each that neither has a
    /// majority: then nothing was ever done, and operators start anew with empty disks.
    fn is_divided(&self) -> bool {
        let peers = self.hosts.iter().filter_map(|host| host.peer.as_ref());
        let epochs = peers.map(|peer| peer.raft().hard_state().epoch);
        let bound: BTreeSet<_> = epochs.filter(|epoch| *epoch != Epoch(0)).collect();
        let is_unborn = |epoch: &Epoch| self.chronicle.committed(*epoch) == Index::ZERO;
        self.plan.is_first_start && bound.len() > 1 && bound.iter().all(is_unborn)
    }

    /// Whether a node is bound to another of two first starts.
    fn is_elsewhere(&self, peer: &dyn Peer, epoch: Epoch) -> bool {
        let other = peer.raft().hard_state().epoch;
        self.plan.is_first_start && other != epoch && other != Epoch(0)
    }

    fn highest_term(&self) -> Term {
        let peers = self.hosts.iter().filter_map(|host| host.peer.as_ref());
        let running = peers.map(|peer| peer.raft().term());
        let hard = |disk: &crate::disk::Shared| disk.0.borrow().durable().hard;
        let stored = self.disks.iter().filter_map(hard).map(|hard| hard.term);
        running.chain(stored).max().unwrap_or_default()
    }

    /// Adds what a node has counted in this life.
    pub(super) fn count_node(&mut self, node: usize) {
        let Some(peer) = &self.hosts[node].peer else { return };
        for (name, times) in peer.raft().counters().iter() {
            self.counts.add(name, u64::from(times));
        }
    }

    pub(super) fn outcome(mut self, verdict: Verdict) -> Outcome {
        for node in 0..self.hosts.len() {
            self.count_node(node);
        }
        self.count_world();
        Outcome {
            verdict,
            hash: self.hash,
            counts: self.counts,
            events: self.events,
            history: self.records.history,
        }
    }

    fn count_world(&mut self) {
        let network = self.network.counts;
        let clients = self.records.counts;
        let seen = self.chronicle.sightings;
        let mut torn = 0;
        let mut lost = 0;
        let mut unconfirmed = 0;
        let mut snapshots = 0;
        let mut installed = 0;
        let mut too_large = 0;
        let mut writes = 0;
        for disk in &self.disks {
            let counts = disk.0.borrow().counts;
            torn += counts.torn;
            lost += counts.lost;
            unconfirmed += counts.unconfirmed;
            snapshots += counts.snapshots;
            installed += counts.installed;
            too_large += counts.too_large;
            writes += counts.writes;
        }
        let named = [
            ("datagrams", network.sent),
            ("datagrams lost", network.lost),
            ("datagrams lost to partitions", network.blocked),
            ("datagrams doubled", network.doubled),
            ("datagrams replayed very late", network.replayed),
            ("datagrams damaged", network.damaged),
            ("datagrams much delayed", network.slow),
            ("disk: writes", writes),
            ("disk: torn writes", torn),
            ("disk: lost writes", lost),
            ("disk: entries without their hard state", unconfirmed),
            ("disk: snapshots", snapshots),
            ("disk: snapshots installed", installed),
            ("disk: snapshots too large", too_large),
            ("clients: operations", clients.begun),
            ("clients: commands applied", clients.applied),
            ("clients: queries answered", clients.answered),
            ("clients: operations given up", clients.given_up),
            ("clients: commands retried", clients.retried),
            ("clients: sessions expired", clients.expired),
            ("clients: told of another world", clients.worlds_ended),
            ("clients: commands too large", clients.too_large),
            ("clients: operations refused", clients.refused),
            ("entries committed", seen.committed),
            ("entries of earlier terms committed", seen.committed_of_earlier_terms),
            ("entries taken back", seen.truncated),
            ("logs replaced by a snapshot", seen.installed),
            ("leaders", seen.leaders),
            ("leaders seen after a later one", seen.late_leaders),
        ];
        for (name, times) in named {
            self.counts.add(name, times);
        }
    }
}

const LEADER_WITHIN: u64 = 10;
const SILENCE_AFTER: u64 = 18;
const AGREEMENT_WITHIN: u64 = 20;
const MOST_TERMS: u64 = 10;
