//! How the last survivor of a cluster goes on alone, when its operator says so.
//!
//! When a majority is gone for ever nobody can tell what was committed, and no vote brings the cluster
//! back. What is left is to give it up: a node takes all that its log holds for committed, since it may
//! have been, and founds another cluster of one member, with that state. It does so as a new life of
//! itself, so that to all others the old one has crashed, and in a new epoch, in which nothing that the
//! old members still say counts. Its log begins behind an entry that exists nowhere else: the one that
//! names it alone, committed and applied. So whoever joins gets a snapshot of the new epoch, and never
//! an entry or a snapshot of the old one.

use rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::role::{Follower, Role};
use super::{Apply, Raft, nonzero};
use crate::configuration::{Configuration, Member};
use crate::log::Memory;
use crate::machine::{Full, Sink};
use crate::raft::link::Link;
use crate::seal::Seal;
use crate::snapshot::{Head, Summary};
use crate::types::{EntryId, Epoch, HardState, Incarnation, Index, NodeId};
use crate::wire::hash::Hash;

/// Why a node does not found a cluster alone. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FoundError {
    /// It is in another epoch than the one that was to be given up; zero is none.
    OtherEpoch(Epoch),
    /// It holds nothing that could be gone on with.
    Blank,
    /// This node leads, itself or another one, or did within the shortest election timeout.
    HasLeader(Option<NodeId>),
    /// A majority of the voters answers: a leader will be elected without this.
    HasQuorum,
    /// It has not asked the others for their votes yet, or just now.
    TooEarly,
    /// It keeps itself on a medium: it must be stopped, and that be recovered.
    Stored,
    /// Its embedder does not allow it.
    NotAllowed,
    /// Its medium has no room for a snapshot.
    NoRoom,
    /// The terms or the indices are used up.
    Exhausted,
    /// The node has failed.
    Failed,
}

/// A cluster of one that is about to be founded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Founding {
    /// The new life, its epoch, and the term that it leads.
    pub(crate) hard: HardState,
    /// The entry that names it alone, behind all that the log holds.
    pub(crate) last: EntryId,
    pub(crate) member: Member,
}

impl Founding {
    pub(crate) fn configuration<const N: usize>(&self) -> Configuration<N> {
        let mut members = heapless::Vec::new();
        // A node has room for itself.
        let _room = members.push(self.member);
        Configuration { index: self.last.index, members }
    }

    /// Writes what a snapshot of the applied state begins with in the new cluster.
    pub(crate) fn write_head<const N: usize, K: Sink + ?Sized>(
        &self,
        sink: &mut K,
    ) -> Result<(), Full> {
        let (epoch, last) = (self.hard.epoch, self.last);
        Head::<N> { epoch, last, configuration: self.configuration() }.write(sink)
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Whether this node may give `epoch` up and found a cluster alone, as far as it can see: it is in
    /// that epoch, hears no leader and has asked the others in vain. That none of them lives where it
    /// cannot hear them only its operator can know.
    ///
    /// # Errors
    /// [`FoundError`] says what speaks against it.
    pub fn may_found_alone(&self, epoch: Epoch) -> Result<(), FoundError> {
        self.can_found_alone()?;
        if self.hard.epoch != epoch {
            return Err(FoundError::OtherEpoch(self.hard.epoch));
        }
        if self.hears_leader() {
            return Err(FoundError::HasLeader(self.leader()));
        }
        let heartbeat = self.options.timing.heartbeat;
        match &self.role {
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
                if self.quorums.has_quorum(campaign.answered) {
                    return Err(FoundError::HasQuorum);
                }
                let has_asked = self.now >= campaign.since.plus(heartbeat);
                has_asked.then_some(()).ok_or(FoundError::TooEarly)
            }
            // Who has no vote never asks for one.
            Role::Follower(_) if !self.quorums.has_us() => Ok(()),
            Role::Follower(_) | Role::Blank(_) | Role::Leader(_) => Err(FoundError::TooEarly),
        }
    }

    /// Whether there is anything to go on with.
    fn can_found_alone(&self) -> Result<(), FoundError> {
        if self.is_poisoned() {
            return Err(FoundError::Failed);
        }
        let last = self.log.last();
        if last.index == Index::ZERO || self.hard.epoch == Epoch(0) {
            return Err(FoundError::Blank);
        }
        // The new cluster must be able to go on from there.
        let has_next =
            self.hard.term.next().next() > self.hard.term.next() && self.log.free_indices() > 1;
        has_next.then_some(()).ok_or(FoundError::Exhausted)
    }

    /// Takes the whole log for committed. In its own epoch this node must say nothing any more.
    pub(crate) fn take_all_for_committed(&mut self) -> Result<(), FoundError> {
        self.can_found_alone()?;
        self.become_follower(self.hard.term, None);
        self.forget_replies();
        self.incoming = None;
        self.advance_commit(self.log.last().index);
        Ok(())
    }

    /// The next command to be applied, before anything else is done.
    pub(crate) fn next_to_apply(&mut self) -> Option<Apply<'_, M, R, S, N>> {
        if self.is_poisoned() || self.applied >= self.commit {
            return None;
        }
        Some(Apply::of(self))
    }

    /// A new life in a cluster of its own, behind all that is applied.
    pub(crate) fn plan_founding(&mut self) -> Founding {
        let incarnation = Incarnation(nonzero(&mut self.random));
        let us = crate::types::MemberId { id: self.options.id, incarnation };
        let mut hash = Hash::new(self.options.cluster.0);
        hash.add(u64::from(us.id.0));
        hash.add(incarnation.0);
        let (epoch, term) = (Epoch(hash.nonzero()), self.hard.term.next());
        let member =
            Member { address: self.options.address, ..Member::voter(us, self.stated_datagram()) };
        Founding {
            hard: HardState { incarnation, epoch, term, vote: Some(us) },
            last: EntryId { term, index: self.log.last().index.next() },
            member,
        }
    }

    /// The new cluster is there: this node leads it. Where there is a medium it keeps all of that, and
    /// a snapshot.
    pub(crate) fn found(&mut self, founding: &Founding, kept: Option<Summary>) {
        let last = founding.last;
        self.hard = founding.hard;
        self.log.reset(last);
        self.durability.hard_changed();
        self.durability.replaced(last.index);
        self.durability.all_durable(last.index);
        (self.commit, self.applied, self.everywhere) = (last.index, last.index, last.index);
        self.loyal_until = self.now;
        self.snapshot = None;
        self.is_snapshot_wanted = false;
        self.incoming = None;
        // Nobody has been met in this epoch.
        for link in &mut self.links {
            *link = Link::new(link.id);
        }
        self.role = Role::Follower(Follower::new(None, self.now, last.index));
        self.base_configuration = founding.configuration();
        self.adopt_configuration();
        self.lead_from(last.index, last.index);
        if let Some(summary) = kept {
            self.snapshot_saved(last, summary);
        }
        self.check_invariants();
    }

    /// From now on a leader takes in whoever it was started with and its configuration does not name,
    /// with a vote. Only where nothing is stored, where such an id can be missing for one reason: the
    /// cluster was founded anew by another one of them.
    pub(crate) fn take_back(&mut self) {
        self.takes_back = true;
    }
}
