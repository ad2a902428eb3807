//! What a client says to its user.

use crate::message::{AdminAnswer, Refusal};
use crate::status::{PeerPage, Status};
use crate::types::{EntryId, Epoch, Index, NodeId};
use crate::wire::DecodeError;

/// What a client offers when polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(clippy::large_enum_variant, reason = "nothing is kept: it lives until the next poll")]
pub enum ClientEvent<'b, A> {
    /// A request is to be sent.
    Send {
        /// To whom.
        to: A,
        /// The whole datagram.
        datagram: &'b [u8],
    },
    /// The operation is finished; another one can be started.
    Finished {
        /// Who answered.
        from: NodeId,
        /// The epoch that it was in, since terms and indices start anew in each.
        epoch: Epoch,
        /// What came of it.
        outcome: Outcome<'b>,
    },
}

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(clippy::large_enum_variant, reason = "nothing is kept: it lives until the next poll")]
pub enum Outcome<'b> {
    /// The command is committed and applied, once.
    Applied {
        /// The entry that took effect.
        entry: EntryId,
        /// The postcard bytes of the state machine's response.
        response: &'b [u8],
    },
    /// The query is answered; the answer holds all that was committed when it was asked.
    Answered {
        /// The last entry that was applied then.
        index: Index,
        /// The postcard bytes of the state machine's answer.
        answer: &'b [u8],
    },
    /// How the server is.
    Status(Status),
    /// How the server sees the others: a page of them.
    Peers {
        /// How many were passed over.
        first: u8,
        /// How many there are in all: unless this page reaches so far, ask for the next one.
        total: u8,
        /// The page.
        peers: PeerPage<'b>,
    },
    /// What came of a wish about the cluster itself.
    Admin(AdminAnswer<'b>),
    /// It will never be done.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Unknown only for a command of which several copies were sent: the others may have
        /// fared better.
        fate: Fate,
    },
    /// The cluster does not know the session any more, and the next command opens a new one.
    /// Whether a command took effect is not known: an earlier copy of it may have. A query had no
    /// effect; it may be asked again.
    SessionExpired,
    /// The world of the session is gone: its cluster was formed anew, as when all members that store
    /// nothing were started again, in the epoch that [`ClientEvent::Finished`] names. The next command
    /// opens a session there. A command takes no effect any more; whether it had one in the epoch
    /// that has ended is not known. A query had none; asked again, it is answered by the new world.
    EpochEnded,
    /// The answer is longer than the client or the buffer given to `poll` has room for, or than
    /// the longest datagram. A command may have taken effect.
    AnswerTooLong {
        /// How much room the response, the answer or the datagram needs, in bytes.
        bytes: usize,
    },
}

/// What may have come of an operation that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fate {
    /// No command was sent.
    NothingHappened,
    /// A command was sent: it has taken effect, or still may, or never will.
    Unknown,
}

/// Why a datagram is dropped. It is counted; nothing else has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClientDropped {
    /// It is no datagram of ours.
    Undecodable(DecodeError),
    /// It is for somebody else: for a member, another client, or another cluster's.
    Misdirected,
    /// It answers nothing that is being asked, or has been heard before.
    Stale,
    /// It is no answer to the question.
    Unexpected,
}

/// What happened how often since the start; each stops at its largest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientCounters {
    /// Datagrams dropped: not of this format, version or seal.
    pub undecodable: u32,
    /// Datagrams dropped: for somebody else.
    pub misdirected: u32,
    /// Datagrams dropped: late or double.
    pub stale: u32,
    /// Datagrams dropped: no answer to the question.
    pub unexpected: u32,
    /// Requests sent.
    pub sent: u32,
    /// Requests that nobody answered in time.
    pub timeouts: u32,
    /// Answers that another server leads.
    pub redirects: u32,
    /// Answers to try again later.
    pub deferrals: u32,
    /// Those of them that say that a server is busy or has no room: nothing came of that request.
    pub busy: u32,
    /// Polls with a buffer too short for the request.
    pub short_buffers: u32,
}
