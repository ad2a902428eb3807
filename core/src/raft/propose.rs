//! New commands, at the leader.

use rand_core::Rng;

use super::Raft;
use super::role::Role;
use crate::log::{AppendError, ENTRY_OVERHEAD_MAX, EntryKind, Memory};
use crate::seal::Seal;
use crate::status::count;
use crate::types::{EntryId, NodeId};

/// Why a command was not proposed. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProposeError {
    /// Another node leads, this one if it is known.
    NotLeader(Option<NodeId>),
    /// We lead, but the first entry of our term is not committed yet, or we are handing over.
    NotReady,
    /// The log is full until older entries are applied everywhere.
    LogFull,
    /// The command fits no entry that every member could take.
    TooLarge {
        /// The most bytes that it may have.
        limit: usize,
    },
    /// The node has failed.
    Failed,
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Appends a command to the leader's log (section 5.3) and returns the entry that it is. It is
    /// committed if that entry, with this term, is applied.
    ///
    /// # Errors
    /// [`ProposeError`]: nothing has changed.
    pub fn propose(&mut self, command: &[u8]) -> Result<EntryId, ProposeError> {
        let limit = self.command_limit();
        if command.len() > limit && matches!(self.role, Role::Leader(_)) {
            count(&mut self.counters.too_large);
            return Err(ProposeError::TooLarge { limit });
        }
        self.propose_with(|space| {
            let to = space.get_mut(..command.len())?;
            to.iter_mut().zip(command).for_each(|(to, from)| *to = *from);
            Some(command.len())
        })
    }

    /// The most bytes that a command may have: what every member's datagrams and our log can take.
    #[must_use]
    pub fn command_limit(&self) -> usize {
        self.entry_limit.saturating_sub(ENTRY_OVERHEAD_MAX)
    }

    /// As [`propose`](Self::propose), with the command written straight into the log.
    ///
    /// The writer returns how many bytes it wrote, or `None` if the space was too small; it is then
    /// called once more if there is a larger one. How long the command is shows only there: one that
    /// is too large for any log is told `LogFull` while this one is nearly full.
    ///
    /// # Errors
    /// [`ProposeError`]: nothing has changed.
    pub fn propose_with(
        &mut self,
        write: impl FnMut(&mut [u8]) -> Option<usize>,
    ) -> Result<EntryId, ProposeError> {
        if self.is_poisoned() {
            return Err(ProposeError::Failed);
        }
        let Role::Leader(leader) = &self.role else {
            return Err(ProposeError::NotLeader(self.leader()));
        };
        if self.commit < leader.first || leader.handover.is_some() {
            return Err(ProposeError::NotReady);
        }
        let spare = self.log.room_for_command();
        let limit = self.entry_limit.min(spare);
        match self.log.append_with(self.hard.term, EntryKind::Command, limit, write) {
            Ok(entry) => {
                self.sends = self.sends.with(self.followers);
                Ok(entry)
            }
            Err(AppendError::TooLarge) if limit == self.entry_limit => {
                count(&mut self.counters.too_large);
                Err(ProposeError::TooLarge { limit: self.command_limit() })
            }
            Err(AppendError::TooLarge | AppendError::LogFull) => {
                count(&mut self.counters.log_full);
                self.log.press();
                Err(ProposeError::LogFull)
            }
        }
    }
}
