//! The bodies. Those of every command are written by hand, since a derived one costs some 170
//! instructions more; the rare ones are derived. All are postcard.

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::writer::Writer;
use crate::configuration::Members;
use crate::encode::is_encoding;
use crate::message::{
    Append, AppendOutcome, AppendReply, Chunk, ChunkOutcome, ChunkReply, Message, ReadReply,
    ReadRequest, TimeoutNow, VoteReply, VoteRequest,
};
use crate::snapshot::SnapshotName;
use crate::types::{EntryId, Index, Nonce, Term};
use crate::varint;

macro_rules! kinds {
    ($($name:ident = $code:literal),* $(,)?) => {
        /// Which message a body holds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($name),* }

        impl Kind {
            #[cfg_attr(target_pointer_width = "64", inline)]
            pub(crate) const fn code(self) -> u8 {
                match self { $(Self::$name => $code),* }
            }

            #[cfg_attr(target_pointer_width = "64", inline)]
            pub(crate) const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }

        impl Message<'_> {
            #[cfg_attr(target_pointer_width = "64", inline)]
            pub(crate) const fn kind(&self) -> Kind {
                match self { $(Message::$name(_) => Kind::$name),* }
            }
        }
    };
}

kinds! {
    Hello = 1,
    HelloReply = 2,
    Boot = 3,
    BootReply = 4,
    PreVote = 5,
    PreVoteReply = 6,
    Vote = 7,
    VoteReply = 8,
    Append = 9,
    AppendReply = 10,
    ReadRequest = 11,
    ReadReply = 12,
    Request = 13,
    Reply = 14,
    Chunk = 15,
    ChunkReply = 16,
    TimeoutNow = 17,
}

pub(crate) fn write(message: &Message<'_>, writer: &mut Writer<'_>) -> Option<()> {
    match message {
        Message::Hello(hello) => writer.postcard(hello),
        Message::HelloReply(reply) => writer.postcard(reply),
        Message::Boot(members) => writer.put(members.bytes()),
        Message::BootReply(reply) => writer.postcard(reply),
        Message::PreVote(request) | Message::Vote(request) => {
            writer.varint(request.term.0)?;
            write_entry_id(request.last, writer)?;
            writer.byte(u8::from(request.is_handover))
        }
        Message::PreVoteReply(reply) | Message::VoteReply(reply) => {
            writer.varint(reply.term.0)?;
            writer.varint(reply.asked.0)?;
            writer.byte(u8::from(reply.granted))
        }
        Message::Append(append) => write_append(append, writer),
        Message::AppendReply(reply) => write_append_reply(reply, writer),
        Message::ReadRequest(request) => {
            writer.varint(request.term.0)?;
            writer.put(&request.nonce.0.to_le_bytes())
        }
        Message::ReadReply(reply) => {
            writer.varint(reply.term.0)?;
            writer.varint(reply.echo)?;
            writer.put(&reply.nonce.0.to_le_bytes())?;
            writer.varint(reply.index.0)
        }
        Message::Chunk(chunk) => {
            write_chunk_head(chunk, writer)?;
            writer.put(chunk.bytes)
        }
        Message::ChunkReply(reply) => {
            writer.varint(reply.term.0)?;
            writer.varint(reply.echo)?;
            writer.varint(reply.last.0)?;
            match reply.outcome {
                ChunkOutcome::Taken { upto, taken } => {
                    writer.byte(0)?;
                    writer.varint(u64::from(upto))?;
                    writer.put(&taken.to_le_bytes())
                }
                ChunkOutcome::TooLarge => writer.byte(1),
            }
        }
        Message::TimeoutNow(order) => writer.varint(order.term.0),
        Message::Request(request) => writer.postcard(request),
        Message::Reply(reply) => writer.postcard(reply),
    }
}

