//! Nodes, logs and datagrams in the few words of a script.

use std::fmt::Write as _;

use coracle::message::{
    AdminAnswer, Answer, Append, AppendOutcome, Message, Refusal, Standing, VoteReply, VoteRequest,
    Want,
};
use coracle::wire::decode;
use coracle::{Checksum, EntryId, Member, NodeId, Part};

use crate::entries::walk;
use crate::network::Address;

/// The kinds of datagrams, as patterns name them.
pub const KINDS: &[&str] = &[
    "hello",
    "hello-reply",
    "boot",
    "boot-reply",
    "pre-vote",
    "pre-vote-reply",
    "vote",
    "vote-reply",
    "append",
    "heartbeat",
    "append-reply",
    "read",
    "read-reply",
    "chunk",
    "chunk-reply",
    "timeout-now",
    "request",
    "answer",
];

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static str> {
    KINDS.iter().copied().find(|kind| *kind == name)
}

/// A node by its id, or a client by its letter.
pub fn end(written: &str) -> Option<Address> {
    if let [letter @ b'a'..=b'd'] = written.as_bytes() {
        return Some(Address::Client(usize::from(letter - b'a')));
    }
    let id: usize = written.parse().ok()?;
    Some(Address::Node(id.checked_sub(1)?))
}

/// The name of an end.
pub fn end_name(end: Address) -> String {
    match end {
        Address::Node(place) => (place + 1).to_string(),
        Address::Client(place) => char::from(b'a' + place as u8).to_string(),
    }
}

/// One entry.
pub fn entry(id: EntryId) -> String {
    format!("{}.{}", id.term, id.index)
}

/// Entries as runs of one term.
pub fn runs(ids: impl IntoIterator<Item = EntryId>) -> String {
    let mut text = String::new();
    let mut open: Option<(EntryId, EntryId)> = None;
    for id in ids {
        match &mut open {
            Some((_, last)) if last.term == id.term && last.index.next() == id.index => *last = id,
            _ => {
                push_run(&mut text, open);
                open = Some((id, id));
            }
        }
    }
    push_run(&mut text, open);
    if text.is_empty() { "nothing".to_owned() } else { text }
}

fn push_run(text: &mut String, run: Option<(EntryId, EntryId)>) {
    let Some((first, last)) = run else { return };
    let space = if text.is_empty() { "" } else { " " };
    let written = if first == last {
        write!(text, "{space}{}", entry(first))
    } else {
        write!(text, "{space}{}-{}", entry(first), last.index)
    };
    debug_assert!(written.is_ok(), "a string takes everything");
}

/// A node that may not be known.
pub fn node(id: Option<NodeId>) -> String {
    id.map_or_else(|| "nobody".to_owned(), |id| id.to_string())
}

/// The kind of a datagram, and what it says.
pub fn datagram(bytes: &[u8]) -> (&'static str, String) {
    match decode(bytes, &Checksum) {
        Ok((_, message)) => message_text(&message),
        Err(error) => ("damaged", format!("{} bytes, {error:?}", bytes.len())),
    }
}

fn message_text(message: &Message<'_>) -> (&'static str, String) {
    match message {
        Message::Hello(_) => ("hello", String::new()),
        Message::HelloReply(reply) => (
            "hello-reply",
            match reply.standing {
                Standing::Blank => "blank".to_owned(),
                Standing::In { hopeless, leader, .. } => {
                    let hopeless = if hopeless { ", hopeless" } else { "" };
                    format!("in an epoch{hopeless}, leader {}", node(leader))
                }
                Standing::OtherIds => "other ids".to_owned(),
                Standing::FirstStart => "blank, first start".to_owned(),
            },
        ),
        Message::Boot(members) => {
            let ids: Vec<_> = members.iter().map(|it| name(&it)).collect();
            ("boot", format!("members {}", ids.join(" ")))
        }
        Message::BootReply(reply) => {
            ("boot-reply", if reply.accepted { "accepted" } else { "refused" }.to_owned())
        }
        Message::PreVote(request) => ("pre-vote", vote_text(request)),
        Message::PreVoteReply(reply) => ("pre-vote-reply", vote_reply_text(reply)),
        Message::Vote(request) => ("vote", vote_text(request)),
        Message::VoteReply(reply) => ("vote-reply", vote_reply_text(reply)),
        Message::Append(append) => append_text(append),
        Message::AppendReply(reply) => {
            let term = reply.term;
            let text = match reply.outcome {
                AppendOutcome::Matched(index) => format!("term {term} matched {index}"),
                AppendOutcome::Mismatch(hint) => {
                    format!("term {term} mismatch, try {}", entry(hint))
                }
                AppendOutcome::Stale => format!("term {term} stale"),
            };
            ("append-reply", text)
        }
        Message::ReadRequest(request) => ("read", format!("term {}", request.term)),
        Message::ReadReply(reply) => {
            ("read-reply", format!("term {} index {}", reply.term, reply.index))
        }
        Message::Chunk(chunk) => {
            let (term, number, last) = (chunk.term, chunk.number, entry(chunk.name.last));
            ("chunk", format!("term {term} number {number} of the snapshot up to {last}"))
        }
        Message::ChunkReply(reply) => {
            ("chunk-reply", format!("term {} for {}: {:?}", reply.term, reply.last, reply.outcome))
        }
        Message::TimeoutNow(order) => ("timeout-now", format!("term {}", order.term)),
        Message::Request(request) => ("request", want_text(&request.want)),
        Message::Reply(reply) => ("answer", answer_text(&reply.answer)),
    }
}

