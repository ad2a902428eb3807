//! Messages as tests say them.

use coracle::message::{
    Append, AppendOutcome, AppendReply, ChunkOutcome, ChunkReply, Message, TimeoutNow, VoteReply,
    VoteRequest,
};
use coracle::{EntryId, Index, Term};

/// The entry of a term at an index.
#[must_use]
pub const fn at(term: u64, index: u64) -> EntryId {
    EntryId { term: Term(term), index: Index(index) }
}

/// `RequestVote` of a candidate whose log ends with `last`.
#[must_use]
pub const fn vote(term: u64, last: EntryId) -> Message<'static> {
    Message::Vote(VoteRequest { term: Term(term), last, is_handover: false })
}

/// A pre-vote of somebody whose log ends with `last` and who would campaign in `term`.
#[must_use]
pub const fn pre_vote(term: u64, last: EntryId) -> Message<'static> {
    Message::PreVote(VoteRequest { term: Term(term), last, is_handover: false })
}

/// A vote for the candidate of `term`.
#[must_use]
pub const fn granted(term: u64) -> Message<'static> {
    let term = Term(term);
    Message::VoteReply(VoteReply { term, asked: term, granted: true })
}

/// No vote for the candidate of `term`.
#[must_use]
pub const fn refused(term: u64) -> Message<'static> {
    let term = Term(term);
    Message::VoteReply(VoteReply { term, asked: term, granted: false })
}

/// A voter in `term` would vote for a candidate of the term after it.
#[must_use]
pub const fn pre_granted(term: u64) -> Message<'static> {
    let asked = Term(term + 1);
    Message::PreVoteReply(VoteReply { term: Term(term), asked, granted: true })
}

/// `AppendEntries`.
#[must_use]
pub const fn append(term: u64, prev: EntryId, commit: u64, run: &[u8]) -> Message<'_> {
    let (commit, everywhere) = (Index(commit), Index::ZERO);
    Message::Append(Append { term: Term(term), prev, commit, everywhere, run })
}

/// `AppendEntries` without entries.
#[must_use]
pub const fn heartbeat(term: u64, prev: EntryId, commit: u64) -> Message<'static> {
    append(term, prev, commit, &[])
}

/// The log up to `index` is the leader's, says the answer to the append with the number `echo`.
#[must_use]
pub const fn matched(term: u64, echo: u64, index: u64) -> Message<'static> {
    let outcome = AppendOutcome::Matched(Index(index));
    Message::AppendReply(AppendReply { term: Term(term), echo, outcome })
}

/// The entry before is missing or another, says the answer to the append with the number `echo`.
#[must_use]
pub const fn mismatch(term: u64, echo: u64, hint: EntryId) -> Message<'static> {
    let outcome = AppendOutcome::Mismatch(hint);
    Message::AppendReply(AppendReply { term: Term(term), echo, outcome })
}

/// The chunks before `upto` and those of `taken` are there, says the answer to the chunk with the
/// number `echo`, of a snapshot that ends at `last`.
#[must_use]
pub const fn chunk_taken(
    term: u64,
    echo: u64,
    last: u64,
    upto: u32,
    taken: u64,
) -> Message<'static> {
    let (term, last) = (Term(term), Index(last));
    let outcome = ChunkOutcome::Taken { upto, taken };
    Message::ChunkReply(ChunkReply { term, echo, last, outcome })
}

/// There is no room for the snapshot that ends at `last`.
#[must_use]
pub const fn chunk_refused(term: u64, echo: u64, last: u64) -> Message<'static> {
    let (term, last) = (Term(term), Index(last));
    Message::ChunkReply(ChunkReply { term, echo, last, outcome: ChunkOutcome::TooLarge })
}

/// A leader's order to stand.
#[must_use]
pub const fn timeout_now(term: u64) -> Message<'static> {
    Message::TimeoutNow(TimeoutNow { term: Term(term) })
}

/// `RequestVote` of a candidate that the leader told to stand.
#[must_use]
pub const fn handover_vote(term: u64, last: EntryId) -> Message<'static> {
    Message::Vote(VoteRequest { term: Term(term), last, is_handover: true })
}
