//! `WIRE.md` says what is on the wire: every datagram in it is read and written as it says there,
//! and the types below, which derive what the library writes by hand, show that it is postcard.

use std::fmt::Debug;

use coracle::message::{AdminAnswer, Answer, Append, AppendOutcome, ChunkOutcome, Message};
use coracle::wire::{
    self, ClientRoute, DecodeError, FULL_HEADER_BYTES, HEADER_BYTES, Header, Introduction, Route,
};
use coracle::{
    Address, Array, Checksum, ClientId, ClusterId, Epoch, Incarnation, Index, MemberId, Members,
    NodeId, Options, PeerPage, Raft, Seal, Status, Ticks, Timing,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const WIRE_MD: &str = include_str!("../WIRE.md");

/// A datagram of the document, and what it says of it.
struct Vector {
    bytes: Vec<u8>,
    meaning: String,
}

/// A block begins with a line of three backticks and `vector`. Its lines are bytes in hexadecimal,
/// with remarks behind a `#`; from `=` on it is the message as `Debug` writes it.
fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let mut blocks = WIRE_MD.split("\n```vector\n");
    let _before = blocks.next();
    for block in blocks {
        let (block, _) = block.split_once("\n```\n").expect("a block has an end");
        let (bytes, meaning) = block.split_once("\n= ").expect("a block has a meaning");
        let hex = bytes.lines().flat_map(|line| {
            let (bytes, _remark) = line.split_once('#').unwrap_or((line, ""));
            bytes.split_whitespace()
        });
        let bytes = hex.map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect();
        let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ");
        vectors.push(Vector { bytes, meaning });
    }
    assert!(vectors.len() > 30, "the document has {} vectors", vectors.len());
    vectors
}

fn encode(header: &Header, message: &Message<'_>) -> Vec<u8> {
    let mut buffer = [0; 1500];
    let length = wire::encode(header, message, &Checksum, &mut buffer).expect("it fits");
    buffer[..length].to_vec()
}

/// The same bytes with the seal that belongs to them: what a damaged or hostile sender sends.
fn sealed(content: &[u8]) -> Vec<u8> {
    let mut datagram = content.to_vec();
    datagram.resize(content.len() + Checksum::BYTES, 0);
    let (content, seal) = datagram.split_at_mut(content.len());
    Checksum.seal(content, seal);
    datagram
}

fn content(datagram: &[u8]) -> &[u8] {
    &datagram[..datagram.len() - Checksum::BYTES]
}

/// Where the body begins.
fn body_start(datagram: &[u8]) -> usize {
    match datagram[1] >> 6 {
        0 => HEADER_BYTES,
        1 => FULL_HEADER_BYTES,
        2 => HEADER_BYTES + 24,
        form => panic!("there is no form {form}"),
    }
}

#[test]
fn a_vector_is_read_as_the_document_says() {
    for Vector { bytes, meaning } in vectors() {
        let (_, message) = wire::decode(&bytes, &Checksum).expect(&meaning);
        assert_eq!(format!("{message:?}"), meaning);
    }
}

#[test]
fn a_vector_is_written_as_the_document_says() {
    for Vector { bytes, meaning } in vectors() {
        let (header, message) = wire::decode(&bytes, &Checksum).expect(&meaning);
        assert_eq!(encode(&header, &message), bytes, "{meaning}");
    }
}

#[test]
fn every_kind_occurs_in_every_form_that_it_has() {
    let mut found: Vec<(u8, u8)> =
        vectors().iter().map(|vector| (vector.bytes[1] & 0x3f, vector.bytes[1] >> 6)).collect();
    found.sort_unstable();
    found.dedup();
    // Those of formation are in full; those of an epoch have a tag, or are in full too.
    let outside = (1..=4).map(|kind| (kind, 1));
    let inside =
        |kinds: std::ops::RangeInclusive<u8>| kinds.flat_map(|kind| [(kind, 0), (kind, 1)]);
    let clients = (13..=14).map(|kind| (kind, 2));
    let all = outside.chain(inside(5..=12)).chain(clients).chain(inside(15..=17));
    assert_eq!(found, all.collect::<Vec<_>>());
}

