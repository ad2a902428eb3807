//! Golden datagrams, one of each kind: what is on the wire does not change by accident.
//!
//! `cargo test -p coracle-rules --test host print_vectors -- --ignored --nocapture` prints them
//! anew, after a change that is meant (`wire!:`).

use coracle::wire::{self, Header, Introduction, Route};
use coracle::{Checksum, Epoch, Incarnation, MemberId, Members};

use crate::wire::{Datagram, KINDS, route, sample};

/// The header of the golden datagram of a kind, in a form of address that it has.
#[must_use]
pub fn header(which: usize) -> Header {
    let number = 0x0605_0403_0201 + u64::try_from(which).unwrap_or_default();
    let Route::Full(inside) = route(1) else { panic!("the full form") };
    let outside = Introduction { epoch: Epoch(0), ..inside };
    let to = MemberId { incarnation: Incarnation(0), ..inside.to };
    let route = match which {
        0 => Route::Full(Introduction { to, ..outside }),
        1..=3 => Route::Full(outside),
        4..=7 => Route::Full(inside),
        8..=11 | 14..=16 => Route::Tagged(inside.tag()),
        _ => route(2),
    };
    Header { number, route }
}

/// Each golden datagram, as it is written today.
pub fn a_message_is_written_as_it_always_was() {
    for (which, (name, hex)) in VECTORS.iter().enumerate() {
        let datagram = Datagram::of(&header(which), &sample(which));
        assert!(unhex(hex).eq(datagram.bytes().iter().copied()), "{name} is written otherwise");
    }
}

/// Each golden datagram, as it is read today.
pub fn a_message_is_read_as_it_always_was() {
    for (which, (name, hex)) in VECTORS.iter().enumerate() {
        let datagram: heapless::Vec<u8, 256> = unhex(hex).collect();
        let read = wire::decode(&datagram, &Checksum);
        assert_eq!(read, Ok((header(which), sample(which))), "{name} is read otherwise");
    }
}

/// There is one of each kind, and each has the code of its kind.
pub fn every_kind_has_a_golden_datagram() {
    assert_eq!(VECTORS.len(), KINDS.len());
    for (which, (name, hex)) in VECTORS.iter().enumerate() {
        assert_eq!(*name, KINDS[which]);
        let code = unhex(hex).nth(1).expect("a kind") & 0x3f;
        assert_eq!(usize::from(code), which + 1);
    }
}

/// Encoding: the bodies that are written by hand are postcard all the same, so that others can read them
/// with derived types.
pub fn the_bodies_written_by_hand_are_postcard() {
    #[derive(serde::Serialize)]
    enum Outcome {
        Matched(u64),
        Mismatch(u64, u64),
        Stale,
    }
    #[derive(serde::Serialize)]
    enum ChunkOutcome {
        Taken(u32, [u8; 8]),
        TooLarge,
    }
    let nonce = 0x77_u64.to_le_bytes();
    is_postcard(4, &(300_u64, 299_u64, 70_000_u64, false), &[]);
    is_postcard(6, &(300_u64, 299_u64, 70_000_u64, false), &[]);
    is_postcard(5, &(300_u64, 301_u64, true), &[]);
    is_postcard(20, &(300_u64, 301_u64, false), &[]);
    let run = [2, 0, 2, 0, 4, 0, 3, 2, b'h', b'i'];
    is_postcard(8, &(3_u64, 2_u64, 1000_u64, 999_u64, 99_u64), &run);
    is_postcard(9, &(3_u64, 1_u64 << 40, Outcome::Matched(1002)), &[]);
    is_postcard(22, &(3_u64, 1_u64 << 40, Outcome::Mismatch(2, 1000)), &[]);
    is_postcard(23, &(3_u64, 1_u64 << 40, Outcome::Stale), &[]);
    is_postcard(10, &(3_u64, nonce), &[]);
    is_postcard(11, &(3_u64, 17_u64, nonce, 1002_u64), &[]);
    let name = (2_u64, 1000_u64, 205_u64, 0xfeed_beef_u32.to_le_bytes());
    is_postcard(14, &(3_u64, name, 100_u16, 2_u32), b"whole");
    let taken = 6_u64.to_le_bytes();
    is_postcard(15, &(3_u64, 1_u64 << 40, 1000_u64, ChunkOutcome::Taken(2, taken)), &[]);
    is_postcard(25, &(3_u64, 1_u64 << 40, 1000_u64, ChunkOutcome::TooLarge), &[]);
    is_postcard(16, &300_u64, &[]);
}

fn is_postcard<T: serde::Serialize>(which: usize, value: &T, tail: &[u8]) {
    let datagram = Datagram::of(&Header { number: 1, route: route(0) }, &sample(which));
    let mut space = [0; 64];
    let body = postcard::to_slice(value, &mut space).expect("a short body");
    let end = datagram.bytes().len() - 4;
    let written = &datagram.bytes()[wire::HEADER_BYTES..end];
    assert!(written.iter().eq(body.iter().chain(tail)), "{:?}", sample(which));
}

/// Formation: the epoch is the hash of V, so this hash is a format, too.
pub fn the_same_members_form_the_same_epoch_everywhere() {
    let coracle::message::Message::Boot(members) = sample(2) else { panic!("the members") };
    assert_eq!(members.epoch(crate::harness::CLUSTER).0, EPOCH);
    assert_ne!(members.epoch(coracle::ClusterId(1)).0, EPOCH);
}

