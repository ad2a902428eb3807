//! Changes of the members by joint consensus (thesis 4.3): one mechanism for any set of them.
//!
//! A change that leaves the voters as they are is one entry. Any other is two: the joint one, in
//! which both the old and the new voters must agree, and when that is committed, the new one, which
//! whoever leads then appends. Who is to vote is a learner first, and has the log before it counts.

use heapless::Vec;
use rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::Raft;
use super::role::Role;
use crate::configuration::{Address, MEMBER_BYTES_MAX, Member, Part, encode_members};
use crate::log::{ENTRY_OVERHEAD_MAX, EntryKind, Memory};
use crate::seal::Seal;
use crate::sort::sort;
use crate::status::count;
use crate::types::{EntryId, Index, MemberId, NodeId};

/// One thing that is to be different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Change {
    /// Takes a member in. It gets the whole log; if it is to vote it does so once it has it. If
    /// another life of its id is a member, that one goes when this one gets its vote.
    Add {
        /// Which life of which node.
        member: MemberId,
        /// The largest datagram that it takes, in bytes.
        datagram: u16,
        /// How others reach it.
        address: Address,
        /// Whether it is to vote.
        is_voter: bool,
    },
    /// Takes a member out.
    Remove(NodeId),
    /// Gives a learner a vote, when it has the log.
    Promote(NodeId),
    /// Takes a voter its vote; it stays as a learner.
    Demote(NodeId),
}