#[test]
fn every_variant_occurs() {
    let text: String = vectors().into_iter().map(|vector| vector.meaning + "\n").collect();
    let variants = "standing:Blank In OtherIds FirstStart Matched Mismatch Stale Open Command Query Status Opened \
        Applied Answered NotLeader(Some NotLeader(None Busy Unknown SessionExpired Malformed \
        TooLarge AnswerLongerThanRequest Peers Taken Change(Add Change(Remove Change(Promote \
        Change(Demote Transfer(Some Transfer(None Admin(Members Changed NotChanged(NotLeader \
        NotReady NotChanged(InProgress AlreadyMember NotChanged(UnknownMember NothingToDo \
        LastVoter TooManyMembers DatagramTooSmall FixedVoters LogFull NotChanged(Failed \
        Transferring NotTransferred(NotLeader NotTransferred(InProgress \
        NotTransferred(UnknownMember NotAVoter Unreachable NotTransferred(Failed \
        FoundAlone Founded OtherEpoch NotFounded(Blank HasLeader HasQuorum TooEarly \
        Stored NotAllowed NoRoom Exhausted NotFounded(Failed is_handover:true";
    let text = text.replace(' ', "");
    for variant in variants.split_whitespace() {
        assert!(text.contains(variant), "{variant} does not occur");
    }
}

#[test]
fn a_truncated_vector_is_rejected_at_every_length() {
    for Vector { bytes, meaning } in vectors() {
        for length in 0..bytes.len() {
            assert!(wire::decode(&bytes[..length], &Checksum).is_err(), "{length} of {meaning}");
        }
    }
}

/// A run of entries and a list of members end with the datagram: there a whole number of pieces is
/// well-formed, and all that follows is for the log to check.
#[test]
fn a_truncated_body_is_rejected_under_a_seal_of_its_own() {
    for Vector { bytes, meaning } in vectors() {
        let content = content(&bytes);
        let whole = wire::decode(&bytes, &Checksum).expect(&meaning).1;
        for length in 0..content.len() {
            let datagram = sealed(&content[..length]);
            match (wire::decode(&datagram, &Checksum), whole) {
                (Err(_), _) => {}
                (Ok((_, Message::Append(part))), Message::Append(whole)) => {
                    assert_eq!(Append { run: part.run, ..whole }, part);
                    assert!(whole.run.starts_with(part.run));
                }
                (Ok((_, Message::Boot(part))), Message::Boot(whole)) => {
                    assert!(part.count() < whole.count());
                }
                (Ok(_), _) => panic!("{length} bytes of {meaning} are a message"),
            }
        }
    }
}

#[test]
fn trailing_bytes_are_rejected() {
    for Vector { bytes, meaning } in vectors() {
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(wire::decode(&longer, &Checksum), Err(DecodeError::Seal), "{meaning}");
        for byte in [0, 1, 0x80, 0xff] {
            let mut longer = content(&bytes).to_vec();
            longer.push(byte);
            let datagram = sealed(&longer);
            match wire::decode(&datagram, &Checksum) {
                Err(error) => assert_eq!(error, DecodeError::Body, "{meaning}"),
                // Whoever takes the run finds that it is not made of entries: see below.
                Ok((_, Message::Append(append))) => assert_eq!(append.run.last(), Some(&byte)),
                Ok(_) => panic!("{meaning} with a byte more is a message"),
            }
        }
    }
}

#[test]
fn a_number_in_a_longer_form_is_rejected() {
    let mut tried = 0;
    for Vector { bytes, meaning } in vectors() {
        let content = content(&bytes);
        let run = match wire::decode(&bytes, &Checksum).expect(&meaning).1 {
            Message::Append(append) => append.run.len(),
            _ => 0,
        };
        for place in body_start(&bytes)..content.len() - run {
            // The last byte of a number, or else a byte of something that gets too long.
            if content[place] >= 0x80 {
                continue;
            }
            let (before, after) = content.split_at(place);
            let overlong = [content[place] | 0x80, 0];
            let datagram = sealed(&[before, &overlong, &after[1..]].concat());
            match wire::decode(&datagram, &Checksum) {
                Err(error) => assert_eq!(error, DecodeError::Body, "byte {place} of {meaning}"),
                // The last byte of an address is no number: this moves what is behind it.
                Ok((_, message)) => {
                    assert!(meaning.contains("Change(Add"), "byte {place} of {meaning}");
                    assert_ne!(format!("{message:?}"), meaning);
                    continue;
                }
            }
            tried += 1;
        }
    }
    assert!(tried > 100);
}