/// `everywhere` travels as its distance below `commit`, which is one byte while all is well.
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(crate) fn write_append(append: &Append<'_>, writer: &mut Writer<'_>) -> Option<()> {
    writer.varint(append.term.0)?;
    write_entry_id(append.prev, writer)?;
    writer.varint(append.commit.0)?;
    writer.varint(append.commit.since(append.everywhere))?;
    writer.put(append.run)
}

#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(crate) fn write_append_reply(reply: &AppendReply, writer: &mut Writer<'_>) -> Option<()> {
    writer.varint(reply.term.0)?;
    writer.varint(reply.echo)?;
    match reply.outcome {
        AppendOutcome::Matched(index) => {
            writer.byte(0)?;
            writer.varint(index.0)
        }
        AppendOutcome::Mismatch(hint) => {
            writer.byte(1)?;
            write_entry_id(hint, writer)
        }
        AppendOutcome::Stale => writer.byte(2),
    }
}

/// All of a chunk but its bytes, which go to the end.
pub(crate) fn write_chunk_head(chunk: &Chunk<'_>, writer: &mut Writer<'_>) -> Option<()> {
    writer.varint(chunk.term.0)?;
    write_entry_id(chunk.name.last, writer)?;
    writer.varint(chunk.name.length)?;
    writer.put(&chunk.name.checksum.to_le_bytes())?;
    writer.varint(u64::from(chunk.chunk_bytes))?;
    writer.varint(u64::from(chunk.number))
}

#[cfg_attr(target_pointer_width = "64", inline)]
fn write_entry_id(id: EntryId, writer: &mut Writer<'_>) -> Option<()> {
    writer.varint(id.term.0)?;
    writer.varint(id.index.0)
}

pub(crate) fn read(kind: Kind, body: &[u8]) -> Result<Message<'_>, DecodeError> {
    let message = match kind {
        Kind::Append => read_append(body).map(Message::Append),
        Kind::AppendReply => read_append_reply(body).map(Message::AppendReply),
        Kind::Hello => derived(body).map(Message::Hello),
        Kind::HelloReply => derived(body).map(Message::HelloReply),
        Kind::Boot => Members::parse(body).map(Message::Boot),
        Kind::BootReply => derived(body).map(Message::BootReply),
        Kind::PreVote => read_vote_request(body).map(Message::PreVote),
        Kind::PreVoteReply => read_vote_reply(body).map(Message::PreVoteReply),
        Kind::Vote => read_vote_request(body).map(Message::Vote),
        Kind::VoteReply => read_vote_reply(body).map(Message::VoteReply),
        Kind::ReadRequest => read_read_request(body).map(Message::ReadRequest),
        Kind::ReadReply => read_read_reply(body).map(Message::ReadReply),
        Kind::Chunk => read_chunk(body).map(Message::Chunk),
        Kind::ChunkReply => read_chunk_reply(body).map(Message::ChunkReply),
        Kind::TimeoutNow => read_timeout_now(body).map(Message::TimeoutNow),
        Kind::Request => derived(body).map(Message::Request),
        Kind::Reply => derived(body).map(Message::Reply),
    };
    message.ok_or(DecodeError::Body)
}

/// Reads the fields of a hand-written body, in order.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn varint(&mut self) -> Option<u64> {
        let (value, rest) = varint::read_u64(self.0)?;
        self.0 = rest;
        Some(value)
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn entry_id(&mut self) -> Option<EntryId> {
        let term = Term(self.varint()?);
        Some(EntryId { term, index: Index(self.varint()?) })
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn bytes<const BYTES: usize>(&mut self) -> Option<[u8; BYTES]> {
        let (bytes, rest) = self.0.split_first_chunk::<BYTES>()?;
        self.0 = rest;
        Some(*bytes)
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn nonce(&mut self) -> Option<Nonce> {
        Some(Nonce(u64::from_le_bytes(self.bytes()?)))
    }

    /// The value, if nothing is left.
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(crate) fn read_append(body: &[u8]) -> Option<Append<'_>> {
    let mut reader = Reader(body);
    let term = Term(reader.varint()?);
    let prev = reader.entry_id()?;
    let commit = Index(reader.varint()?);
    let everywhere = Index(commit.0.checked_sub(reader.varint()?)?);
    Some(Append { term, prev, commit, everywhere, run: reader.0 })
}

#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(crate) fn read_append_reply(body: &[u8]) -> Option<AppendReply> {
    let mut reader = Reader(body);
    let term = Term(reader.varint()?);
    let echo = reader.varint()?;
    let outcome = match reader.byte()? {
        0 => AppendOutcome::Matched(Index(reader.varint()?)),
        1 => AppendOutcome::Mismatch(reader.entry_id()?),
        2 => AppendOutcome::Stale,
        _ => return None,
    };
    reader.end(AppendReply { term, echo, outcome })
}

