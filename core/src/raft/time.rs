//! Time is what the embedder says it is: spans in ticks.

use rand_core::Rng;

use super::Raft;
use super::role::Role;
use crate::log::Memory;
use crate::seal::Seal;
use crate::status::count;
use crate::types::Ticks;

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Lets `elapsed` ticks pass. Timeouts that were passed fire now, each once.
    #[inline]
    pub fn tick(&mut self, elapsed: Ticks) {
        self.now = self.now.plus(elapsed);
        if self.now >= self.wake {
            self.on_time();
        }
    }

    /// How many ticks may pass before something is due; `None` when nothing is.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Ticks> {
        let deadline = self.deadline();
        (deadline != Ticks::NEVER && !self.is_poisoned()).then(|| deadline.since(self.now))
    }

    /// Makes sure that `tick` looks again at `deadline`.
    #[inline]
    pub(super) fn arm(&mut self, deadline: Ticks) {
        self.wake = self.wake.min(deadline);
    }

    /// Draws the next election timeout, both ends included, so that a range of two ticks elects too.
    pub(super) fn draw_timeout(&mut self) {
        let timing = &self.options.timing;
        let choices = timing.election_max.since(timing.election_min).0.saturating_add(1);
        // The product's upper half is uniform enough, without a division.
        let wide = u128::from(self.random.next_u64()) * u128::from(choices);
        let drawn = u64::try_from(wide >> 64).unwrap_or(0);
        // Who is to lead rather waits less; nobody waits longer than one more shortest timeout.
        let reluctance = u64::from(100_u8.saturating_sub(self.options.priority));
        let (whole, part) = (timing.election_min.0 / 100, timing.election_min.0 % 100);
        let extra = whole.saturating_mul(reluctance).saturating_add(part * reluctance / 100);
        self.timeout = timing.election_min.plus(Ticks(drawn)).plus(Ticks(extra));
    }

    /// When the next thing is due.
    fn deadline(&self) -> Ticks {
        match &self.role {
            Role::Blank(formation) => formation.resend_at,
            Role::Follower(follower) => {
                let election = follower.since.plus(self.timeout);
                election.min(self.reads.resend_at())
            }
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
                campaign.resend_at.min(campaign.since.plus(self.timeout))
            }
            Role::Leader(leader) => leader.deadline(),
        }
    }

    #[cold]
    fn on_time(&mut self) {
        if self.is_poisoned() {
            self.wake = Ticks::NEVER;
            return;
        }
        match &self.role {
            Role::Blank(formation) if self.now >= formation.resend_at => self.on_hello_time(),
            Role::Follower(follower) => {
                let is_election = self.now >= follower.since.plus(self.timeout);
                if is_election {
                    self.on_election_time();
                } else {
                    self.on_read_time();
                }
            }
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
                if self.now >= campaign.since.plus(self.timeout) {
                    self.on_election_time();
                } else if self.now >= campaign.resend_at {
                    self.on_campaign_time();
                }
            }
            Role::Leader(_) => self.on_leader_time(),
            Role::Blank(_) => {}
        }
        self.wake = self.deadline();
        self.check_invariants();
    }

    /// Who asked for votes asks those again who have not answered.
    fn on_campaign_time(&mut self) {
        let voters = self.quorums.peers();
        let next = self.now.plus(self.options.timing.heartbeat);
        if let Role::PreCandidate(campaign) | Role::Candidate(campaign) = &mut self.role {
            campaign.resend_at = next;
            self.sends = voters.without(campaign.answered);
        }
    }

    /// The leader was silent, or nobody was elected: campaign, if our configuration lets us
    /// (section 5.2). A candidate starts over with a pre-vote, so that its term does not run away.
    fn on_election_time(&mut self) {
        let is_in_vain = !matches!(self.role, Role::Follower(_));
        if self.may_campaign() {
            self.become_pre_candidate();
            if is_in_vain {
                self.look_around();
            }
        } else if self.was_cut_off_forming() {
            self.forget_epoch();
        } else {
            self.become_follower(self.hard.term, None);
            if let Role::Follower(follower) = &mut self.role {
                follower.since = self.now;
            }
            self.look_around();
        }
    }

    /// A leader first asks whether it still leads, then does what is due.
    fn on_leader_time(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        if self.now >= leader.quorum_at {
            let timing = &self.options.timing;
            leader.quorum_at = self.now.plus(timing.election_min);
            let since = self.now.since(timing.election_min);
            // Who is silent may have been started again and not know our tag any more.
            for (progress, link) in leader.progress.iter().zip(&mut self.links) {
                link.inside &= progress.heard_at >= since;
            }
            if !self.quorums.has_quorum(leader.heard_since(since)) {
                count(&mut self.counters.quorums_lost);
                self.become_follower(self.hard.term, None);
                return;
            }
        }
        self.on_replication_time();
        self.on_handover_time();
    }
}
