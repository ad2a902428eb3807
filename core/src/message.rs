//! What nodes and clients say to each other, as values. How it looks on the wire: `wire`.

use serde::{Deserialize, Serialize};

use crate::configuration::{Address, Members};
use crate::raft::{Change, ChangeError, FoundError, TransferError};
use crate::snapshot::SnapshotName;
use crate::types::{EntryId, Epoch, Index, NodeId, Nonce, SessionId, Term};
use crate::varint;

/// Everything that travels in a datagram. It borrows from the datagram, or from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Message<'a> {
    /// Who is there, and in which state?
    Hello(Hello),
    /// The answer to a hello.
    HelloReply(HelloReply),
    /// The coordinator proposes the members of a new epoch; accepting it binds to nothing. Those that
    /// are absent from a first start have incarnation zero.
    Boot(Members<'a>),
    /// The answer to a boot.
    BootReply(BootReply),
    /// Would you vote for me in this term? (thesis 9.6)
    PreVote(VoteRequest),
    /// The answer to a pre-vote, which changes nothing at the voter.
    PreVoteReply(VoteReply),
    /// `RequestVote` (figure 2).
    Vote(VoteRequest),
    /// Its result.
    VoteReply(VoteReply),
    /// `AppendEntries` (figure 2); without entries it is a heartbeat.
    Append(Append<'a>),
    /// Its result.
    AppendReply(AppendReply),
    /// A follower asks its leader for a read index (thesis 6.4).
    ReadRequest(ReadRequest),
    /// The answer, once a quorum has confirmed the leader.
    ReadReply(ReadReply),
    /// `InstallSnapshot` (section 7): a piece of a snapshot.
    Chunk(Chunk<'a>),
    /// Its result.
    ChunkReply(ChunkReply),
    /// The leader tells a voter to stand at once (thesis 3.10).
    TimeoutNow(TimeoutNow),
    /// A client wants something.
    Request(Request<'a>),
    /// What came of it.
    Reply(Reply<'a>),
}

/// What an operator wants of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Admin {
    /// A change of the members, answered when it is done. Only the leader makes one.
    Change(Change),
    /// Another leader: this one, or whoever has most of the log.
    Transfer(Option<NodeId>),
    /// The members, as the node that is asked knows them; answered at once.
    Members,
    /// That the node that is asked gives this epoch up, and founds a cluster alone with what it holds.
    FoundAlone(Epoch),
}

/// A node's answer to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AdminAnswer<'a> {
    /// The change is done. The index of the configuration's entry is its version.
    Changed(Index),
    /// The members are as they were.
    NotChanged(ChangeError),
    /// This node has been told to lead, and soon will.
    Transferring(NodeId),
    /// Leadership stays where it was.
    NotTransferred(TransferError),
    /// The members.
    Members {
        /// The index of the configuration's entry, which is its version; zero without one.
        version: Index,
        /// Whether that is committed.
        is_committed: bool,
        /// Their [encoded form](Members); empty without one.
        #[serde(borrow, with = "crate::wire::bytes")]
        members: &'a [u8],
    },
    /// The node has founded a cluster alone.
    Founded {
        /// Its epoch.
        epoch: Epoch,
        /// The entry that names the node, behind all that it held.
        last: EntryId,
    },
    /// The node is where it was.
    NotFounded(FoundError),
}

impl Message<'_> {
    /// The sender's term, or the one that it asks for; none where it says none.
    pub(crate) const fn term(&self) -> Option<Term> {
        Some(match self {
            Self::PreVote(request) | Self::Vote(request) => request.term,
            Self::PreVoteReply(reply) | Self::VoteReply(reply) => reply.term,
            Self::Append(append) => append.term,
            Self::AppendReply(reply) => reply.term,
            Self::ReadRequest(request) => request.term,
            Self::ReadReply(reply) => reply.term,
            Self::Chunk(chunk) => chunk.term,
            Self::ChunkReply(reply) => reply.term,
            Self::TimeoutNow(order) => order.term,
            Self::Hello(_)
            | Self::HelloReply(_)
            | Self::Boot(_)
            | Self::BootReply(_)
            | Self::Request(_)
            | Self::Reply(_) => return None,
        })
    }
}

/// Asks every other id for its state; only an answer with the current nonce counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hello {
    /// Repeated in the answer.
    pub nonce: Nonce,
    /// A hash of the id list that the sender was started with.
    pub ids: Nonce,
    /// The largest datagram that the sender takes, in bytes.
    pub datagram: u16,
    /// Zeros, for the answer is longer than the rest: nobody gets more than was asked with.
    pub padding: [u8; HELLO_PADDING],
}

