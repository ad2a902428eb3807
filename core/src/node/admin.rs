//! What operators want: other members, another leader.

use super::pending::Work;
use super::{Node, Platform};
use crate::configuration::Part;
use crate::message::{Admin, AdminAnswer};
use crate::raft::{Change, ChangeError, FoundError, TransferError};
use crate::storage::Storage;
use crate::types::{EntryId, NodeId};

impl<P: Platform, const MEMBERS: usize, const SESSIONS: usize, const PENDING: usize>
    Node<P, MEMBERS, SESSIONS, PENDING>
{
    /// Changes the members; [`change_is_done`](crate::Raft::change_is_done) tells when it is done.
    ///
    /// # Errors
    /// [`ChangeError`]: nothing has changed.
    pub fn change(&mut self, change: Change) -> Result<EntryId, ChangeError> {
        if !self.storage.is_durable() && !self.keeps_voters(change) {
            return Err(ChangeError::FixedVoters);
        }
        self.raft.change(&[change])
    }

    /// Hands leadership over; see [`Raft::transfer`](crate::Raft::transfer).
    ///
    /// # Errors
    /// [`TransferError`]: nothing has changed.
    pub fn transfer(&mut self, to: Option<NodeId>) -> Result<NodeId, TransferError> {
        self.raft.transfer(to)
    }

    /// Whether the ids of the voters stay the same: a blank node could not tell a cluster of other
    /// ids from its own, so where nothing is stored they are those of the start.
    fn keeps_voters(&self, change: Change) -> bool {
        let mut members = self.raft.configuration().members.iter();
        let mut is_voter =
            |id: NodeId| members.any(|member| member.member.id == id && member.part == Part::Voter);
        match change {
            Change::Add { member, is_voter: votes, .. } => votes == is_voter(member.id),
            Change::Remove(id) => !is_voter(id),
            Change::Promote(_) | Change::Demote(_) => false,
        }
    }

    pub(super) fn on_admin(&mut self, admin: Admin) -> Work<P> {
        match admin {
            Admin::Members => Work::Members,
            Admin::FoundAlone(epoch) => match self.founder {
                Some(found) => found(self, epoch),
                None if self.storage.is_durable() => {
                    Work::Admin(AdminAnswer::NotFounded(FoundError::Stored))
                }
                None => Work::Admin(AdminAnswer::NotFounded(FoundError::NotAllowed)),
            },
            Admin::Transfer(to) => match self.transfer(to) {
                Ok(to) => Work::Admin(AdminAnswer::Transferring(to)),
                Err(TransferError::NotLeader(leader)) => Work::NotLeader(leader),
                Err(error) => Work::Admin(AdminAnswer::NotTransferred(error)),
            },
            Admin::Change(change) => match self.change(change) {
                Ok(entry) => Work::Change(entry, change),
                Err(ChangeError::NotLeader(leader)) => Work::NotLeader(leader),
                Err(ChangeError::NotReady) => Work::Busy,
                Err(error) => Work::Admin(AdminAnswer::NotChanged(error)),
            },
        }
    }

    /// Notes the changes that are done, and those that never will be.
    pub(super) fn tend_changes(&mut self) {
        let raft = &self.raft;
        let version = raft.configuration().index;
        self.pending.on_changes(version, |entry| raft.change_is_done(entry));
    }
}
