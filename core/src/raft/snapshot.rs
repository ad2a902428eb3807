//! What a leader does for a follower that needs what the log has dropped: it sends the snapshot that
//! its own medium keeps, in chunks (section 7).
//!
//! A transfer has a window of chunks like the log has one of bytes. An answer says which chunk is
//! the first that is missing and which of those behind it are there, so that single losses are
//! mended one by one. After a silence one chunk is tried at a time. All chunks give way to appends
//! and heartbeats, and only so many leave between two heartbeats.

use rand_core::Rng;

use super::Raft;
use super::progress::Probe;
use super::role::Role;
use crate::log::Memory;
use crate::machine::{Full, Sink};
use crate::message::{Chunk, ChunkOutcome, ChunkReply};
use crate::options::Timing;
use crate::seal::Seal;
use crate::snapshot::{Head, SnapshotName, Summary};
use crate::status::count;
use crate::types::{EntryId, Index, Ticks};
use crate::wire::body::{self, Kind};
use crate::wire::writer::Writer;
use crate::wire::{self, FULL_HEADER_BYTES, Header};

/// What a leader does about a follower that the log is of no use to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CatchUp {
    /// Nothing: the log is enough.
    Log,
    /// There is no snapshot that it could be sent.
    Wanting,
    /// It is being sent one.
    Sending(Transfer),
}

/// A snapshot on its way to one follower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) name: SnapshotName,
    /// How many bytes each chunk has, but for the last one.
    pub(crate) chunk_bytes: u16,
    /// How many chunks there are.
    count: u32,
    /// The first chunk that the follower has not got. Never above `next`.
    from: u32,
    /// Which of those from there on it has got, the first one in the lowest bit.
    taken: u64,
    /// The first chunk that was never sent.
    next: u32,
    /// The chunks from `again` to `again_end` are sent once more, unless they were taken.
    again: u32,
    again_end: u32,
    /// Answers to a datagram up to this number say nothing new about what was lost.
    repeated_at: u64,
    /// The newest datagram that was answered.
    answered: u64,
    /// How many chunks may be on their way: one, until one is answered.
    window: u32,
    /// When the follower last took a chunk, or the transfer began.
    news_at: Ticks,
}

/// How many chunks an answer speaks of.
pub(crate) const CHUNK_WINDOW: u32 = u64::BITS;

/// Behind a missing chunk this many may arrive before it counts as lost: datagrams overtake.
const REORDERED: u32 = 3;

impl Transfer {
    /// `None` when the snapshot has more chunks than can be numbered.
    fn new(name: SnapshotName, chunk_bytes: u16, now: Ticks) -> Option<Self> {
        let count = name.length.div_ceil(u64::from(chunk_bytes.max(1)));
        Some(Self {
            name,
            chunk_bytes: chunk_bytes.max(1),
            count: u32::try_from(count).ok()?,
            from: 0,
            taken: 0,
            next: 0,
            again: 0,
            again_end: 0,
            repeated_at: 0,
            answered: 0,
            window: 1,
            news_at: now,
        })
    }

    /// How many chunks there are.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// How many chunks may be on their way where so many bytes may.
    pub(crate) fn window(&self, bytes: usize) -> u32 {
        let window = bytes.checked_div(usize::from(self.chunk_bytes)).unwrap_or(1);
        u32::try_from(window).unwrap_or(u32::MAX).clamp(1, CHUNK_WINDOW)
    }

    /// When the follower last took a chunk, or the transfer began.
    pub(crate) const fn news_at(&self) -> Ticks {
        self.news_at
    }

    /// Whether the follower has taken a chunk.
    pub(crate) const fn has_begun(&self) -> bool {
        self.from > 0 || self.taken > 0
    }

    /// Whether the follower has taken all of them.
    pub(crate) const fn is_whole(&self) -> bool {
        self.from == self.count
    }

    /// How many chunks left and were not taken, and their bytes.
    pub(crate) fn in_flight(&self) -> (u64, usize) {
        let lacking = (self.from..self.next).filter(|chunk| self.lacks(*chunk));
        lacking.fold((0, 0), |(count, bytes), chunk| {
            let (_, length) = self.extent(chunk);
            (u64::saturating_add(count, 1), usize::saturating_add(bytes, length))
        })
    }

    /// The chunk to be sent next, if one may be sent.
    fn due(&self) -> Option<u32> {
        let repeated = (self.again..self.again_end).find(|chunk| self.lacks(*chunk));
        let is_new = self.next < self.count && self.next - self.from < self.window;
        repeated.or_else(|| is_new.then_some(self.next))
    }

    fn lacks(&self, chunk: u32) -> bool {
        let bit = chunk.checked_sub(self.from).and_then(|place| self.taken.checked_shr(place));
        bit.is_none_or(|bits| bits & 1 == 0)
    }

