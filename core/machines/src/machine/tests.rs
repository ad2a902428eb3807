use std::{boxed::Box, fmt::Debug, vec, vec::Vec};

use coracle::{Full, Sink, StateMachine};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Answer, Command, Key, Query, Refusal, Response, Small, Standard};
use crate::{
    Integer, LIMIT_BYTES, Number, SMALL_ARENA_BYTES, SMALL_KEYS, STANDARD_ARENA_BYTES,
    STANDARD_KEYS, Slot,
};

/// A sink without an end.
struct Bytes(Vec<u8>);

impl Sink for Bytes {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

fn snapshot<M: StateMachine>(machine: &M) -> Vec<u8> {
    let mut sink = Bytes(Vec::new());
    machine.snapshot(&mut sink).unwrap();
    sink.0
}

fn number(value: i64) -> Number<16> {
    Number::from(value)
}

fn add(machine: &mut Small, value: i64) -> Response {
    machine.apply(Command::Add(number(value).as_integer()))
}

fn mul(machine: &mut Small, value: i64) -> Response {
    machine.apply(Command::Mul(number(value).as_integer()))
}

fn set(machine: &mut Small, key: &[u8], value: &[u8]) -> Response {
    machine.apply(Command::Set { key, value })
}

fn value(machine: &Small) -> Number<16> {
    machine.query(&Query::Integer).integer().unwrap()
}

fn get(machine: &Small, key: &[u8]) -> Option<Vec<u8>> {
    match machine.query(&Query::Get(Key::from_slice(key).unwrap())) {
        Answer::Value(value) => value.map(<[u8]>::to_vec),
        Answer::Integer { .. } => panic!("an answer to another question"),
    }
}

/// A machine in which nothing is as it was at first.
fn lived() -> Small {
    let mut machine = Small::small(4);
    assert_eq!(mul(&mut machine, -3), Response::Done);
    assert_eq!(add(&mut machine, 1000), Response::Done);
    assert_eq!(set(&mut machine, b"B", b"hello"), Response::Done);
    assert_eq!(set(&mut machine, b"A", b"42"), Response::Done);
    assert_eq!(set(&mut machine, b"C", b""), Response::Done);
    machine
}

fn is_initial(machine: &Small) -> bool {
    machine.init() == number(4).as_integer() && snapshot(machine) == snapshot(&Small::small(0))
}

#[test]
fn nodes_with_initial_values_0_4_0_answer_6_10_6_from_one_snapshot() {
    let mut nodes = [Small::small(0), Small::small(4), Small::small(0)];
    for node in &mut nodes {
        for operand in [10, -5, 1] {
            assert_eq!(add(node, operand), Response::Done);
        }
    }
    assert_eq!(nodes.each_ref().map(value), [6, 10, 6].map(number));
    let [first, second, third] = nodes.each_ref().map(snapshot);
    assert_eq!(first, second);
    assert_eq!(first, third);

    let mut restarted = Small::small(4);
    restarted.restore(&mut first.as_slice()).unwrap();
    assert_eq!(value(&restarted), number(10));
}

#[test]
fn the_snapshot_has_these_bytes_and_no_others() {
    let golden = [
        1, // version
        1, 1, 0, 3, // a = -3
        0, 2, 0, 0xe8, 0x03, // b = 1000
        3, 0, 0, 0, // three keys
        1, 2, 0, b'A', b'4', b'2', //
        1, 5, 0, b'B', b'h', b'e', b'l', b'l', b'o', //
        1, 0, 0, b'C',
    ];
    assert_eq!(snapshot(&lived()), golden);
    let first = [1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(snapshot(&Small::small(7)), first);
}

#[test]
fn a_sum_is_answered_and_changes_nothing() {
    let mut machine = lived();
    let before = snapshot(&machine);
    assert_eq!(machine.apply(Command::Sum(5, 3)), Response::Sum(8));
    let largest = machine.apply(Command::Sum(i64::MIN, i64::MIN));
    assert_eq!(largest, Response::Sum(2 * i128::from(i64::MIN)));
    assert_eq!(snapshot(&machine), before);
}

#[test]
fn a_refused_command_changes_nothing() {
    let mut machine = lived();
    let before = snapshot(&machine);
    let huge = [0xff; LIMIT_BYTES + 1];
    let largest = Integer::new(false, &huge[..LIMIT_BYTES]);
    let past = Integer::new(true, &huge);
    let refused = [
        (Command::Add(past), Refusal::TooLarge),
        (Command::Sub(past), Refusal::TooLarge),
        (Command::Mul(past), Refusal::TooLarge),
        (Command::Add(largest), Refusal::TooLarge),
        (Command::Mul(largest), Refusal::TooLarge),
        (Command::Set { key: &[0; 65], value: b"" }, Refusal::KeyTooLong),
        (Command::Set { key: b"A", value: &[0; 961] }, Refusal::ValueTooLong),
        (Command::Set { key: b"A", value: &[0; 960] }, Refusal::OutOfSpace),
        (Command::Set { key: b"D", value: &[0; 950] }, Refusal::OutOfSpace),
    ];
    for (command, refusal) in refused {
        assert_eq!(machine.apply(command), Response::Refused(refusal));
        assert_eq!(snapshot(&machine), before);
    }
    assert_eq!(machine.apply(Command::Delete { key: b"Z" }), Response::Deleted(false));
    assert_eq!(snapshot(&machine), before);
}

#[test]
fn a_small_machine_takes_32_keys() {
    let mut machine = Small::small(0);
    for key in 0..32 {
        assert_eq!(set(&mut machine, &[key], &[0; 23]), Response::Done);
    }
    let before = snapshot(&machine);
    let refused = set(&mut machine, &[32], b"");
    assert_eq!(refused, Response::Refused(Refusal::TooManyKeys));
    assert_eq!(snapshot(&machine), before);
    assert_eq!(machine.store().used_bytes(), machine.store().capacity_bytes());
    assert_eq!(machine.apply(Command::Delete { key: &[0] }), Response::Deleted(true));
    assert_eq!(set(&mut machine, &[32], b"x"), Response::Done);
    assert_eq!(get(&machine, &[32]), Some(b"x".to_vec()));
    assert_eq!(get(&machine, &[0]), None);
}

#[test]
fn a_cut_snapshot_leaves_the_initial_state() {
    let bytes = snapshot(&lived());
    for length in 0..bytes.len() {
        let mut machine = lived();
        assert!(machine.restore(&mut &bytes[..length]).is_err(), "{length}");
        assert!(is_initial(&machine), "{length}");
    }
}

#[test]
fn bytes_behind_a_snapshot_are_refused() {
    let mut bytes = snapshot(&lived());
    bytes.push(0);
    let mut machine = lived();
    assert!(machine.restore(&mut bytes.as_slice()).is_err());
    assert!(is_initial(&machine));
}

#[test]
fn a_flipped_bit_gives_another_state_or_the_initial_one() {
    let bytes = snapshot(&lived());
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut machine = lived();
        if machine.restore(&mut flipped.as_slice()).is_ok() {
            assert_eq!(snapshot(&machine), flipped, "bit {bit}");
        } else {
            assert!(is_initial(&machine), "bit {bit}");
        }
    }
}

#[test]
fn a_snapshot_of_another_version_is_refused() {
    let mut bytes = snapshot(&lived());
    bytes[0] = 2;
    assert!(lived().restore(&mut bytes.as_slice()).is_err());
}

#[test]
fn a_snapshot_passes_between_a_small_machine_and_a_boxed_one_of_its_size() {
    let memory = vec![0; SMALL_ARENA_BYTES].into_boxed_slice();
    let slots = vec![Slot::EMPTY; SMALL_KEYS].into_boxed_slice();
    let init = Number::new(number(4).as_integer()).unwrap();
    let mut host = Standard::new(memory, slots, init);
    host.restore(&mut snapshot(&lived()).as_slice()).unwrap();
    assert_eq!(snapshot(&host), snapshot(&lived()));
    assert_eq!(host.query(&Query::Integer), lived().query(&Query::Integer));
}

#[test]
fn a_store_of_16_mib_is_made_on_a_small_stack() {
    let made = std::thread::Builder::new().stack_size(256 * 1024).spawn(|| {
        let memory: Box<[u8]> = vec![0; STANDARD_ARENA_BYTES].into_boxed_slice();
        let slots = vec![Slot::EMPTY; STANDARD_KEYS].into_boxed_slice();
        let mut host = Standard::new(memory, slots, Number::ZERO);
        let largest = [0xff; LIMIT_BYTES];
        host.apply(Command::Mul(Integer::new(true, &largest)));
        host.apply(Command::Set { key: b"k", value: b"v" });
        snapshot(&host).len()
    });
    assert_eq!(made.unwrap().join().unwrap(), 1 + 3 + LIMIT_BYTES + 3 + 4 + 5);
}

#[test]
fn a_machine_works_in_borrowed_memory() {
    let (mut memory, mut slots) = ([0; 64], [Slot::EMPTY; 2]);
    let mut machine =
        super::Machine::<_, _>::new(&mut memory[..], &mut slots[..], Number::from_i128(1));
    let set = machine.apply(Command::Set { key: b"k", value: b"v" });
    assert_eq!(set, Response::Done);
    assert_eq!(machine.store().get(b"k"), Some(&b"v"[..]));
}

/// Encodes and decodes, and checks that no byte is left.
fn survives<'a, T: Serialize + Deserialize<'a> + PartialEq + Debug>(
    value: &T,
    buffer: &'a mut [u8],
) -> usize {
    let length = postcard::to_slice(value, buffer).unwrap().len();
    let (decoded, rest) = postcard::take_from_bytes::<T>(&buffer[..length]).unwrap();
    assert_eq!((&decoded, rest.len()), (value, 0));
    length
}

#[test]
fn every_message_survives_postcard() {
    let buffer = &mut [0; 2048][..];
    let integer = Integer::new(true, &[1, 2, 3]);
    for command in [
        Command::Add(integer),
        Command::Sub(Integer::ZERO),
        Command::Mul(integer),
        Command::Sum(i64::MIN, i64::MAX),
        Command::Set { key: b"key", value: &[0xff; 300] },
        Command::Set { key: b"", value: b"" },
        Command::Delete { key: b"key" },
    ] {
        survives(&command, &mut buffer.to_vec());
    }
    for response in [
        Response::Done,
        Response::Sum(i128::MIN),
        Response::Sum(i128::MAX),
        Response::Deleted(true),
        Response::Deleted(false),
        Response::Refused(Refusal::TooLarge),
        Response::Refused(Refusal::KeyTooLong),
        Response::Refused(Refusal::ValueTooLong),
        Response::Refused(Refusal::TooManyKeys),
        Response::Refused(Refusal::OutOfSpace),
    ] {
        survives(&response, &mut buffer.to_vec());
    }
    for query in [Query::Integer, Query::Get(Key::from_slice(&[7; 64]).unwrap())] {
        survives(&query, &mut buffer.to_vec());
    }
    for answer in [
        Answer::Integer { a: integer, b: Integer::ZERO, init: integer },
        Answer::Value(None),
        Answer::Value(Some(b"")),
        Answer::Value(Some(b"value")),
    ] {
        survives(&answer, &mut buffer.to_vec());
    }
}

#[test]
fn a_command_has_these_bytes() {
    let encode = |command: Command<'_>| postcard::to_extend(&command, Vec::new()).unwrap();
    assert_eq!(encode(Command::Add(number(-258).as_integer())), [0, 1, 2, 2, 1]);
    assert_eq!(encode(Command::Set { key: b"A", value: b"42" }), b"\x04\x01A\x0242");
    assert_eq!(encode(Command::Delete { key: b"A" }), b"\x05\x01A");
    assert_eq!(encode(Command::Sum(5, -3)), [3, 10, 5]);
}

#[test]
fn a_key_that_is_too_long_is_no_query() {
    let mut bytes = vec![1, 65];
    bytes.extend([7; 65]);
    assert!(postcard::take_from_bytes::<Query>(&bytes).is_err());
}

#[test]
fn the_largest_messages_fit_a_datagram_of_1200_bytes() {
    let largest = [0xff; LIMIT_BYTES];
    let limit = Integer::new(true, &largest);
    let init = Number::from(i128::MIN);
    let answer = Answer::Integer { a: limit, b: limit, init: init.as_integer() };
    assert!(survives(&answer, &mut [0; 1200]) <= 1060);
    let set = Command::Set { key: &[1; 64], value: &[2; 1024] };
    assert!(survives(&set, &mut [0; 1200]) <= 1100);
}

proptest! {
    #![proptest_config(crate::seeded())]

    #[test]
    fn bytes_from_anywhere_decode_or_do_not_and_never_fail(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut machine = lived();
        if let Ok((command, _)) = postcard::take_from_bytes::<Command<'_>>(&bytes) {
            let before = snapshot(&machine);
            if let Response::Refused(_) = machine.apply(command) {
                prop_assert_eq!(snapshot(&machine), before);
            }
        }
        if let Ok((query, _)) = postcard::take_from_bytes::<Query>(&bytes) {
            machine.query(&query);
        }
        if let Ok((answer, _)) = postcard::take_from_bytes::<Answer<'_>>(&bytes) {
            prop_assert!(answer.integer::<256>().is_some() || matches!(answer, Answer::Value(_)));
        }
        if let Ok((_, rest)) = postcard::take_from_bytes::<Response>(&bytes) {
            prop_assert!(rest.len() < bytes.len());
        }
        if machine.restore(&mut bytes.as_slice()).is_ok() {
            prop_assert_eq!(snapshot(&machine), bytes);
        }
    }
}
