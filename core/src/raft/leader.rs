//! What a leader does: replicate, count, commit (sections 5.3 and 5.4).

use heapless::Vec;
use rand_core::Rng;

use super::Raft;
use super::invariant::{Violation, invariant};
use super::link::PeerSet;
use super::membership::Half;
use super::progress::{Probe, Progress, Round};
use super::replace::Question;
use super::role::Role;
use super::snapshot::CatchUp;
use super::transfer::Handover;
use crate::log::Memory;
use crate::message::{AppendOutcome, AppendReply};
use crate::options::Timing;
use crate::seal::Seal;
use crate::sort::sort;
use crate::status::count;
use crate::types::{EntryId, Index, Ticks};

/// A leader's own state (figure 2, "volatile state on leaders").
#[derive(Clone, Debug)]
pub(crate) struct Leader<const N: usize> {
    /// By link, in the same order.
    pub(crate) progress: Vec<Progress, N>,
    /// The first entry of our own term: only from here on a quorum's word commits anything.
    /// `NO_ENTRY` while the log has no room for it.
    pub(crate) first: Index,
    pub(crate) heartbeat_at: Ticks,
    /// When to look whether a quorum still answers.
    pub(crate) quorum_at: Ticks,
    /// The read round under way.
    pub(crate) round: Option<Round>,
    /// How many chunks of snapshots may still leave before the next heartbeat.
    pub(crate) chunks_left: u16,
    /// Reads need no round until then.
    pub(crate) lease_until: Ticks,
    /// Whether this leadership was never handed over.
    pub(crate) may_lease: bool,
    /// The transfer of leadership under way.
    pub(crate) handover: Option<Handover>,
    /// Asked of a life that may replace a member.
    pub(crate) question: Option<Question>,
}

impl<const N: usize> Leader<N> {
    /// A leader that knows of nobody yet: see `watch`.
    #[inline]
    pub(crate) fn new(first: Index, now: Ticks, timing: &Timing, chunks: u16) -> Self {
        Self {
            progress: Vec::new(),
            first,
            heartbeat_at: now.plus(timing.heartbeat),
            quorum_at: now.plus(timing.election_min),
            round: None,
            chunks_left: chunks,
            handover: None,
            question: None,
            lease_until: Ticks(0),
            may_lease: true,
        }
    }

    /// Begins to keep account of so many links. It is done where the leader lies: on its way there
    /// it would be on the stack twice, which is the deepest that a small machine gets.
    pub(crate) fn watch(&mut self, links: usize, next: Index, now: Ticks) {
        for _link in 0..links {
            // There is room: the links are in a vector of the same capacity.
            let _room = self.progress.push(Progress::new(next, now));
        }
    }

    /// When the next timer runs out.
    pub(crate) fn deadline(&self) -> Ticks {
        let timers = self.progress.iter().map(|progress| progress.timer.at());
        let handover = self.handover.map_or(Ticks::NEVER, |handover| handover.ends_at);
        timers.fold(self.heartbeat_at.min(self.quorum_at).min(handover), Ticks::min)
    }

    /// Who was heard at or after `since`.
    pub(crate) fn heard_since(&self, since: Ticks) -> PeerSet {
        let mut heard = PeerSet::EMPTY;
        for (peer, progress) in self.progress.iter().enumerate() {
            if progress.heard_at >= since {
                heard.insert(peer);
            }
        }
        heard
    }
}

/// Stands for the first entry of a term while the log has no room for it: no index reaches it.
pub(crate) const NO_ENTRY: Index = Index(u64::MAX);