    fn on_sent(&mut self, chunk: u32) {
        let behind = chunk.saturating_add(1);
        if (self.again..self.again_end).contains(&chunk) {
            self.again = behind;
        }
        self.next = self.next.max(behind);
    }

    /// Whether all that left was taken and more is to leave: then there is nothing to wait for.
    const fn is_idle(&self) -> bool {
        self.from == self.next && self.next < self.count
    }

    /// Takes an answer to datagram `echo`; `sent` is the number of the last one that left. True if
    /// it is news.
    fn on_reply(&mut self, echo: u64, upto: u32, taken: u64, sent: u64, window: u32) -> bool {
        if echo <= self.answered || upto > self.count {
            return false;
        }
        self.answered = echo;
        let is_probing = self.window == 1;
        self.window = window;
        let is_news = upto != self.from || taken != self.taken;
        // Who has lost what it had begins anew.
        self.next = if upto < self.from { upto } else { self.next.max(upto) };
        (self.from, self.taken) = (upto, taken);
        (self.again, self.again_end) = (self.again.max(upto), self.again_end.min(self.next));
        // The answered chunk left behind all of those; and after a silence all that left is lost.
        let top = CHUNK_WINDOW - taken.leading_zeros();
        let lost_end = if is_probing { self.next } else { upto.saturating_add(top) };
        let is_lost = is_probing || top > REORDERED;
        if is_lost && echo > self.repeated_at && lost_end > upto {
            (self.again, self.again_end) = (upto, lost_end.min(self.next));
            self.repeated_at = sent;
        }
        is_news
    }

    /// Nothing was heard: the first missing chunk goes again, alone; or the last one, if it is not
    /// known what became of the whole.
    pub(crate) fn start_over(&mut self, sent: u64) {
        let first = self.from.min(self.count.saturating_sub(1));
        (self.again, self.again_end) = (first, first.saturating_add(1));
        self.repeated_at = sent;
        self.window = 1;
    }

    /// Where a chunk begins, and how many bytes it has.
    fn extent(&self, chunk: u32) -> (u64, usize) {
        self.name.chunk_extent(self.chunk_bytes, chunk)
    }

    /// The content, for fingerprints.
    pub(crate) fn words(&self) -> [u64; 6] {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let Self { name, from, taken, next, again, again_end, window, .. } = self;
        let newest = self.answered.max(self.repeated_at);
        [
            name.last.index.0,
            *taken,
            pair(*from, *next),
            pair(*again, *again_end),
            newest,
            u64::from(*window),
        ]
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Writes what a snapshot of the applied state begins with; sessions and state follow.
    ///
    /// # Errors
    /// `Full` when the sink takes no more, or nothing is applied yet.
    pub fn write_snapshot_head<K: Sink + ?Sized>(&self, sink: &mut K) -> Result<(), Full> {
        let last = self.applied_entry().ok_or(Full)?;
        let configuration = self.configuration_at(last.index);
        Head { epoch: self.hard.epoch, last, configuration }.write(sink)
    }

    /// The last entry applied.
    #[must_use]
    pub fn applied_entry(&self) -> Option<EntryId> {
        let term = self.log.term_at(self.applied)?;
        (term.0 > 0).then_some(EntryId { term, index: self.applied })
    }

    /// Whether a follower waits for a snapshot and none is kept that could be sent.
    #[inline]
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        self.is_snapshot_wanted && self.is_anybody_waiting()
    }

