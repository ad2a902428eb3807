//! The cluster of a script, and what is told of it.

use std::cell::Cell;
use std::rc::Rc;

use coracle::{EntryId, Epoch, Incarnation, Index, NodeId, ReadId, Receipt, RoleName, Term};

use super::client::Asker;
use super::wire::{Flying, Wire};
use super::{Done, Loudness, Stop, text};
use crate::disk::Shared;
use crate::host::Host;
use crate::invariants::{Chronicle, Recovered};
use crate::network::Address;
use crate::peer::{Peer, view};
use crate::plan::Plan;
use crate::queue::Micros;
use crate::run::step::Stage;

/// Everything that a script plays with.
pub struct World {
    /// The sizes of the cluster.
    pub plan: Plan,
    /// The nodes, by id from 1 on.
    pub hosts: Vec<Host>,
    /// Their disks.
    pub disks: Vec<Shared>,
    /// What the script knows of each node beside that.
    pub notes: Vec<Notes>,
    /// Datagrams on their way.
    pub wire: Wire,
    /// The clients, as far as they have asked for something.
    pub clients: Vec<Option<Asker>>,
    /// Every epoch that a node was ever in, in the order of their beginnings.
    pub epochs: Vec<Epoch>,
    /// The lives of each node, in order.
    pub lives: Vec<Vec<Incarnation>>,
    /// Everything that was ever seen.
    pub chronicle: Chronicle,
    /// The true time.
    pub now: Micros,
    /// How much is told.
    pub loudness: Loudness,
    /// What the last thing that was refused was refused for.
    pub refused: Option<String>,
    /// How many commands were ever made.
    pub operations: u32,
    out: Vec<String>,
    depth: usize,
}

/// What a script knows of a node.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// When it crashes.
    pub trap: Option<Trap>,
    /// What its disk has done and it was not told.
    pub receipts: Vec<Receipt>,
    /// The reads that were begun there, with what came of them.
    pub reads: Vec<(ReadId, ReadFate)>,
    /// What arrived while it was paused.
    pub unread: Vec<Flying>,
    seen: Seen,
}

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFate {
    /// Nothing yet.
    Waiting,
    /// The state may be read.
    Ready,
    /// The leader was lost.
    Failed,
}

/// A crash that waits for its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A datagram of this kind is about to leave: it does not.
    Before(&'static str),
    /// A datagram of this kind has left.
    After(&'static str),
}

/// What was told of a node last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    standing: Option<(RoleName, Term, Option<NodeId>)>,
    log: Vec<EntryId>,
    commit: Index,
    writes: u64,
    hard: coracle::HardState,
    written: EntryId,
}

impl Default for World {
    fn default() -> Self {
        Self::new(Plan::new(0), 0)
    }
}

impl World {
    /// A cluster of so many nodes that were never started.
    #[must_use]
    pub fn new(plan: Plan, nodes: usize) -> Self {
        let (hosts, disks) = (0..nodes).map(|place| Host::new(&plan, place)).unzip();
        let mut chronicle = Chronicle::new(nodes);
        if plan.disk.habits.is_memory {
            chronicle.let_worlds_end();
        }
        Self {
            hosts,
            disks,
            notes: vec![Notes::default(); nodes],
            wire: Wire::default(),
            clients: (0..CLIENTS).map(|_| None).collect(),
            epochs: Vec::new(),
            lives: vec![Vec::new(); nodes],
            chronicle,
            now: Micros(0),
            loudness: Loudness::Loud,
            refused: None,
            operations: 0,
            out: Vec::new(),
            depth: 0,
            plan,
        }
    }

    /// Tells something, if it is loud enough.
    pub fn tell(&mut self, loudness: Loudness, line: &str) {
        if self.loudness >= loudness {
            self.say(line);
        }
    }

    /// Tells something in any case.
    pub fn say(&mut self, line: &str) {
        self.out.push(format!("{}{line}", "  ".repeat(self.depth)));
    }

    /// What happens in `within` is told as a consequence of what was told before.
    pub fn beneath(&mut self, within: impl FnOnce(&mut Self) -> Done) -> Done {
        let before = self.depth;
        self.depth += usize::from(self.loudness == Loudness::Loud);
        let done = within(self);
        self.depth = before;
        done
    }

    /// What was told since this was asked last.
    pub fn take_output(&mut self) -> Vec<String> {
        std::mem::take(&mut self.out)
    }

    /// Something was refused.
    pub fn refuse(&mut self, who: &str, why: String) {
        self.say(&format!("{who} refuses: {why}"));
        self.refused = Some(why);
    }

    /// Whether nothing is stored.
    #[must_use]
    pub const fn is_volatile(&self) -> bool {
        self.plan.disk.habits.is_memory
    }

