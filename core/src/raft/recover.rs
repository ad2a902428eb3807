//! From what a medium has kept to a node that goes on where it stopped.

use rand_core::Rng;

use super::Raft;
use super::link::PeerSet;
use super::persistence::Durability;
use super::role::{Follower, Role};
use crate::configuration::{Configuration, Members};
use crate::log::{BadRun, Memory};
use crate::options::{Options, SetupError};
use crate::seal::Seal;
use crate::types::{EntryId, Epoch, HardState, Index, NodeId};

/// What a medium has kept beside the entries.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a> {
    /// The hard state, as it was written last.
    pub hard: HardState,
    /// The last entry that is applied in the stored snapshot; zero without one.
    pub applied: Index,
    /// The stored entries begin behind this one, which is not above `applied`; all zero without one.
    pub base: EntryId,
    /// The entry that names the members in the stored snapshot; zero without one.
    pub configuration: Index,
    /// The members in the stored snapshot.
    pub members: Option<Members<'a>>,
}

/// Why stored entries were not taken. Those before them stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RecoverError {
    /// They are not whole entries of terms that never fall and are not above the stored term.
    Malformed,
    /// The log's memory is smaller than it was.
    LogFull,
    /// The node has run already.
    Running,
}

impl core::fmt::Display for RecoverError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the stored entries are not of one piece",
            Self::LogFull => "the log's memory is too small for the entries that are stored",
            Self::Running => "stored entries come too late",
        })
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// A node that goes on with what its medium has kept. [`recover_run`](Self::recover_run) gives
    /// it the entries behind `saved.base`, which reach `saved.applied` at least; up to there they are
    /// committed and applied.
    ///
    /// # Errors
    /// As [`new`](Self::new), and `SetupError::Stored` for a state that no node has written.
    pub fn recover(
        options: &Options,
        others: &[NodeId],
        memory: M,
        random: R,
        seal: S,
        saved: &Saved<'_>,
    ) -> Result<Self, SetupError> {
        let HardState { incarnation, epoch, term, vote } = saved.hard;
        let is_blank = epoch == Epoch(0);
        let has_log = saved.base.index > Index::ZERO;
        if incarnation.0 == 0
            || is_blank && (term.0 != 0 || vote.is_some() || has_log)
            || has_log != saved.members.is_some()
            || saved.base.term > term
            || saved.base.index > saved.applied
            || saved.configuration > saved.applied
            || has_log != (saved.configuration > Index::ZERO)
        {
            return Err(SetupError::Stored);
        }
        let mut raft = Self::with_hard_state(
            options,
            others,
            memory,
            random,
            seal,
            (saved.hard, Durability::default()),
        )?;
        raft.log.reset(saved.base);
        raft.commit = saved.applied;
        raft.applied = saved.applied;
        raft.everywhere = saved.base.index;
        raft.durability.all_durable(saved.base.index);
        if let Some(members) = saved.members {
            let configuration = Configuration::of(saved.configuration, members);
            raft.base_configuration = configuration.ok_or(SetupError::Stored)?;
            raft.adopt_configuration();
        }
        if !is_blank {
            raft.follow_again();
        }
        Ok(raft)
    }

    /// Follows in the epoch and the term in which this life was stopped.
    pub(super) fn follow_again(&mut self) {
        self.sends = PeerSet::EMPTY;
        // Whom it heard before it was stopped may lead under a lease.
        if self.options.lease.is_some() {
            self.loyal_until = self.now.plus(self.options.timing.election_min);
        }
        self.role = Role::Follower(Follower::new(None, self.now, self.commit));
    }

    /// Takes stored entries, in their one encoding and in order, before anything else is done.
    ///
    /// # Errors
    /// [`RecoverError`]: these entries were not taken.
    pub fn recover_run(&mut self, run: &[u8]) -> Result<(), RecoverError> {
        let is_new = matches!(self.role, Role::Follower(Follower { leader: None, .. }));
        if run.is_empty() {
            return Ok(());
        }
        if !is_new || self.now.0 > 0 {
            return Err(RecoverError::Running);
        }
        let mut rest = run;
        while !rest.is_empty() {
            let before = self.log.last().index;
            let taken = self.log.extend(before, rest, before, self.hard.term);
            match taken {
                Ok(_) => {}
                Err(BadRun::Malformed | BadRun::ConflictsWithCommitted) => {
                    return Err(RecoverError::Malformed);
                }
            }
            let length = self.log.bytes_between(before, self.log.last().index);
            if length == 0 {
                return Err(RecoverError::LogFull);
            }
            rest = rest.get(length..).unwrap_or(&[]);
        }
        self.follow_configuration();
        self.durability.all_durable(self.log.last().index);
        Ok(())
    }
}
