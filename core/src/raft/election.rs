//! Elections (section 5.2) behind a pre-vote (thesis 9.6), with leader stickiness (thesis 4.2.3).

use rand_core::Rng;

use super::Raft;
use super::link::{Owed, PeerSet};
use super::role::{Follower, Role};
use crate::log::Memory;
use crate::message::{VoteReply, VoteRequest};
use crate::seal::Seal;
use crate::status::count;
use crate::types::{EntryId, MemberId, Term};

/// What a voter has decided and not said yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Granted {
    pub(crate) asked: Term,
    pub(crate) granted: bool,
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Answers whether we would vote; nothing changes, not even the term.
    pub(super) fn on_pre_vote(&mut self, peer: usize, request: VoteRequest) {
        let granted = request.term > self.hard.term
            && self.is_up_to_date(request.last)
            && !self.hears_leader();
        self.owe(peer, Owed::PreVote(Granted { asked: request.term, granted }));
    }

    /// Takes a vote request of our own term and owes the candidate an answer.
    ///
    /// Grants at most one vote a term (section 5.2), and only to a log at least as new as ours
    /// (section 5.4.1). A grant restarts the election timeout, which is in ticks.
    pub(super) fn on_vote(&mut self, peer: usize, request: VoteRequest) {
        let Some(candidate) = self.member_of(peer) else { return };
        let granted = request.term == self.hard.term
            && self.hard.vote.is_none_or(|vote| vote == candidate)
            && self.is_up_to_date(request.last)
            && (request.is_handover || !self.hears_leader());
        if granted && self.hard.vote.is_none() {
            self.hard.vote = Some(candidate);
            self.durability.hard_changed();
            count(&mut self.counters.votes_granted);
            self.draw_timeout();
            self.fail_reads();
            self.sends = PeerSet::EMPTY;
            self.role = Role::Follower(Follower::new(None, self.now, self.commit));
            self.arm(self.now.plus(self.timeout));
        }
        self.owe(peer, Owed::Vote(Granted { asked: request.term, granted }));
    }

    /// Refuses a vote request of another term than ours, and says which is ours.
    pub(super) fn refuse_vote(&mut self, peer: usize, request: VoteRequest) {
        self.owe(peer, Owed::Vote(Granted { asked: request.term, granted: false }));
    }

    pub(super) fn on_pre_vote_reply(&mut self, peer: usize, reply: VoteReply) {
        let asked = self.hard.term.next();
        let Role::PreCandidate(campaign) = &mut self.role else { return self.count_stale() };
        if reply.asked != asked {
            return self.count_stale();
        }
        campaign.answered.insert(peer);
        if reply.granted {
            campaign.granted.insert(peer);
            self.count_pre_votes();
        }
    }

    pub(super) fn on_vote_reply(&mut self, peer: usize, reply: VoteReply) {
        let Role::Candidate(campaign) = &mut self.role else { return self.count_stale() };
        if reply.asked != self.hard.term || reply.term != self.hard.term {
            return self.count_stale();
        }
        campaign.answered.insert(peer);
        if reply.granted {
            campaign.granted.insert(peer);
            self.count_votes();
        }
    }

    pub(super) fn count_pre_votes(&mut self) {
        if let Role::PreCandidate(campaign) = &self.role
            && self.quorums.has_quorum(campaign.granted)
        {
            self.become_candidate(false);
        }
    }

    /// Our own vote counts once it is durable: a crash before that would let us give another one.
    pub(super) fn count_votes(&mut self) {
        if let Role::Candidate(campaign) = &self.role
            && self.durability.is_hard_durable()
            && self.quorums.has_quorum(campaign.granted)
        {
            self.become_leader();
        }
    }

    /// Section 5.4.1: a later last term, or the same and no shorter.
    fn is_up_to_date(&self, last: EntryId) -> bool {
        last >= self.log.last()
    }

    /// Whether a leader is alive as far as we know: then nobody else is elected by us.
    pub(super) fn hears_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_)) || self.now < self.loyal_until
    }

    /// The life of the peer that belongs to the epoch.
    fn member_of(&self, peer: usize) -> Option<MemberId> {
        let link = self.links.get(peer)?;
        Some(MemberId { id: link.id, incarnation: link.incarnation })
    }

    pub(super) fn count_stale(&mut self) {
        count(&mut self.counters.stale);
    }
}
