//! Datagrams, built when they are polled, straight into the caller's buffer.

use rand_core::Rng;

use super::Raft;
use super::election::Granted;
use super::invariant::{Violation, invariant};
use super::link::{Link, Owed};
use super::progress::{Probe, Progress};
use super::role::Role;
use super::snapshot::CatchUp;
use crate::log::Memory;
use crate::message::{
    Append, AppendOutcome, AppendReply, BootReply, ChunkOutcome, ChunkReply, HelloReply, Message,
    ReadReply, ReadRequest, VoteReply, VoteRequest,
};
use crate::seal::Seal;
use crate::status::count;
use crate::types::{EntryId, Epoch, Incarnation, Index, Ticks};
use crate::varint;
use crate::wire::body::{self, Kind};
use crate::wire::writer::Writer;
use crate::wire::{self, FULL_HEADER_BYTES, HEADER_BYTES, Header, MAX_NUMBER, Route};

/// The most that an append's own fields take: five varints.
const APPEND_FIELDS: usize = 5 * varint::MAX_BYTES;

/// What an append may need beside its entries, in the longest form of address.
pub(super) const fn append_overhead<S: Seal>() -> usize {
    FULL_HEADER_BYTES + APPEND_FIELDS + S::BYTES
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Writes what is owed to a peer that acknowledges nothing.
    #[inline]
    pub(super) fn write_send(&mut self, peer: usize, buffer: &mut [u8]) -> Option<usize> {
        match &self.role {
            Role::Leader(leader) if leader.handover.is_some() && self.owes_timeout_now(peer) => {
                self.write_timeout_now(peer, buffer)
            }
            Role::Leader(_) => self.write_append(peer, buffer),
            Role::PreCandidate(_) | Role::Candidate(_) => self.write_vote_request(peer, buffer),
            Role::Blank(_) => self.write_hello(peer, buffer),
            Role::Follower(_) => self.write_read_request(peer, buffer),
        }
    }

    /// Seals a message to a peer in the epoch.
    pub(super) fn seal(
        &mut self,
        peer: usize,
        message: &Message<'_>,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let route = self.route(self.links.get(peer)?);
        self.seal_to(peer, route, message, buffer)
    }

    /// Seals a message, under the link's next number.
    pub(super) fn seal_to(
        &mut self,
        peer: usize,
        route: Route,
        message: &Message<'_>,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let number = self.next_number(peer)?;
        wire::encode(&Header { number, route }, message, &self.seal, buffer)
    }

    /// Seals the answer to an append, of which every command has some.
    #[inline]
    fn seal_append_reply(
        &mut self,
        peer: usize,
        reply: &AppendReply,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let number = self.next_number(peer)?;
        let route = self.route(self.links.get(peer)?);
        let write = |writer: &mut Writer<'_>| body::write_append_reply(reply, writer);
        wire::encode_with(&Header { number, route }, Kind::AppendReply, &self.seal, buffer, write)
    }

    #[inline]
    pub(super) fn next_number(&mut self, peer: usize) -> Option<u64> {
        let link = self.links.get_mut(peer)?;
        link.number = link.number.saturating_add(1);
        let number = link.number;
        invariant!(self, number <= MAX_NUMBER, Violation::NumbersExhausted);
        (number <= MAX_NUMBER).then_some(number)
    }

    /// Writes an append with as many entries as fit, or a heartbeat.
    #[inline]
    fn write_append(&mut self, peer: usize, buffer: &mut [u8]) -> Option<usize> {
        let link = self.links.get(peer)?;
        let Role::Leader(leader) = &self.role else { return None };
        let progress = leader.progress.get(peer)?;
        let (from, may_send) = self.first_to_send(link, progress);
        let limit = self.run_limit(link, buffer.len());
        let (from, run, upto) = match self.log.run(from, limit) {
            _ if !may_send => (from, &[][..], from),
            // Where the ring wraps a repeated run may end before what is new.
            (_, upto) if upto < progress.next && from < progress.next => {
                let (run, upto) = self.log.run(progress.next, limit);
                (progress.next, run, upto)
            }
            (run, upto) => (from, run, upto),
        };
        let has_entries = !run.is_empty();
        if !has_entries && !progress.beat {
            self.sends.remove(peer);
            return None;
        }
        let base = self.log.base().index;
        let prev = if has_entries { from.previous() } else { progress.matched.max(base) };
        let Some(term) = self.log.term_at(prev) else {
            self.poison(Violation::MissingEntry);
            return None;
        };
        let append = Append {
            term: self.hard.term,
            prev: EntryId { term, index: prev },
            commit: self.commit,
            everywhere: self.held_everywhere(leader),
            run,
        };
        let number = link.number.saturating_add(1);
        let header = Header { number, route: self.route(link) };
        let write = |writer: &mut Writer<'_>| body::write_append(&append, writer);
        let written = wire::encode_with(&header, Kind::Append, &self.seal, buffer, write);
        if self.next_number(peer).is_none() || written.is_none() {
            // What cannot be written is not owed any more, lest it be offered for ever.
            self.sends.remove(peer);
            return None;
        }
        let length = written?;
        self.on_append_sent(peer, number, has_entries.then_some((from, upto)));
        Some(length)
    }

    /// Where the next datagram to a follower begins, and whether entries may be sent at all.
    ///
    /// While loss was seen lately, all that was not acknowledged is sent again if it is short, or
    /// else the run before; and so is that when nothing else is on its way. Then this datagram heals
    /// the loss of those.
    #[inline]
    fn first_to_send(&self, link: &Link, progress: &Progress) -> (Index, bool) {
        let next = progress.next;
        if !matches!(progress.catch_up, CatchUp::Log) {
            return (next, false);
        }
        let is_behind = next <= self.log.last().index;
        if !progress.has_in_flight() {
            return (next, is_behind && progress.probe != Probe::Sent);
        }
        let may_send = match progress.probe {
            Probe::Ready => is_behind,
            Probe::Sent => false,
            Probe::No => {
                let in_flight = self.log.bytes_between(progress.oldest.previous(), next.previous());
                is_behind && in_flight < self.options.window_bytes
            }
        };
        if !may_send {
            return (next, may_send);
        }
        let short = usize::from(link.datagram) / 4;
        let is_short =
            |from: Index| self.log.bytes_between(from.previous(), next.previous()) <= short;
        let again = progress.repeat_from.max(progress.oldest).max(self.log.first());
        let is_lossy = self.now < progress.lossy_until;
        let is_alone = again == progress.oldest;
        if is_lossy && is_short(progress.oldest) {
            (progress.oldest, true)
        } else if (is_lossy || is_alone) && is_short(again) {
            (again, true)
        } else {
            (next, true)
        }
    }

    /// How many bytes of entries fit a datagram to this peer.
    #[inline]
    fn run_limit(&self, link: &Link, buffer: usize) -> usize {
        let header = if link.inside { HEADER_BYTES } else { FULL_HEADER_BYTES };
        let overhead = header + APPEND_FIELDS + S::BYTES;
        usize::from(link.datagram).min(buffer).saturating_sub(overhead)
    }

    /// Notes what is on its way now.
    #[inline]
    fn on_append_sent(&mut self, peer: usize, number: u64, sent: Option<(Index, Index)>) {
        let last = self.log.last().index;
        let (now, timing) = (self.now, self.options.timing);
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.progress.get_mut(peer) else { return };
        progress.beat = false;
        if let Some((from, upto)) = sent {
            if from < progress.next {
                count(&mut self.counters.repeats);
            }
            progress.repeat_from = progress.next;
            progress.next = upto.next();
            if progress.probe == Probe::Ready {
                progress.probe = Probe::Sent;
            }
        }
        if sent.is_some() || leader.round.is_some() {
            progress.timer.sent(number, now);
            progress.timer.start(now, timing.retransmit_min, timing.heartbeat);
            self.wake = self.wake.min(progress.timer.at());
        }
        // Whether more may be sent is asked again; that ends, since each answer sends something.
        if sent.is_none() || progress.next > last {
            self.sends.remove(peer);
        }
    }

    fn write_vote_request(&mut self, peer: usize, buffer: &mut [u8]) -> Option<usize> {
        self.sends.remove(peer);
        let last = self.log.last();
        let message = match &self.role {
            Role::PreCandidate(_) => {
                let term = self.hard.term.next();
                Message::PreVote(VoteRequest { term, last, is_handover: false })
            }
            Role::Candidate(campaign) => {
                let (term, is_handover) = (self.hard.term, campaign.is_handover);
                Message::Vote(VoteRequest { term, last, is_handover })
            }
            Role::Blank(_) | Role::Follower(_) | Role::Leader(_) => return None,
        };
        self.seal(peer, &message, buffer)
    }

    fn write_read_request(&mut self, peer: usize, buffer: &mut [u8]) -> Option<usize> {
        self.sends.remove(peer);
        let request = ReadRequest { term: self.hard.term, nonce: self.process };
        let length = self.seal(peer, &Message::ReadRequest(request), buffer)?;
        let number = self.links.get(peer)?.number;
        self.reads.asked(number);
        Some(length)
    }

    /// Writes the reply that is owed to a peer. Replies of the epoch are built from what is so now.
    pub(super) fn write_reply(&mut self, peer: usize, buffer: &mut [u8]) -> Option<usize> {
        self.replies.remove(peer);
        let link = self.links.get_mut(peer)?;
        let owed = link.reply.take()?;
        let id = link.id;
        let term = self.hard.term;
        let outside = |to: Incarnation, epoch: Epoch| self.route_outside(id, to, epoch);
        let vote = |Granted { asked, granted }| VoteReply { term, asked, granted };
        let append = |echo, outcome| AppendReply { term, echo, outcome };
        let message = match owed {
            Owed::Hello { to, nonce, same_ids } => {
                let route = outside(to, Epoch(0));
                let standing = self.standing(same_ids);
                let (datagram, address) = (self.stated_datagram(), self.options.address);
                let reply = HelloReply { nonce, standing, datagram, address };
                return self.seal_to(peer, route, &Message::HelloReply(reply), buffer);
            }
            Owed::Question { to, nonce } => {
                let route = outside(to, Epoch(0));
                return self.seal_to(peer, route, &self.hello(nonce), buffer);
            }
            Owed::Boot { to, epoch, accepted } => {
                let route = outside(to, Epoch(0));
                let reply = BootReply { epoch, accepted };
                return self.seal_to(peer, route, &Message::BootReply(reply), buffer);
            }
            Owed::BlankPreVote { to, epoch, request } => {
                let route = outside(to, epoch);
                return self.seal_to(peer, route, &Message::PreVoteReply(vote(request)), buffer);
            }
            Owed::PreVote(request) => Message::PreVoteReply(vote(request)),
            Owed::Vote(request) => Message::VoteReply(vote(request)),
            Owed::Matched { echo, .. } => {
                let (verified, durable) = (self.verified(), self.durability.durable);
                if verified > durable {
                    // The rest is acknowledged when it is durable.
                    let rest = Owed::Matched { echo, ready_at: verified };
                    self.owe(peer, rest);
                }
                let reply = append(echo, AppendOutcome::Matched(verified.min(durable)));
                return self.seal_append_reply(peer, &reply, buffer);
            }
            Owed::Mismatch { echo, hint } => {
                let reply = append(echo, AppendOutcome::Mismatch(hint));
                return self.seal_append_reply(peer, &reply, buffer);
            }
            Owed::Stale { echo } => {
                let reply = append(echo, AppendOutcome::Stale);
                return self.seal_append_reply(peer, &reply, buffer);
            }
            Owed::Chunk { echo, last, upto, taken } => {
                let outcome = ChunkOutcome::Taken { upto, taken };
                Message::ChunkReply(ChunkReply { term, echo, last, outcome })
            }
            Owed::ChunkRefused { echo, last } => {
                let outcome = ChunkOutcome::TooLarge;
                Message::ChunkReply(ChunkReply { term, echo, last, outcome })
            }
            Owed::Read { echo, nonce, index } => {
                Message::ReadReply(ReadReply { term, echo, nonce, index })
            }
        };
        self.seal(peer, &message, buffer)
    }

    /// The largest datagram that others may send us, in bytes: an entry must fit our log too. Who asks
    /// to be added says so.
    #[must_use]
    pub fn stated_datagram(&self) -> u16 {
        let room = self.log.largest_entry().saturating_add(append_overhead::<S>());
        self.options.datagram.min(u16::try_from(room).unwrap_or(u16::MAX))
    }

    /// When a timer that begins now would run out, if nothing is known of the round trip.
    pub(super) fn retry_at(&self) -> Ticks {
        let timing = &self.options.timing;
        self.now.plus(Ticks(timing.heartbeat.0 / 4).max(timing.retransmit_min))
    }
}