/// For how many heartbeats after a loss every datagram repeats the one before.
const LOSSY_HEARTBEATS: u64 = 20;

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Takes a follower's answer of our own term.
    pub(super) fn on_append_reply(&mut self, peer: usize, reply: &AppendReply) {
        let last = self.log.last().index;
        let (now, timing) = (self.now, self.options.timing);
        let (Role::Leader(leader), Some(link)) = (&mut self.role, self.links.get(peer)) else {
            return self.count_stale();
        };
        let Some(progress) = leader.progress.get_mut(peer) else { return };
        // Who was let go has nothing to say any more.
        if !self.followers.contains(peer) {
            return self.count_stale();
        }
        if reply.echo == 0 || reply.echo > link.number || is_beyond(reply.outcome, last) {
            return count(&mut self.counters.impossible);
        }
        progress.heard_at = now;
        progress.timer.answered(reply.echo, now);
        match reply.outcome {
            AppendOutcome::Matched(matched) => {
                let has_log = matches!(progress.catch_up, CatchUp::Log);
                let is_news = progress.acknowledge(matched);
                let is_ordered =
                    progress.matched < progress.oldest && progress.oldest <= progress.next;
                invariant!(self, is_ordered, Violation::Progress);
                if !has_log {
                    self.end_transfer(peer, matched);
                }
                self.on_matched(peer, is_news);
            }
            AppendOutcome::Mismatch(hint) if reply.echo > progress.resent_at => {
                progress.lossy_until = lossy_until(now, &timing);
                self.on_mismatch(peer, reply.echo, hint);
            }
            AppendOutcome::Mismatch(_) | AppendOutcome::Stale => {
                count(&mut self.counters.stale);
            }
        }
        if !matches!(reply.outcome, AppendOutcome::Stale) {
            self.confirm_read(peer, reply.echo);
        }
    }

    /// Whether this follower was heard lately and lacks no more than so many bytes of the log, and
    /// nothing that the log has dropped.
    pub(super) fn keeps_up(&self, peer: usize, bytes: usize) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let Some(progress) = leader.progress.get(peer) else { return false };
        let silence = self.now.since(progress.heard_at);
        let lacking = self.log.bytes_between(progress.matched, self.log.last().index);
        matches!(progress.catch_up, CatchUp::Log)
            && progress.matched >= self.log.base().index
            && silence < self.options.timing.election_min
            && lacking <= bytes
    }

    /// The follower has taken something, or at least agrees so far.
    #[inline]
    fn on_matched(&mut self, peer: usize, is_news: bool) {
        let last = self.log.last().index;
        let Timing { retransmit_min, heartbeat, .. } = self.options.timing;
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.progress.get_mut(peer) else { return };
        // While a snapshot is on its way the timer is that of its chunks.
        let has_log = matches!(progress.catch_up, CatchUp::Log);
        if has_log && !progress.has_in_flight() {
            progress.timer.settle();
        } else if has_log && is_news {
            progress.timer.restart(self.now, retransmit_min, heartbeat);
            self.wake = self.wake.min(progress.timer.at());
        }
        if progress.next <= last || leader.handover.is_some() {
            self.sends.insert(peer);
        }
        if is_news && progress.matched > self.commit {
            self.maybe_commit();
        }
    }

    /// The entry before was not there: go back by whole terms (section 5.3, the faster way).
    fn on_mismatch(&mut self, peer: usize, echo: u64, hint: EntryId) {
        count(&mut self.counters.mismatches);
        let agreed = self.log.last_index_at_or_below(hint.index, hint.term);
        let EntryId { term: base_term, index: base } = self.log.base();
        let timing = self.options.timing;
        let Role::Leader(leader) = &mut self.role else { return };
        let (Some(progress), Some(link)) = (leader.progress.get_mut(peer), self.links.get(peer))
        else {
            return;
        };
        if !matches!(progress.catch_up, CatchUp::Log) {
            return;
        }
        // What it holds at our base, if anything, is of an earlier term.
        let lacks_base = hint.index < base || hint.term < base_term;
        if lacks_base && progress.matched < base {
            count(&mut self.counters.too_far_behind);
            return self.begin_transfer(peer);
        }
        let from = agreed.index.max(progress.matched).max(base).next();
        // Where the follower's entry is ours too, the logs agree up to it and entries may flow.
        let probe = if agreed == hint { Probe::No } else { Probe::Ready };
        if from == progress.resent_from && agreed == hint {
            if echo > progress.resent_at.saturating_add(1) {
                // That was sent already, and what followed it is refused: it may be lost again. Alone
                // it has an answer of its own.
                progress.go_back(from, Probe::Ready, link.number);
                self.sends.insert(peer);
                return;
            }
            // That has arrived and was not taken: the timer sends it next.
            progress.go_back(from, Probe::Sent, link.number);
            progress.timer.start(self.now, timing.retransmit_min, timing.heartbeat);
            self.wake = self.wake.min(progress.timer.at());
            return;
        }
        progress.go_back(from.min(progress.next), probe, link.number);
        self.sends.insert(peer);
    }

    /// Commits what a quorum holds durably, if it is of our own term (section 5.4.2); what lies
    /// before it is committed with it.
    ///
    /// Unlike section 5.4.2, it also commits entries of earlier terms that **every** member has
    /// acknowledged in this term: whoever leads a later term is one of them and had the entries
    /// before it went there. Without this, logs that are full of uncommitted entries, with no room
    /// for one of our own, would be full for ever.
    pub(super) fn maybe_commit(&mut self) {
        let Role::Leader(leader) = &self.role else { return };
        let (mut by_quorum, mut by_all) = self.held_by(leader, self.quorums.new);
        if self.quorums.is_joint {
            let (quorum, all) = self.held_by(leader, self.quorums.old);
            (by_quorum, by_all) = (by_quorum.min(quorum), by_all.min(all));
        }
        let commit = if by_quorum >= leader.first { by_quorum } else { by_all };
        if commit > self.commit {
            let is_settled = self.configuration.index <= self.commit;
            self.advance_commit(commit);
            if !is_settled {
                self.tend_configuration();
            }
            self.start_read_round();
        }
        if by_quorum >= self.log.last().index {
            self.begin_term();
        }
    }

    /// How far a majority of this half holds the log durably, and how far all of it.
    #[inline]
    fn held_by(&self, leader: &Leader<N>, half: Half) -> (Index, Index) {
        let own = half.has_us.then_some(self.durability.durable);
        let peers = leader.progress.iter().enumerate();
        let voters = peers.filter(|(peer, _)| half.peers.contains(*peer));
        // Who is no voter holds nothing that counts: index zero, below all others.
        let mut held = [Index::ZERO; N];
        let indices = voters.map(|(_, progress)| progress.matched).chain(own);
        held.iter_mut().zip(indices).for_each(|(held, index)| *held = index);
        sort(&mut held);
        let held_by = |voters| {
            let place = N.checked_sub(voters);
            place.and_then(|place| held.get(place)).copied().unwrap_or_default()
        };
        (held_by(half.quorum()), held_by(half.voters))
    }

    /// What every member holds, as the leader sees it.
    #[inline]
    pub(super) fn held_everywhere(&self, leader: &Leader<N>) -> Index {
        let peers = leader.progress.iter().zip(&self.links);
        let members = peers.filter(|(_, link)| link.is_named);
        let matched = members.map(|(progress, _)| progress.matched);
        matched.fold(self.durability.durable.min(self.commit), Index::min)
    }

    /// Heartbeats that are due, and appends that were not answered in time.
    pub(super) fn on_replication_time(&mut self) {
        let (now, timing) = (self.now, self.options.timing);
        let Role::Leader(leader) = &mut self.role else { return };
        let is_beat = now >= leader.heartbeat_at;
        if is_beat {
            leader.chunks_left = self.options.snapshot_chunks;
            leader.heartbeat_at = now.plus(timing.heartbeat);
            count(&mut self.counters.heartbeats);
        }
        let is_round = leader.round.is_some();
        let peers = leader.progress.iter_mut().zip(&self.links).enumerate();
        let followers = self.followers;
        for (peer, (progress, link)) in peers.filter(|(peer, _)| followers.contains(*peer)) {
            if is_beat {
                progress.beat = true;
                self.sends.insert(peer);
            }
            if now < progress.timer.at() {
                continue;
            }
            progress.timer.stop();
            progress.timer.back_off();
            if let CatchUp::Sending(transfer) = &mut progress.catch_up {
                count(&mut self.counters.retransmissions);
                transfer.start_over(link.number);
                self.chunks.insert(peer);
            }
            if progress.has_in_flight() {
                count(&mut self.counters.retransmissions);
                progress.lossy_until = lossy_until(now, &timing);
                progress.start_over(link.number);
            } else if progress.probe == Probe::Sent {
                progress.probe = Probe::Ready;
            }
            progress.beat |= is_round || !progress.has_in_flight();
            self.sends.insert(peer);
        }
        if is_beat {
            if self.options.lease.is_some() {
                self.start_round();
            }
            self.let_go();
            self.repeat_timeout_now();
            self.tend_configuration();
        }
    }
}

fn lossy_until(now: Ticks, timing: &Timing) -> Ticks {
    now.plus(Ticks(timing.heartbeat.0.saturating_mul(LOSSY_HEARTBEATS)))
}

/// Whether an answer speaks of entries that we have not got.
fn is_beyond(outcome: AppendOutcome, last: Index) -> bool {
    match outcome {
        AppendOutcome::Matched(index) => index > last,
        AppendOutcome::Mismatch(_) | AppendOutcome::Stale => false,
    }
}