fn read_vote_request(body: &[u8]) -> Option<VoteRequest> {
    let mut reader = Reader(body);
    let term = Term(reader.varint()?);
    let last = reader.entry_id()?;
    let is_handover = reader.flag()?;
    reader.end(VoteRequest { term, last, is_handover })
}

fn read_timeout_now(body: &[u8]) -> Option<TimeoutNow> {
    let mut reader = Reader(body);
    let term = Term(reader.varint()?);
    reader.end(TimeoutNow { term })
}

fn read_vote_reply(body: &[u8]) -> Option<VoteReply> {
    let mut reader = Reader(body);
    let term = Term(reader.varint()?);
    let asked = Term(reader.varint()?);
    let granted = reader.flag()?;
    reader.end(VoteReply { term, asked, granted })
}

fn read_read_request(body: &[u8]) -> Option<ReadRequest> {
    let mut reader = Reader(body);
    let term = Term(reader.varint()?);
    let nonce = reader.nonce()?;
    reader.end(ReadRequest { term, nonce })
}

fn read_read_reply(body: &[u8]) -> Option<ReadReply> {
    let mut reader = Reader(body);
    let term = Term(reader.varint()?);
    let echo = reader.varint()?;
    let nonce = reader.nonce()?;
    let index = Index(reader.varint()?);
    reader.end(ReadReply { term, echo, nonce, index })
}

/// A chunk has exactly the bytes that its place in the snapshot says.
fn read_chunk(body: &[u8]) -> Option<Chunk<'_>> {
    let mut reader = Reader(body);
    let term = Term(reader.varint()?);
    let last = reader.entry_id()?;
    let length = reader.varint()?;
    let checksum = u32::from_le_bytes(reader.bytes::<4>()?);
    let name = SnapshotName { last, length, checksum };
    let chunk_bytes = u16::try_from(reader.varint()?).ok()?;
    let number = u32::try_from(reader.varint()?).ok()?;
    let bytes = reader.0;
    let (_, expected) = name.chunk_extent(chunk_bytes, number);
    let is_sound = expected > 0 && bytes.len() == expected && last.index.0 > 0;
    is_sound.then_some(Chunk { term, name, chunk_bytes, number, bytes })
}

fn read_chunk_reply(body: &[u8]) -> Option<ChunkReply> {
    let mut reader = Reader(body);
    let term = Term(reader.varint()?);
    let echo = reader.varint()?;
    let last = Index(reader.varint()?);
    let outcome = match reader.byte()? {
        0 => {
            let upto = u32::try_from(reader.varint()?).ok()?;
            let taken = u64::from_le_bytes(reader.bytes::<8>()?);
            ChunkOutcome::Taken { upto, taken }
        }
        1 => ChunkOutcome::TooLarge,
        _ => return None,
    };
    reader.end(ChunkReply { term, echo, last, outcome })
}

/// Reads a derived body and accepts only the one encoding that its value has: postcard itself takes
/// overlong varints and leaves trailing bytes.
pub(crate) fn derived<'a, T: Serialize + Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes::<T>(body).ok()?;
    (rest.is_empty() && is_encoding(body, &value)).then_some(value)
}
