//! The roles, each with the state that is its own, and the ways from one to another (figure 4).

use rand_core::Rng;

use super::Raft;
use super::formation::Formation;
use super::leader::{Leader, NO_ENTRY};
use super::link::PeerSet;
use crate::log::{EntryKind, Memory};
use crate::seal::Seal;
use crate::status::{RoleName, count};
use crate::types::{Index, NodeId, Term, Ticks};

/// What a node is, with what only that has.
#[derive(Clone, Debug)]
pub(crate) enum Role<const N: usize> {
    /// In no epoch.
    Blank(Formation),
    Follower(Follower),
    /// Asks whether it would be elected (thesis 9.6).
    PreCandidate(Campaign),
    Candidate(Campaign),
    Leader(Leader<N>),
}

/// A follower's own state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Follower {
    /// The link of the leader, once it was heard in this term.
    pub(crate) leader: Option<usize>,
    /// When the election timeout began: the leader was heard, or a vote was granted.
    pub(crate) since: Ticks,
    /// The log equals the leader's up to here; never below what is committed.
    pub(crate) verified: Index,
    /// The newest of the leader's appends, by its number on the link.
    pub(crate) newest: u64,
}

impl Follower {
    /// Follows from now on; the log agrees with the leader's up to `verified`.
    pub(crate) const fn new(leader: Option<usize>, since: Ticks, verified: Index) -> Self {
        Self { leader, since, verified, newest: 0 }
    }
}

/// The state of who asks for votes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Campaign {
    /// Who granted, by link; our own vote is not in it.
    pub(crate) granted: PeerSet,
    /// Who answered at all, and need not be asked again.
    pub(crate) answered: PeerSet,
    pub(crate) since: Ticks,
    /// When those who have not answered are asked again.
    pub(crate) resend_at: Ticks,
    /// Whether the leader told us to stand.
    pub(crate) is_handover: bool,
}

impl<const N: usize> Role<N> {
    pub(crate) const fn name(&self) -> RoleName {
        match self {
            Self::Blank(_) => RoleName::Blank,
            Self::Follower(_) => RoleName::Follower,
            Self::PreCandidate(_) => RoleName::PreCandidate,
            Self::Candidate(_) => RoleName::Candidate,
            Self::Leader(_) => RoleName::Leader,
        }
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// The leader of the term, if it is known.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Leader(_) => Some(self.options.id),
            Role::Follower(follower) => {
                follower.leader.and_then(|peer| self.links.get(peer)).map(|link| link.id)
            }
            Role::Blank(_) | Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// Follows in `term`, which is not below ours. A new term forgets the vote and every reply owed.
    ///
    /// The election timeout goes on if we were a follower already: only the leader's voice and a
    /// granted vote begin it anew (section 5.2).
    pub(super) fn become_follower(&mut self, term: Term, leader: Option<usize>) {
        let since = match &self.role {
            Role::Follower(follower) => follower.since,
            Role::Blank(_) | Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {
                self.draw_timeout();
                self.now
            }
        };
        if term > self.hard.term {
            self.hard.term = term;
            self.hard.vote = None;
            self.durability.hard_changed();
            self.forget_replies();
            self.incoming = None;
        }
        self.role = Role::Follower(Follower::new(leader, since, self.commit));
        self.sends = PeerSet::EMPTY;
        self.fail_reads();
        self.arm(since.plus(self.timeout));
    }

    /// Asks everybody whether they would elect us, changing nothing (thesis 9.6).
    pub(super) fn become_pre_candidate(&mut self) {
        count(&mut self.counters.pre_elections);
        let campaign = self.begin_campaign(false);
        self.role = Role::PreCandidate(campaign);
        self.count_pre_votes();
    }

    /// Enters a new term, votes for itself and asks the others (section 5.2). The last term has no
    /// successor: then nothing happens.
    pub(super) fn become_candidate(&mut self, is_handover: bool) {
        let term = self.hard.term.next();
        if term == self.hard.term {
            return;
        }
        self.hard.term = term;
        self.hard.vote = Some(self.member());
        self.durability.hard_changed();
        count(&mut self.counters.elections);
        let campaign = self.begin_campaign(is_handover);
        self.role = Role::Candidate(campaign);
        self.count_votes();
    }

    fn begin_campaign(&mut self, is_handover: bool) -> Campaign {
        self.draw_timeout();
        self.forget_replies();
        self.fail_reads();
        // A voter that was started again may not know our tag any more.
        self.links.iter_mut().for_each(|link| link.inside = false);
        let resend_at = self.now.plus(self.options.timing.heartbeat);
        self.sends = self.quorums.peers();
        self.arm(resend_at);
        self.arm(self.now.plus(self.timeout));
        let (granted, answered) = (PeerSet::EMPTY, PeerSet::EMPTY);
        Campaign { granted, answered, since: self.now, resend_at, is_handover }
    }

    /// Leads the term: the log gets an entry of its own term, by which older ones are committed
    /// (section 5.4.2, section 8). Without room for it the last entry there is tells where the logs
    /// agree, and what all members hold is committed, until there is room.
    pub(super) fn become_leader(&mut self) {
        let last = self.log.last().index;
        let begun = if self.log.has_room_for_terms() { self.append_noop() } else { None };
        match begun {
            Some(first) => self.lead_from(first, first),
            None => self.lead_from(last, NO_ENTRY),
        }
    }

    /// Appends the first entry of our own term as soon as there is room for it, or a quorum has what
    /// is before.
    pub(super) fn begin_term(&mut self) {
        let is_missing = matches!(&self.role, Role::Leader(leader) if leader.first == NO_ENTRY);
        if is_missing
            && let Some(first) = self.append_noop()
            && let Role::Leader(leader) = &mut self.role
        {
            leader.first = first;
            self.sends = self.sends.with(self.followers);
        }
    }

    fn append_noop(&mut self) -> Option<Index> {
        let appended = self.log.append(self.hard.term, EntryKind::Noop, &[]);
        if appended.is_err() {
            count(&mut self.counters.log_full);
            self.log.press();
        }
        appended.ok().map(|entry| entry.index)
    }

    /// Leads the term, whose first entry of our own is at `first` and already in the log, or is not
    /// there yet. The others get the entries from `next` on.
    pub(super) fn lead_from(&mut self, next: Index, first: Index) {
        count(&mut self.counters.leaderships);
        self.fail_reads();
        self.forget_replies();
        self.drop_evidence();
        let chunks = self.options.snapshot_chunks;
        self.role = Role::Leader(Leader::new(first, self.now, &self.options.timing, chunks));
        if let Role::Leader(leader) = &mut self.role {
            leader.watch(self.links.len(), next, self.now);
        }
        self.chunks = PeerSet::EMPTY;
        self.sends = self.followers;
        self.arm(self.now.plus(self.options.timing.heartbeat));
        self.maybe_commit();
    }
}
