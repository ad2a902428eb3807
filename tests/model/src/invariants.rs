//! What must hold after every step, over the whole history.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::message::{BLANK, Configuration, Entry, Epoch, Kind, Member, members_of};
use crate::mistakes::Mistake;
use crate::rules::{Effects, Process, Role, Rules};

/// What was broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Violation {
    /// Two entries were committed at one index of one epoch.
    ConflictingCommit,
    /// Two processes led one term of one epoch.
    TwoLeaders,
    /// A leader lacks an entry that was committed in an earlier term.
    CommittedLost,
    /// An epoch committed a client's command after a later one had.
    TwoLiveClusters,
    /// An epoch with a client's commands was followed by another, within the bound of rule 12.
    EpochReplaced,
    /// The members of a formation were never all blank at one moment (rule 3).
    NeverAllBlank,
    /// Within the bound of rule 12, a process took a living epoch for dead (rule 9).
    LivingDeclaredDead,
    /// Within the bound of rule 12, nobody holds a command of the latest epoch any more.
    HeldByNobody,
    /// The last one that held a command which was acknowledged forgot it (rule 9).
    LastCopyErased,
    /// One incarnation joined two epochs, or one twice (rule 1).
    JoinedTwice,
    /// The fair phase ended without service.
    Stuck,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::ConflictingCommit => "two entries are committed at one index",
            Self::TwoLeaders => "two leaders in one term",
            Self::CommittedLost => "a leader lacks what is committed",
            Self::TwoLiveClusters => "two live clusters",
            Self::EpochReplaced => "an epoch with commands is replaced within the bound",
            Self::NeverAllBlank => "the members of a formation were never all blank at once",
            Self::LivingDeclaredDead => "a living epoch is declared dead",
            Self::HeldByNobody => "nobody holds what was acknowledged",
            Self::LastCopyErased => "the last copy of what was acknowledged is erased",
            Self::JoinedTwice => "one incarnation joins twice",
            Self::Stuck => "no service in the fair phase",
        })
    }
}

/// What was committed at one index, and in which leader's term.
type Committed = Vec<(Entry, u8)>;

/// The history that the invariants need.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Ledger {
    /// Counts steps.
    pub now: u32,
    committed: BTreeMap<Epoch, Committed>,
    leaders: BTreeMap<(Epoch, u8), Member>,
    /// Epochs by their first commit of a client's command.
    serving: Vec<Epoch>,
    /// Epochs by their first commit.
    begun: Vec<Epoch>,
    /// When each was blank: from, and until if it has joined.
    blank: BTreeMap<Member, (u32, Option<u32>)>,
    joined: BTreeSet<Member>,
}

impl Ledger {
    /// A process begins blank.
    pub fn born(&mut self, member: Member) {
        self.blank.insert(member, (self.now, None));
    }

    /// A process is no more.
    pub fn ended(&mut self, member: Member) {
        let now = self.now;
        self.blank.entry(member).and_modify(|(_, until)| *until = until.or(Some(now)));
    }

    /// The latest committed configuration of the latest epoch that committed anything.
    #[must_use]
    pub fn current(&self) -> Option<Configuration> {
        let committed = self.committed.get(self.begun.last()?)?;
        committed.iter().rev().find_map(|(entry, _)| match entry.kind {
            Kind::Configuration(configuration) => Some(configuration),
            Kind::Noop | Kind::Command(_) => None,
        })
    }

    /// Whether this is the latest epoch that committed anything.
    #[must_use]
    pub fn is_latest(&self, epoch: Epoch) -> bool {
        self.begun.last() == Some(&epoch)
    }

