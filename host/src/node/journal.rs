//! What is said about a node in the log.

use coracle::{Condition, Counters, Index, NodeId, RoleName, Storage, Ticks};
use log::{Level, debug, error, info, log_enabled, warn};

use crate::entries::content;
use crate::roster::Roster;
use crate::setup::{DATAGRAM_BYTES, HostNode};

/// Says what has changed since it last looked.
///
/// Who is to watch single entries pays for it: unless the level asks for them they cost one
/// comparison, and neither an allocation nor a description.
#[derive(Default)]
pub struct Journal {
    role: Option<RoleName>,
    condition: Option<Condition>,
    leader: Option<NodeId>,
    /// When to say next whom a blank node waits for.
    remind_at: Option<Ticks>,
    /// Since when the disk has no room for every command, and whether that was told.
    full_since: Option<Ticks>,
    full_told: bool,
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
        self.tell_room(id, node.storage().room(), now);
        let (role, leader) = (raft.role(), raft.leader());
        if self.role != Some(role) {
            info!("Node {id} is {role} in term {}", raft.term());
            self.role = Some(role);
            self.remind_at = (role == RoleName::Blank).then(|| now.plus(REMIND_INTERVAL));
        }
        let condition = raft.condition();
        if self.condition != Some(condition) {
            tell_condition(node, roster, condition);
            self.condition = Some(condition);
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
    pub fn deadline(&self) -> Option<Ticks> {
        let full = self.full_since.filter(|_| !self.full_told);
        self.remind_at.into_iter().chain(full.map(|since| since.plus(FULL_FOR))).min()
    }

    /// A disk that is full for a moment only waits for the next segment to be made ready.
    fn tell_room(&mut self, id: NodeId, room: usize, now: Ticks) {
        if room >= usize::from(DATAGRAM_BYTES) {
            if std::mem::take(&mut self.full_told) {
                warn!("Node {id} takes all commands again: its disk has room");
            }
            self.full_since = None;
            return;
        }
        let since = *self.full_since.get_or_insert(now);
        if !self.full_told && now.since(since) >= FULL_FOR {
            self.full_told = true;
            warn!("Node {id} takes no commands, or only small ones: its disk is full");
        }
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

/// What an operator waits for, and what only an operator can do something about.
fn tell_condition(node: &HostNode, roster: &Roster, condition: Condition) {
    let id = node.raft().member().id;
    match condition {
        Condition::Blank => {}
        Condition::CatchingUp => info!("Node {id} is catching up"),
        Condition::Ready => info!("Node {id} is ready"),
        Condition::Hopeless => warn!(
            "Node {id} sees no majority any more: too many of the others have come back with nothing"
        ),
        Condition::Halted => {
            let way_out = if node.storage().is_durable() {
                "Once it is ended, `coracle recover` with its directory makes a new cluster of what it \
                 holds; if that is put away, a new cluster begins empty"
                    .to_owned()
            } else {
                format!(
                    "`coracle recover --server {}` makes a new cluster of what it holds; once it is \
                     ended and started again a new cluster begins empty",
                    roster.listen
                )
            };
            error!(
                "Node {id} has halted, and keeps what it holds, up to index {}: all others confirm \
                 that too many have come back with nothing. {way_out}",
                node.raft().last().index
            );
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
/// How long there must be no room before that is told.
const FULL_FOR: Ticks = Ticks(1_000_000);
const BEAT_INTERVAL: Ticks = Ticks(1_000_000);