    /// Refuses what makes sense with disks alone.
    pub fn must_have_disks(&self) -> Done {
        match self.is_volatile() {
            true => Err(Stop::Misused("this cluster stores nothing".to_owned())),
            false => Ok(()),
        }
    }

    /// Notes in which epoch a node is, and as which life.
    pub fn note_life(&mut self, place: usize, epoch: Epoch, life: Incarnation) {
        if epoch != Epoch(0) && !self.epochs.contains(&epoch) {
            self.epochs.push(epoch);
        }
        if self.lives[place].last() != Some(&life) {
            self.lives[place].push(life);
        }
    }

    /// The place of a node.
    pub fn place(&self, id: NodeId) -> Result<usize, Stop> {
        let place = (id.0 as usize).checked_sub(1).filter(|place| *place < self.hosts.len());
        place.ok_or_else(|| match self.hosts.len() {
            0 => Stop::Misused("there is no cluster yet".to_owned()),
            nodes => Stop::Misused(format!("there is no node {id}, but 1 to {nodes}")),
        })
    }

    /// A node that runs.
    pub fn peer(&self, place: usize) -> Result<&dyn Peer, Stop> {
        self.hosts[place].peer.as_deref().ok_or_else(|| down(place))
    }

    /// A node that runs, to be changed.
    pub fn peer_mut(&mut self, place: usize) -> Result<&mut Box<dyn Peer>, Stop> {
        self.hosts[place].peer.as_mut().ok_or_else(|| down(place))
    }

    /// Whether a node runs.
    #[must_use]
    pub fn is_up(&self, place: usize) -> bool {
        self.hosts[place].peer.is_some()
    }

    /// Whether a node runs and is not paused.
    #[must_use]
    pub fn is_awake(&self, place: usize) -> bool {
        self.is_up(place) && self.hosts[place].paused_until <= self.now
    }