/// Why the members stay as they are. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ChangeError {
    /// Another node leads, this one if it is known.
    NotLeader(Option<NodeId>),
    /// We lead, but the first entry of our term is not committed yet, or we are handing over.
    NotReady,
    /// The change before is not done yet.
    InProgress,
    /// It is a member already.
    AlreadyMember,
    /// No member has this id.
    UnknownMember,
    /// It has its vote, or has none, already.
    NothingToDo,
    /// Nobody would be left to vote.
    LastVoter,
    /// There is room for so many members.
    TooManyMembers {
        /// The capacity.
        capacity: u8,
    },
    /// It takes smaller datagrams than the members, whose commands might not fit.
    DatagramTooSmall {
        /// The least that it must take, in bytes.
        least: u16,
    },
    /// A cluster that stores nothing keeps the voters' ids that it was formed with: only learners
    /// join it.
    FixedVoters,
    /// The log is full.
    LogFull,
    /// The node has failed.
    Failed,
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Appends a change of the members, all at once, and returns the first entry of it. The change is
    /// done when [`change_is_done`](Self::change_is_done) says so of that entry.
    ///
    /// # Errors
    /// [`ChangeError`]: nothing has changed.
    pub fn change(&mut self, changes: &[Change]) -> Result<EntryId, ChangeError> {
        if self.is_poisoned() {
            return Err(ChangeError::Failed);
        }
        let Role::Leader(leader) = &self.role else {
            return Err(ChangeError::NotLeader(self.leader()));
        };
        if self.commit < leader.first || leader.handover.is_some() {
            return Err(ChangeError::NotReady);
        }
        if self.is_changing() {
            return Err(ChangeError::InProgress);
        }
        let mut members = self.configuration.members.clone();
        for change in changes {
            self.apply_change(&mut members, *change)?;
        }
        if members == self.configuration.members {
            return Err(ChangeError::NothingToDo);
        }
        let has_voter =
            members.iter().any(|member| member.part.is_in_new_half() && member.member.has_life());
        if !has_voter {
            return Err(ChangeError::LastVoter);
        }
        count(&mut self.counters.changes);
        self.append_configuration(members)
    }

    /// Whether the change that began with this entry is done: the new members alone decide, and that
    /// is committed. None if that entry is no longer in the log: the change did not happen.
    #[must_use]
    pub fn change_is_done(&self, entry: EntryId) -> Option<bool> {
        let is_there = entry.index < self.log.base().index
            || self.log.term_at(entry.index) == Some(entry.term);
        let is_settled = !self.quorums.is_joint && self.configuration.index <= self.commit;
        is_there.then_some(is_settled && self.commit >= entry.index)
    }

    /// Whether the latest configuration is joint or not committed.
    #[must_use]
    pub fn is_changing(&self) -> bool {
        self.quorums.is_joint || self.configuration.index > self.commit
    }

    /// Whether the members have gone on without this life of this node.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        let is_settled = self.configuration.index <= self.commit && !self.quorums.is_joint;
        let is_named = self.configuration.find(self.member()).is_some();
        self.was_member && is_settled && !is_named
    }

    fn apply_change(
        &self,
        members: &mut Vec<Member, N>,
        change: Change,
    ) -> Result<(), ChangeError> {
        match change {
            Change::Add { member, datagram, address, is_voter } => {
                let part = if is_voter { Part::Recruit } else { Part::Learner };
                self.add(members, Member { member, datagram, part, address })
            }
            Change::Remove(id) => {
                let before = members.len();
                members.retain(|member| member.member.id != id || member.part == Part::Voter);
                let mut is_found = members.len() < before;
                for member in members.iter_mut().filter(|member| member.member.id == id) {
                    member.part = Part::Outgoing;
                    is_found = true;
                }
                is_found.then_some(()).ok_or(ChangeError::UnknownMember)
            }
            Change::Promote(id) => {
                let has_vote =
                    |member: &&Member| member.member.id == id && member.part == Part::Voter;
                let recruit = members.iter_mut().find(|member| {
                    member.member.id == id && matches!(member.part, Part::Learner | Part::Recruit)
                });
                let Some(recruit) = recruit else {
                    let found = members.iter().find(has_vote);
                    return Err(
                        found.map_or(ChangeError::UnknownMember, |_| ChangeError::NothingToDo)
                    );
                };
                // Until it has the log it is a learner that will be promoted.
                if !self.is_close(recruit.member) {
                    recruit.part = Part::Recruit;
                    return Ok(());
                }
                recruit.part = Part::Incoming;
                for member in members.iter_mut().filter(|m| m.member.id == id) {
                    if member.part == Part::Voter {
                        member.part = Part::Outgoing;
                    }
                }
                Ok(())
            }
            Change::Demote(id) => {
                // Of two lives of one id the one that votes is meant.
                let of_id = |member: &&mut Member| member.member.id == id;
                let has_vote = |member: &&mut Member| of_id(member) && member.part == Part::Voter;
                let found = match members.iter_mut().find(has_vote) {
                    Some(voter) => Some(voter),
                    None => members.iter_mut().find(of_id),
                };
                let member = found.ok_or(ChangeError::UnknownMember)?;
                match member.part {
                    Part::Voter => member.part = Part::Demoted,
                    Part::Recruit => member.part = Part::Learner,
                    Part::Learner | Part::Incoming | Part::Outgoing | Part::Demoted => {
                        return Err(ChangeError::NothingToDo);
                    }
                }
                Ok(())
            }
        }
    }

    fn add(&self, members: &mut Vec<Member, N>, member: Member) -> Result<(), ChangeError> {
        if !member.member.has_life() {
            return Err(ChangeError::UnknownMember);
        }
        let is_known = |named: &Member| named.member == member.member;
        if members.iter().any(is_known) {
            return Err(ChangeError::AlreadyMember);
        }
        let least = self.configuration.smallest_datagram().unwrap_or(0);
        if member.datagram < least {
            return Err(ChangeError::DatagramTooSmall { least });
        }
        // A third life of one id: the second, which has no vote yet, is gone.
        let id = member.member.id;
        members.retain(|named| named.member.id != id || named.part == Part::Voter);
        if member.part == Part::Learner && members.iter().any(|named| named.member.id == id) {
            return Err(ChangeError::AlreadyMember);
        }
        let capacity = u8::try_from(N).unwrap_or(u8::MAX);
        members.push(member).map_err(|_| ChangeError::TooManyMembers { capacity })?;
        sort(members);
        Ok(())
    }

    /// Whether a learner lacks nothing but what is on its way.
    fn is_close(&self, member: MemberId) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let place = self.links.iter().position(|link| link.is(member));
        place.is_some_and(|peer| {
            let has_begun = leader.progress.get(peer).is_some_and(|it| it.matched > Index::ZERO);
            has_begun && self.keeps_up(peer, self.options.window_bytes / 2)
        })
    }

    /// Appends a configuration of these members, which counts from now on.
    fn append_configuration(&mut self, members: Vec<Member, N>) -> Result<EntryId, ChangeError> {
        let capacity = u8::try_from(N).unwrap_or(u8::MAX);
        let mut space = [[0; MEMBER_BYTES_MAX]; N];
        let space = space.as_flattened_mut();
        let length = encode_members(&members, space);
        let bytes = length.and_then(|length| space.get(..length)).unwrap_or_default();
        if bytes.is_empty() || bytes.len().saturating_add(ENTRY_OVERHEAD_MAX) > self.entry_limit {
            return Err(ChangeError::TooManyMembers { capacity });
        }
        let appended = self.log.append(self.hard.term, EntryKind::Configuration, bytes);
        let Ok(entry) = appended else {
            count(&mut self.counters.log_full);
            self.log.press();
            return Err(ChangeError::LogFull);
        };
        self.adopt_configuration();
        self.sends = self.sends.with(self.followers);
        Ok(entry)
    }

    /// What a leader does about its configuration from time to time, and when something was
    /// committed: it leaves a joint one, promotes those who have caught up, and resigns when it has
    /// no vote any more.
    pub(super) fn tend_configuration(&mut self) {
        let Role::Leader(leader) = &self.role else { return };
        if self.configuration.index > self.commit || self.commit < leader.first {
            return;
        }
        if self.quorums.is_joint {
            let mut members = self.configuration.members.clone();
            members.retain(|member| member.part.afterwards().is_some());
            for member in &mut members {
                member.part = member.part.afterwards().unwrap_or(member.part);
            }
            // Without room for it, it is tried again when there is some.
            let _entry = self.append_configuration(members);
            return;
        }
        if !self.quorums.new.has_us {
            return self.resign();
        }
        let recruit = self
            .configuration
            .members
            .iter()
            .find(|member| member.part == Part::Recruit && self.is_close(member.member));
        if let Some(id) = recruit.map(|member| member.member.id) {
            let _entry = self.change(&[Change::Promote(id)]);
        }
    }
}
