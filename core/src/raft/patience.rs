//! How long a full log waits for a follower that is being sent a snapshot.
//!
//! Where commands fill the log faster than a snapshot is sent, the leader's next snapshot takes the
//! place of the one on its way, which begins anew, and so for ever. So when that has happened once,
//! the next snapshot waits: commands find the log full meanwhile. It waits only while the follower
//! takes what it is sent, no longer than a span that is known when the transfer begins, and then not
//! for that follower again for eight times as long.

use rand_core::Rng;

use super::Raft;
use super::progress::Progress;
use super::role::Role;
use super::snapshot::{CatchUp, Transfer};
use crate::log::Memory;
use crate::seal::Seal;
use crate::status::count;
use crate::types::Ticks;

/// What a leader has for a follower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until when our next snapshot waits.
    pub(crate) until: Ticks,
    /// From when on it may be waited for again. Not before `until`.
    pub(crate) again_from: Ticks,
}

impl Patience {
    pub(crate) const NONE: Self = Self { until: Ticks(0), again_from: Ticks(0) };
}

/// So many times as long as a follower was waited for it is not waited for again.
const PAUSE: u64 = 8;

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// What is under way to the follower is of no use any more, and it was taking that.
    pub(super) fn owe_patience(&mut self, peer: usize) {
        count(&mut self.counters.transfers_cut_short);
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(progress) = leader.progress.get_mut(peer) {
            progress.is_patience_owed = true;
        }
    }

    /// The follower takes the first chunks of a transfer: if that is owed, our next snapshot waits
    /// for it from now on, unless one did lately.
    pub(super) fn wait_for(&mut self, peer: usize, transfer: &Transfer) {
        let (now, span) = (self.now, self.transfer_span(peer, transfer));
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.progress.get_mut(peer) else { return };
        if progress.is_patience_owed && now >= progress.patience.again_from {
            let until = now.plus(span);
            let again_from = until.plus(Ticks(span.0.saturating_mul(PAUSE)));
            progress.is_patience_owed = false;
            progress.patience = Patience { until, again_from };
            count(&mut self.counters.transfers_awaited);
        }
    }

    /// Twice the time that a transfer takes at its pace and the whole log at a window for each round
    /// trip, and the longest election timeout. A round trip counts as a heartbeat at most.
    fn transfer_span(&self, peer: usize, transfer: &Transfer) -> Ticks {
        let timing = &self.options.timing;
        let Role::Leader(leader) = &self.role else { return timing.election_max };
        let round_trip = leader.progress.get(peer).and_then(|progress| progress.timer.round_trip());
        let round_trip = round_trip.unwrap_or(timing.heartbeat).min(timing.heartbeat).0;
        let behind = |progress: &&Progress| !matches!(progress.catch_up, CatchUp::Log);
        let sharing = leader.progress.iter().filter(behind).count();
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        // So many times so long, at so many at a time.
        let span = |amount: u64, each: u64, at_a_time: u64| {
            amount.saturating_mul(each).checked_div(at_a_time).unwrap_or(u64::MAX)
        };
        let window = self.options.window_bytes;
        let chunks = u64::from(transfer.count());
        let quota = u64::from(self.options.snapshot_chunks);
        let at_quota = span(chunks.saturating_mul(wide(sharing)), timing.heartbeat.0, quota);
        let at_window = span(chunks, round_trip, u64::from(transfer.window(window)));
        let log = span(wide(self.log.capacity_bytes()), round_trip, wide(window));
        let expected = at_quota.max(at_window).saturating_add(log);
        timing.election_max.plus(Ticks(expected.saturating_mul(2)))
    }

    /// Whether our next snapshot, which the log has need of, waits for a follower: one that is being
    /// sent the one before, or the entries behind that, and takes them. A leader that has committed
    /// nothing of its own term waits for nobody.
    pub(super) fn is_waiting_for_follower(&self) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        if self.commit < leader.first {
            return false;
        }
        let mut awaited = leader.progress.iter().enumerate().filter(|(peer, progress)| {
            self.followers.contains(*peer) && self.now < progress.patience.until
        });
        awaited.any(|(_, progress)| {
            let is_late = |heard: Ticks| self.now.since(heard) >= self.options.timing.election_min;
            match &progress.catch_up {
                // Who has all of it installs it, and may be silent meanwhile.
                CatchUp::Sending(transfer) => {
                    transfer.is_whole() || transfer.has_begun() && !is_late(transfer.news_at())
                }
                CatchUp::Log => {
                    !is_late(progress.heard_at) && progress.matched < self.base_behind_snapshot()
                }
                CatchUp::Wanting => false,
            }
        })
    }
}