/// How many zeros a hello ends with, in bytes.
pub const HELLO_PADDING: usize = 28;

/// The answer to a [`Hello`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HelloReply {
    /// The question's.
    pub nonce: Nonce,
    /// Where the sender stands.
    pub standing: Standing,
    /// The largest datagram that the sender takes, in bytes.
    pub datagram: u16,
    /// How others reach the sender, if its operator has said.
    pub address: Address,
}

/// Where a node stands with respect to epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Standing {
    /// It has joined no epoch and holds nothing.
    Blank,
    /// It has joined an epoch.
    In {
        /// Which.
        epoch: Epoch,
        /// Whether it can see that its configuration will never have a quorum again.
        hopeless: bool,
        /// The leader it knows.
        leader: Option<NodeId>,
    },
    /// It was started with another list of ids, so the two are not one cluster.
    OtherIds,
    /// It has joined no epoch, holds nothing, and its operator says that it never did: a majority of
    /// such nodes may start the cluster.
    FirstStart,
}

/// The answer to a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BootReply {
    /// The epoch that the proposed members would form.
    pub epoch: Epoch,
    /// Whether the sender was still blank and is named.
    pub accepted: bool,
}

/// The arguments of `RequestVote` (figure 2) that are not in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VoteRequest {
    /// The term to be elected in.
    pub term: Term,
    /// The candidate's last entry.
    pub last: EntryId,
    /// Whether the leader itself told the candidate to stand: then its voice is no reason to refuse
    /// (thesis 4.2.3).
    pub is_handover: bool,
}

/// The result of a vote or a pre-vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VoteReply {
    /// The voter's term.
    pub term: Term,
    /// The term that was asked for: a grant counts for that term alone.
    pub asked: Term,
    /// Whether it is granted.
    pub granted: bool,
}

/// The arguments of `AppendEntries` (figure 2) that are not in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Append<'a> {
    /// The leader's term.
    pub term: Term,
    /// The entry before the first one sent.
    pub prev: EntryId,
    /// The leader's commit index.
    pub commit: Index,
    /// Every member holds the log up to here; never above `commit`.
    pub everywhere: Index,
    /// Consecutive entries in their one encoding, unchecked until the log takes them.
    pub run: &'a [u8],
}

/// The result of an append; it describes itself, so that late copies are harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AppendReply {
    /// The follower's term.
    pub term: Term,
    /// The number of the append that it answers.
    pub echo: u64,
    /// What came of it.
    pub outcome: AppendOutcome,
}

/// What came of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AppendOutcome {
    /// The follower's log equals the leader's up to here, durably.
    Matched(Index),
    /// It does not hold the entry before; the leader may look at or before this one (section 5.3).
    Mismatch(EntryId),
    /// The append was of an earlier term than the follower's: it proves nothing.
    Stale,
}

/// The arguments of `InstallSnapshot` (section 7) that are not in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Chunk<'a> {
    /// The leader's term; with the name it tells transfers apart.
    pub term: Term,
    /// Which snapshot it is of.
    pub name: SnapshotName,
    /// How many bytes each chunk of this transfer has, but for the last one.
    pub chunk_bytes: u16,
    /// Which chunk it is, from zero.
    pub number: u32,
    /// Its bytes, exactly as many as it must have.
    pub bytes: &'a [u8],
}

impl Chunk<'_> {
    /// The most bytes that a chunk's fields take beside its own bytes.
    pub(crate) const FIELDS_MAX: usize = 4 * varint::MAX_BYTES + 4 + 3 + 5;
}

/// The result of a chunk; it describes itself, so that late copies are harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChunkReply {
    /// The follower's term.
    pub term: Term,
    /// The number of the newest chunk's datagram.
    pub echo: u64,
    /// The last entry of the snapshot that it is about.
    pub last: Index,
    /// What came of it.
    pub outcome: ChunkOutcome,
}

/// A leader's order to stand. The number of its datagram tells a late copy from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TimeoutNow {
    /// The leader's term.
    pub term: Term,
}