    /// How many clients' commands were committed, in all epochs.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        let all = self.committed.values().flatten();
        all.filter(|(entry, _)| matches!(entry.kind, Kind::Command(_))).count()
    }

    /// How many epochs have committed a client's command.
    #[must_use]
    pub fn served(&self) -> usize {
        self.serving.len()
    }

    /// Judges a process after its step.
    ///
    /// # Errors
    /// What the step broke.
    pub fn judge(
        &mut self,
        rules: &Rules,
        process: &Process,
        effects: &Effects,
        is_beyond: bool,
    ) -> Result<(), Violation> {
        if effects.formed || effects.joined {
            // The same identity is judged by what comes of it, for a fair figure.
            let is_first = self.joined.insert(process.me);
            if !is_first && !rules.has(Mistake::SameIdentity) {
                return Err(Violation::JoinedTwice);
            }
            self.blank.entry(process.me).and_modify(|(_, until)| *until = Some(self.now));
        }
        if effects.formed {
            let when = |member| self.blank.get(&member).copied().unwrap_or_default();
            let from = members_of(&process.epoch).map(|member| when(member).0).max();
            let until = members_of(&process.epoch).filter_map(|member| when(member).1).min();
            if until.is_some_and(|until| Some(until) <= from) {
                return Err(Violation::NeverAllBlank);
            }
        }
        if effects.elected {
            self.judge_leader(process)?;
        }
        if process.epoch != BLANK {
            self.judge_commits(process, is_beyond)?;
        }
        if effects.declared_dead && self.is_latest(process.epoch) && !is_beyond {
            return Err(Violation::LivingDeclaredDead);
        }
        Ok(())
    }

    /// What clients were told of and nobody but this id, if any, holds: the places in the log.
    fn missing(&self, epoch: Epoch, processes: &[Process], except: Option<u8>) -> Vec<usize> {
        let committed = self.committed.get(&epoch).map_or(&[][..], Vec::as_slice);
        let is_missing = |(index, (entry, _)): &(usize, &(Entry, u8))| {
            matches!(entry.kind, Kind::Command(_))
                && !processes.iter().any(|process| {
                    Some(process.me.id) != except
                        && process.epoch == epoch
                        && process.log.get(*index) == Some(entry)
                })
        };
        committed.iter().enumerate().filter(is_missing).map(|(index, _)| index).collect()
    }

    /// Judges what is left of what clients were told, whatever rule 9 says of it.
    ///
    /// # Errors
    /// Within the bound, something is held by nobody; or the last copy is to be erased.
    pub fn judge_copies(
        &mut self,
        rules: &Rules,
        processes: &[Process],
        erases: Option<u8>,
        is_beyond: bool,
    ) -> Result<(), Violation> {
        let latest = self.begun.last().filter(|_| !is_beyond);
        if latest.is_some_and(|latest| !self.missing(*latest, processes, None).is_empty()) {
            return Err(Violation::HeldByNobody);
        }
        let erasing = erases.and_then(|id| processes.get(usize::from(id)));
        let Some(process) = erasing.filter(|_| !rules.reset) else { return Ok(()) };
        let mut lost = self.missing(process.epoch, processes, erases);
        let before = self.missing(process.epoch, processes, None);
        lost.retain(|index| !before.contains(index));
        if lost.is_empty() { Ok(()) } else { Err(Violation::LastCopyErased) }
    }

    fn judge_leader(&mut self, process: &Process) -> Result<(), Violation> {
        let known = self.leaders.entry((process.epoch, process.term)).or_insert(process.me);
        if *known != process.me {
            return Err(Violation::TwoLeaders);
        }
        let committed = self.committed.get(&process.epoch).map_or(&[][..], Vec::as_slice);
        for (index, (entry, term)) in committed.iter().enumerate() {
            if *term < process.term && process.log.get(index) != Some(entry) {
                return Err(Violation::CommittedLost);
            }
        }
        Ok(())
    }

    fn judge_commits(&mut self, process: &Process, is_beyond: bool) -> Result<(), Violation> {
        let committed = self.committed.entry(process.epoch).or_default();
        let mut serves = false;
        for (index, entry) in process.log.iter().take(usize::from(process.commit)).enumerate() {
            match committed.get(index) {
                Some((known, _)) if known != entry => return Err(Violation::ConflictingCommit),
                Some(_) => {}
                None => {
                    // Only a leader commits first: others hear of it from one.
                    debug_assert!(process.role == Role::Leader || index < committed.len() + 1);
                    committed.push((*entry, process.term));
                    serves |= matches!(entry.kind, Kind::Command(_));
                }
            }
        }
        if process.commit > 0 && !self.begun.contains(&process.epoch) {
            self.begun.push(process.epoch);
        }
        if !serves {
            return Ok(());
        }
        match self.serving.iter().position(|epoch| *epoch == process.epoch) {
            Some(at) if at + 1 < self.serving.len() => return Err(Violation::TwoLiveClusters),
            Some(_) => {}
            None if !self.serving.is_empty() && !is_beyond => return Err(Violation::EpochReplaced),
            None => self.serving.push(process.epoch),
        }
        Ok(())
    }
}
