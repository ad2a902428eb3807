//! Takes answers.

use rand_core::Rng;

use super::request::Wish;
use super::{Active, Client, ClientDropped, Due, Ending, Fate, Finish, Kind, Phase, Session};
use crate::configuration::Members;
use crate::message::{AdminAnswer, Answer, Message, Refusal, Reply};
use crate::seal::Seal;
use crate::status::{PeerPage, Status, count};
use crate::types::{Epoch, NodeId, SessionId};
use crate::wire::{self, Route};

/// What an answer means for the operation.
#[allow(clippy::large_enum_variant, reason = "it lives no longer than a call")]
#[derive(Clone, Copy)]
enum Verdict<'a> {
    Opened(SessionId),
    Ended(Ending, &'a [u8]),
    Redirected(Option<NodeId>),
    Busy,
    Deferred,
    LongerRequest(usize),
}

impl<A: Copy + PartialEq, S: Seal, R: Rng, const SERVERS: usize, const BYTES: usize>
    Client<A, S, R, SERVERS, BYTES>
{
    /// Takes a datagram. An answer counts if it is to something that this operation has sent, be it
    /// the last copy or an earlier one.
    ///
    /// # Errors
    /// `ClientDropped`: it was of no use. It is counted; nothing else has changed.
    pub fn receive(&mut self, from: A, datagram: &[u8]) -> Result<(), ClientDropped> {
        let taken = self.take(from, datagram);
        match taken {
            Ok(()) => {}
            Err(ClientDropped::Undecodable(_)) => count(&mut self.counters.undecodable),
            Err(ClientDropped::Misdirected) => count(&mut self.counters.misdirected),
            Err(ClientDropped::Stale) => count(&mut self.counters.stale),
            Err(ClientDropped::Unexpected) => count(&mut self.counters.unexpected),
        }
        taken
    }

    fn take(&mut self, from: A, datagram: &[u8]) -> Result<(), ClientDropped> {
        let (header, message) =
            wire::decode(datagram, &self.seal).map_err(ClientDropped::Undecodable)?;
        let Route::Client(route) = header.route else { return Err(ClientDropped::Misdirected) };
        let Message::Reply(reply) = message else { return Err(ClientDropped::Misdirected) };
        if route.cluster != self.options.cluster || route.client != self.id {
            return Err(ClientDropped::Misdirected);
        }
        let Phase::Active(active) = &self.phase else { return Err(ClientDropped::Stale) };
        let active = *active;
        if reply.echo < active.first || reply.echo > self.number {
            return Err(ClientDropped::Stale);
        }
        let verdict = self.judge(&active, route.epoch, &reply)?;
        let place = self.learn(from, reply.from);
        self.obey(active, verdict, place, (reply.from, route.epoch));
        Ok(())
    }

    /// What the answer means, if it answers the question. What ends the operation does so whichever
    /// copy it answers; the rest is advice about the last copy, and is heard once. A session's
    /// command cannot have been applied in another epoch than the session's.
    fn judge<'a>(
        &self,
        active: &Active,
        epoch: Epoch,
        reply: &Reply<'a>,
    ) -> Result<Verdict<'a>, ClientDropped> {
        let is_awaited = matches!(active.due, Due::Answer(_)) && reply.echo == self.number;
        let advice = |verdict| if is_awaited { Ok(verdict) } else { Err(ClientDropped::Stale) };
        match (self.wish(active.kind), reply.answer) {
            (Wish::Open, Answer::Opened(session)) if session.0 != 0 && epoch.0 != 0 => {
                Ok(Verdict::Opened(session))
            }
            (Wish::Command(session), Answer::Applied { entry, response })
                if session.epoch == epoch =>
            {
                Ok(Verdict::Ended(Ending::Applied(entry), response))
            }
            (Wish::Query, Answer::Answered { .. } | Answer::SessionExpired)
            | (Wish::Command(_), Answer::SessionExpired)
                if self.is_of_ended_epoch(epoch) =>
            {
                Ok(Verdict::Ended(Ending::EpochEnded, &[]))
            }
            (Wish::Query, Answer::Answered { index, answer }) => {
                Ok(Verdict::Ended(Ending::Answered(index), answer))
            }
            (Wish::Status, Answer::Status(status)) if Status::decode(status).is_some() => {
                Ok(Verdict::Ended(Ending::Status, status))
            }
            (Wish::Peers(asked), Answer::Peers { first, total, peers })
                if first == asked && PeerPage::parse(peers).is_some() =>
            {
                Ok(Verdict::Ended(Ending::Peers { first, total }, peers))
            }
            (Wish::Admin(_), Answer::Admin(answer)) => judge_admin(answer),
            (
                Wish::Open | Wish::Command(_) | Wish::Query | Wish::Admin(_),
                Answer::NotLeader(hint),
            ) => advice(Verdict::Redirected(hint)),
            (_, Answer::Busy) => advice(Verdict::Busy),
            (_, Answer::Unknown) => advice(Verdict::Deferred),
            (Wish::Command(_) | Wish::Query, Answer::SessionExpired) if self.session.is_some() => {
                Ok(Verdict::Ended(Ending::SessionExpired, &[]))
            }
            (_, Answer::Refused(Refusal::AnswerLongerThanRequest(bytes))) => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                advice(Verdict::LongerRequest(bytes))
            }
            (wish, Answer::Refused(refusal @ (Refusal::Malformed | Refusal::TooLarge(_)))) => {
                let fate = self.fate_of_refused(active, &wish, refusal);
                Ok(Verdict::Ended(Ending::Refused { refusal, fate }, &[]))
            }
            (
                Wish::Open
                | Wish::Command(_)
                | Wish::Query
                | Wish::Status
                | Wish::Peers(_)
                | Wish::Admin(_),
                Answer::Opened(_)
                | Answer::Applied { .. }
                | Answer::Answered { .. }
                | Answer::Status(_)
                | Answer::Peers { .. }
                | Answer::Admin(_)
                | Answer::NotLeader(_)
                | Answer::SessionExpired,
            ) => Err(ClientDropped::Unexpected),
        }
    }

    /// Whether there is a session, and it was in another epoch than the one that an answer is of. Of
    /// two epochs only one commits anything, so the session's is over.
    fn is_of_ended_epoch(&self, answered: Epoch) -> bool {
        let is_other = |session: Session| session.epoch != answered && answered.0 != 0;
        self.session.is_some_and(is_other)
    }

    /// How large a command may be changes with the members, so a copy of one that was too large may
    /// still be under way to a leader that takes it.
    const fn fate_of_refused(&self, active: &Active, wish: &Wish, refusal: Refusal) -> Fate {
        let may_come = self.number > active.first || matches!(refusal, Refusal::TooLarge(_));
        match wish {
            Wish::Command(_) if may_come => Fate::Unknown,
            Wish::Command(_)
            | Wish::Open
            | Wish::Query
            | Wish::Status
            | Wish::Peers(_)
            | Wish::Admin(_) => Fate::NothingHappened,
        }
    }

    /// Notes which node is at this address, and gives the server's place.
    fn learn(&mut self, from: A, id: NodeId) -> Option<usize> {
        let place = self.servers.iter().position(|server| server.address == from)?;
        for (at, server) in self.servers.iter_mut().enumerate() {
            if at == place {
                server.id = Some(id);
            } else if server.id == Some(id) {
                server.id = None;
            }
        }
        Some(place)
    }

    fn obey(
        &mut self,
        active: Active,
        verdict: Verdict<'_>,
        place: Option<usize>,
        (from, epoch): (NodeId, Epoch),
    ) {
        match verdict {
            Verdict::Opened(id) => {
                self.session = Some(Session { id, epoch, sequence: 1 });
                self.settle(place);
                let first = self.number.saturating_add(1);
                self.phase = Phase::Active(Active::new(active.kind, first));
            }
            Verdict::Ended(ending, content) => {
                let ending = self.keep(ending, content);
                self.end(active.kind, ending);
                if active.kind == Kind::Command || active.kind == Kind::Query {
                    self.settle(place);
                }
                self.phase = Phase::Finished(Finish { kind: active.kind, from, epoch, ending });
            }
            Verdict::Redirected(hint) => self.redirect(active, hint),
            Verdict::Busy => {
                count(&mut self.counters.busy);
                count(&mut self.counters.deferrals);
                self.pause(active);
            }
            Verdict::Deferred => {
                count(&mut self.counters.deferrals);
                self.pause(active);
            }
            Verdict::LongerRequest(bytes) => self.lengthen(active, bytes, (from, epoch)),
        }
    }

    /// The next operation starts where this one was answered.
    const fn settle(&mut self, place: Option<usize>) {
        if let Some(place) = place {
            self.target = place;
            self.tour = place;
        }
    }

    /// Keeps the bytes that came, where those that were asked no longer matter.
    fn keep(&mut self, ending: Ending, content: &[u8]) -> Ending {
        let Some(room) = self.bytes.get_mut(..content.len()) else {
            return Ending::AnswerTooLong(content.len());
        };
        room.iter_mut().zip(content).for_each(|(to, from)| *to = *from);
        self.length = content.len();
        ending
    }

    /// A command that has ended has spent its sequence number, even if it was refused: a late copy
    /// of it must not be taken for another one.
    const fn end(&mut self, kind: Kind, ending: Ending) {
        match (kind, ending) {
            (_, Ending::SessionExpired | Ending::EpochEnded) => self.session = None,
            (Kind::Command, _) => self.spend_sequence(),
            (Kind::Query | Kind::Status(_) | Kind::Peers(..) | Kind::Admin(..), _) => {}
        }
    }

    /// Asks the leader that was named, or the next server of the tour, at once; but when servers
    /// send us in a circle, or there is nobody else, only after a wait.
    fn redirect(&mut self, mut active: Active, hint: Option<NodeId>) {
        count(&mut self.counters.redirects);
        let asked = self.target;
        let named = hint
            .and_then(|id| self.servers.iter().position(|server| server.id == Some(id)))
            .filter(|place| *place != asked);
        if active.redirects >= self.servers.len() {
            self.move_on();
            return self.pause(active);
        }
        match named {
            Some(place) => self.target = place,
            None => self.move_on(),
        }
        if self.target == asked {
            return self.pause(active);
        }
        active.redirects = active.redirects.saturating_add(1);
        active.due = Due::Send;
        self.phase = Phase::Active(active);
    }

    fn pause(&mut self, mut active: Active) {
        let delay = self.delay(active.attempt);
        active.attempt = active.attempt.saturating_add(1);
        active.due = Due::Pause(self.now.plus(delay));
        self.phase = Phase::Active(active);
    }

    /// Asks again with a longer request, and remembers it, unless that would be too long or no
    /// longer than the last one.
    fn lengthen(&mut self, mut active: Active, bytes: usize, (from, epoch): (NodeId, Epoch)) {
        if bytes > usize::from(self.options.datagram) || bytes <= active.sent_bytes {
            let ending = Ending::AnswerTooLong(bytes);
            self.end(active.kind, ending);
            self.phase = Phase::Finished(Finish { kind: active.kind, from, epoch, ending });
            return;
        }
        match self.wish(active.kind) {
            Wish::Open | Wish::Command(_) => self.command_room = bytes,
            Wish::Query | Wish::Status | Wish::Peers(_) | Wish::Admin(_) => {
                self.query_room = bytes;
            }
        }
        if active.redirects >= self.servers.len() {
            return self.pause(active);
        }
        active.redirects = active.redirects.saturating_add(1);
        active.due = Due::Send;
        self.phase = Phase::Active(active);
    }
}

/// What came of an operator's wish: the members, or what has no bytes of its own.
fn judge_admin(answer: AdminAnswer<'_>) -> Result<Verdict<'_>, ClientDropped> {
    let told = match answer {
        AdminAnswer::Members { version, is_committed, members } => {
            let is_list = members.is_empty() || Members::parse(members).is_some();
            let ended = Verdict::Ended(Ending::Members { version, is_committed }, members);
            return is_list.then_some(ended).ok_or(ClientDropped::Unexpected);
        }
        AdminAnswer::Changed(version) => AdminAnswer::Changed(version),
        AdminAnswer::NotChanged(error) => AdminAnswer::NotChanged(error),
        AdminAnswer::Transferring(to) => AdminAnswer::Transferring(to),
        AdminAnswer::NotTransferred(error) => AdminAnswer::NotTransferred(error),
        AdminAnswer::Founded { epoch, last } => AdminAnswer::Founded { epoch, last },
        AdminAnswer::NotFounded(error) => AdminAnswer::NotFounded(error),
    };
    Ok(Verdict::Ended(Ending::Admin(told), &[]))
}
