//! Leadership transfer (thesis 3.10): the leader brings a voter up to date and tells it to stand at
//! once, without waiting for its election timeout and without a pre-vote.

use rand_core::Rng;

use super::Raft;
use super::link::Link;
use super::role::Role;
use crate::log::Memory;
use crate::message::{Message, TimeoutNow};
use crate::seal::Seal;
use crate::status::count;
use crate::types::{NodeId, Ticks};

/// A transfer under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handover {
    /// The link of who shall lead.
    pub(crate) peer: usize,
    /// When it has failed: proposals are taken again.
    pub(crate) ends_at: Ticks,
    /// Whether it was told since the last heartbeat.
    is_told: bool,
}

/// Why leadership is not handed over. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TransferError {
    /// Another node leads, this one if it is known.
    NotLeader(Option<NodeId>),
    /// A transfer or a change of members is under way.
    InProgress,
    /// No member has this id, or it is this node.
    UnknownMember,
    /// That member does not vote.
    NotAVoter,
    /// That member, or every other voter, was not heard lately or lacks too much of the log.
    Unreachable,
    /// The node has failed.
    Failed,
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Hands leadership over to this voter, or to the one that has most of the log, and says to
    /// whom. Until it leads, or a shortest election timeout has passed, no proposal is taken.
    ///
    /// # Errors
    /// [`TransferError`]: nothing has changed.
    pub fn transfer(&mut self, to: Option<NodeId>) -> Result<NodeId, TransferError> {
        if self.is_poisoned() {
            return Err(TransferError::Failed);
        }
        let Role::Leader(leader) = &self.role else {
            return Err(TransferError::NotLeader(self.leader()));
        };
        if leader.handover.is_some() || self.is_changing() {
            return Err(TransferError::InProgress);
        }
        let peer = match to {
            None => self.best_successor().ok_or(TransferError::Unreachable)?,
            Some(id) => {
                let links = self.links.iter().enumerate();
                let mut named = links.filter(|(_, link)| link.id == id && link.is_named);
                let is_voter = |(peer, _): &(usize, &Link)| self.quorums.new.peers.contains(*peer);
                if named.clone().next().is_none() {
                    return Err(TransferError::UnknownMember);
                }
                // Of two lives of one id the one that votes is meant.
                let (peer, _) = named.find(is_voter).ok_or(TransferError::NotAVoter)?;
                if !self.can_succeed(peer) {
                    return Err(TransferError::Unreachable);
                }
                peer
            }
        };
        self.begin_handover(peer);
        Ok(self.links.get(peer).map_or(NodeId(0), |link| link.id))
    }

    /// Whether leadership is being handed over: no proposal is taken meanwhile.
    #[inline]
    pub(super) fn is_handing_over(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.handover.is_some())
    }

    fn begin_handover(&mut self, peer: usize) {
        count(&mut self.counters.transfers);
        self.end_lease();
        let ends_at = self.now.plus(self.options.timing.election_min);
        let Role::Leader(leader) = &mut self.role else { return };
        leader.handover = Some(Handover { peer, ends_at, is_told: false });
        self.sends.insert(peer);
        self.arm(ends_at);
    }

    /// Whether this voter was heard lately and lacks nothing but what is on its way.
    fn can_succeed(&self, peer: usize) -> bool {
        self.keeps_up(peer, self.options.window_bytes)
    }

    /// The voter that has most of the log, of those that can succeed us.
    pub(super) fn best_successor(&self) -> Option<usize> {
        let Role::Leader(leader) = &self.role else { return None };
        let voters = (0..self.links.len()).filter(|peer| self.quorums.new.peers.contains(*peer));
        let able = voters.filter(|peer| self.can_succeed(*peer));
        able.max_by_key(|peer| leader.progress.get(*peer).map(|progress| progress.matched))
    }

    /// Whether this peer is to be told to stand, now that it has the whole log.
    #[inline]
    pub(super) fn owes_timeout_now(&self, peer: usize) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let Some(handover) = leader.handover else { return false };
        let has_all = leader
            .progress
            .get(peer)
            .is_some_and(|progress| progress.matched == self.log.last().index);
        handover.peer == peer && !handover.is_told && has_all
    }

    /// Writes it. The number of its datagram tells a late copy from it.
    pub(super) fn write_timeout_now(&mut self, peer: usize, buffer: &mut [u8]) -> Option<usize> {
        if let Role::Leader(leader) = &mut self.role
            && let Some(handover) = &mut leader.handover
        {
            handover.is_told = true;
        }
        let message = Message::TimeoutNow(TimeoutNow { term: self.hard.term });
        self.seal(peer, &message, buffer)
    }

    /// A heartbeat is due: who was told to stand and does not yet is told again.
    pub(super) fn repeat_timeout_now(&mut self) {
        if let Role::Leader(leader) = &mut self.role
            && let Some(handover) = &mut leader.handover
        {
            handover.is_told = false;
            self.sends.insert(handover.peer);
        }
    }

    /// The transfer has taken too long: we lead on, unless we are no voter any more.
    pub(super) fn on_handover_time(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let is_over = leader.handover.is_some_and(|handover| self.now >= handover.ends_at);
        if !is_over {
            return;
        }
        leader.handover = None;
        count(&mut self.counters.transfers_failed);
        if !self.quorums.new.has_us {
            self.become_follower(self.hard.term, None);
        }
    }

    /// The configuration that is committed gives us no vote: somebody else shall lead.
    pub(super) fn resign(&mut self) {
        if self.is_handing_over() {
            return;
        }
        match self.best_successor() {
            Some(peer) => self.begin_handover(peer),
            None => self.become_follower(self.hard.term, None),
        }
    }

    /// Our leader tells us to stand. What left before its latest append is old news.
    pub(super) fn on_timeout_now(&mut self, peer: usize, number: u64) {
        if !self.hear_leader(peer) {
            return count(&mut self.counters.impossible);
        }
        let Role::Follower(follower) = &self.role else { return };
        if number <= follower.newest || !self.quorums.new.has_us {
            return self.count_stale();
        }
        self.become_candidate(true);
    }
}