/// How far a follower has a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChunkOutcome {
    /// It keeps some of the chunks.
    Taken {
        /// The first chunk that it has not got.
        upto: u32,
        /// Which chunks from there on it has got, the first one in the lowest bit, which is zero.
        taken: u64,
    },
    /// It has no room for this snapshot, or for its members, and keeps nothing of it.
    TooLarge,
}

/// A follower's question for a read index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReadRequest {
    /// The follower's term.
    pub term: Term,
    /// Drawn when the follower's process started: an answer to an earlier process proves nothing.
    pub nonce: Nonce,
}

/// A leader's answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReadReply {
    /// The leader's term.
    pub term: Term,
    /// The number of the request that it answers.
    pub echo: u64,
    /// The request's.
    pub nonce: Nonce,
    /// What was committed when the request was confirmed: apply it, then read.
    pub index: Index,
}

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request<'a> {
    /// The wish.
    #[serde(borrow)]
    pub want: Want<'a>,
    /// Zeros that make the request as long as the longest answer it will take: nobody who has not
    /// proved an address gets a longer answer than the question.
    #[serde(with = "crate::wire::bytes")]
    pub padding: &'a [u8],
}

/// A client's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Want<'a> {
    /// A session (thesis 6.3).
    Open,
    /// A command, to take effect once however often it is sent.
    Command {
        /// The session it belongs to.
        session: SessionId,
        /// One more than the session's command before; the first is 1.
        sequence: u64,
        /// The postcard bytes of the state machine's command.
        #[serde(with = "crate::wire::bytes")]
        command: &'a [u8],
    },
    /// A linearizable read.
    Query {
        /// The postcard bytes of the state machine's query.
        #[serde(with = "crate::wire::bytes")]
        query: &'a [u8],
    },
    /// How the node itself is; answered at once, from what it knows.
    Status,
    /// How it sees the others, in pages: as many as fit the question, by ascending id.
    Peers {
        /// How many of them to pass over.
        first: u8,
    },
    /// Something about the cluster itself.
    Admin(Admin),
}

/// What came of a client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reply<'a> {
    /// The number of the request that it answers.
    pub echo: u64,
    /// Who answers.
    pub from: NodeId,
    /// The answer.
    #[serde(borrow)]
    pub answer: Answer<'a>,
}

/// A node's answer to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer<'a> {
    /// The session is open.
    Opened(SessionId),
    /// The command is committed and applied.
    Applied {
        /// The entry it was applied from. A retry names the entry that took effect.
        entry: EntryId,
        /// The postcard bytes of the state machine's response.
        #[serde(with = "crate::wire::bytes")]
        response: &'a [u8],
    },
    /// The query is answered.
    Answered {
        /// The last entry that was applied when it was.
        index: Index,
        /// The postcard bytes of the state machine's answer.
        #[serde(with = "crate::wire::bytes")]
        answer: &'a [u8],
    },
    /// The postcard bytes of the node's [`Status`](crate::Status): encoded, since it is larger than
    /// every other message together.
    Status(#[serde(with = "crate::wire::bytes")] &'a [u8]),
    /// Another node leads, this one if it is known. Nothing happened.
    NotLeader(Option<NodeId>),
    /// A table is full. Nothing happened; try again.
    Busy,
    /// What was proposed is no longer in the log, or its fate is not known. Ask again in the same
    /// session.
    Unknown,
    /// There is no such session any more: whether its last command took effect is not known here.
    SessionExpired,
    /// It will never be done. Nothing happened.
    Refused(Refusal),
    /// How the node sees the others: a page of them.
    Peers {
        /// How many were passed over.
        first: u8,
        /// How many there are in all.
        total: u8,
        /// The bytes of a [`PeerPage`](crate::PeerPage).
        #[serde(with = "crate::wire::bytes")]
        peers: &'a [u8],
    },
    /// What came of a wish about the cluster itself.
    Admin(#[serde(borrow)] AdminAnswer<'a>),
}

/// Why a request is refused for good. Nothing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// The bytes are no command or query of this state machine.
    Malformed,
    /// The command fits no entry; the limit is in bytes.
    TooLarge(u32),
    /// The answer is longer than the request, which must be padded to this many bytes.
    AnswerLongerThanRequest(u32),
}
