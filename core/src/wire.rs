//! The datagram, byte by byte: header, body, seal. `WIRE.md` is its description.

pub(crate) mod body;
pub(crate) mod bytes;
pub(crate) mod hash;
mod header;
pub(crate) mod writer;

pub use header::{
    ClientRoute, FULL_HEADER_BYTES, HEADER_BYTES, Header, Introduction, MAX_NUMBER, Route, VERSION,
};

use crate::message::Message;
use crate::seal::Seal;
use body::Kind;
use writer::Writer;

/// Why bytes are not a datagram of ours. They are dropped and counted; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeError {
    /// Shorter than the fixed parts.
    TooShort,
    /// Another version of the format.
    Version,
    /// A kind or form of message that this version does not have.
    Kind,
    /// The tag is not the hash of the address that is spelled out.
    Tag,
    /// The seal is not that of these bytes, or of a key that we do not have.
    Seal,
    /// The body is not exactly one message of its kind.
    Body,
}

/// Whether this looks like a node's reply to a client, for whoever has a node and a client on one
/// socket. Nothing else about it is checked.
#[must_use]
pub fn is_reply(datagram: &[u8]) -> bool {
    Header::read(datagram).is_ok_and(|(_, kind, _)| kind == Kind::Reply)
}

/// Whether this looks like a client's request. Nothing else about it is checked.
#[must_use]
pub fn is_request(datagram: &[u8]) -> bool {
    Header::read(datagram).is_ok_and(|(_, kind, _)| kind == Kind::Request)
}

/// Writes a whole datagram and returns its length, or `None` when the buffer is too small, in which
/// case its content is of no use.
pub fn encode<S: Seal>(
    header: &Header,
    message: &Message<'_>,
    seal: &S,
    buffer: &mut [u8],
) -> Option<usize> {
    encode_with(header, message.kind(), seal, buffer, |writer| body::write(message, writer))
}

/// As [`encode`], with a body of this kind that `write` writes.
#[inline]
pub(crate) fn encode_with<S: Seal>(
    header: &Header,
    kind: Kind,
    seal: &S,
    buffer: &mut [u8],
    write: impl FnOnce(&mut Writer<'_>) -> Option<()>,
) -> Option<usize> {
    let mut writer = Writer::new(buffer);
    header.write(kind, seal.key(), &mut writer)?;
    write(&mut writer)?;
    let written = writer.written();
    let (content, rest) = buffer.split_at_mut_checked(written)?;
    seal.seal(content, rest.get_mut(..S::BYTES)?);
    written.checked_add(S::BYTES)
}

/// Reads a whole datagram: the header, then the seal, then the body.
///
/// # Errors
/// `DecodeError` unless every byte is accounted for in the one encoding that the values have.
pub fn decode<'a, S: Seal>(
    datagram: &'a [u8],
    seal: &S,
) -> Result<(Header, Message<'a>), DecodeError> {
    let (header, kind, rest) = Header::read(datagram)?;
    let body = open(datagram, rest, seal)?;
    Ok((header, body::read(kind, body)?))
}

/// Checks the seal and takes it off `rest`, which is the datagram behind its header.
pub(crate) fn open<'a, S: Seal>(
    datagram: &[u8],
    rest: &'a [u8],
    seal: &S,
) -> Result<&'a [u8], DecodeError> {
    let sealed = datagram.len().checked_sub(S::BYTES).ok_or(DecodeError::TooShort)?;
    let (content, mark) = datagram.split_at_checked(sealed).ok_or(DecodeError::TooShort)?;
    let body = rest.len().checked_sub(S::BYTES).ok_or(DecodeError::TooShort)?;
    if datagram.get(2) != Some(&seal.key()) || !seal.is_genuine(content, mark) {
        return Err(DecodeError::Seal);
    }
    rest.get(..body).ok_or(DecodeError::TooShort)
}
