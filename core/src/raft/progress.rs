//! How far a leader knows a follower to be, and when to send again.

use super::link::PeerSet;
use super::patience::Patience;
use super::snapshot::CatchUp;
use crate::types::{Index, Nonce, Ticks};

/// A leader's view of one follower.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// Its log equals ours up to here, durably. Never falls.
    pub(crate) matched: Index,
    /// The next entry to send. Always above `matched`.
    pub(crate) next: Index,
    /// The first entry that it is not believed to hold: after silence, sending goes on from here.
    /// Above `matched`, not above `next`.
    pub(crate) oldest: Index,
    /// Where the run sent last began: the next datagram may repeat it.
    pub(crate) repeat_from: Index,
    /// While it is not known where the logs agree, or after silence: one datagram at a time.
    pub(crate) probe: Probe,
    /// A refusal of a datagram up to this number was answered by sending again.
    pub(crate) resent_at: u64,
    /// From where that was, until something is acknowledged: a second refusal in a row waits for the
    /// timer, for the follower's log may be full.
    pub(crate) resent_from: Index,
    /// A heartbeat is owed.
    pub(crate) beat: bool,
    /// What it was being sent was taken away: the next transfer is to be waited for.
    pub(crate) is_patience_owed: bool,
    pub(crate) timer: RetransmissionTimer,
    /// Loss was seen: until then every datagram repeats the run before it.
    pub(crate) lossy_until: Ticks,
    /// When it was last heard in this term.
    pub(crate) heard_at: Ticks,
    /// An answer to a datagram from this number on confirms the read round.
    pub(crate) round_number: u64,
    /// Whether the log is enough for it.
    pub(crate) catch_up: CatchUp,
    /// Whether our next snapshot waits for it.
    pub(crate) patience: Patience,
    /// The read request to be answered when the round is confirmed, and the one for the next.
    pub(crate) asked: Option<Asked>,
    pub(crate) asks: Option<Asked>,
}

/// A follower's read request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) number: u64,
    pub(crate) nonce: Nonce,
}

/// Whether entries flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// They flow, as far as the window allows.
    No,
    /// One datagram may be sent.
    Ready,
    /// It was sent; an answer or the timer allows the next.
    Sent,
}

impl Progress {
    /// At the start of a leadership that sends from `next` on: nothing is known.
    pub(crate) const fn new(next: Index, now: Ticks) -> Self {
        Self {
            matched: Index::ZERO,
            next,
            oldest: next,
            repeat_from: next,
            probe: Probe::Ready,
            resent_at: 0,
            resent_from: Index::ZERO,
            beat: false,
            is_patience_owed: false,
            timer: RetransmissionTimer::new(),
            lossy_until: Ticks(0),
            heard_at: now,
            round_number: 0,
            catch_up: CatchUp::Log,
            patience: Patience::NONE,
            asked: None,
            asks: None,
        }
    }

    /// Whether anything sent has not been acknowledged.
    #[inline]
    pub(crate) fn has_in_flight(&self) -> bool {
        self.oldest < self.next
    }

    /// Takes an acknowledgement up to `matched`; true if it is news.
    #[inline]
    pub(crate) fn acknowledge(&mut self, matched: Index) -> bool {
        if matched <= self.matched {
            // A probe that was not taken, for want of room, is sent again by the timer.
            if !self.has_in_flight() {
                self.probe = Probe::No;
            }
            return false;
        }
        self.probe = Probe::No;
        self.resent_from = Index::ZERO;
        self.matched = matched;
        self.oldest = self.oldest.max(matched.next());
        self.next = self.next.max(matched.next());
        true
    }

    /// Sends again from `oldest`, one datagram at a time until it is answered. Refusals of what left
    /// up to `number` are old news then.
    pub(crate) fn start_over(&mut self, number: u64) {
        self.go_back(self.oldest, Probe::Ready, number);
    }

    /// Sends again from this entry, which is above `matched`.
    pub(crate) fn go_back(&mut self, from: Index, probe: Probe, number: u64) {
        self.next = from;
        self.oldest = from;
        self.repeat_from = from;
        self.resent_from = from;
        self.probe = probe;
        self.resent_at = number;
    }
}