/// Members are in one order, each once, each with a datagram of a useful size, and some voter of each
/// half has a life.
pub fn malformed_members_are_rejected() {
    let coracle::message::Message::Boot(members) = sample(2) else { panic!("the members") };
    let good: heapless::Vec<u8, 48> = members.bytes().iter().copied().collect();
    assert!(Members::parse(&good).is_some());
    let with = |place: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[place..place + bytes.len()].copy_from_slice(bytes);
        Members::parse(&bad).is_some()
    };
    assert!(with(0, &[0, 0, 0, 0]), "zero is an id like any other");
    assert!(with(0, &[2, 0, 0, 0]), "two lives of one node");
    assert!(!with(0, &good[16..32]), "one life twice");
    assert!(!with(0, &[3, 0, 0, 0]), "not in order");
    assert!(with(4, &[0; 8]), "absent from a first start");
    assert!(!with(12, &[127, 0]), "a datagram that is too small");
    assert!(!with(14, &[6]), "there is no such part");
    assert!(!with(15, &[19]), "an address that is too long");
    let learners = [0, 16, 32].map(|at| with(at + 14, &[0]));
    assert_eq!(learners, [true; 3], "two voters and a learner");
    let mut nobody = good.clone();
    [14, 30, 46].iter().for_each(|at| nobody[*at] = 0);
    assert!(Members::parse(&nobody).is_none(), "no voter");
    [14, 30, 46].iter().for_each(|at| nobody[*at] = 4);
    assert!(Members::parse(&nobody).is_none(), "no voter in the new half");
    [14, 30, 46].iter().for_each(|at| nobody[*at] = 3);
    assert!(Members::parse(&nobody).is_none(), "no voter in the old half");
    let mut absent = good.clone();
    [4, 20, 36].iter().for_each(|at| absent[*at..*at + 8].fill(0));
    assert!(Members::parse(&absent).is_none(), "no voter with a life");
    assert!(Members::parse(&[]).is_none(), "nobody");
    assert!((1..16).all(|cut| Members::parse(&good[..48 - cut]).is_none()), "a part of a member");
}

fn unhex(hex: &str) -> impl Iterator<Item = u8> + '_ {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        other => panic!("{other} is no digit"),
    };
    hex.as_bytes().chunks(2).map(move |pair| digit(pair[0]) << 4 | digit(pair[1]))
}

/// The epoch of the members in the third of the golden datagrams.
const EPOCH: u64 = 0xd34f_462d_87c7_f5b5;

/// The golden datagrams, by kind.
pub const VECTORS: &[(&str, &str)] = &[
    (
        "Hello",
        "01410001020304050635462875cc0585c3efbeaddee0fe0f0c0000000000000000010000001111111111\
         1111110200000000000000000000000807060504030201ffffffffffffffffb009000000000000000000\
         0000000000000000000000000000000000000015a8fb29",
    ),
    (
        "HelloReply",
        "01420002020304050611d827b4ea7c3fdfefbeaddee0fe0f0c0000000000000000010000001111111111\
         111111020000002222222222222222221100000000000000b00904686572657efb94cb",
    ),
    (
        "Boot",
        "01430003020304050611d827b4ea7c3fdfefbeaddee0fe0f0c0000000000000000010000001111111111\
         111111020000002222222222222222010000001111111111111111b00402000200000022222222222222\
         2200020200030000003333333333333333000102007c75334d",
    ),
    (
        "BootReply",
        "01440004020304050611d827b4ea7c3fdfefbeaddee0fe0f0c0000000000000000010000001111111111\
         111111020000002222222222222222cdab0000000000000112cb0fcb",
    ),
    (
        "PreVote",
        "014500050203040506ce7aac56bd9b1e4defbeaddee0fe0f0c3333000000000000010000001111111111\
         111111020000002222222222222222ac02ab02f0a20400cdb823ec",
    ),
    (
        "PreVoteReply",
        "014600060203040506ce7aac56bd9b1e4defbeaddee0fe0f0c3333000000000000010000001111111111\
         111111020000002222222222222222ac02ad02017ed288f0",
    ),
    (
        "Vote",
        "014700070203040506ce7aac56bd9b1e4defbeaddee0fe0f0c3333000000000000010000001111111111\
         111111020000002222222222222222ac02ab02f0a2040007237e9e",
    ),
    (
        "VoteReply",
        "014800080203040506ce7aac56bd9b1e4defbeaddee0fe0f0c3333000000000000010000001111111111\
         111111020000002222222222222222ac02ad0201aa26852f",
    ),
    ("Append", "010900090203040506ce7aac56bd9b1e4d0302e807e7076302000200040003026869f91ac630"),
    ("AppendReply", "010a000a0203040506ce7aac56bd9b1e4d0380808080802000ea07f142e2a3"),
    ("ReadRequest", "010b000b0203040506ce7aac56bd9b1e4d037700000000000000cf27f528"),
    ("ReadReply", "010c000c0203040506ce7aac56bd9b1e4d03117700000000000000ea079b786b38"),
    (
        "Request",
        "018d000d02030405065f9ae70a8accb575efbeaddee0fe0f0c3333000000000000444444440000000001\
         2c09056164642031050000000000603b82c7",
    ),
    (
        "Reply",
        "018e000e02030405065f9ae70a8accb575efbeaddee0fe0f0c333300000000000044444444000000000c\
         020103eb070131521599ec",
    ),
    ("Chunk", "010f000f0203040506ce7aac56bd9b1e4d0302e807cd01efbeedfe640277686f6c653a3f896f"),
    (
        "ChunkReply",
        "011000100203040506ce7aac56bd9b1e4d03808080808020e80700020600000000000000451ccfb6",
    ),
    ("TimeoutNow", "011100110203040506ce7aac56bd9b1e4dac0205acba7a"),
];
