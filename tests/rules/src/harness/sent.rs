//! What a node has sent: whole datagrams, read back through the one decoder.

use coracle::Checksum;
use coracle::Members;
use coracle::NodeId;
use coracle::message::{
    Append, AppendReply, BootReply, Hello, HelloReply, Message, ReadReply, ReadRequest, VoteReply,
    VoteRequest,
};
use coracle::wire::{self, Header};

use super::DATAGRAM;

/// The most datagrams that a test looks at in one go.
const MOST: usize = 16;

/// The datagrams that left, in order.
#[derive(Clone, Debug, Default)]
pub struct Sent(heapless::Vec<Datagram, MOST>);

/// One that left.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Where it goes.
    pub to: NodeId,
    /// All of it.
    pub bytes: heapless::Vec<u8, DATAGRAM>,
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
        Self(heapless::Vec::new())
    }

    /// One more. It must be a datagram that its receiver can read.
    pub fn push(&mut self, to: NodeId, bytes: &[u8]) {
        wire::decode(bytes, &Checksum).expect("what is sent can be read");
        let bytes = heapless::Vec::from_slice(bytes).expect("a datagram keeps to its limit");
        self.0.push(Datagram { to, bytes }).expect("more datagrams left than a test looks at");
    }

    /// Whether nothing left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many left.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The datagrams, in order.
    pub fn datagrams(&self) -> impl Iterator<Item = &Datagram> {
        self.0.iter()
    }

    /// Whether anything left for this node.
    #[must_use]
    pub fn has_to(&self, to: NodeId) -> bool {
        self.0.iter().any(|datagram| datagram.to == to)
    }

    /// All messages, in order.
    pub fn messages(&self) -> impl Iterator<Item = (NodeId, Header, Message<'_>)> {
        self.0.iter().map(|datagram| {
            let (header, message) =
                wire::decode(&datagram.bytes, &Checksum).expect("it was read before");
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
    }
}