/// One timer for each follower: RFC 6298 without its floor of a second, backed off no further than
/// the heartbeat interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetransmissionTimer {
    /// Smoothed round trip, in ticks times eight; zero while nothing was measured.
    smoothed: u64,
    /// Its variation, in ticks times four.
    variation: u64,
    backoff: u32,
    /// The datagram that is being timed, and when it left.
    timed: Option<(u64, Ticks)>,
    at: Ticks,
}

/// So many silences double the wait.
const SILENCES: u32 = 4;

/// No timeout is doubled more often than sixteen times.
const BACKOFF_MAX: u32 = 16 * SILENCES;

impl RetransmissionTimer {
    pub(crate) const fn new() -> Self {
        Self { smoothed: 0, variation: 0, backoff: 0, timed: None, at: Ticks::NEVER }
    }

    pub(crate) const fn at(&self) -> Ticks {
        self.at
    }

    pub(crate) const fn stop(&mut self) {
        self.at = Ticks::NEVER;
    }

    /// All is acknowledged: it stops, and the next one begins without back-off.
    pub(crate) const fn settle(&mut self) {
        self.at = Ticks::NEVER;
        self.backoff = 0;
    }

    /// Something was acknowledged: it begins anew, without back-off.
    #[inline]
    pub(crate) fn restart(&mut self, now: Ticks, floor: Ticks, ceiling: Ticks) {
        self.backoff = 0;
        self.at = now.plus(self.timeout(floor, ceiling));
    }

    /// Begins unless it runs.
    #[inline]
    pub(crate) fn start(&mut self, now: Ticks, floor: Ticks, ceiling: Ticks) {
        if self.at == Ticks::NEVER {
            self.at = now.plus(self.timeout(floor, ceiling));
        }
    }

    /// It ran out: the next wait may be longer.
    pub(crate) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(BACKOFF_MAX);
        self.timed = None;
    }

    /// Times a datagram, if none is being timed.
    #[inline]
    pub(crate) fn sent(&mut self, number: u64, now: Ticks) {
        if self.timed.is_none() {
            self.timed = Some((number, now));
        }
    }

    /// Takes an answer to datagram `echo`. Each datagram has a number of its own, so that a repeated
    /// one is never mistaken for the first (Karn's problem does not arise).
    #[inline]
    pub(crate) fn answered(&mut self, echo: u64, now: Ticks) {
        let Some((number, sent)) = self.timed else { return };
        if echo < number {
            return;
        }
        self.timed = None;
        if echo > number {
            return;
        }
        let sample = now.since(sent).0.max(1);
        if self.smoothed == 0 {
            self.smoothed = sample.saturating_mul(8);
            self.variation = sample.saturating_mul(2);
            return;
        }
        let error = sample.abs_diff(self.smoothed / 8);
        self.variation = (self.variation - self.variation / 4).saturating_add(error);
        self.smoothed = (self.smoothed - self.smoothed / 8).saturating_add(sample);
    }

    /// The smoothed round trip, if one was measured.
    pub(crate) fn round_trip(&self) -> Option<Ticks> {
        (self.smoothed != 0).then_some(Ticks(self.smoothed / 8))
    }

    /// `SRTT + 4 RTTVAR`, between the floor and the ceiling.
    ///
    /// Unlike RFC 6298, only every fourth silence doubles it: where a datagram and its answer are
    /// lost half of the time, doubling at each would make the mean wait as long as the ceiling.
    #[inline]
    fn timeout(&self, floor: Ticks, ceiling: Ticks) -> Ticks {
        if self.smoothed == 0 {
            return ceiling;
        }
        let base = (self.smoothed / 8).saturating_add(self.variation).max(floor.0);
        let factor = 1_u64.checked_shl(self.backoff / SILENCES).unwrap_or(u64::MAX);
        Ticks(base.saturating_mul(factor).min(ceiling.0))
    }
}

/// Who has confirmed the leader since the round began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Round {
    pub(crate) confirmed: PeerSet,
    /// What was committed when it began.
    pub(crate) index: Index,
    /// When it began.
    pub(crate) began: Ticks,
}
