//! What must hold after every step of every run, whatever happens. The numbers are those of the
//! list in ARCHITECTURE.md.
//!
//! The chronicle sees all nodes and all disks at once. For each epoch it keeps what was ever true:
//! who led, who voted for whom, which entries there were, which were committed and by the leader of
//! which term, and what the machines were after each of them. Each node's new state is held against
//! that, and then becomes a part of it.

mod applying;
mod durability;
mod elections;
mod logs;
#[cfg(test)]
mod tests;

pub use applying::Application;
pub use durability::{Recovered, Sent};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use coracle::{EntryId, Epoch, HardState, Index, MemberId, RoleName, Term};

use crate::entries::Known;
use crate::machine::OperationId;

/// An invariant does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its number.
    pub invariant: u8,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {} ({}): {}", self.invariant, name(self.invariant), self.seen)
    }
}

/// Whether what was seen may be.
pub type Verdict = Result<(), Violation>;

/// What an invariant says, in short.
#[must_use]
pub const fn name(invariant: u8) -> &'static str {
    match invariant {
        1 => "one leader in a term",
        2 => "the same entries are applied everywhere, once",
        3 => "a leader has what leaders of earlier terms committed",
        4 => "logs match",
        5 => "what is committed is durable on a quorum",
        6 => "one vote in a term, and nothing leaves before what it says is durable",
        7 => "term, commit and applied never fall",
        8 => "a leader only appends, and what is committed stays",
        9 => "applied <= commit <= last, and terms in a log never fall",
        10 => "one change of members at a time, and quorums overlap",
        11 => "linearizable, and each command once",
        12 => "when faults stop, all is well soon",
        13 => "bounded work, and no failure",
        14 => "what is recovered is what was durable",
        15 => "what is decoded is encoded to the same bytes",
        16 => "the same seed gives the same run",
        17 => "a leader that no quorum answers steps down",
        _ => "an invariant without a name",
    }
}

/// A violation, unless the condition holds. The words are only made if they are needed.
pub fn ensure(invariant: u8, holds: bool, seen: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Violation { invariant, seen: seen() }) }
}

/// What can be seen of a node from outside, without its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Its incarnation, epoch, term and vote.
    pub hard: HardState,
    /// Who it is.
    pub member: MemberId,
    /// Its role.
    pub role: Role,
    /// The last entry known to be committed.
    pub commit: Index,
    /// The last entry applied.
    pub applied: Index,
    /// The entry before the first one kept.
    pub base: EntryId,
    /// The last entry.
    pub last: EntryId,
}

/// A role, with a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role(pub RoleName);

impl Default for Role {
    fn default() -> Self {
        Self(RoleName::Blank)
    }
}

impl View {
    fn is_leader(&self) -> bool {
        self.role.0 == RoleName::Leader
    }
}

/// The rest of the world, as far as a check asks for it.
pub trait Scene {
    /// An entry that the node which is looked at keeps.
    fn entry(&self, index: Index) -> Option<Known>;
    /// Whether that is a command.
    fn is_command(&self, index: Index) -> bool;
    /// The voters that it counts: one list, or two while they change.
    fn halves(&self) -> Vec<Vec<MemberId>>;
    /// Whether an entry would survive a crash of this member.
    fn is_durable(&self, member: MemberId, entry: Known) -> bool;
    /// The last entry that would survive a crash of this member, unless its disk is lost.
    fn durable_last(&self, member: MemberId) -> Option<EntryId>;
    /// A digest of what its machine has applied.
    fn digest(&self) -> u64;
    /// Whether the term that this member is in would survive a crash of it.
    fn is_term_durable(&self, _member: MemberId, _term: Term) -> bool {
        true
    }
}

/// Everything that was ever seen.
#[derive(Clone, Debug)]
pub struct Chronicle {
    epochs: Vec<(Epoch, Annals)>,
    lives: Vec<Life>,
    taken: BTreeMap<OperationId, Application>,
    /// Whether an epoch may follow another one.
    may_lose_worlds: bool,
    /// What happened that a run may or may not reach.
    pub sightings: Sightings,
}

/// What happened to the logs and the terms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sightings {
    /// Leaders.
    pub leaders: u64,
    /// Entries that a node took back.
    pub truncated: u64,
    /// Logs that a leader's snapshot took the place of.
    pub installed: u64,
    /// Entries committed.
    pub committed: u64,
    /// Entries of an earlier term that became committed with one of the leader's own.
    pub committed_of_earlier_terms: u64,
    /// Leaderships of a term below that of a leader that was seen earlier.
    pub late_leaders: u64,
}

/// What was true in one epoch.
#[derive(Clone, Debug, Default)]
struct Annals {
    leaders: BTreeMap<Term, Leadership>,
    votes: BTreeMap<(Term, MemberId), MemberId>,
    entries: BTreeMap<EntryId, Origin>,
    /// By index, from 1.
    committed: Vec<Committed>,
    /// The digest of the machine by the last entry applied.
    states: BTreeMap<Index, u64>,
    /// Whether another epoch has begun to commit since.
    is_over: bool,
}

impl Annals {
    /// Whether anything was committed.
    fn is_world(&self) -> bool {
        !self.committed.is_empty()
    }
}

