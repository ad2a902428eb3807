//! What must hold whatever the peers, the disk and the caller do, and what happens if it does not.

use super::Raft;
use crate::log::Memory;
use crate::seal::Seal;
use rand_core::Rng;

/// A broken invariant of our own: the node says so once and never sends again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Violation {
    /// The commit index would fall or pass the end of the log.
    Commit,
    /// An entry would be applied out of order, or before it is committed.
    Apply,
    /// More would be durable than exists.
    Durable,
    /// A follower's `matched` reached its `next`.
    Progress,
    /// A committed entry would be removed, or a leader's own.
    Truncate,
    /// A link has used up its datagram numbers.
    NumbersExhausted,
    /// A snapshot would be installed that is not the one that was gathered, or is not needed.
    Install,
    /// The log lacks an entry that it must hold.
    MissingEntry,
}

/// Whether an invariant broke, and whether that has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Found(Violation),
    Reported(Violation),
}

/// Poisons the node unless the condition holds; in this crate's own tests it panics instead.
macro_rules! invariant {
    ($raft:expr, $condition:expr, $violation:expr) => {
        if !$condition {
            $raft.poison($violation);
        }
    };
}
pub(super) use invariant;

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// What broke, if anything did.
    #[must_use]
    pub const fn violation(&self) -> Option<Violation> {
        match self.fault {
            Fault::None => None,
            Fault::Found(violation) | Fault::Reported(violation) => Some(violation),
        }
    }

    pub(super) const fn is_poisoned(&self) -> bool {
        !matches!(self.fault, Fault::None)
    }

    /// Stops the node for good. The first violation is the one that is told.
    #[cold]
    pub(super) fn poison(&mut self, violation: Violation) {
        if !self.is_poisoned() {
            self.fault = Fault::Found(violation);
        }
        #[cfg(test)]
        panic!("invariant broken: {violation:?}");
    }

    /// The relations between indices that hold between any two calls.
    pub(super) fn check_invariants(&mut self) {
        let last = self.log.last().index;
        invariant!(self, self.applied <= self.commit, Violation::Apply);
        invariant!(self, self.commit <= last, Violation::Commit);
        invariant!(self, self.durability.durable <= last, Violation::Durable);
    }
}
