//! From a datagram's bytes to the one handler that it concerns.

use rand_core::Rng;

use super::Raft;
use super::install::Piece;
use super::link::Owed;
use super::role::Role;
use crate::log::Memory;
use crate::message::{
    Append, AppendReply, ChunkReply, Message, ReadReply, ReadRequest, Request, TimeoutNow,
    VoteReply,
};
use crate::seal::Seal;
use crate::status::count;
use crate::types::{Epoch, Incarnation, MemberId, Term};
use crate::wire::body::{self, Kind};
use crate::wire::{self, ClientRoute, DecodeError, Header, Introduction, Route};

/// What a datagram was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Received<'a> {
    /// A message between members; it has been taken care of.
    Peer,
    /// A client's request, which is not the protocol's business.
    Client(ClientRequest<'a>),
    /// A piece of a snapshot, to be kept; then it goes back to [`Raft::on_piece`].
    Piece(Piece<'a>),
}

/// A client's request as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientRequest<'a> {
    /// Who asks, and in which world it believes to be.
    pub route: ClientRoute,
    /// The request's number, which the answer repeats.
    pub number: u64,
    /// What it asks.
    pub request: Request<'a>,
    /// How long the datagram was: no answer may be longer.
    pub length: usize,
}

/// Why a datagram was dropped. It was counted, and nothing else has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Dropped {
    /// It is none of ours.
    Undecodable(DecodeError),
    /// Its sender is no member that we know.
    UnknownSender,
    /// It is meant for another cluster, node, incarnation or epoch.
    Misdirected,
    /// Its form of address does not go with its kind.
    Impossible,
    /// The node has failed and takes nothing.
    Failed,
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Takes a datagram: checks it from the outside in, and steps if it is for us.
    ///
    /// # Errors
    /// [`Dropped`] says why nothing came of it.
    #[inline]
    pub fn receive<'d>(&mut self, datagram: &'d [u8]) -> Result<Received<'d>, Dropped> {
        if self.is_poisoned() {
            return Err(Dropped::Failed);
        }
        let received = self.dispatch(datagram);
        match &received {
            Ok(_) => self.check_invariants(),
            Err(dropped) => self.count_dropped(*dropped),
        }
        received
    }

    #[inline]
    fn dispatch<'d>(&mut self, datagram: &'d [u8]) -> Result<Received<'d>, Dropped> {
        let (header, kind, rest) = Header::read(datagram)?;
        match header.route {
            Route::Tagged(tag) => {
                let peer = self.links.iter().position(|link| link.has_tag(tag));
                let peer = peer.ok_or(Dropped::Misdirected)?;
                let body = wire::open(datagram, rest, &self.seal)?;
                if kind == Kind::Chunk {
                    return self.receive_chunk(peer, header.number, body);
                }
                self.step_tagged(peer, header.number, kind, body)?;
                Ok(Received::Peer)
            }
            Route::Full(introduction) => {
                self.check_introduction(&introduction, kind)?;
                let body = wire::open(datagram, rest, &self.seal)?;
                let message = body::read(kind, body)?;
                let peer = self.introduced(&introduction, kind)?;
                if kind == Kind::Chunk {
                    if introduction.epoch != self.hard.epoch || self.hard.epoch == Epoch(0) {
                        return Err(Dropped::Misdirected);
                    }
                    self.meet(peer, introduction.from.incarnation)?;
                    return self.receive_chunk(peer, header.number, body);
                }
                self.step_full(peer, header.number, &introduction, &message)?;
                Ok(Received::Peer)
            }
            Route::Client(route) => {
                if route.cluster != self.options.cluster {
                    return Err(Dropped::Misdirected);
                }
                let body = wire::open(datagram, rest, &self.seal)?;
                let Message::Request(request) = body::read(kind, body)? else {
                    return Err(Dropped::Impossible);
                };
                let (number, length) = (header.number, datagram.len());
                Ok(Received::Client(ClientRequest { route, number, request, length }))
            }
        }
    }

    /// Takes a message of somebody who knows our tag, and so is inside the epoch.
    #[inline]
    fn step_tagged(
        &mut self,
        peer: usize,
        number: u64,
        kind: Kind,
        body: &[u8],
    ) -> Result<(), Dropped> {
        // Every command has these two, so they do not take the way through `Message`.
        if kind == Kind::Append {
            let append = body::read_append(body).ok_or(DecodeError::Body)?;
            self.mark_inside(peer);
            self.step_append(peer, number, &append);
            return Ok(());
        }
        if kind == Kind::AppendReply {
            let reply = body::read_append_reply(body).ok_or(DecodeError::Body)?;
            self.mark_inside(peer);
            self.step_append_reply(peer, &reply);
            return Ok(());
        }
        let message = body::read(kind, body)?;
        self.mark_inside(peer);
        self.step(peer, number, &message)
    }

    /// Takes a piece of a snapshot from somebody inside the epoch.
    #[inline(never)]
    fn receive_chunk<'d>(
        &mut self,
        peer: usize,
        number: u64,
        body: &'d [u8],
    ) -> Result<Received<'d>, Dropped> {
        let Message::Chunk(chunk) = body::read(Kind::Chunk, body)? else {
            return Err(Dropped::Impossible);
        };
        self.mark_inside(peer);
        self.step_chunk(peer, number, &chunk)
    }

    /// The peer has spoken from inside the epoch, so it knows our tag.
    #[inline]
    fn mark_inside(&mut self, peer: usize) {
        if let Some(link) = self.links.get_mut(peer) {
            link.inside = true;
        }
    }

    /// Whether it is to us, and from somebody else.
    fn check_introduction(&self, introduction: &Introduction, kind: Kind) -> Result<(), Dropped> {
        let Introduction { cluster, from, to, .. } = *introduction;
        let is_open = kind == Kind::Hello && to.incarnation.0 == 0;
        let is_ours =
            to.id == self.options.id && (to.incarnation == self.hard.incarnation || is_open);
        if cluster != self.options.cluster || !is_ours {
            return Err(Dropped::Misdirected);
        }
        if from.incarnation.0 == 0 || from.id == self.options.id {
            return Err(Dropped::UnknownSender);
        }
        Ok(())
    }

    /// The link of who speaks. A candidate or a leader of our epoch need not be one that our log
    /// names yet: the configuration that made it one may be among what we lack. A blank node waits
    /// for those that it was started with: a pre-vote, which leaves it blank, adds nobody to them.
    fn introduced(&mut self, introduction: &Introduction, kind: Kind) -> Result<usize, Dropped> {
        let from = introduction.from;
        if let Some(peer) = self.links.iter().position(|link| link.is(from)) {
            return Ok(peer);
        }
        let named = self.links.iter().position(|link| link.id == from.id);
        let is_free = |peer: usize| self.links.get(peer).is_some_and(|link| !link.is_named);
        let is_candidate = matches!(kind, Kind::Append | Kind::PreVote | Kind::Vote);
        let may_enter = matches!(self.role, Role::Blank(_))
            && (self.options.is_joining || kind != Kind::PreVote);
        let is_in_epoch =
            introduction.epoch.0 != 0 && (introduction.epoch == self.hard.epoch || may_enter);
        match named {
            Some(peer) if is_free(peer) => Ok(peer),
            Some(_) | None if is_candidate && is_in_epoch => {
                self.place_for(from).ok_or(Dropped::UnknownSender)
            }
            Some(peer) => Ok(peer),
            None => Err(Dropped::UnknownSender),
        }
    }

    /// Takes a message in the full form: those that belong to no epoch, and those to a node that
    /// cannot compute the tag yet.
    fn step_full(
        &mut self,
        peer: usize,
        number: u64,
        introduction: &Introduction,
        message: &Message<'_>,
    ) -> Result<(), Dropped> {
        let has_epoch = introduction.epoch != Epoch(0);
        match message {
            Message::Hello(_)
            | Message::HelloReply(_)
            | Message::Boot(_)
            | Message::BootReply(_)
                if has_epoch =>
            {
                return Err(Dropped::Impossible);
            }
            Message::Hello(hello) => self.on_hello(peer, introduction, hello),
            Message::HelloReply(reply) => self.on_hello_reply(peer, introduction, reply),
            Message::Boot(members) => self.on_boot(peer, introduction, *members),
            Message::BootReply(reply) => self.on_boot_reply(peer, introduction, reply),
            Message::PreVote(_)
            | Message::PreVoteReply(_)
            | Message::Vote(_)
            | Message::VoteReply(_)
            | Message::Append(_)
            | Message::AppendReply(_)
            | Message::ReadRequest(_)
            | Message::ReadReply(_)
            | Message::ChunkReply(_)
            | Message::TimeoutNow(_) => return self.enter(peer, number, introduction, message),
            Message::Chunk(_) | Message::Request(_) | Message::Reply(_) => {
                return Err(Dropped::Impossible);
            }
        }
        Ok(())
    }

    /// Takes a message of an epoch in the full form, which may be the first one that we hear of it.
    fn enter(
        &mut self,
        peer: usize,
        number: u64,
        introduction: &Introduction,
        message: &Message<'_>,
    ) -> Result<(), Dropped> {
        if introduction.epoch == Epoch(0) {
            return Err(Dropped::Impossible);
        }
        if matches!(self.role, Role::Blank(_)) {
            match message {
                Message::PreVote(request) => {
                    self.on_blank_pre_vote(peer, introduction, *request);
                    return Ok(());
                }
                Message::Append(_) | Message::Vote(_) => self.join(introduction.epoch),
                Message::Hello(_)
                | Message::HelloReply(_)
                | Message::Boot(_)
                | Message::BootReply(_)
                | Message::PreVoteReply(_)
                | Message::VoteReply(_)
                | Message::AppendReply(_)
                | Message::ReadRequest(_)
                | Message::ReadReply(_)
                | Message::Chunk(_)
                | Message::ChunkReply(_)
                | Message::TimeoutNow(_)
                | Message::Request(_)
                | Message::Reply(_) => return Err(Dropped::Misdirected),
            }
        }
        if introduction.epoch != self.hard.epoch {
            return Err(Dropped::Misdirected);
        }
        self.meet(peer, introduction.from.incarnation)?;
        // A blank node answers a pre-vote from outside.
        if !matches!(message, Message::PreVoteReply(_)) {
            self.mark_inside(peer);
        }
        self.step(peer, number, message)
    }

    /// Checks the speaker's incarnation, or learns it where the configuration does not name another.
    fn meet(&mut self, peer: usize, incarnation: Incarnation) -> Result<(), Dropped> {
        let link = self.links.get(peer).ok_or(Dropped::UnknownSender)?;
        let member = MemberId { id: link.id, incarnation };
        if link.is(member) {
            return Ok(());
        }
        if link.is_named {
            return Err(Dropped::Misdirected);
        }
        self.meet_peer(peer, member);
        Ok(())
    }

    /// Compares the message's term with ours, once (section 5.1), and calls one handler.
    pub(super) fn step(
        &mut self,
        peer: usize,
        number: u64,
        message: &Message<'_>,
    ) -> Result<(), Dropped> {
        if message.term().is_some_and(|term| self.is_leap(term)) {
            return Err(Dropped::Impossible);
        }
        match message {
            Message::Append(append) => self.step_append(peer, number, append),
            Message::AppendReply(reply) => self.step_append_reply(peer, reply),
            Message::PreVote(request) => self.on_pre_vote(peer, *request),
            // Also of an earlier term: such a voter may grant a pre-vote.
            Message::PreVoteReply(reply) => {
                self.reach_term(reply.term);
                self.on_pre_vote_reply(peer, *reply);
            }
            Message::Vote(request) if request.term < self.hard.term => {
                self.refuse_vote(peer, *request);
            }
            // Who hears a leader does not even look at a later term (thesis 4.2.3).
            Message::Vote(request)
                if request.term > self.hard.term && self.hears_leader() && !request.is_handover =>
            {
                self.refuse_vote(peer, *request);
            }
            Message::Vote(request) => {
                self.reach_term(request.term);
                self.on_vote(peer, *request);
            }
            // What is late proves nothing.
            Message::VoteReply(VoteReply { term, .. })
            | Message::ReadRequest(ReadRequest { term, .. })
            | Message::ReadReply(ReadReply { term, .. })
            | Message::ChunkReply(ChunkReply { term, .. })
            | Message::TimeoutNow(TimeoutNow { term })
                if *term < self.hard.term =>
            {
                self.count_stale();
            }
            Message::VoteReply(reply) => {
                self.reach_term(reply.term);
                self.on_vote_reply(peer, *reply);
            }
            Message::ReadRequest(request) => {
                self.reach_term(request.term);
                self.on_read_request(peer, number, *request);
            }
            Message::ReadReply(reply) => {
                self.reach_term(reply.term);
                self.on_read_reply(peer, *reply);
            }
            Message::ChunkReply(reply) => {
                self.reach_term(reply.term);
                self.on_chunk_reply(peer, reply);
            }
            Message::TimeoutNow(order) => {
                self.reach_term(order.term);
                self.on_timeout_now(peer, number);
            }
            Message::Hello(_)
            | Message::HelloReply(_)
            | Message::Boot(_)
            | Message::BootReply(_)
            | Message::Chunk(_)
            | Message::Request(_)
            | Message::Reply(_) => return Err(Dropped::Impossible),
        }
        Ok(())
    }

    /// Who believes to lead an earlier term is told ours, so that it steps down.
    #[inline]
    fn step_append(&mut self, peer: usize, number: u64, append: &Append<'_>) {
        if append.term > self.hard.term && self.is_leap(append.term) {
            return count(&mut self.counters.impossible);
        }
        if append.term < self.hard.term {
            return self.owe(peer, Owed::Stale { echo: number });
        }
        self.reach_term(append.term);
        self.on_append(peer, number, append);
    }

    #[inline]
    fn step_append_reply(&mut self, peer: usize, reply: &AppendReply) {
        if reply.term > self.hard.term && self.is_leap(reply.term) {
            return count(&mut self.counters.impossible);
        }
        if reply.term < self.hard.term {
            return self.count_stale();
        }
        self.reach_term(reply.term);
        self.on_append_reply(peer, reply);
    }

    /// Whether no cluster can have come to this term from ours: one forged datagram must not use up
    /// the terms. Who has just joined knows none.
    pub(super) fn is_leap(&self, term: Term) -> bool {
        self.hard.term > Term(0) && term.0 > self.hard.term.0.saturating_add(LARGEST_LEAP)
    }

    /// Follows in a term that is later than ours; whoever leads it is not known yet.
    #[inline]
    pub(super) fn reach_term(&mut self, term: Term) {
        if term > self.hard.term {
            self.become_follower(term, None);
        }
    }

    #[cold]
    fn count_dropped(&mut self, dropped: Dropped) {
        let counters = &mut self.counters;
        count(match dropped {
            Dropped::Undecodable(_) => &mut counters.undecodable,
            Dropped::UnknownSender => &mut counters.unknown_sender,
            Dropped::Misdirected => &mut counters.misdirected,
            Dropped::Impossible | Dropped::Failed => &mut counters.impossible,
        });
    }
}

/// How many terms may pass without a word of them.
const LARGEST_LEAP: u64 = 1 << 32;

impl From<DecodeError> for Dropped {
    fn from(error: DecodeError) -> Self {
        Self::Undecodable(error)
    }
}
