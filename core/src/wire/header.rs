//! The fixed prefix of a datagram and its three forms of address.

use super::DecodeError;
use super::body::Kind;
use super::hash::Hash;
use super::writer::Writer;
use crate::types::{ClientId, ClusterId, Epoch, Incarnation, MemberId, NodeId};

/// The version of the format.
pub const VERSION: u8 = 1;

/// The bytes of the prefix that every datagram has.
pub const HEADER_BYTES: usize = 17;

/// The bytes of the prefix and a full introduction.
pub const FULL_HEADER_BYTES: usize = HEADER_BYTES + 40;

/// The largest datagram number; one link carries no more datagrams than this in one life.
pub const MAX_NUMBER: u64 = (1 << 48) - 1;

/// What precedes the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// The datagram's number among all that its sender sent on this link, from 1.
    pub number: u64,
    /// Who speaks to whom.
    pub route: Route,
}

/// The forms of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Route {
    /// Between two members of one epoch that know each other: a hash of all that an
    /// [`Introduction`] spells out.
    Tagged(u64),
    /// Everything in full, for a receiver that cannot compute the tag yet.
    Full(Introduction),
    /// From a client or to it.
    Client(ClientRoute),
}

/// Who speaks to whom in which epoch of which cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Introduction {
    /// The cluster.
    pub cluster: ClusterId,
    /// The epoch that the message belongs to; zero for those of nodes without one.
    pub epoch: Epoch,
    /// The sender.
    pub from: MemberId,
    /// The receiver; only a hello may leave its incarnation zero, which means any.
    pub to: MemberId,
}

/// A client and the world it speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientRoute {
    /// The cluster.
    pub cluster: ClusterId,
    /// In a request: the epoch of the client's session, zero if it has none. In a reply: the node's.
    pub epoch: Epoch,
    /// The client.
    pub client: ClientId,
}

impl Introduction {
    /// The hash that stands for all of it.
    #[inline(never)]
    #[must_use]
    pub fn tag(&self) -> u64 {
        let mut hash = Hash::new(self.cluster.0);
        hash.add(self.epoch.0);
        hash.add(u64::from(self.from.id.0));
        hash.add(self.from.incarnation.0);
        hash.add(u64::from(self.to.id.0));
        hash.add(self.to.incarnation.0);
        hash.value()
    }
}

impl ClientRoute {
    /// The hash that stands for all of it.
    #[inline(never)]
    #[must_use]
    pub fn tag(&self) -> u64 {
        let mut hash = Hash::new(self.cluster.0);
        hash.add(self.epoch.0);
        hash.add(self.client.0);
        hash.value()
    }
}

const FORM_SHIFT: u32 = 6;
const KIND_MASK: u8 = 0x3f;
const FORM_TAGGED: u8 = 0;
const FORM_FULL: u8 = 1;
const FORM_CLIENT: u8 = 2;

impl Header {
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn write(&self, kind: Kind, key: u8, writer: &mut Writer<'_>) -> Option<()> {
        if self.number > MAX_NUMBER {
            return None;
        }
        let (form, tag) = match &self.route {
            Route::Tagged(tag) => (FORM_TAGGED, *tag),
            Route::Full(introduction) => (FORM_FULL, introduction.tag()),
            Route::Client(client) => (FORM_CLIENT, client.tag()),
        };
        // In one piece, so that its room is checked once.
        let [version, code, key_byte, rest @ ..] = writer.array::<HEADER_BYTES>()?;
        (*version, *code, *key_byte) = (VERSION, kind.code() | (form << FORM_SHIFT), key);
        // The tag goes over the number's two highest bytes, which are zero.
        *rest.first_chunk_mut()? = self.number.to_le_bytes();
        *rest.last_chunk_mut()? = tag.to_le_bytes();
        match &self.route {
            Route::Tagged(_) => Some(()),
            Route::Full(to) => write_introduction(to, writer),
            Route::Client(client) => write_client(client, writer),
        }
    }

