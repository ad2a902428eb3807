//! The datagram (the wire; PITFALLS invariant 15 and 23): one encoding for each value, and nothing
//! else is taken.

use coracle::message::{
    Admin, AdminAnswer, Answer, Append, AppendOutcome, AppendReply, BootReply, Chunk, ChunkOutcome,
    ChunkReply, Hello, HelloReply, Message, ReadReply, ReadRequest, Refusal, Reply, Request,
    Standing, TimeoutNow, VoteReply, VoteRequest, Want,
};
use coracle::wire::{
    self, ClientRoute, DecodeError, HEADER_BYTES, Header, Introduction, MAX_NUMBER, Route,
};
use coracle::{
    Address, Change, ChangeError, Checksum, ClientId, Epoch, FoundError, Incarnation, Index,
    MemberId, Members, NodeId, Nonce, Seal, SessionId, SnapshotName, Term, TransferError,
};

use crate::harness::{Bench, CLUSTER, ONE, Random, THREE, TWO, at};

/// The room for a datagram that a test makes up.
const ROOM: usize = 512;

/// How many messages [`sample`] has.
pub const SAMPLES: usize = 53;

/// The names of the kinds, by the code that a datagram has for them.
pub const KINDS: [&str; 17] = [
    "Hello",
    "HelloReply",
    "Boot",
    "BootReply",
    "PreVote",
    "PreVoteReply",
    "Vote",
    "VoteReply",
    "Append",
    "AppendReply",
    "ReadRequest",
    "ReadReply",
    "Request",
    "Reply",
    "Chunk",
    "ChunkReply",
    "TimeoutNow",
];

/// One message of each kind, in the order of the codes, and then of each form that a kind has.
#[must_use]
pub fn sample(which: usize) -> Message<'static> {
    match which {
        0 => Message::Hello(Hello {
            nonce: Nonce(0x0102_0304_0506_0708),
            ids: Nonce(u64::MAX),
            datagram: 1200,
            padding: [0; 28],
        }),
        1 => hello_reply(Standing::Blank),
        2 => Message::Boot(Members::parse(&THREE_MEMBERS).expect("well-formed members")),
        3 => Message::BootReply(BootReply { epoch: Epoch(0xabcd), accepted: true }),
        4 => Message::PreVote(VOTE),
        5 => Message::PreVoteReply(GRANT),
        6 => Message::Vote(VOTE),
        7 => Message::VoteReply(GRANT),
        8 => Message::Append(APPEND),
        9 => append_reply(AppendOutcome::Matched(Index(1002))),
        10 => Message::ReadRequest(ReadRequest { term: Term(3), nonce: Nonce(0x77) }),
        11 => Message::ReadReply(ReadReply {
            term: Term(3),
            echo: 17,
            nonce: Nonce(0x77),
            index: Index(1002),
        }),
        12 => request(Want::Command { session: SessionId(44), sequence: 9, command: b"add 1" }),
        13 => reply(Answer::Applied { entry: at(3, 1003), response: b"1" }),
        14 => Message::Chunk(Chunk {
            term: Term(3),
            name: SnapshotName { last: at(2, 1000), length: 205, checksum: 0xfeed_beef },
            chunk_bytes: 100,
            number: 2,
            bytes: b"whole",
        }),
        15 => chunk_reply(ChunkOutcome::Taken { upto: 2, taken: 0b110 }),
        16 => Message::TimeoutNow(TimeoutNow { term: Term(300) }),
        17..=25 => other_form(which),
        _ => client_form(which),
    }
}

/// The other forms of what members say to each other.
fn other_form(which: usize) -> Message<'static> {
    match which {
        17 => {
            let leader = Some(NodeId(u32::MAX));
            hello_reply(Standing::In { epoch: Epoch(5), hopeless: false, leader })
        }
        18 => hello_reply(Standing::OtherIds),
        19 => Message::BootReply(BootReply { epoch: Epoch(1), accepted: false }),
        20 => Message::VoteReply(VoteReply { granted: false, ..GRANT }),
        21 => Message::Append(Append { run: &[], ..APPEND }),
        22 => append_reply(AppendOutcome::Mismatch(at(2, 1000))),
        23 => append_reply(AppendOutcome::Stale),
        24 => {
            let (term, last) = (Term(u64::MAX), at(u64::MAX, u64::MAX));
            Message::Vote(VoteRequest { term, last, is_handover: true })
        }
        25 => chunk_reply(ChunkOutcome::TooLarge),
        _ => panic!("{which} is none of these"),
    }
}

