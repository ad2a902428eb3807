//! What is said about a node in the log.

use coracle::{Counters, Index, NodeId, RoleName, Storage, Ticks};
use log::{Level, debug, info, log_enabled, warn};

use crate::entries::content;
use crate::roster::Roster;
use crate::setup::HostNode;

/// Says what has changed since it last looked.
///
/// Who is to watch single entries pays for it: unless the level asks for them they cost one
/// comparison, and neither an allocation nor a description.
#[derive(Default)]
pub struct Journal {
    role: Option<RoleName>,
    leader: Option<NodeId>,
    /// When to say next whom a blank node waits for.
    remind_at: Option<Ticks>,
    counters: Counters,
    /// When the leader last sent heartbeats, and when that was last told.
    beat_at: Option<Ticks>,
    beat_told: Option<Ticks>,
    /// The last entries that were told.
    commit: Index,
    applied: Index,
}

impl Journal {
    /// Looks at the node.
    pub fn update(&mut self, node: &HostNode, roster: &Roster, now: Ticks) {
        let raft = node.raft();
        let id = raft.member().id;
        if log_enabled!(Level::Info) {
            self.tell_elections(id, raft.counters());
            self.tell_beat(id, node, now);
        }
        let (role, leader) = (raft.role(), raft.leader());
        if self.role != Some(role) {
            info!("Node {id} is {role} in term {}", raft.term());
            self.role = Some(role);
            self.remind_at = (role == RoleName::Blank).then(|| now.plus(REMIND_INTERVAL));
        }
        if self.leader != leader
            && let Some(leader) = leader
        {
            info!("Node {id} follows node {leader} in term {}", raft.term());
        }
        self.leader = leader;
        if log_enabled!(Level::Info) {
            self.tell_entries(id, node);
        }
        if self.remind_at.is_some_and(|at| at <= now) {
            self.remind_at = Some(now.plus(REMIND_INTERVAL));
            remind(node, roster);
        }
    }

    /// When to look again though nothing happens.
    pub const fn deadline(&self) -> Option<Ticks> {
        self.remind_at
    }

    fn tell_elections(&mut self, id: NodeId, counters: &Counters) {
        let before = self.counters;
        if counters.pre_elections != before.pre_elections {
            debug!("Node {id} election timeout, asking whether it would be elected");
        }
        if counters.elections != before.elections {
            info!("Node {id} election timeout, becoming candidate");
        }
        if counters.leaderships != before.leaderships {
            info!("Node {id} won election, becoming leader");
            self.beat_at = None;
        }
    }

    /// At most once a second, or quick heartbeats would leave nothing else to read.
    fn tell_beat(&mut self, id: NodeId, node: &HostNode, now: Ticks) {
        let counters = node.raft().counters();
        if counters.heartbeats != self.counters.heartbeats {
            let is_due = self.beat_told.is_none_or(|told| now.since(told) >= BEAT_INTERVAL);
            if let Some(beat) = self.beat_at.filter(|_| is_due) {
                let seconds = std::time::Duration::from_micros(now.since(beat).0).as_secs_f64();
                info!("Node {id} leader state - Time since last heartbeat: {seconds:.2}s");
                self.beat_told = Some(now);
            }
            self.beat_at = Some(now);
        }
        self.counters = *counters;
    }

    fn tell_entries(&mut self, id: NodeId, node: &HostNode) {
        let raft = node.raft();
        let (commit, applied) = (raft.commit(), raft.applied());
        let leads = raft.role() == RoleName::Leader;
        let base = raft.base().index;
        if self.applied < base {
            info!("Node {id} applied what is no longer in its log, up to index {base}");
            self.commit = self.commit.max(base);
            self.applied = base;
        }
        while self.commit < commit || self.applied < applied {
            // Each entry is committed before it is applied, and the next one comes behind both.
            let is_next = self.commit <= self.applied || self.applied >= applied;
            if self.commit < commit && is_next {
                self.commit = self.commit.next();
                if leads {
                    let what = content(raft.entry(self.commit));
                    info!("Node {id} committing entry at index {}: {what}", self.commit);
                }
            } else {
                self.applied = self.applied.next();
                let what = content(raft.entry(self.applied));
                info!("Node {id} applying log entry at index {}: {what}", self.applied);
            }
        }
    }
}

fn remind(node: &HostNode, roster: &Roster) {
    let missing = node.raft().peers().filter(|peer| !peer.has_answered);
    let missing: Vec<String> = missing.map(|peer| roster.name(peer.member.id)).collect();
    if node.raft().counters().other_ids > 0 {
        warn!("a node was started with another list of nodes");
    }
    if missing.is_empty() {
        warn!("all nodes are here, but they have not formed a cluster yet");
    } else if node.raft().is_first_start() {
        warn!(
            "waiting for {}: with --first-start the cluster begins when a majority of all nodes, \
             each of them told so, is here",
            missing.join(" ")
        );
    } else if node.storage().is_durable() {
        warn!(
            "waiting for {}: a new cluster begins when all nodes are here, or a majority that is told \
             --first-start; if this node has lost its directory, it is taken in when most of the \
             others are here",
            missing.join(" ")
        );
    } else {
        warn!("waiting for {}: the cluster begins when all nodes are here", missing.join(" "));
    }
}

const REMIND_INTERVAL: Ticks = Ticks(2_000_000);
const BEAT_INTERVAL: Ticks = Ticks(1_000_000);