#[derive(Clone, Copy, Debug)]
struct Leadership {
    member: MemberId,
    /// Its last entry when it was seen to lead first.
    last: EntryId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    hash: u64,
    previous: EntryId,
}

#[derive(Clone, Copy, Debug)]
struct Committed {
    known: Known,
    /// The term of the leader that committed it.
    by: Term,
}

/// What was seen of a node since it was started.
#[derive(Clone, Debug, Default)]
struct Life {
    view: View,
    /// The latest term that it was seen to lead.
    led: Term,
    digest: u64,
    /// The voters that it counted.
    halves: Vec<Vec<MemberId>>,
    /// Its whole log from index 1, with what it no longer keeps.
    log: Vec<(Term, u64)>,
    /// Which of these entries are commands.
    commands: BTreeSet<Index>,
    looks: u64,
}

impl Chronicle {
    /// Nothing has happened.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self {
            may_lose_worlds: false,
            epochs: Vec::new(),
            lives: vec![Life::default(); nodes],
            taken: BTreeMap::new(),
            sightings: Sightings::default(),
        }
    }

    /// Holds the state of a node against everything that was seen before.
    ///
    /// # Errors
    /// The invariant that does not hold.
    pub fn look(&mut self, node: usize, view: &View, scene: &impl Scene) -> Verdict {
        let life = &mut self.lives[node];
        life.looks += 1;
        let digest = scene.digest();
        let is_audit = life.looks.is_multiple_of(AUDIT_EVERY);
        // Who elects itself alone leads before that is durable, and nobody hears of it before.
        let leads = view.is_leader() && scene.is_term_durable(view.member, view.hard.term);
        let is_new = leads && life.led != view.hard.term;
        if life.view == *view && life.digest == digest && !is_audit && !is_new {
            return Ok(());
        }
        life.check_progress(view)?;
        if view.hard.epoch == Epoch::default() {
            return self.look_at_blank(node, view);
        }
        let annals = annals(&mut self.epochs, view.hard.epoch);
        life.follow_log(view, scene, annals, &mut self.sightings)?;
        if is_audit {
            life.audit(view, scene)?;
        }
        if leads {
            annals.on_leader(view, life, &mut self.sightings)?;
        }
        let commit = life.view.commit;
        let before = annals.committed.len();
        if view.commit > commit {
            annals.on_commit(commit, view, life, scene, &mut self.sightings)?;
        }
        let has_committed = annals.committed.len() > before;
        let life = &mut self.lives[node];
        if life.digest != digest || life.view.applied != view.applied {
            annals.on_applied(view, digest)?;
        }
        life.view = *view;
        life.led = if leads { view.hard.term } else { life.led };
        life.digest = digest;
        life.halves = scene.halves();
        if has_committed { self.only_one_epoch_commits(view.hard.epoch) } else { Ok(()) }
    }

    /// How many entries were ever committed in an epoch.
    #[must_use]
    pub fn committed(&self, epoch: Epoch) -> Index {
        let annals = self.epochs.iter().find(|(of, _)| *of == epoch);
        Index(annals.map_or(0, |(_, annals)| annals.committed.len() as u64))
    }

    fn look_at_blank(&mut self, node: usize, view: &View) -> Verdict {
        ensure(9, view.last == EntryId::default() && view.commit == Index::ZERO, || {
            format!("{} is blank and has a log up to {:?}", view.member.id, view.last)
        })?;
        let life = &mut self.lives[node];
        if life.view.member != view.member {
            *life = Life { digest: life.digest, ..Life::default() };
        }
        life.view = *view;
        Ok(())
    }

    /// From now on an epoch may die, and another one follow it.
    pub fn let_worlds_end(&mut self) {
        self.may_lose_worlds = true;
    }

    /// How many epochs have committed anything.
    #[must_use]
    pub fn worlds(&self) -> usize {
        self.epochs.iter().filter(|(_, annals)| annals.is_world()).count()
    }

    /// Of two formations only one can ever have had all members, unless the first one has died: then
    /// it commits nothing more.
    fn only_one_epoch_commits(&mut self, epoch: Epoch) -> Verdict {
        let annals = annals(&mut self.epochs, epoch);
        let (is_world, is_over) = (annals.is_world(), annals.is_over);
        let others =
            self.epochs.iter_mut().filter(|(of, annals)| *of != epoch && annals.is_world());
        let mut has_others = false;
        for (_, other) in others {
            has_others = true;
            other.is_over |= is_world;
        }
        ensure(2, !is_world || !has_others || self.may_lose_worlds, || {
            "two epochs have committed entries".to_owned()
        })?;
        ensure(2, !is_world || !is_over, || {
            format!("epoch {epoch} commits after another one has begun")
        })
    }
}

fn annals(epochs: &mut Vec<(Epoch, Annals)>, epoch: Epoch) -> &mut Annals {
    let place = epochs.iter().position(|(of, _)| *of == epoch).unwrap_or_else(|| {
        epochs.push((epoch, Annals::default()));
        epochs.len() - 1
    });
    &mut epochs[place].1
}

/// How often a whole log is compared, instead of what changed at its end.
const AUDIT_EVERY: u64 = 256;
