//! Answers to clients, never longer than what was asked.

use serde::Serialize;

use super::pending::{Asker, Pending, Work};
use super::{Destination, Node, Platform};
use crate::configuration::{MEMBER_BYTES_MAX, encode_members};
use crate::encode::encoded_length;
use crate::machine::StateMachine;
use crate::message::{AdminAnswer, Answer, Message, Refusal, Reply};
use crate::seal::Seal;
use crate::wire::body::Kind;
use crate::wire::{self, ClientRoute, HEADER_BYTES, Header, MAX_NUMBER, Route};

/// The places among [`Answer`]'s variants of those whose payload is encoded in its place.
const APPLIED: u8 = 1;
const ANSWERED: u8 = 2;
const STATUS: u8 = 3;
const PEERS: u8 = 9;

impl<P: Platform, const MEMBERS: usize, const SESSIONS: usize, const PENDING: usize>
    Node<P, MEMBERS, SESSIONS, PENDING>
{
    /// Writes the next answer that is ready.
    pub(super) fn write_answer(
        &mut self,
        buffer: &mut [u8],
    ) -> Option<(Destination<P::Address>, usize)> {
        // An answer that may not be sent at all is passed over; each takes one out of the table.
        for _ in 0..=PENDING {
            let Pending { asker, work } = self.pending.take_answered()?;
            // Nothing hangs on it: it may begin anew.
            self.answers = if self.answers < MAX_NUMBER { self.answers + 1 } else { 1 };
            if let Some(length) = self.write_within_limit(&asker, &work, buffer) {
                return Some((Destination::Client(asker.address), length));
            }
        }
        None
    }

    /// Writes an answer, or how long the request should have been for it.
    fn write_within_limit(
        &self,
        asker: &Asker<P::Address>,
        work: &Work<P>,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let written = self.write_work(asker, work, buffer);
        let needed = match written {
            Some(length) if length <= asker.length => return Some(length),
            Some(length) => length,
            None => buffer.len(),
        };
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let refused = Answer::Refused(Refusal::AnswerLongerThanRequest(needed));
        let written = self.write_plain(asker, refused, buffer);
        written.filter(|length| *length <= asker.length)
    }

    fn write_work(
        &self,
        asker: &Asker<P::Address>,
        work: &Work<P>,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let answer = match work {
            Work::Applied(entry, response) => {
                let place = [entry.term.0, entry.index.0];
                return self.write_payload(asker, APPLIED, &place, response, buffer);
            }
            Work::Ready(query) => {
                let place = [self.raft.applied().0];
                let answer = self.machine.query(query);
                return self.write_payload(asker, ANSWERED, &place, &answer, buffer);
            }
            Work::Status => {
                let status = self.status();
                return self.write_payload(asker, STATUS, &[], &status, buffer);
            }
            Work::Members => return self.write_members(asker, buffer),
            Work::Admin(answer) => Answer::Admin(*answer),
            Work::Peers(first) => return self.write_peers(asker, *first, buffer),
            Work::Opened(session) => Answer::Opened(*session),
            Work::NotLeader(leader) => Answer::NotLeader(*leader),
            Work::Busy => Answer::Busy,
            Work::Unknown | Work::Entry(..) | Work::Query(..) | Work::Change(..) => Answer::Unknown,
            Work::Expired => Answer::SessionExpired,
            Work::Refused(refusal) => Answer::Refused(*refusal),
        };
        self.write_plain(asker, answer, buffer)
    }

    /// Writes who the members are, as this node knows.
    fn write_members(&self, asker: &Asker<P::Address>, buffer: &mut [u8]) -> Option<usize> {
        let configuration = self.raft.configuration();
        let mut space = [[0; MEMBER_BYTES_MAX]; MEMBERS];
        let space = space.as_flattened_mut();
        let length = encode_members(&configuration.members, space)?;
        let answer = AdminAnswer::Members {
            version: configuration.index,
            is_committed: configuration.index <= self.raft.commit(),
            members: space.get(..length)?,
        };
        self.write_plain(asker, Answer::Admin(answer), buffer)
    }

    fn header(&self, asker: &Asker<P::Address>) -> Header {
        let route = ClientRoute {
            cluster: self.raft.cluster(),
            epoch: self.raft.hard_state().epoch,
            client: asker.client,
        };
        Header { number: self.answers, route: Route::Client(route) }
    }

    fn write_plain(
        &self,
        asker: &Asker<P::Address>,
        answer: Answer<'_>,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let from = self.raft.member().id;
        let reply = Message::Reply(Reply { echo: asker.number, from, answer });
        wire::encode(&self.header(asker), &reply, self.raft.seal_ref(), buffer)
    }

    /// Writes a reply whose payload is encoded in its place: the variant, the numbers before the
    /// payload (an entry's term and index, or an index, or none), its length and itself.
    fn write_payload<T: Serialize>(
        &self,
        asker: &Asker<P::Address>,
        variant: u8,
        numbers: &[u64],
        payload: &T,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let seal = self.raft.seal_ref();
        let size = encoded_length(payload)?;
        wire::encode_with(&self.header(asker), Kind::Reply, seal, buffer, |writer| {
            writer.varint(asker.number)?;
            writer.varint(u64::from(self.raft.member().id.0))?;
            writer.byte(variant)?;
            for number in numbers {
                writer.varint(*number)?;
            }
            writer.varint(u64::try_from(size).unwrap_or(u64::MAX))?;
            writer.postcard(payload)
        })
    }

    /// Writes as many of the others as fit the question, and one if there are any: whoever asked
    /// for less than one learns how much that takes.
    fn write_peers(
        &self,
        asker: &Asker<P::Address>,
        first: u8,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let seal = self.raft.seal_ref();
        let (total, passed) = (self.raft.peers().count(), usize::from(first));
        let room = asker.length.min(buffer.len());
        let room = room.saturating_sub(PEERS_BYTES).saturating_sub(P::Seal::BYTES);
        let (mut count, mut size) = (0_usize, 0_usize);
        for peer in self.raft.peers().skip(passed) {
            let grown = size.saturating_add(encoded_length(&peer)?);
            if count > 0 && grown > room {
                break;
            }
            (count, size) = (count.saturating_add(1), grown);
        }
        wire::encode_with(&self.header(asker), Kind::Reply, seal, buffer, |writer| {
            writer.varint(asker.number)?;
            writer.varint(u64::from(self.raft.member().id.0))?;
            writer.byte(PEERS)?;
            writer.byte(first)?;
            writer.byte(u8::try_from(total).unwrap_or(u8::MAX))?;
            writer.varint(u64::try_from(size).unwrap_or(u64::MAX))?;
            self.raft.peers().skip(passed).take(count).try_for_each(|peer| writer.postcard(&peer))
        })
    }
}

/// What a page of peers has at most beside them: the header and the client's route, the numbers of
/// request and node, the variant, the place and the number of peers, and the length of the page.
const PEERS_BYTES: usize = HEADER_BYTES + 24 + 7 + 5 + 1 + 2 + 3;