/// The other forms of what clients and nodes say to each other.
fn client_form(which: usize) -> Message<'static> {
    let admin = |admin| request(Want::Admin(admin));
    let answer = |answer| reply(Answer::Admin(answer));
    match which {
        26 => request(Want::Open),
        27 => request(Want::Query { query: &[200; 3] }),
        28 => request(Want::Status),
        29 => Message::Request(Request { want: Want::Open, padding: &[] }),
        30 => request(Want::Peers { first: 255 }),
        31 => admin(Admin::Members),
        32 => admin(Admin::Transfer(Some(THREE))),
        33 => {
            let member = MemberId { id: THREE, incarnation: Incarnation(0x33) };
            let change = Change::Add { member, datagram: 1200, address: address(), is_voter: true };
            admin(Admin::Change(change))
        }
        34 => admin(Admin::Change(Change::Remove(THREE))),
        35 => reply(Answer::Opened(SessionId(u64::MAX))),
        36 => reply(Answer::Answered { index: Index(1), answer: &[] }),
        37 => reply(Answer::NotLeader(Some(THREE))),
        38 => reply(Answer::NotLeader(None)),
        39 => reply(Answer::Busy),
        40 => reply(Answer::Unknown),
        41 => reply(Answer::SessionExpired),
        42 => reply(Answer::Refused(Refusal::TooLarge(1000))),
        43 => reply(Answer::Status(&[1, 2, 3])),
        44 => reply(Answer::Peers { first: 2, total: 31, peers: &[1, 2, 3] }),
        45 => answer(AdminAnswer::Changed(Index(70_000))),
        46 => answer(AdminAnswer::NotChanged(ChangeError::TooManyMembers { capacity: 5 })),
        47 => answer(AdminAnswer::Transferring(THREE)),
        48 => answer(AdminAnswer::NotTransferred(TransferError::InProgress)),
        49 => answer(AdminAnswer::Members {
            version: Index(9),
            is_committed: true,
            members: &THREE_MEMBERS,
        }),
        50 => admin(Admin::FoundAlone(Epoch(0x1122))),
        51 => answer(AdminAnswer::Founded { epoch: Epoch(u64::MAX), last: at(3, 70_000) }),
        52 => answer(AdminAnswer::NotFounded(FoundError::HasLeader(Some(THREE)))),
        _ => panic!("there are {SAMPLES} samples"),
    }
}

const VOTE: VoteRequest =
    VoteRequest { term: Term(300), last: at(299, 70_000), is_handover: false };

const GRANT: VoteReply = VoteReply { term: Term(300), asked: Term(301), granted: true };

const APPEND: Append<'static> = Append {
    term: Term(3),
    prev: at(2, 1000),
    commit: Index(999),
    everywhere: Index(900),
    run: &TWO_ENTRIES,
};

fn address() -> Address {
    Address::new(b"here").expect("a short address")
}

fn hello_reply(standing: Standing) -> Message<'static> {
    let (nonce, address) = (Nonce(0x1122), address());
    Message::HelloReply(HelloReply { nonce, standing, datagram: 1200, address })
}

const fn append_reply(outcome: AppendOutcome) -> Message<'static> {
    Message::AppendReply(AppendReply { term: Term(3), echo: 1 << 40, outcome })
}

const fn chunk_reply(outcome: ChunkOutcome) -> Message<'static> {
    let (term, last) = (Term(3), Index(1000));
    Message::ChunkReply(ChunkReply { term, echo: 1 << 40, last, outcome })
}

