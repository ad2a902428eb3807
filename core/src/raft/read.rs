//! Linearizable reads on any node without the log (ReadIndex, thesis 6.4).
//!
//! Reads are numbered and answered in order, so a node remembers how far they have come and not each
//! of them: any number of reads share one round. The token of a round is the number of the datagrams
//! that leave after it began, which no other round shares.

use rand_core::Rng;

use super::Raft;
use super::link::Owed;
use super::output::Reads;
use super::progress::{Asked, Round};
use super::role::Role;
use crate::log::Memory;
use crate::message::{ReadReply, ReadRequest};
use crate::seal::Seal;
use crate::status::count;
use crate::types::{Index, Ticks};

/// A read, numbered in the order in which they were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReadId(pub u64);

/// Why a read was not begun. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReadError {
    /// No leader is known; try again after an election.
    NoLeader,
    /// The node has failed.
    Failed,
}

/// How far this node's own reads have come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadQueue {
    /// The last read asked for.
    issued: u64,
    /// The last read whose fate has been told.
    told: u64,
    /// Reads up to here have failed.
    failed: u64,
    /// The reads that are under way together, and how far.
    batch: Option<Batch>,
}

#[derive(Clone, Copy, Debug)]
struct Batch {
    upto: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// A leader waits until its round is confirmed.
    Round,
    /// A follower has asked, or will; since the first of these numbers.
    Asked { since: Option<u64>, resend_at: Ticks },
    /// They may be answered when this is applied.
    Confirmed(Index),
}

impl ReadQueue {
    /// Whether reads wait to be taken into a batch.
    fn has_waiting(&self) -> bool {
        self.batch.is_none() && self.issued > self.told.max(self.failed)
    }

    pub(crate) fn resend_at(&self) -> Ticks {
        match self.batch {
            Some(Batch { stage: Stage::Asked { resend_at, .. }, .. }) => resend_at,
            Some(_) | None => Ticks::NEVER,
        }
    }

    /// The request left under this number; an answer to it or to a later one counts.
    pub(crate) fn asked(&mut self, number: u64) {
        if let Some(Batch { stage: Stage::Asked { since, .. }, .. }) = &mut self.batch {
            since.get_or_insert(number);
        }
    }

