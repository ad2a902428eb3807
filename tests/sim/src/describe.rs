//! Datagrams in words, for traces.

use coracle::message::{Message, Request, Want};
use coracle::wire::{Route, decode};
use coracle::{Checksum, Index};

use crate::entries::walk;

/// One line about a datagram.
#[must_use]
pub fn describe(datagram: &[u8]) -> String {
    match decode(datagram, &Checksum) {
        Ok((header, message)) => {
            let route = match header.route {
                Route::Tagged(_) => "",
                Route::Full(_) => " in full",
                Route::Client(_) => " of a client",
            };
            format!("#{}{route} {}", header.number, describe_message(&message))
        }
        Err(error) => format!("{} bytes, {error:?}", datagram.len()),
    }
}

fn describe_message(message: &Message<'_>) -> String {
    match message {
        Message::Append(append) => {
            let count = walk(append.run, Index::ZERO).count();
            format!(
                "append of term {}: {count} behind {}@{}, commit {}, everywhere {}",
                append.term, append.prev.index, append.prev.term, append.commit, append.everywhere
            )
        }
        Message::Request(Request {
            want: Want::Command { session, sequence, command }, ..
        }) => {
            format!("command of {} bytes, session {session} sequence {sequence}", command.len())
        }
        Message::Request(Request { want, padding }) => {
            format!("{want:?}, {} zeros", padding.len())
        }
        Message::Reply(reply) => format!("{reply:?}"),
        Message::Chunk(chunk) => format!(
            "chunk {} of term {}: {} of {} bytes of the snapshot up to {}@{}",
            chunk.number,
            chunk.term,
            chunk.bytes.len(),
            chunk.name.length,
            chunk.name.last.index,
            chunk.name.last.term
        ),
        Message::Hello(_)
        | Message::HelloReply(_)
        | Message::Boot(_)
        | Message::BootReply(_)
        | Message::PreVote(_)
        | Message::PreVoteReply(_)
        | Message::Vote(_)
        | Message::VoteReply(_)
        | Message::AppendReply(_)
        | Message::ReadRequest(_)
        | Message::ReadReply(_)
        | Message::ChunkReply(_)
        | Message::TimeoutNow(_) => format!("{message:?}"),
    }
}