const fn request(want: Want<'static>) -> Message<'static> {
    Message::Request(Request { want, padding: &[0; 5] })
}

const fn reply(answer: Answer<'static>) -> Message<'static> {
    Message::Reply(Reply { echo: 12, from: TWO, answer })
}

/// The three forms of address.
#[must_use]
pub fn route(which: usize) -> Route {
    let from = MemberId { id: ONE, incarnation: Incarnation(0x1111_1111_1111_1111) };
    let to = MemberId { id: TWO, incarnation: Incarnation(0x2222_2222_2222_2222) };
    match which % 3 {
        0 => Route::Tagged(0x0123_4567_89ab_cdef),
        1 => Route::Full(Introduction { cluster: CLUSTER, epoch: Epoch(0x3333), from, to }),
        _ => {
            let client = ClientId(0x4444_4444);
            Route::Client(ClientRoute { cluster: CLUSTER, epoch: Epoch(0x3333), client })
        }
    }
}

/// PITFALLS, invariant 15: `decode(encode(m)) == m`, for each kind and each form of address.
pub fn what_is_written_is_what_is_read() {
    for which in 0..SAMPLES {
        for form in 0..3 {
            let header = Header { number: MAX_NUMBER - 5, route: route(form) };
            let datagram = Datagram::of(&header, &sample(which));
            let read = wire::decode(datagram.bytes(), &Checksum);
            assert_eq!(read, Ok((header, sample(which))));
        }
    }
}

/// The wire: `decode` takes the whole datagram or nothing: cut short anywhere, it is none.
pub fn a_truncated_datagram_is_rejected() {
    for which in 0..SAMPLES {
        for form in 0..3 {
            let datagram = Datagram::of(&Header { number: 1, route: route(form) }, &sample(which));
            for length in 0..datagram.bytes().len() {
                assert!(wire::decode(&datagram.bytes()[..length], &Checksum).is_err());
            }
        }
    }
}

/// The same when whoever cuts it seals what is left: a part of a message is no message, but for
/// those that end in a list.
pub fn a_truncated_message_is_rejected() {
    for which in 0..SAMPLES {
        let datagram = Datagram::of(&Header { number: 1, route: route(0) }, &sample(which));
        let content = datagram.content();
        for length in HEADER_BYTES..content.len() {
            let cut = Datagram::sealed(&content[..length]);
            match wire::decode(cut.bytes(), &Checksum) {
                Err(_) => {}
                Ok((header, message)) => {
                    let is_list = matches!(message, Message::Append(_) | Message::Boot(_));
                    assert!(is_list, "{length} bytes of {:?} are {message:?}", sample(which));
                    assert_eq!(Datagram::of(&header, &message).bytes(), cut.bytes());
                }
            }
        }
    }
}

/// The wire: no trailing bytes. What follows an append is a part of its run, for the log to refuse.
pub fn a_datagram_with_a_byte_too_many_is_rejected() {
    for which in 0..SAMPLES {
        let datagram = Datagram::of(&Header { number: 1, route: route(1) }, &sample(which));
        for byte in [0, 1, 0x80, 0xff] {
            let mut content = [0; ROOM];
            let length = datagram.content().len();
            content[..length].copy_from_slice(datagram.content());
            content[length] = byte;
            let longer = Datagram::sealed(&content[..=length]);
            match wire::decode(longer.bytes(), &Checksum) {
                Err(error) => assert_eq!(error, DecodeError::Body),
                Ok((_, message)) => assert!(matches!(message, Message::Append(_))),
            }
        }
    }
}

/// The wire: whatever the bytes, what is taken is the one encoding of its value.
pub fn a_changed_message_is_rejected_or_another_message() {
    for which in 0..SAMPLES {
        let datagram = Datagram::of(&Header { number: 1, route: route(0) }, &sample(which));
        let length = datagram.content().len();
        for place in 0..length {
            for change in [0x01, 0x80, 0xff] {
                let mut content = [0; ROOM];
                content[..length].copy_from_slice(datagram.content());
                content[place] ^= change;
                let changed = Datagram::sealed(&content[..length]);
                if let Ok((header, message)) = wire::decode(changed.bytes(), &Checksum) {
                    assert_eq!(Datagram::of(&header, &message).bytes(), changed.bytes());
                }
            }
        }
    }
}

/// The wire: no non-minimal encodings, in a message written by hand.
pub fn an_overlong_number_is_rejected() {
    // A vote reply: term 1, asked for 1, granted.
    assert!(read_body(7, &[1, 1, 1]).is_ok());
    for body in [
        &[0x81, 0x00, 1, 1][..],
        &[1, 0x81, 0x00, 1],
        &[1, 1, 0x81, 0x00],
        &[0x81, 0x80, 0x00, 1, 1],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02, 1, 1],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1, 1],
    ] {
        assert_eq!(read_body(7, body), Err(DecodeError::Body));
    }
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1, 1];
    assert!(read_body(7, &most).is_ok(), "the largest number has ten bytes");
}

/// The same in a message whose encoding is derived, where postcard itself would take it.
pub fn an_overlong_number_of_a_derived_message_is_rejected() {
    let hello = Datagram::of(&Header { number: 1, route: route(0) }, &sample(0));
    let body = &hello.content()[HEADER_BYTES..];
    // Two nonces of eight bytes, then 1200 as b0 09.
    assert_eq!(body[16..18], [0xb0, 0x09]);
    let mut overlong = [0; 64];
    overlong[..17].copy_from_slice(&body[..17]);
    overlong[17..19].copy_from_slice(&[0x89, 0x00]);
    overlong[19..=body.len()].copy_from_slice(&body[18..]);
    assert_eq!(read_body(0, &overlong[..=body.len()]), Err(DecodeError::Body));
}