fn vote_text(request: &VoteRequest) -> String {
    format!("term {} last {}", request.term, entry(request.last))
}

fn vote_reply_text(reply: &VoteReply) -> String {
    let granted = if reply.granted { "granted" } else { "refused" };
    if reply.term == reply.asked {
        return format!("term {} {granted}", reply.asked);
    }
    format!("term {} {granted}, voter in term {}", reply.asked, reply.term)
}

fn append_text(append: &Append<'_>) -> (&'static str, String) {
    let entries = walk(append.run, append.prev.index.next()).flatten().map(|(known, _)| known.id);
    let (term, prev, commit) = (append.term, entry(append.prev), append.commit);
    if append.run.is_empty() {
        return ("heartbeat", format!("term {term} at {prev} commit {commit}"));
    }
    ("append", format!("term {term} behind {prev}: {} commit {commit}", runs(entries)))
}

fn want_text(want: &Want<'_>) -> String {
    match want {
        Want::Open => "open a session".to_owned(),
        Want::Command { session, sequence, .. } => format!("session {session} command {sequence}"),
        Want::Query { .. } => "query".to_owned(),
        Want::Status => "status".to_owned(),
        Want::Peers { .. } => "peers".to_owned(),
        Want::Admin(admin) => format!("{admin:?}"),
    }
}

fn answer_text(answer: &Answer<'_>) -> String {
    match answer {
        Answer::Opened(session) => format!("session {session} is open"),
        Answer::Applied { entry: id, .. } => format!("applied {}", entry(*id)),
        Answer::Answered { index, .. } => format!("answered at {index}"),
        Answer::Status(_) => "status".to_owned(),
        Answer::Peers { .. } => "peers".to_owned(),
        Answer::Admin(answer) => admin_answer_text(answer),
        Answer::NotLeader(leader) => format!("not the leader: {}", node(*leader)),
        Answer::Busy => "busy".to_owned(),
        Answer::Unknown => "unknown".to_owned(),
        Answer::SessionExpired => "the session has expired".to_owned(),
        Answer::Refused(refusal) => refusal_text(refusal),
    }
}

/// What an operator is told.
pub fn admin_answer_text(answer: &AdminAnswer<'_>) -> String {
    format!("{answer:?}")
}

/// A member; in brackets if it was absent from a first start and has no life yet.
fn name(named: &Member) -> String {
    match named.member.has_life() {
        true => named.member.id.to_string(),
        false => format!("({})", named.member.id),
    }
}

/// Who is a member, and what each counts for unless it is an ordinary voter.
pub fn members<'m>(members: impl IntoIterator<Item = &'m Member>) -> String {
    let text = |named: &Member| match named.part {
        Part::Voter => name(named),
        part => format!("{}:{part}", name(named)),
    };
    let text: Vec<_> = members.into_iter().map(text).collect();
    if text.is_empty() { "nobody".to_owned() } else { text.join(" ") }
}

/// Why a request is refused.
pub fn refusal_text(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Malformed => "malformed".to_owned(),
        Refusal::TooLarge(limit) => format!("too large, the limit is {limit}"),
        Refusal::AnswerLongerThanRequest(bytes) => format!("the answer has {bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coracle::{Index, Term};

    #[test]
    fn entries_of_one_term_are_one_run() {
        let id = |(term, index)| EntryId { term: Term(term), index: Index(index) };
        let text = runs([(1, 1), (1, 2), (1, 3), (4, 4), (6, 5), (6, 6)].map(id));
        assert_eq!(text, "1.1-3 4.4 6.5-6");
        assert_eq!(runs([]), "nothing");
    }
}