    /// Reads the header, the kind and what follows them. The tag of a full form must be its hash.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn read(datagram: &[u8]) -> Result<(Self, Kind, &[u8]), DecodeError> {
        let (prefix, rest) =
            (datagram.split_first_chunk::<HEADER_BYTES>()).ok_or(DecodeError::TooShort)?;
        let [version, code, _, a, b, c, d, e, f, tag @ ..] = *prefix;
        if version != VERSION {
            return Err(DecodeError::Version);
        }
        let kind = Kind::from_code(code & KIND_MASK).ok_or(DecodeError::Kind)?;
        let number = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        let tag = u64::from_le_bytes(tag);
        let (route, rest) = match code >> FORM_SHIFT {
            FORM_TAGGED => (Route::Tagged(tag), rest),
            FORM_FULL => read_full(rest, tag)?,
            FORM_CLIENT => read_client(rest, tag)?,
            _ => return Err(DecodeError::Kind),
        };
        Ok((Self { number, route }, kind, rest))
    }
}

// What is written out in full is rare: it stays out of line, so that the tagged form is short.

#[inline(never)]
fn write_introduction(to: &Introduction, writer: &mut Writer<'_>) -> Option<()> {
    writer.put(&to.cluster.0.to_le_bytes())?;
    writer.put(&to.epoch.0.to_le_bytes())?;
    writer.put(&to.from.id.0.to_le_bytes())?;
    writer.put(&to.from.incarnation.0.to_le_bytes())?;
    writer.put(&to.to.id.0.to_le_bytes())?;
    writer.put(&to.to.incarnation.0.to_le_bytes())
}

#[inline(never)]
fn write_client(client: &ClientRoute, writer: &mut Writer<'_>) -> Option<()> {
    writer.put(&client.cluster.0.to_le_bytes())?;
    writer.put(&client.epoch.0.to_le_bytes())?;
    writer.put(&client.client.0.to_le_bytes())
}

#[inline(never)]
fn read_full(bytes: &[u8], tag: u64) -> Result<(Route, &[u8]), DecodeError> {
    let (introduction, rest) = read_introduction(bytes).ok_or(DecodeError::TooShort)?;
    if introduction.tag() != tag {
        return Err(DecodeError::Tag);
    }
    Ok((Route::Full(introduction), rest))
}

#[inline(never)]
fn read_client(bytes: &[u8], tag: u64) -> Result<(Route, &[u8]), DecodeError> {
    let (client, rest) = read_client_route(bytes).ok_or(DecodeError::TooShort)?;
    if client.tag() != tag {
        return Err(DecodeError::Tag);
    }
    Ok((Route::Client(client), rest))
}

fn read_introduction(bytes: &[u8]) -> Option<(Introduction, &[u8])> {
    let (cluster, rest) = read_u64(bytes)?;
    let (epoch, rest) = read_u64(rest)?;
    let (from, rest) = read_member(rest)?;
    let (to, rest) = read_member(rest)?;
    Some((Introduction { cluster: ClusterId(cluster), epoch: Epoch(epoch), from, to }, rest))
}

fn read_client_route(bytes: &[u8]) -> Option<(ClientRoute, &[u8])> {
    let (cluster, rest) = read_u64(bytes)?;
    let (epoch, rest) = read_u64(rest)?;
    let (client, rest) = read_u64(rest)?;
    let route =
        ClientRoute { cluster: ClusterId(cluster), epoch: Epoch(epoch), client: ClientId(client) };
    Some((route, rest))
}

fn read_member(bytes: &[u8]) -> Option<(MemberId, &[u8])> {
    let (id, rest) = bytes.split_first_chunk::<4>()?;
    let (incarnation, rest) = read_u64(rest)?;
    let id = NodeId(u32::from_le_bytes(*id));
    Some((MemberId { id, incarnation: Incarnation(incarnation) }, rest))
}

fn read_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (value, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*value), rest))
}
