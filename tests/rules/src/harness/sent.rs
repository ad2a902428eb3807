//! What a node has sent: whole datagrams, read back through the one decoder.

use coracle::Checksum;
use coracle::Members;
use coracle::NodeId;
use coracle::message::{
    Append, AppendReply, BootReply, Chunk, ChunkReply, Hello, HelloReply, Message, ReadReply,
    ReadRequest, TimeoutNow, VoteReply, VoteRequest,
};
use coracle::wire::{self, Header};

use super::DATAGRAM;

/// The most datagrams that a test looks at in one go, and their bytes.
const MOST: usize = 20;
const MOST_BYTES: usize = 1536;

/// The datagrams that left, in order.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Whom each is for, and where it ends in the bytes.
    datagrams: heapless::Vec<(NodeId, usize), MOST>,
    bytes: heapless::Vec<u8, MOST_BYTES>,
}

/// One that left.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Where it goes.
    pub to: NodeId,
    /// All of it.
    pub bytes: &'a [u8],
}

macro_rules! accessors {
    ($($name:ident: $kind:ident -> $value:ty;)*) => { $(
        #[doc = concat!("The latest `", stringify!($kind), "` to this node.")]
        #[must_use]
        pub fn $name(&self, to: NodeId) -> Option<$value> {
            self.messages_to(to).filter_map(|(_, message)| match message {
                Message::$kind(value) => Some(value),
                _ => None,
            }).last()
        }
    )* };
}

impl Sent {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { datagrams: heapless::Vec::new(), bytes: heapless::Vec::new() }
    }

    /// One more. It must be a datagram that its receiver can read.
    pub fn push(&mut self, to: NodeId, bytes: &[u8]) {
        wire::decode(bytes, &Checksum).expect("what is sent can be read");
        assert!(bytes.len() <= DATAGRAM, "a datagram keeps to its limit");
        let room = self.bytes.extend_from_slice(bytes);
        room.expect("more bytes left than a test looks at");
        let room = self.datagrams.push((to, self.bytes.len()));
        room.expect("more datagrams left than a test looks at");
    }

    /// Whether nothing left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// How many left.
    #[must_use]
    pub fn count(&self) -> usize {
        self.datagrams.len()
    }

    /// The datagrams, in order.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let mut start = 0;
        self.datagrams.iter().map(move |(to, end)| {
            let bytes = &self.bytes[start..*end];
            start = *end;
            Datagram { to: *to, bytes }
        })
    }

    /// Whether anything left for this node.
    #[must_use]
    pub fn has_to(&self, to: NodeId) -> bool {
        self.datagrams.iter().any(|(receiver, _)| *receiver == to)
    }

    /// All messages, in order.
    pub fn messages(&self) -> impl Iterator<Item = (NodeId, Header, Message<'_>)> {
        self.datagrams().map(|datagram| {
            let (header, message) =
                wire::decode(datagram.bytes, &Checksum).expect("it was read before");
            (datagram.to, header, message)
        })
    }

    /// The messages to one node, each with its number.
    pub fn messages_to(&self, to: NodeId) -> impl Iterator<Item = (u64, Message<'_>)> {
        self.messages()
            .filter(move |(receiver, ..)| *receiver == to)
            .map(|(_, header, message)| (header.number, message))
    }

    /// The appends to one node, each with its number.
    pub fn appends_to(&self, to: NodeId) -> impl Iterator<Item = (u64, Append<'_>)> {
        self.messages_to(to).filter_map(|(number, message)| match message {
            Message::Append(append) => Some((number, append)),
            _ => None,
        })
    }

    /// The chunks to one node, each with its datagram's number.
    pub fn chunks_to(&self, to: NodeId) -> impl Iterator<Item = (u64, Chunk<'_>)> {
        self.messages_to(to).filter_map(|(number, message)| match message {
            Message::Chunk(chunk) => Some((number, chunk)),
            _ => None,
        })
    }

    /// The number of the latest append to a node.
    #[must_use]
    pub fn append_number_to(&self, to: NodeId) -> Option<u64> {
        self.appends_to(to).last().map(|(number, _)| number)
    }

    /// The number of the latest read request to a node.
    #[must_use]
    pub fn read_request_number_to(&self, to: NodeId) -> Option<u64> {
        self.messages_to(to)
            .filter(|(_, message)| matches!(message, Message::ReadRequest(_)))
            .last()
            .map(|(number, _)| number)
    }

    /// Whether this candidate gets the vote, if it was answered.
    #[must_use]
    pub fn verdict_to(&self, to: NodeId) -> Option<bool> {
        self.vote_reply_to(to).map(|reply| reply.granted)
    }

    /// Whether this node gets the pre-vote, if it was answered.
    #[must_use]
    pub fn pre_verdict_to(&self, to: NodeId) -> Option<bool> {
        self.pre_vote_reply_to(to).map(|reply| reply.granted)
    }

    accessors! {
        hello_to: Hello -> Hello;
        hello_reply_to: HelloReply -> HelloReply;
        boot_to: Boot -> Members<'_>;
        boot_reply_to: BootReply -> BootReply;
        pre_vote_to: PreVote -> VoteRequest;
        pre_vote_reply_to: PreVoteReply -> VoteReply;
        vote_to: Vote -> VoteRequest;
        vote_reply_to: VoteReply -> VoteReply;
        append_to: Append -> Append<'_>;
        append_reply_to: AppendReply -> AppendReply;
        read_request_to: ReadRequest -> ReadRequest;
        read_reply_to: ReadReply -> ReadReply;
        chunk_reply_to: ChunkReply -> ChunkReply;
        timeout_now_to: TimeoutNow -> TimeoutNow;
    }
}