#[test]
fn a_wrong_seal_is_rejected() {
    for Vector { bytes, meaning } in vectors() {
        let start = content(&bytes).len();
        for bit in start * 8..bytes.len() * 8 {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(wire::decode(&wrong, &Checksum), Err(DecodeError::Seal), "{meaning}");
        }
        for bit in 0..start * 8 {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(wire::decode(&wrong, &Checksum).is_err(), "{meaning}");
        }
    }
}

/// What the document says about its world: the members' epoch, and a tag by hand.
#[test]
fn hashes_are_as_the_document_says() {
    let mut epoch = Epoch(0);
    for Vector { bytes, meaning } in vectors() {
        let (_, message) = wire::decode(&bytes, &Checksum).expect(&meaning);
        if let Message::Boot(members) = message {
            epoch = members.epoch(ClusterId(0x0807_0605_0403_0201));
        }
    }
    assert!(WIRE_MD.contains(&format!("`{:016x}`", epoch.0)), "the epoch is {epoch}");
    let node = |id: u32| MemberId {
        id: NodeId(id),
        incarnation: Incarnation(0x1111_1111_1111_1111 * u64::from(id)),
    };
    let cluster = ClusterId(0x0807_0605_0403_0201);
    let tag = Introduction { cluster, epoch, from: node(2), to: node(1) }.tag();
    assert!(WIRE_MD.contains(&format!("`{tag:016x}`")), "the tag is {tag:016x}");
    let client = ClientRoute { cluster, epoch, client: ClientId(0x4444_4444_4444_4444) };
    assert!(WIRE_MD.contains(&format!("`{:016x}`", client.tag())), "{:016x}", client.tag());
}

