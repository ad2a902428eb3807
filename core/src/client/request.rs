//! Writes requests, and makes them as long as the answers may be.

use rand_core::Rng;

use super::{Active, Client, ClientEvent, Due, Kind, Session};
use crate::message::{Admin, Want};
use crate::seal::Seal;
use crate::status::count;
use crate::types::{Epoch, Ticks};
use crate::wire::body::Kind as Body;
use crate::wire::{self, ClientRoute, HEADER_BYTES, Header, MAX_NUMBER, Route};

/// What is asked now, on behalf of the operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    Open,
    Command(Session),
    Query,
    Status,
    Peers(u8),
    Admin(Admin),
}

impl<A: Copy + PartialEq, S: Seal, R: Rng, const SERVERS: usize, const BYTES: usize>
    Client<A, S, R, SERVERS, BYTES>
{
    /// A command without a session first asks for one.
    pub(super) const fn wish(&self, kind: Kind) -> Wish {
        match (kind, self.session) {
            (Kind::Command, None) => Wish::Open,
            (Kind::Command, Some(session)) => Wish::Command(session),
            (Kind::Query, _) => Wish::Query,
            (Kind::Status(_), _) => Wish::Status,
            (Kind::Peers(_, first), _) => Wish::Peers(first),
            (Kind::Admin(_, admin), _) => Wish::Admin(admin),
        }
    }

    /// Without a number left nothing is sent, and only the answers on their way can help.
    pub(super) fn poll_send<'b>(
        &mut self,
        mut active: Active,
        buffer: &'b mut [u8],
    ) -> Option<ClientEvent<'b, A>> {
        if self.number >= MAX_NUMBER {
            active.due = Due::Answer(Ticks::NEVER);
            self.phase = super::Phase::Active(active);
            return None;
        }
        let number = self.number.saturating_add(1);
        let to = self.servers.get(self.asked(&active))?.address;
        let Some(length) = self.write(active.kind, number, buffer) else {
            count(&mut self.counters.short_buffers);
            return None;
        };
        let datagram = buffer.get(..length)?;
        self.number = number;
        count(&mut self.counters.sent);
        active.sent_bytes = length;
        active.due = Due::Answer(self.now.plus(self.delay(active.attempt)));
        self.phase = super::Phase::Active(active);
        Some(ClientEvent::Send { to, datagram })
    }

    /// The place of the server that the request goes to.
    pub(super) const fn asked(&self, active: &Active) -> usize {
        match active.kind {
            Kind::Status(Some(at)) | Kind::Peers(Some(at), _) | Kind::Admin(Some(at), _) => at,
            Kind::Command
            | Kind::Query
            | Kind::Status(None)
            | Kind::Peers(None, _)
            | Kind::Admin(None, _) => self.target,
        }
    }

    fn write(&self, kind: Kind, number: u64, buffer: &mut [u8]) -> Option<usize> {
        let content = self.bytes.get(..self.length)?;
        let (want, room) = match self.wish(kind) {
            Wish::Open => (Want::Open, self.command_room),
            Wish::Command(Session { id: session, sequence, .. }) => {
                (Want::Command { session, sequence, command: content }, self.command_room)
            }
            Wish::Query => (Want::Query { query: content }, self.query_room),
            Wish::Status => (Want::Status, self.query_room),
            Wish::Peers(first) => (Want::Peers { first }, self.query_room),
            Wish::Admin(admin) => (Want::Admin(admin), self.query_room),
        };
        let route = ClientRoute {
            cluster: self.options.cluster,
            epoch: self.session.map_or(Epoch(0), |session| session.epoch),
            client: self.id,
        };
        let header = Header { number, route: Route::Client(route) };
        let longest = usize::from(self.options.datagram);
        write(&header, &want, Room { wanted: room, longest }, &self.seal, buffer)
    }
}

/// How long a request is to be, and how long it may be, in bytes.
#[derive(Clone, Copy, Debug)]
struct Room {
    wanted: usize,
    longest: usize,
}

/// Writes what `wire::encode` would, but needs no slice of zeros for it.
fn write<S: Seal>(
    header: &Header,
    want: &Want<'_>,
    room: Room,
    seal: &S,
    buffer: &mut [u8],
) -> Option<usize> {
    wire::encode_with(header, Body::Request, seal, buffer, |writer| {
        writer.postcard(want)?;
        let unpadded = writer.written().saturating_add(NO_PADDING_BYTES).saturating_add(S::BYTES);
        let longest = room.longest.saturating_sub(unpadded);
        let zeros = zeros(room.wanted.saturating_sub(unpadded), longest);
        writer.varint(u64::try_from(zeros).ok()?)?;
        for _ in 0..zeros {
            writer.byte(0)?;
        }
        Some(())
    })
}

/// How many zeros make a request `missing` bytes longer, and never more than `longest`.
///
/// Their number takes a second byte from 128 zeros on and a third from 16,384 on. Two lengths are
/// therefore out of reach: then it is one byte more, or one less if more is not allowed.
pub(super) const fn zeros(missing: usize, longest: usize) -> usize {
    match missing {
        0x80 if longest > missing => 0x80,
        0x4001 if longest > missing => 0x4000,
        0..0x80 => missing,
        0x80..=0x4000 => missing.saturating_sub(1),
        _ => missing.saturating_sub(2),
    }
}

/// The longest answer to a command with a short response; that to an open is shorter.
pub(super) const fn command_room(seal_bytes: usize) -> usize {
    let reply = NUMBER_BYTES + NODE_BYTES + TAG_BYTES;
    HEADER_BYTES + ROUTE_BYTES + reply + 2 * VARINT_BYTES + 1 + SHORT_RESPONSE_BYTES + seal_bytes
}

/// What a command's datagram has at most beside the command.
pub(super) const fn command_bytes(seal_bytes: usize) -> usize {
    query_bytes(seal_bytes) + 2 * VARINT_BYTES
}

/// What a query's datagram has at most beside the query.
pub(super) const fn query_bytes(seal_bytes: usize) -> usize {
    HEADER_BYTES + ROUTE_BYTES + TAG_BYTES + LENGTH_BYTES + NO_PADDING_BYTES + seal_bytes
}

/// How long queries are at first; a server says when that is not enough.
pub(super) const QUERY_ROOM: usize = 256;

/// Cluster, epoch and client.
const ROUTE_BYTES: usize = 24;
/// The longest 48-bit, 32-bit, 64-bit and 16-bit numbers as varints.
const NUMBER_BYTES: usize = 7;
const NODE_BYTES: usize = 5;
const VARINT_BYTES: usize = 10;
const LENGTH_BYTES: usize = 3;
/// The number of a variant.
const TAG_BYTES: usize = 1;
/// The length of an empty padding.
const NO_PADDING_BYTES: usize = 1;
/// A longer response makes the server ask for a longer request.
const SHORT_RESPONSE_BYTES: usize = 64;
