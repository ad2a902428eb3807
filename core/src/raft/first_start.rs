//! How a majority starts a cluster, once, when its operators say that there was none before.
//!
//! A blank store is either new or lost. Of a lost one a life was counted upon that is over, so a
//! majority of blank nodes proves nothing by itself: some may have been in a cluster whose other part
//! is cut off. Only those count here whose operators say that this is the first start. As many as are
//! a majority of all ids name themselves with their lives and the others without one; these come in
//! later, as a life that replaces a silent one (`replace`).
//!
//! What binds is the epoch: its coordinator has it on the medium before anybody hears of it, and
//! whoever takes its first append has it there before it answers. A life joins one epoch, and quorums
//! are counted of all ids, so of two epochs that were begun at once one at most ever commits anything.

use rand_core::Rng;

use super::Raft;
use super::formation::REPEATS;
use super::link::PeerSet;
use super::role::Role;
use crate::configuration::Members;
use crate::log::Memory;
use crate::seal::Seal;
use crate::types::Ticks;

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Whom we start the cluster with now, if we may without those who are silent.
    ///
    /// They have had half a round to answer; with everybody there and blank, no disk can be lost that
    /// anybody counts upon, and all form the epoch. Whoever is in an epoch, or was started with other
    /// ids, shows that this is no first start; whoever is blank and does not say that it is one may
    /// have lost its disk, and counts as absent. Of those who are left the lowest id coordinates.
    pub(super) fn first_start(&self) -> Option<PeerSet> {
        let Role::Blank(formation) = &self.role else { return None };
        let waiting = Ticks(self.options.timing.heartbeat.0.saturating_mul(u64::from(REPEATS / 2)));
        let has_waited = formation.round_ends.since(self.now) <= waiting;
        let may_start = self.options.is_first_start
            && formation.booting.is_none()
            && has_waited
            && formation.answered == formation.blank
            && formation.blank != self.everybody()
            && self.is_majority(formation.starting.len() + 1);
        let mut links = self.links.iter().enumerate();
        let is_lowest =
            links.all(|(peer, it)| it.id > self.options.id || !formation.starting.contains(peer));
        (may_start && is_lowest).then_some(formation.starting)
    }

    /// Whether a proposal that leaves some out is of a majority of our ids, while all that we have
    /// heard in this round is blank and our operator says that this is the first start.
    pub(super) fn accepts_first_start(&self, members: Members<'_>) -> bool {
        let Role::Blank(formation) = &self.role else { return false };
        let present = members.iter().filter(|member| member.member.has_life()).count();
        let is_ours = members.iter().all(|member| {
            let id = member.member.id;
            id == self.options.id || self.links.iter().any(|link| link.id == id)
        });
        self.options.is_first_start
            && formation.answered == formation.blank
            && self.is_majority(present)
            && is_ours
    }

    /// Whether so many are more than half of the ids that we were started with.
    fn is_majority(&self, count: usize) -> bool {
        count > self.links.len().div_ceil(2)
    }

    /// Says no longer that this is the first start: a node that forgets everything when it stops
    /// cannot know.
    pub(crate) fn waive_first_start(&mut self) {
        self.options.is_first_start = false;
    }
}