mod fixed {
    //! Numbers of a fixed width, little-endian.
    use super::{Deserialize, Serialize};
    use postcard::fixint::le;

    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    pub struct U16(#[serde(with = "le")] pub u16);
    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    pub struct U32(#[serde(with = "le")] pub u32);
    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    pub struct U64(#[serde(with = "le")] pub u64);
}

/// What every datagram begins with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Prefix {
    version: u8,
    kind_and_form: u8,
    key: u8,
    number_low: fixed::U32,
    number_high: fixed::U16,
    tag: fixed::U64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct InFull {
    cluster: fixed::U64,
    epoch: fixed::U64,
    from: (fixed::U32, fixed::U64),
    to: (fixed::U32, fixed::U64),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct OfClient {
    cluster: fixed::U64,
    epoch: fixed::U64,
    client: fixed::U64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct VoteRequest {
    term: u64,
    last: (u64, u64),
    is_handover: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct VoteReply {
    term: u64,
    asked: u64,
    granted: bool,
}

/// The run follows it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct AppendFields {
    term: u64,
    prev: (u64, u64),
    commit: u64,
    below_commit: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct AppendReply {
    term: u64,
    echo: u64,
    outcome: Outcome,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Outcome {
    Matched(u64),
    Mismatch { term: u64, index: u64 },
    Stale,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ReadRequest {
    term: u64,
    nonce: fixed::U64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ReadReply {
    term: u64,
    echo: u64,
    nonce: fixed::U64,
    index: u64,
}

/// The chunk's own bytes follow it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ChunkFields {
    term: u64,
    last: (u64, u64),
    length: u64,
    checksum: fixed::U32,
    chunk_bytes: u16,
    number: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ChunkReply {
    term: u64,
    echo: u64,
    last: u64,
    outcome: Taking,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Taking {
    Taken { upto: u32, taken: fixed::U64 },
    TooLarge,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TimeoutNow {
    term: u64,
}

/// The address follows it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Member {
    id: fixed::U32,
    incarnation: fixed::U64,
    datagram: fixed::U16,
    part: MemberPart,
    address_bytes: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum MemberPart {
    Learner,
    Recruit,
    Voter,
    Incoming,
    Outgoing,
    Demoted,
}

/// The data follow it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct EntryHead {
    length: fixed::U16,
    term: u64,
    kind: EntryKind,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum EntryKind {
    Noop,
    Configuration,
    Command,
}

/// Reads one value, finds that postcard writes the same bytes, and gives what follows.
fn take<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) -> (T, &[u8]) {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).expect("postcard reads it");
    let mut again = [0; 256];
    let again = postcard::to_slice(&value, &mut again).expect("it fits");
    assert_eq!(*again, bytes[..bytes.len() - rest.len()], "{value:?}");
    (value, rest)
}

fn whole<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) -> T {
    let (value, rest) = take(bytes);
    assert!(rest.is_empty(), "{value:?} is followed by {rest:?}");
    value
}

#[test]
fn the_header_is_postcard() {
    for Vector { bytes, meaning } in vectors() {
        let (header, _) = wire::decode(&bytes, &Checksum).expect(&meaning);
        let (prefix, rest): (Prefix, _) = take(&bytes);
        assert_eq!((prefix.version, prefix.key), (1, 0));
        let number = u64::from(prefix.number_low.0) | u64::from(prefix.number_high.0) << 32;
        assert_eq!(number, header.number);
        assert_eq!(bytes.len() - rest.len(), HEADER_BYTES);
        let member = |(id, incarnation): (fixed::U32, fixed::U64)| MemberId {
            id: NodeId(id.0),
            incarnation: Incarnation(incarnation.0),
        };
        let (route, rest) = match prefix.kind_and_form >> 6 {
            0 => (Route::Tagged(prefix.tag.0), rest),
            1 => {
                let (full, rest): (InFull, _) = take(rest);
                let (cluster, epoch) = (ClusterId(full.cluster.0), Epoch(full.epoch.0));
                let (from, to) = (member(full.from), member(full.to));
                let introduction = Introduction { cluster, epoch, from, to };
                assert_eq!(introduction.tag(), prefix.tag.0);
                (Route::Full(introduction), rest)
            }
            _ => {
                let (of, rest): (OfClient, _) = take(rest);
                let (cluster, epoch) = (ClusterId(of.cluster.0), Epoch(of.epoch.0));
                let route = ClientRoute { cluster, epoch, client: ClientId(of.client.0) };
                assert_eq!(route.tag(), prefix.tag.0);
                (Route::Client(route), rest)
            }
        };
        assert_eq!(route, header.route);
        assert_eq!(bytes.len() - rest.len(), body_start(&bytes));
    }
}

/// Those that the library writes by hand.
#[test]
fn the_bodies_are_postcard() {
    let mut compared = 0;
    for Vector { bytes, meaning } in vectors() {
        let (_, message) = wire::decode(&bytes, &Checksum).expect(&meaning);
        let body = &content(&bytes)[body_start(&bytes)..];
        compared += 1;
        match message {
            Message::PreVote(request) | Message::Vote(request) => {
                let last = (request.last.term.0, request.last.index.0);
                let (term, is_handover) = (request.term.0, request.is_handover);
                assert_eq!(whole::<VoteRequest>(body), VoteRequest { term, last, is_handover });
            }
            Message::PreVoteReply(reply) | Message::VoteReply(reply) => {
                let coracle::message::VoteReply { term, asked, granted } = reply;
                let expected = VoteReply { term: term.0, asked: asked.0, granted };
                assert_eq!(whole::<VoteReply>(body), expected);
            }
            Message::Append(append) => {
                let (fields, run): (AppendFields, _) = take(body);
                let prev = (append.prev.term.0, append.prev.index.0);
                let below_commit = append.commit.0 - append.everywhere.0;
                let (term, commit) = (append.term.0, append.commit.0);
                assert_eq!(fields, AppendFields { term, prev, commit, below_commit });
                assert_eq!(run, append.run);
            }
            Message::AppendReply(reply) => {
                let outcome = match reply.outcome {
                    AppendOutcome::Matched(index) => Outcome::Matched(index.0),
                    AppendOutcome::Mismatch(hint) => {
                        Outcome::Mismatch { term: hint.term.0, index: hint.index.0 }
                    }
                    AppendOutcome::Stale => Outcome::Stale,
                };
                let expected = AppendReply { term: reply.term.0, echo: reply.echo, outcome };
                assert_eq!(whole::<AppendReply>(body), expected);
            }
            Message::ReadRequest(request) => {
                let nonce = fixed::U64(request.nonce.0);
                assert_eq!(whole::<ReadRequest>(body), ReadRequest { term: request.term.0, nonce });
            }
            Message::ReadReply(reply) => {
                let (term, echo, index) = (reply.term.0, reply.echo, reply.index.0);
                let nonce = fixed::U64(reply.nonce.0);
                assert_eq!(whole::<ReadReply>(body), ReadReply { term, echo, nonce, index });
            }
            Message::Boot(members) => compare_members(members, body),
            Message::Chunk(chunk) => {
                let (fields, bytes): (ChunkFields, _) = take(body);
                let coracle::message::Chunk { term, name, chunk_bytes, number, .. } = chunk;
                let last = (name.last.term.0, name.last.index.0);
                let (length, checksum) = (name.length, fixed::U32(name.checksum));
                let term = term.0;
                let expected = ChunkFields { term, last, length, checksum, chunk_bytes, number };
                assert_eq!(fields, expected);
                assert_eq!(bytes, chunk.bytes);
            }
            Message::ChunkReply(reply) => {
                let outcome = match reply.outcome {
                    ChunkOutcome::Taken { upto, taken } => {
                        Taking::Taken { upto, taken: fixed::U64(taken) }
                    }
                    ChunkOutcome::TooLarge => Taking::TooLarge,
                };
                let (term, echo, last) = (reply.term.0, reply.echo, reply.last.0);
                assert_eq!(whole::<ChunkReply>(body), ChunkReply { term, echo, last, outcome });
            }
            Message::TimeoutNow(order) => {
                assert_eq!(whole::<TimeoutNow>(body), TimeoutNow { term: order.term.0 });
            }
            Message::Reply(reply) => {
                check_payload(reply.answer);
                compared -= 1;
            }
            // Derived in the library itself.
            Message::Hello(_)
            | Message::HelloReply(_)
            | Message::BootReply(_)
            | Message::Request(_) => compared -= 1,
        }
    }
    assert_eq!(compared, 24);
}

fn compare_members(members: Members<'_>, mut rest: &[u8]) {
    for expected in members.iter() {
        let member: Member;
        (member, rest) = take(rest);
        assert_eq!(member.id.0, expected.member.id.0);
        assert_eq!(member.incarnation.0, expected.member.incarnation.0);
        assert_eq!(member.datagram.0, expected.datagram);
        assert_eq!(format!("{:?}", member.part), format!("{:?}", expected.part));
        let address;
        (address, rest) = rest.split_at(usize::from(member.address_bytes));
        assert_eq!(address, expected.address.as_bytes());
    }
    assert!(rest.is_empty());
}

/// What is within some answers is the library's own, in its one encoding.
fn check_payload(answer: Answer<'_>) {
    if let Answer::Status(status) = answer {
        let status = Status::decode(status).expect("a status");
        let row = format!("| {} × `varint` | the counters", status.counters.iter().count());
        assert!(WIRE_MD.contains(&row), "the page does not say: {row}");
    }
    if let Answer::Peers { peers, total, .. } = answer {
        let page = PeerPage::parse(peers).expect("a page");
        assert_eq!(page.iter().count(), usize::from(total));
    }
    if let Answer::Admin(AdminAnswer::Members { members, .. }) = answer {
        let list = Members::parse(members).expect("a member list");
        compare_members(list, members);
    }
}

#[test]
fn an_entry_is_postcard() {
    let mut kinds = Vec::new();
    for Vector { bytes, meaning } in vectors() {
        let (_, message) = wire::decode(&bytes, &Checksum).expect(&meaning);
        let Message::Append(Append { mut run, .. }) = message else { continue };
        while !run.is_empty() {
            let length = usize::from(u16::from_le_bytes([run[0], run[1]]));
            let (entry, after) = run.split_at(length + 2);
            let (head, _data): (EntryHead, _) = take(entry);
            assert_eq!(usize::from(head.length.0), length);
            assert_eq!(head.term, 4);
            kinds.push(head.kind);
            run = after;
        }
    }
    assert_eq!(kinds, [EntryKind::Noop, EntryKind::Command]);
}

type Blank = Raft<Array<1024, 16>, Dice, Checksum, 4>;

struct Dice(u64);

impl rand_core::TryRng for Dice {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.try_next_u64().map(|word| u32::try_from(word >> 32).expect("32 bits"))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Ok(self.0 ^ (self.0 >> 29))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for byte in bytes {
            [*byte, ..] = self.try_next_u64()?.to_le_bytes();
        }
        Ok(())
    }
}

/// `decode` leaves the run to the log: there every truncation within an entry and every byte too
/// many is found, and nothing of the run is taken.
#[test]
fn a_run_that_is_not_made_of_entries_is_not_taken() {
    let entry = [3, 0, 4, 2, 7];
    let overlong = [4, 0, 0x84, 0, 2, 7];
    let bad_kind = [3, 0, 4, 3, 7];
    let later_term = [3, 0, 5, 2, 7];
    let no_term = [3, 0, 0, 2, 7];
    let mut runs: Vec<Vec<u8>> = (1..entry.len()).map(|length| entry[..length].to_vec()).collect();
    runs.extend([overlong.to_vec(), bad_kind.to_vec(), later_term.to_vec(), no_term.to_vec()]);
    runs.extend(runs.clone().into_iter().map(|bad| [entry.to_vec(), bad].concat()));
    runs.push([&[3, 0, 4, 2, 7][..], &[3, 0, 3, 2, 7]].concat());
    for run in runs {
        assert_eq!(last_after(&run), Index(0), "{run:?}");
    }
    assert_eq!(last_after(&entry), Index(1));
}

/// The last entry of a blank node that was sent this run as the first of its epoch.
fn last_after(run: &[u8]) -> Index {
    let cluster = ClusterId(1);
    let options = Options::new(cluster, NodeId(1), Timing::from_heartbeat(Ticks(10)));
    let others = [NodeId(2), NodeId(3)];
    let raft = Blank::new(&options, &others, Array::zeroed(), Dice(1), Checksum);
    let mut raft = raft.expect("sound options");
    let from = MemberId { id: NodeId(2), incarnation: Incarnation(2) };
    let introduction = Introduction { cluster, epoch: Epoch(9), from, to: raft.member() };
    let header = Header { number: 1, route: Route::Full(introduction) };
    let append = Append {
        term: coracle::Term(4),
        prev: coracle::EntryId::default(),
        commit: Index(0),
        everywhere: Index(0),
        run,
    };
    let datagram = encode(&header, &Message::Append(append));
    raft.receive(&datagram).expect("it is for this node");
    raft.last().index
}

/// The document's list of what members must be.
#[test]
fn members_are_well_formed_or_not_taken() {
    let of = |id: u32, incarnation: u64, datagram: u16, part: u8, address: &[u8]| {
        let mut bytes = id.to_le_bytes().to_vec();
        bytes.extend(incarnation.to_le_bytes());
        bytes.extend(datagram.to_le_bytes());
        bytes.extend([part, u8::try_from(address.len()).expect("a short address")]);
        bytes.extend(address);
        bytes
    };
    let member = |id, incarnation, datagram| of(id, incarnation, datagram, 2, &[]);
    let parses = |members: &[Vec<u8>]| Members::parse(&members.concat()).is_some();
    assert!(parses(&[member(1, 1, 128), member(2, 1, u16::MAX)]));
    assert!(!parses(&[]));
    assert!(parses(&[member(0, 1, 128), member(1, 1, 128)]));
    assert!(!parses(&[member(1, 0, 128)]));
    assert!(!parses(&[member(1, 1, 127)]));
    assert!(!parses(&[member(2, 1, 128), member(1, 1, 128)]));
    assert!(parses(&[member(1, 1, 128), member(1, 2, 128)]), "two lives of one id");
    assert!(!parses(&[member(1, 2, 128), member(1, 1, 128)]));
    assert!(!parses(&[member(1, 1, 128), member(1, 1, 128)]));
    assert!(!parses(&[member(1, 1, 128)[..15].to_vec()]));
    assert!(parses(&[of(1, 1, 128, 2, &[7; Address::MAX_BYTES])]));
    assert!(!parses(&[of(1, 1, 128, 2, &[7; Address::MAX_BYTES + 1])]));
    assert!(!parses(&[of(1, 1, 128, 2, &[7; 5])[..20].to_vec()]));
    assert!(!parses(&[of(1, 1, 128, 6, &[])]));
    // Each half has a voter.
    for part in [0, 1, 3, 4, 5] {
        assert!(!parses(&[of(1, 1, 128, part, &[])]), "part {part} alone");
        assert!(parses(&[of(1, 1, 128, part, &[]), member(2, 1, 128)]));
    }
    assert!(parses(&[of(1, 1, 128, 3, &[]), of(2, 1, 128, 4, &[])]));
    assert!(!parses(&[of(1, 1, 128, 4, &[]), of(2, 1, 128, 5, &[])]));
}