/// A truth value is 0 or 1.
pub fn a_truth_value_other_than_0_and_1_is_rejected() {
    for value in 2..=0xff {
        assert_eq!(read_body(7, &[1, 1, value]), Err(DecodeError::Body));
    }
}

/// The wire: the checksum finds every single flipped bit.
pub fn a_flipped_bit_is_rejected() {
    for which in 0..KINDS.len() {
        let mut datagram = Datagram::of(&Header { number: 1, route: route(which) }, &sample(which));
        for bit in 0..datagram.bytes().len() * 8 {
            datagram.bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(wire::decode(datagram.bytes(), &Checksum).is_err(), "bit {bit}");
            datagram.bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// The wire: another version, an unknown kind, an unknown form and another key are no datagrams of
/// ours, and it is said which.
pub fn another_version_kind_form_or_key_is_rejected() {
    let datagram = Datagram::of(&Header { number: 1, route: route(0) }, &sample(7));
    let with = |place: usize, value: u8| {
        let mut content = [0; ROOM];
        let length = datagram.content().len();
        content[..length].copy_from_slice(datagram.content());
        content[place] = value;
        wire::decode(Datagram::sealed(&content[..length]).bytes(), &Checksum).map(|_| ())
    };
    assert_eq!(with(0, wire::VERSION + 1), Err(DecodeError::Version));
    assert_eq!(with(0, 0), Err(DecodeError::Version));
    assert_eq!(with(1, 0), Err(DecodeError::Kind));
    assert_eq!(with(1, 18), Err(DecodeError::Kind));
    assert_eq!(with(1, 0x3f), Err(DecodeError::Kind));
    assert_eq!(with(1, 0xc0 | 8), Err(DecodeError::Kind));
    assert_eq!(with(2, 1), Err(DecodeError::Seal));
    assert_eq!(with(1, 8), Ok(()), "a vote reply has code 8");
}

/// The wire: in the full form the tag is the hash of what is spelled out.
pub fn a_tag_that_is_not_the_hash_of_its_introduction_is_rejected() {
    for form in [1, 2] {
        let datagram = Datagram::of(&Header { number: 1, route: route(form) }, &sample(7));
        let mut content = [0; ROOM];
        let length = datagram.content().len();
        for place in 9..HEADER_BYTES + 24 {
            content[..length].copy_from_slice(datagram.content());
            content[place] ^= 0x10;
            let changed = Datagram::sealed(&content[..length]);
            assert!(wire::decode(changed.bytes(), &Checksum).is_err(), "byte {place}");
        }
    }
}

/// The wire: a tag tells both ends, both lives, the epoch and the cluster apart.
pub fn two_links_have_different_tags() {
    let Route::Full(link) = route(1) else { panic!("the full form") };
    let other = MemberId { id: THREE, ..link.from };
    let next = MemberId { incarnation: Incarnation(9), ..link.from };
    let others = [
        Introduction { cluster: coracle::ClusterId(1), ..link },
        Introduction { epoch: Epoch(1), ..link },
        Introduction { from: other, ..link },
        Introduction { from: next, ..link },
        Introduction { to: MemberId { id: THREE, ..link.to }, ..link },
        Introduction { to: MemberId { incarnation: Incarnation(9), ..link.to }, ..link },
        Introduction { from: link.to, to: link.from, ..link },
    ];
    for (place, one) in others.iter().enumerate() {
        assert_ne!(one.tag(), link.tag());
        assert!(others[..place].iter().all(|another| another.tag() != one.tag()));
    }
}

/// A number of more than 48 bits has no encoding: a link ends before it would wrap.
pub fn a_number_beyond_48_bits_has_no_encoding() {
    let mut buffer = [0; ROOM];
    for (number, fits) in [(MAX_NUMBER, true), (MAX_NUMBER + 1, false), (u64::MAX, false)] {
        let header = Header { number, route: route(0) };
        let length = wire::encode(&header, &sample(7), &Checksum, &mut buffer);
        assert_eq!(length.is_some(), fits);
    }
}

/// A datagram that does not fit its buffer is not written at all.
pub fn a_datagram_that_does_not_fit_is_not_written() {
    for which in 0..SAMPLES {
        let header = Header { number: 1, route: route(which) };
        let needed = Datagram::of(&header, &sample(which)).bytes().len();
        let mut buffer = [0; ROOM];
        for room in 0..needed {
            let written = wire::encode(&header, &sample(which), &Checksum, &mut buffer[..room]);
            assert_eq!(written, None);
        }
        let written = wire::encode(&header, &sample(which), &Checksum, &mut buffer[..needed]);
        assert_eq!(written, Some(needed));
    }
}

/// PITFALLS, invariant 15: decoding never panics, and neither does a node that gets the bytes.
pub fn random_bytes_are_rejected() {
    let mut random = Random::new(1);
    let mut bench = Bench::follower(&[1, 1]);
    let state = bench.state();
    let mut bytes = [0; 200];
    for _datagram in 0..2_000 {
        bytes.iter_mut().for_each(|byte| *byte = random.next().to_le_bytes()[0]);
        let length = usize::from(random.next().to_le_bytes()[0]).min(bytes.len());
        // Half of them get past the version.
        bytes[0] = if random.happens(50) { wire::VERSION } else { bytes[0] };
        assert!(wire::decode(&bytes[..length], &Checksum).is_err());
        assert!(!bench.hears_bytes(&bytes[..length]));
    }
    assert!(bench.drive().is_empty());
    assert_eq!(bench.state(), state);
    let counters = bench.raft.counters();
    assert_eq!(counters.undecodable + counters.misdirected, 2_000, "each is counted");
}

/// The same when the bytes have a header and a seal that are in order.
pub fn random_bodies_do_not_harm_a_node() {
    let mut random = Random::new(2);
    let mut bench = Bench::follower(&[1, 1]);
    bench.disk.is_forgetful = true;
    for round in 0..4_000_u64 {
        let header = Header { number: round + 1, route: Route::Full(bench.introduction(ONE)) };
        let datagram = Datagram::of(&header, &sample(4));
        let mut content = [0; ROOM];
        let start = datagram.content().len() - 7;
        content[..start].copy_from_slice(&datagram.content()[..start]);
        content[1] = 0x40 | (1 + random.next().to_le_bytes()[0] % 17);
        let length = usize::from(random.next().to_le_bytes()[0] % 40);
        for byte in &mut content[start..start + length] {
            // Small numbers make sense more often.
            let drawn = random.next().to_le_bytes()[0];
            *byte = if random.happens(70) { drawn % 4 } else { drawn };
        }
        bench.hears_bytes(Datagram::sealed(&content[..start + length]).bytes());
        bench.drive();
        assert_eq!(bench.violation, None);
        if round % 100 == 0 {
            bench = Bench::follower(&[1, 1]);
            bench.disk.is_forgetful = true;
        }
    }
}

/// A datagram with a seal.
pub struct Datagram {
    bytes: [u8; ROOM],
    length: usize,
}

impl Datagram {
    /// The encoding of a message.
    #[must_use]
    pub fn of(header: &Header, message: &Message<'_>) -> Self {
        let mut bytes = [0; ROOM];
        let length = wire::encode(header, message, &Checksum, &mut bytes);
        Self { bytes, length: length.expect("a sample fits") }
    }

    /// Any content, sealed.
    fn sealed(content: &[u8]) -> Self {
        let mut bytes = [0; ROOM];
        bytes[..content.len()].copy_from_slice(content);
        let length = content.len() + Checksum::BYTES;
        Checksum.seal(content, &mut bytes[content.len()..length]);
        Self { bytes, length }
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// What the seal is of.
    fn content(&self) -> &[u8] {
        &self.bytes[..self.length - Checksum::BYTES]
    }
}

/// Reads a body behind the header of a sample.
fn read_body(which: usize, body: &[u8]) -> Result<(), DecodeError> {
    let datagram = Datagram::of(&Header { number: 1, route: route(0) }, &sample(which));
    let mut content = [0; ROOM];
    content[..HEADER_BYTES].copy_from_slice(&datagram.content()[..HEADER_BYTES]);
    content[HEADER_BYTES..HEADER_BYTES + body.len()].copy_from_slice(body);
    let datagram = Datagram::sealed(&content[..HEADER_BYTES + body.len()]);
    wire::decode(datagram.bytes(), &Checksum).map(|_| ())
}

/// A no-op of term 2 and the command `hi` of term 3.
const TWO_ENTRIES: [u8; 10] = [2, 0, 2, 0, 4, 0, 3, 2, b'h', b'i'];

/// The nodes 1 to 3, with datagrams of 1200, 512 and 256 bytes.
const THREE_MEMBERS: [u8; 48] = [
    1, 0, 0, 0, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0xb0, 0x04, 2, 0, //
    2, 0, 0, 0, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x00, 0x02, 2, 0, //
    3, 0, 0, 0, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x00, 0x01, 2, 0,
];
