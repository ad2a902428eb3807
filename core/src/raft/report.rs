//! What can be seen of a node from outside, and what an embedder may drop.

use rand_core::Rng;

use super::Raft;
use super::role::Role;
use crate::configuration::Configuration;
use crate::log::{Entry, Memory};
use crate::seal::Seal;
use crate::status::{Counters, PeerStatus, ProgressStatus, RoleName, Status, count};
use crate::types::{ClusterId, EntryId, HardState, Index, MemberId, Term};

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// How the node is.
    #[must_use]
    pub fn status(&self) -> Status {
        let answered = match &self.role {
            Role::Blank(formation) => formation.answered.len(),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {
                self.links.iter().filter(|link| link.inside).count()
            }
        };
        Status {
            member: self.member(),
            epoch: self.hard.epoch,
            role: self.role(),
            term: self.hard.term,
            leader: self.leader(),
            commit: self.commit,
            applied: self.applied,
            base: self.log.base(),
            last: self.log.last(),
            durable: self.durability.durable,
            log_bytes: u32::try_from(self.log.used_bytes()).unwrap_or(u32::MAX),
            log_capacity: u32::try_from(self.log.capacity_bytes()).unwrap_or(u32::MAX),
            members: u8::try_from(self.configuration.members.len()).unwrap_or(u8::MAX),
            expected: u8::try_from(self.links.len() + 1).unwrap_or(u8::MAX),
            answered: u8::try_from(answered).unwrap_or(u8::MAX),
            counters: self.counters,
        }
    }

    /// How the node sees the others, by ascending id.
    pub fn peers(&self) -> impl Iterator<Item = PeerStatus> + '_ {
        self.links.iter().enumerate().map(|(peer, link)| {
            let (has_answered, progress) = match &self.role {
                Role::Blank(formation) => (formation.answered.contains(peer), None),
                Role::Leader(leader) => (link.inside, leader.progress.get(peer)),
                Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {
                    (link.inside, None)
                }
            };
            let progress = progress.map(|progress| ProgressStatus {
                matched: progress.matched,
                next: progress.next,
                round_trip: progress.timer.round_trip(),
                silent_for: self.now.since(progress.heard_at),
            });
            let member = MemberId { id: link.id, incarnation: link.incarnation };
            PeerStatus { member, has_answered, progress }
        })
    }

    /// What the node has counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) const fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// The node's role.
    #[must_use]
    pub const fn role(&self) -> RoleName {
        self.role.name()
    }

    /// The latest term that the node has seen.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.hard.term
    }

    /// What the node must never forget, as it is now; not all of it may be durable yet.
    #[must_use]
    pub const fn hard_state(&self) -> HardState {
        self.hard
    }

    /// The last entry known to be committed.
    #[must_use]
    pub const fn commit(&self) -> Index {
        self.commit
    }

    /// The last entry applied.
    #[must_use]
    pub const fn applied(&self) -> Index {
        self.applied
    }

    /// The last entry of the log.
    #[must_use]
    pub const fn last(&self) -> EntryId {
        self.log.last()
    }

    /// The entry before the first one kept.
    #[must_use]
    pub const fn base(&self) -> EntryId {
        self.log.base()
    }

    /// The last entry known to be durable.
    #[must_use]
    pub const fn durable_index(&self) -> Index {
        self.durability.durable
    }

    /// An entry that is kept.
    #[must_use]
    pub fn entry(&self, index: Index) -> Option<Entry<'_>> {
        self.log.entry(index)
    }

    /// The term of an entry that is kept, or of the one before them.
    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.log.term_at(index)
    }

    /// The members that count, as the log says.
    #[must_use]
    pub const fn configuration(&self) -> &Configuration<N> {
        &self.configuration
    }

    /// The cluster that the node was set up for.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.options.cluster
    }

    pub(crate) const fn seal_ref(&self) -> &S {
        &self.seal
    }

    /// The largest datagram that this node sends, in bytes: what a buffer for `poll` must hold.
    #[must_use]
    pub const fn datagram(&self) -> u16 {
        self.options.datagram
    }

    /// The last entry that may be dropped: it is applied and durable here, and every member has it.
    #[must_use]
    pub fn compactable(&self) -> Index {
        let everywhere = match &self.role {
            Role::Leader(leader) => self.held_everywhere(leader),
            Role::Blank(_) | Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {
                self.everywhere
            }
        };
        everywhere.min(self.applied).min(self.durability.durable)
    }

    /// Whether it is time to compact: an entry has found no room, or more than half of the log's
    /// bytes or slots are taken and a quarter of the entries may go.
    #[inline]
    #[must_use]
    pub fn needs_compaction(&self) -> bool {
        let is_half_full = self.log.free_bytes() < self.log.capacity_bytes() / 2
            || self.log.free_entries() < self.log.slot_count() / 2;
        if !is_half_full && !self.log.is_pressed() {
            return false;
        }
        let base = self.log.base().index;
        let held = self.log.last().index.since(base);
        let gain = self.compactable().since(base);
        gain > if self.log.is_pressed() { 0 } else { held / 4 }
    }

    /// Drops entries up to `upto` from the log, as far as they are [compactable](Self::compactable),
    /// and returns the new base. A node with a medium first stores a snapshot that covers them.
    pub fn compact(&mut self, upto: Index) -> Index {
        let upto = upto.min(self.compactable());
        if upto > self.log.base().index {
            self.everywhere = self.everywhere.max(upto);
            self.log.compact(upto);
            count(&mut self.counters.compactions);
            self.begin_term();
        }
        self.log.base().index
    }
}