    /// The node that leads in the latest term.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let leads = |place: &usize| {
            let peer = self.hosts[*place].peer.as_ref();
            peer.is_some_and(|peer| peer.raft().role() == RoleName::Leader)
        };
        let term = |place: &usize| self.hosts[*place].peer.as_ref().map(|it| it.raft().term());
        (0..self.hosts.len()).filter(leads).max_by_key(term)
    }

    /// The log of a node as it runs, or of its disk when it is down, behind the base.
    #[must_use]
    pub fn log(&self, place: usize) -> Vec<EntryId> {
        match &self.hosts[place].peer {
            Some(peer) => log_of(&**peer),
            None => {
                let disk = self.disks[place].0.borrow();
                disk.durable().entries().iter().map(|known| known.id).collect()
            }
        }
    }

    /// The entry before the first one of that log, and its last one.
    #[must_use]
    pub fn log_ends(&self, place: usize) -> (EntryId, EntryId) {
        match &self.hosts[place].peer {
            Some(peer) => (peer.raft().base(), peer.raft().last()),
            None => {
                let disk = self.disks[place].0.borrow();
                (disk.durable().base(), disk.durable().last())
            }
        }
    }

    /// That log in words.
    #[must_use]
    pub fn log_text(&self, place: usize) -> String {
        let (base, _) = self.log_ends(place);
        let runs = text::runs(self.log(place));
        if base.index == Index::ZERO {
            runs
        } else {
            format!("behind {}: {runs}", text::entry(base))
        }
    }

    /// Starts a node from its disk.
    pub fn start(&mut self, place: usize) -> Done {
        let disk = &self.disks[place];
        let no_alignment = Rc::new(Cell::new(false));
        self.hosts[place].start(&self.plan, place, disk, &no_alignment, self.now)?;
        let peer = self.hosts[place].peer.as_deref().ok_or_else(|| down(place))?;
        let view = view(peer);
        let stage = Stage { peer, disks: &self.disks, ids: &self.plan.ids };
        let durable = self.disks[place].0.borrow();
        let recovered = Recovered { view: &view, durable: durable.durable() };
        self.chronicle.start(place, &recovered, &stage)?;
        let seen = Seen {
            standing: None,
            log: log_of(peer),
            commit: peer.raft().commit(),
            writes: durable.counts.writes,
            hard: durable.durable().hard.unwrap_or_default(),
            written: view.last,
        };
        drop(durable);
        let (hard, member) = (view.hard, view.member);
        self.note_life(place, hard.epoch, member.incarnation);
        self.notes[place] = Notes { seen, ..Notes::default() };
        self.tell_changes(place);
        Ok(())
    }

    /// Tells what has changed at a node since that was told last.
    pub fn tell_changes(&mut self, place: usize) {
        let Some(peer) = self.hosts[place].peer.as_deref() else { return };
        let (raft, id) = (peer.raft(), place + 1);
        let base = raft.base().index;
        let old = self.notes[place].seen.clone();
        let mut seen = Seen {
            standing: Some((raft.role(), raft.term(), raft.leader())),
            commit: raft.commit(),
            ..old.clone()
        };
        if old.log.last().copied().unwrap_or(raft.base()) != raft.last()
            || old.log.first().map(|first| first.index) != Some(raft.base().index.next())
        {
            seen.log = log_of(peer);
        }
        self.notes[place].seen = seen;
        let seen = &self.notes[place].seen;
        let (standing, commit) = (seen.standing, seen.commit);
        let taken_back = runs_not_in(&old.log, &seen.log, base);
        let appended = runs_not_in(&seen.log, &old.log, base);
        if let Some(standing) = standing.filter(|_| standing != old.standing) {
            self.tell(Loudness::Events, &format!("{id}: {}", standing_text(standing)));
        }
        if let Some(runs) = taken_back {
            self.tell(Loudness::Events, &format!("{id} takes back {runs}"));
        }
        if let Some(runs) = appended {
            self.tell(Loudness::Loud, &format!("{id} appends {runs}"));
        }
        if commit > old.commit {
            self.tell(Loudness::Loud, &format!("{id} commits up to {commit}"));
        }
    }

    /// Tells what a node has handed to its disk.
    pub fn tell_writes(&mut self, place: usize) {
        let Some(peer) = self.hosts[place].peer.as_deref() else { return };
        let disk = self.disks[place].0.borrow();
        let (writes, is_late) = (disk.counts.writes, disk.waiting() > 0);
        drop(disk);
        let (hard, last) = (peer.raft().hard_state(), peer.raft().last());
        let seen = &mut self.notes[place].seen;
        if writes == seen.writes {
            return;
        }
        let mut what = Vec::new();
        if hard.incarnation != seen.hard.incarnation {
            what.push("a new incarnation".to_owned());
        }
        if hard.epoch != seen.hard.epoch {
            what.push("the epoch".to_owned());
        }
        if (hard.term, hard.vote) != (seen.hard.term, seen.hard.vote) {
            let vote = text::node(hard.vote.map(|vote| vote.id));
            what.push(format!("term {} vote {vote}", hard.term));
        }
        if last != seen.written {
            what.push(format!("log to {}", text::entry(last)));
        }
        if what.is_empty() {
            what.push("again what was written late".to_owned());
        }
        seen.writes = writes;
        seen.hard = hard;
        seen.written = last;
        let late = if is_late { " (not durable yet)" } else { "" };
        let verb = if self.is_volatile() { "keeps" } else { "writes" };
        let line = format!("{} {verb} {}{late}", place + 1, what.join(", "));
        self.tell(Loudness::Loud, &line);
    }

    /// A datagram leaves an end, if its link works.
    pub fn send(&mut self, from: Address, to: Address, bytes: &[u8]) {
        use super::wire::Fate;
        let (fate, line) = self.wire.send(from, to, bytes, self.now);
        let verb = match fate {
            Fate::Flying => "sends",
            Fate::Held => "holds",
            Fate::Lost => "loses",
        };
        self.tell(Loudness::Loud, &format!("{verb} {line}"));
    }
}

/// A role, a term and a leader in words.
#[must_use]
pub fn standing_text((role, term, leader): (RoleName, Term, Option<NodeId>)) -> String {
    match role {
        RoleName::Follower => format!("{role} in term {term}, leader {}", text::node(leader)),
        RoleName::Blank => role.to_string(),
        RoleName::PreCandidate | RoleName::Candidate | RoleName::Leader => {
            format!("{role} in term {term}")
        }
    }
}

fn log_of(peer: &dyn Peer) -> Vec<EntryId> {
    let raft = peer.raft();
    let indices = raft.base().index.0 + 1..=raft.last().index.0;
    let id = |index| Some(EntryId { term: raft.term_at(Index(index))?, index: Index(index) });
    indices.filter_map(id).collect()
}

/// The entries of one log that are not in another, but for those that were dropped up to `base`.
fn runs_not_in(log: &[EntryId], other: &[EntryId], base: Index) -> Option<String> {
    let is_other = |id: &EntryId| id.index > base && !other.contains(id);
    let rest: Vec<_> = log.iter().copied().filter(is_other).collect();
    (!rest.is_empty()).then(|| text::runs(rest))
}

fn down(place: usize) -> Stop {
    Stop::Misused(format!("node {} is down", place + 1))
}

/// A script has so many clients, `a` to `d`.
const CLIENTS: usize = 4;