    /// The queue's content, for fingerprints.
    pub(crate) fn words(&self) -> [u64; 4] {
        let waiting = self.issued.saturating_sub(self.told);
        let failed = self.failed.saturating_sub(self.told);
        match self.batch {
            None => [waiting, failed, 0, 0],
            Some(Batch { upto, stage }) => {
                let upto = upto.saturating_sub(self.told);
                match stage {
                    Stage::Round => [waiting, failed, upto, 1],
                    Stage::Asked { since, .. } => [waiting, failed, upto, 2 + since.unwrap_or(0)],
                    Stage::Confirmed(index) => [waiting, failed, upto, !index.0],
                }
            }
        }
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Asks for a linearizable read of this node's own state.
    ///
    /// When [`Output::Reads`](super::Output::Reads) names this read or a later one as ready, what
    /// was committed before this call has been applied here. Any number of reads may be under way.
    ///
    /// # Errors
    /// [`ReadError`]: nothing has changed.
    pub fn read(&mut self) -> Result<ReadId, ReadError> {
        if self.is_poisoned() {
            return Err(ReadError::Failed);
        }
        if self.leader().is_none() {
            return Err(ReadError::NoLeader);
        }
        self.reads.issued = self.reads.issued.saturating_add(1);
        self.begin_reads();
        Ok(ReadId(self.reads.issued))
    }

    /// Takes the waiting reads into a batch, if none is under way.
    fn begin_reads(&mut self) {
        if !self.reads.has_waiting() {
            return;
        }
        match &self.role {
            Role::Leader(_) => self.start_read_round(),
            Role::Follower(follower) => {
                let Some(peer) = follower.leader else { return };
                let resend_at = self.retry_at();
                let stage = Stage::Asked { since: None, resend_at };
                self.reads.batch = Some(Batch { upto: self.reads.issued, stage });
                self.sends.insert(peer);
                self.arm(resend_at);
            }
            Role::Blank(_) | Role::PreCandidate(_) | Role::Candidate(_) => {}
        }
    }

    /// The leader has not answered in time: ask again.
    pub(super) fn on_read_time(&mut self) {
        let retry_at = self.retry_at();
        let Role::Follower(follower) = &self.role else { return };
        if let Some(Batch { stage: Stage::Asked { resend_at, .. }, .. }) = &mut self.reads.batch
            && self.now >= *resend_at
        {
            *resend_at = retry_at;
            if let Some(peer) = follower.leader {
                self.sends.insert(peer);
            }
        }
    }

    /// A follower asks us for a read index. Its newest question covers the ones before.
    pub(super) fn on_read_request(&mut self, peer: usize, number: u64, request: ReadRequest) {
        let Role::Leader(leader) = &mut self.role else { return self.count_stale() };
        if let Some(progress) = leader.progress.get_mut(peer) {
            progress.asks = Some(Asked { number, nonce: request.nonce });
        }
        self.start_read_round();
    }

    /// Begins a round for every read that waits, unless one is under way. A new leader first commits
    /// an entry of its own: before that it does not know what is committed (section 8).
    pub(super) fn start_read_round(&mut self) {
        let has_own = self.reads.has_waiting();
        let Role::Leader(leader) = &self.role else { return };
        let has_asks = leader.progress.iter().any(|progress| progress.asks.is_some());
        if self.commit < leader.first || !(has_own || has_asks) {
            return;
        }
        if self.has_lease() {
            self.read_under_lease();
        } else {
            self.start_round();
        }
    }

    /// Answers every read that waits from what is committed now.
    fn read_under_lease(&mut self) {
        let index = self.commit;
        let Role::Leader(leader) = &mut self.role else { return };
        for (peer, (progress, link)) in leader.progress.iter_mut().zip(&mut self.links).enumerate()
        {
            if let Some(Asked { number, nonce }) = progress.asks.take() {
                link.reply = Some(Owed::Read { echo: number, nonce, index });
                self.replies.insert(peer);
            }
        }
        if self.reads.has_waiting() {
            let stage = Stage::Confirmed(index);
            self.reads.batch = Some(Batch { upto: self.reads.issued, stage });
        }
        count(&mut self.counters.lease_reads);
    }

    /// Begins a round for every read that waits, unless one is under way.
    pub(super) fn start_round(&mut self) {
        let has_own = self.reads.has_waiting();
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.round.is_some() || self.commit < leader.first {
            return;
        }
        let (index, began) = (self.commit, self.now);
        leader.round = Some(Round { index, began, ..Round::default() });
        count(&mut self.counters.read_rounds);
        for (peer, (progress, link)) in leader.progress.iter_mut().zip(&self.links).enumerate() {
            progress.asked = progress.asks.take();
            progress.round_number = link.number.saturating_add(1);
            if self.followers.contains(peer) {
                progress.beat = true;
                self.sends.insert(peer);
            }
        }
        if has_own {
            self.reads.batch = Some(Batch { upto: self.reads.issued, stage: Stage::Round });
        }
        self.maybe_finish_round();
    }

    /// A follower's answer confirms that we led when it was given.
    #[inline]
    pub(super) fn confirm_read(&mut self, peer: usize, echo: u64) {
        let Role::Leader(leader) = &mut self.role else { return };
        let (Some(round), Some(progress)) = (&mut leader.round, leader.progress.get(peer)) else {
            return;
        };
        if echo >= progress.round_number {
            round.confirmed.insert(peer);
            self.maybe_finish_round();
            self.start_read_round();
        }
    }

    fn maybe_finish_round(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(round) = leader.round else { return };
        if !self.quorums.has_quorum(round.confirmed) {
            return;
        }
        let Role::Leader(leader) = &mut self.role else { return };
        leader.round = None;
        self.renew_lease(round.began);
        let Role::Leader(leader) = &mut self.role else { return };
        for (peer, (progress, link)) in leader.progress.iter_mut().zip(&mut self.links).enumerate()
        {
            if let Some(Asked { number, nonce }) = progress.asked.take() {
                link.reply = Some(Owed::Read { echo: number, nonce, index: round.index });
                self.replies.insert(peer);
            }
        }
        if let Some(batch) = &mut self.reads.batch
            && matches!(batch.stage, Stage::Round)
        {
            batch.stage = Stage::Confirmed(round.index);
        }
    }

    /// The leader has confirmed our question. It also says that this much is committed.
    pub(super) fn on_read_reply(&mut self, peer: usize, reply: ReadReply) {
        let verified = self.verified();
        let Role::Follower(follower) = &self.role else { return self.count_stale() };
        let Some(Batch { stage: stage @ Stage::Asked { .. }, .. }) = &mut self.reads.batch else {
            return self.count_stale();
        };
        let Stage::Asked { since: Some(since), .. } = *stage else { return self.count_stale() };
        if follower.leader != Some(peer) || reply.nonce != self.process || reply.echo < since {
            return self.count_stale();
        }
        *stage = Stage::Confirmed(reply.index);
        self.advance_commit(reply.index.min(verified));
    }

    /// The leader is lost, or we no longer lead: no read that waits can be answered any more.
    pub(super) fn fail_reads(&mut self) {
        let open = self.reads.issued > self.reads.told.max(self.reads.failed);
        if open {
            count(&mut self.counters.reads_failed);
            self.reads.failed = self.reads.issued;
        }
        self.reads.batch = None;
    }

    #[inline]
    pub(super) fn has_finished_reads(&self) -> bool {
        let is_confirmed = match self.reads.batch {
            Some(Batch { stage: Stage::Confirmed(index), .. }) => index <= self.applied,
            Some(_) | None => false,
        };
        is_confirmed || self.reads.failed > self.reads.told
    }

    /// The fate of the reads that have one, oldest first.
    #[inline(never)]
    pub(super) fn take_reads(&mut self) -> Option<Reads> {
        if self.reads.failed > self.reads.told {
            self.reads.told = self.reads.failed;
            return Some(Reads { upto: ReadId(self.reads.told), is_ready: false });
        }
        let batch = self.reads.batch.take()?;
        self.reads.told = batch.upto;
        self.begin_reads();
        Some(Reads { upto: ReadId(batch.upto), is_ready: true })
    }
}
