//! What a command entry holds: a state machine's command, alone or in a session, or the opening of
//! a session.

use serde::{Deserialize, Serialize};

use crate::encode::encode_fast;
use crate::types::{ClientId, SessionId};
use crate::varint;
use crate::wire::writer::Writer;

const PLAIN: u8 = 0;
const OPEN: u8 = 1;
const SESSION: u8 = 2;

/// The most bytes that a session's name and number take before its command.
pub(super) const SESSION_BYTES_MAX: usize = 1 + 2 * varint::MAX_BYTES;

/// The content of a command entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// A node's own command; it is applied as it comes.
    Plain(&'a [u8]),
    /// A client wants a session, of which there are to be at most so many.
    Open(ClientId, u64),
    /// A session's command, which takes effect once.
    Session { session: SessionId, sequence: u64, command: &'a [u8] },
}

impl<'a> Content<'a> {
    /// Reads the data of a command entry. `None` if it is none of ours.
    pub(super) fn read(data: &'a [u8]) -> Option<Self> {
        let (tag, rest) = data.split_first()?;
        match *tag {
            PLAIN => Some(Self::Plain(rest)),
            OPEN => {
                let (client, rest) = rest.split_first_chunk()?;
                let (most, rest) = varint::read_u64(rest)?;
                let is_whole = rest.is_empty() && most > 0;
                is_whole.then_some(Self::Open(ClientId(u64::from_le_bytes(*client)), most))
            }
            SESSION => {
                let (session, rest) = varint::read_u64(rest)?;
                let (sequence, command) = varint::read_u64(rest)?;
                Some(Self::Session { session: SessionId(session), sequence, command })
            }
            _ => None,
        }
    }

    /// Writes the data of a command entry and returns its length, or `None` if it does not fit.
    pub(super) fn write(&self, space: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::new(space);
        match self {
            Self::Plain(command) => {
                writer.byte(PLAIN)?;
                writer.put(command)?;
            }
            Self::Open(client, most) => {
                writer.byte(OPEN)?;
                writer.put(&client.0.to_le_bytes())?;
                writer.varint(*most)?;
            }
            Self::Session { session, sequence, command } => {
                writer.byte(SESSION)?;
                writer.varint(session.0)?;
                writer.varint(*sequence)?;
                writer.put(command)?;
            }
        }
        Some(writer.written())
    }
}

/// Writes a node's own command straight into the log.
#[cfg_attr(target_pointer_width = "64", inline)]
pub(super) fn write_plain<T: Serialize>(command: &T, space: &mut [u8]) -> Option<usize> {
    let mut writer = Writer::new(space);
    writer.byte(PLAIN)?;
    writer.with(|rest| encode_fast(command, rest))?;
    Some(writer.written())
}

/// Reads a whole value and nothing behind it.
#[cfg_attr(target_pointer_width = "64", inline)]
pub(super) fn read_whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}