    fn is_anybody_waiting(&self) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        leader.progress.iter().any(|progress| matches!(progress.catch_up, CatchUp::Wanting))
            && self.now >= self.snapshot_retry_at
            && self.applied_entry().is_some()
    }

    /// Whether a snapshot is on its way to some follower that was heard lately: a new one would make
    /// it begin anew.
    #[must_use]
    pub fn is_sending_snapshot(&self) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let since = self.now.since(self.options.timing.election_min);
        leader.progress.iter().any(|progress| {
            matches!(progress.catch_up, CatchUp::Sending(_)) && progress.heard_at >= since
        })
    }

    /// The medium keeps a snapshot of the entries up to `last`, which was the last one applied.
    pub fn snapshot_saved(&mut self, last: EntryId, summary: Summary) {
        let Summary { length, checksum } = summary;
        if last.index > self.applied || length == 0 {
            return;
        }
        count(&mut self.counters.snapshots_saved);
        self.is_snapshot_wanted = false;
        self.snapshot = Some(SnapshotName { last, length, checksum });
        let followers = self.followers;
        for peer in (0..self.links.len()).filter(|peer| followers.contains(*peer)) {
            let Role::Leader(leader) = &self.role else { return };
            let Some(progress) = leader.progress.get(peer) else { continue };
            match progress.catch_up {
                CatchUp::Log => {}
                CatchUp::Wanting => self.begin_transfer(peer),
                CatchUp::Sending(transfer) => self.send_anew(peer, transfer.has_begun()),
            }
        }
    }

    /// The medium has no room for a snapshot, and keeps none now. One is wanted again after a while.
    pub fn snapshot_refused(&mut self) {
        count(&mut self.counters.snapshots_refused);
        self.snapshot = None;
        self.snapshot_retry_at = self.now.plus(self.options.timing.election_max);
        let Role::Leader(leader) = &mut self.role else { return };
        for progress in &mut leader.progress {
            if let CatchUp::Sending(_) = progress.catch_up {
                self.is_snapshot_wanted = true;
                progress.catch_up = CatchUp::Wanting;
            }
        }
    }

    /// The follower lacks what the log has dropped: it gets a snapshot.
    pub(super) fn begin_transfer(&mut self, peer: usize) {
        let base = self.log.base().index;
        let name = self.snapshot.filter(|name| name.last.index >= base);
        let Some(link) = self.links.get(peer) else { return };
        let chunk_bytes = self.chunk_bytes(link.datagram);
        let (number, now) = (link.number, self.now);
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.progress.get_mut(peer) else { return };
        let transfer = name.and_then(|name| Transfer::new(name, chunk_bytes, now));
        progress.catch_up = transfer.map_or(CatchUp::Wanting, CatchUp::Sending);
        self.is_snapshot_wanted |= matches!(progress.catch_up, CatchUp::Wanting);
        let next = name.map_or(base, |name| name.last.index).next();
        progress.go_back(next.max(progress.matched.next()), Probe::Ready, number);
        progress.timer.settle();
        if name.is_some() {
            count(&mut self.counters.snapshots_sent);
            self.chunks.insert(peer);
        }
    }

    /// The log has been dropped up to its base: who needs what is gone gets a snapshot.
    pub(super) fn catch_up_stragglers(&mut self) {
        let (base, followers) = (self.log.base().index, self.followers);
        for peer in (0..self.links.len()).filter(|peer| followers.contains(*peer)) {
            let Role::Leader(leader) = &self.role else { return };
            let Some(progress) = leader.progress.get(peer) else { continue };
            let silence = self.now.since(progress.heard_at);
            match progress.catch_up {
                CatchUp::Log if progress.next <= base => {
                    let is_heard = silence < self.options.timing.election_min;
                    self.send_anew(peer, is_heard && progress.matched > Index::ZERO);
                }
                CatchUp::Sending(transfer) if transfer.name.last.index < base => {
                    self.send_anew(peer, transfer.has_begun());
                }
                CatchUp::Log | CatchUp::Wanting | CatchUp::Sending(_) => {}
            }
        }
    }

    /// What was under way to the follower is of no use any more; was it taking that?
    fn send_anew(&mut self, peer: usize, was_taking: bool) {
        self.begin_transfer(peer);
        if was_taking {
            self.owe_patience(peer);
        }
    }

    /// How many bytes of a snapshot fit a datagram of this size.
    fn chunk_bytes(&self, datagram: u16) -> u16 {
        let overhead = FULL_HEADER_BYTES + Chunk::FIELDS_MAX + S::BYTES;
        let overhead = u16::try_from(overhead).unwrap_or(u16::MAX);
        datagram.min(self.options.datagram).saturating_sub(overhead).max(1)
    }

    /// The next follower that a chunk may be sent to.
    #[inline]
    pub(super) fn next_chunk(&self) -> Option<usize> {
        let Role::Leader(leader) = &self.role else { return None };
        if leader.chunks_left == 0 { None } else { self.chunks.first() }
    }

    /// The chunk that is due, if there is one; else none is owed to this peer any more.
    pub(super) fn due_chunk(&mut self, peer: usize) -> Option<(SnapshotName, u32, u64, usize)> {
        let due = match &self.role {
            Role::Leader(leader) => match leader.progress.get(peer)?.catch_up {
                CatchUp::Sending(transfer) => transfer.due().map(|chunk| (transfer, chunk)),
                CatchUp::Log | CatchUp::Wanting => None,
            },
            Role::Blank(_) | Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => None,
        };
        let Some((transfer, chunk)) = due else {
            self.chunks.remove(peer);
            return None;
        };
        let (offset, length) = transfer.extent(chunk);
        Some((transfer.name, chunk, offset, length))
    }

    /// Writes a chunk whose bytes `fill` puts in place; true when it did.
    pub(super) fn write_chunk(
        &mut self,
        peer: usize,
        buffer: &mut [u8],
        fill: impl FnOnce(u64, &mut [u8]) -> bool,
    ) -> Option<usize> {
        let (name, number, offset, length) = self.due_chunk(peer)?;
        let term = self.hard.term;
        let link = self.links.get(peer)?;
        let Role::Leader(leader) = &self.role else { return None };
        let CatchUp::Sending(transfer) = leader.progress.get(peer)?.catch_up else { return None };
        let chunk_bytes = transfer.chunk_bytes;
        let header = Header { number: link.number.saturating_add(1), route: self.route(link) };
        let write = |writer: &mut Writer<'_>| {
            let head = Chunk { term, name, chunk_bytes, number, bytes: &[] };
            body::write_chunk_head(&head, writer)?;
            fill(offset, writer.room(length)?).then_some(())
        };
        let written = wire::encode_with(&header, Kind::Chunk, &self.seal, buffer, write);
        if self.next_number(peer).is_none() || written.is_none() {
            self.chunks.remove(peer);
            return None;
        }
        self.on_chunk_sent(peer, header.number, number);
        written
    }

    fn on_chunk_sent(&mut self, peer: usize, number: u64, chunk: u32) {
        let (now, Timing { heartbeat, retransmit_min, .. }) = (self.now, self.options.timing);
        let Role::Leader(leader) = &mut self.role else { return };
        leader.chunks_left = leader.chunks_left.saturating_sub(1);
        let Some(progress) = leader.progress.get_mut(peer) else { return };
        let CatchUp::Sending(transfer) = &mut progress.catch_up else { return };
        transfer.on_sent(chunk);
        let has_more = transfer.due().is_some();
        progress.timer.sent(number, now);
        progress.timer.start(now, retransmit_min, heartbeat);
        self.wake = self.wake.min(progress.timer.at());
        count(&mut self.counters.chunks_sent);
        if !has_more {
            self.chunks.remove(peer);
        }
    }

    /// Takes a follower's answer of our own term to a chunk.
    pub(super) fn on_chunk_reply(&mut self, peer: usize, reply: &ChunkReply) {
        let base = self.log.base().index;
        let (now, window) = (self.now, self.options.window_bytes);
        let Timing { heartbeat, retransmit_min, .. } = self.options.timing;
        let (Role::Leader(leader), Some(link)) = (&mut self.role, self.links.get(peer)) else {
            return self.count_stale();
        };
        let Some(progress) = leader.progress.get_mut(peer) else { return };
        if !self.followers.contains(peer) {
            return self.count_stale();
        }
        if reply.echo == 0 || reply.echo > link.number {
            return count(&mut self.counters.impossible);
        }
        progress.heard_at = now;
        progress.timer.answered(reply.echo, now);
        if matches!(progress.catch_up, CatchUp::Log)
            && progress.matched < base
            && reply.echo > progress.resent_at
        {
            // It gathers what another leadership, or another beginning of this one, was sending.
            return self.begin_transfer(peer);
        }
        let CatchUp::Sending(transfer) = &mut progress.catch_up else { return self.count_stale() };
        if transfer.name.last.index != reply.last {
            return self.count_stale();
        }
        match reply.outcome {
            ChunkOutcome::Taken { upto, taken } => {
                let window = transfer.window(window);
                let is_first = !transfer.has_begun();
                let is_news = transfer.on_reply(reply.echo, upto, taken, link.number, window);
                if is_news {
                    transfer.news_at = now;
                }
                let begun = (is_first && is_news).then_some(*transfer);
                // Until the follower says that it has installed the snapshot it is asked.
                if transfer.is_idle() {
                    progress.timer.settle();
                } else if is_news {
                    progress.timer.restart(now, retransmit_min, heartbeat);
                    self.wake = self.wake.min(progress.timer.at());
                }
                self.chunks.insert(peer);
                if let Some(transfer) = begun {
                    self.wait_for(peer, &transfer);
                }
            }
            // It has no room for it. It is asked again when the timer runs out, and may have then.
            ChunkOutcome::TooLarge => {
                transfer.start_over(link.number);
                progress.timer.stop();
                progress.timer.back_off();
                progress.timer.start(now, retransmit_min, heartbeat);
                progress.patience.until = Ticks(0);
                self.wake = self.wake.min(progress.timer.at());
                self.chunks.remove(peer);
                count(&mut self.counters.snapshots_unwanted);
            }
        }
        self.confirm_read(peer, reply.echo);
    }

    /// The follower holds the log up to `matched`, durably: what is kept is enough for it.
    #[inline]
    pub(super) fn end_transfer(&mut self, peer: usize, matched: Index) {
        let base = self.log.base().index;
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.progress.get_mut(peer) else { return };
        if !matches!(progress.catch_up, CatchUp::Log) && matched >= base {
            progress.catch_up = CatchUp::Log;
            progress.probe = Probe::No;
            progress.next = matched.next();
            progress.oldest = progress.next;
            progress.timer.settle();
            self.chunks.remove(peer);
        }
    }
}
