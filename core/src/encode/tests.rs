//! Whatever serde can say, postcard says in the same bytes.

extern crate std;

use std::vec::Vec;

use heapless::LinearMap;
use serde::{Serialize, Serializer};

use super::{encode, encode_fast, encode_into, encoded_length, is_encoding};
use crate::machine::{Full, Sink};

/// Every kind of value that serde knows.
#[derive(Serialize)]
struct Everything {
    integers: (i8, i16, i32, i64, i128, u8, u16, u32, u64, u128),
    floats: (f32, f64),
    truth: [bool; 2],
    letter: char,
    text: &'static str,
    bytes: Bytes,
    options: (Option<u16>, Option<u16>),
    unit: (),
    unit_struct: Unit,
    newtype: Newtype,
    pair: Pair,
    variants: [Variants; 4],
    sequence: heapless::Vec<u16, 300>,
    map: LinearMap<u8, i8, 2>,
    collected: Collected,
}

struct Bytes;

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&[1; 200])
    }
}

struct Collected;

impl Serialize for Collected {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}-{:>8}", 1, "ä"))
    }
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Newtype(u64);

#[derive(Serialize)]
struct Pair(u8, u64);

#[derive(Serialize)]
enum Variants {
    Unit,
    Newtype(u32),
    Tuple(u8, i16),
    Struct { one: u16, other: bool },
}

fn everything(integer: i128) -> Everything {
    let low = |bits: u32| (integer.rem_euclid(1 << bits)).cast_unsigned();
    let [byte, ..] = integer.to_le_bytes();
    let wide = u64::try_from(low(64)).unwrap();
    let word = u32::try_from(low(32)).unwrap();
    let half = u16::try_from(low(16)).unwrap();
    Everything {
        integers: (
            byte.cast_signed(),
            half.cast_signed(),
            word.cast_signed(),
            wide.cast_signed(),
            integer,
            byte,
            half,
            word,
            wide,
            integer.cast_unsigned(),
        ),
        floats: (1.5, -0.1),
        truth: [true, false],
        letter: '\u{1f6f6}',
        text: "coracle",
        bytes: Bytes,
        options: (Some(half), None),
        unit: (),
        unit_struct: Unit,
        newtype: Newtype(wide),
        pair: Pair(byte, wide),
        variants: [
            Variants::Unit,
            Variants::Newtype(word),
            Variants::Tuple(byte, half.cast_signed()),
            Variants::Struct { one: half, other: true },
        ],
        sequence: (0..300).collect(),
        map: [(1, -1), (2, -128)].into_iter().collect(),
        collected: Collected,
    }
}

fn with_postcard(value: &Everything) -> Vec<u8> {
    let mut bytes = [0; 2048];
    Vec::from(&*postcard::to_slice(value, &mut bytes).unwrap())
}

/// Numbers at the borders of every width and of every length of a varint.
fn integers() -> impl Iterator<Item = i128> {
    let powers = (0..127).map(|shift| 1_i128 << shift);
    powers.flat_map(|power| [power - 1, power, -power, -power - 1]).chain([i128::MAX, i128::MIN])
}

#[test]
fn every_value_is_the_same_bytes_as_with_postcard() {
    for integer in integers() {
        let value = everything(integer);
        let expected = with_postcard(&value);
        let mut bytes = [0; 2048];
        let length = encode(&value, &mut bytes).unwrap();
        assert_eq!(&bytes[..length], &expected, "{integer}");
        assert_eq!(encode_fast(&value, &mut bytes), Some(length));
        assert_eq!(&bytes[..length], &expected, "{integer}");
        assert_eq!(encoded_length(&value), Some(expected.len()));
        assert!(is_encoding(&expected, &value));
        let mut sink = heapless::Vec::<u8, 2048>::new();
        assert_eq!(encode_into(&value, &mut sink), Ok(()));
        assert_eq!(&sink[..], &expected);
    }
}

#[test]
fn nothing_is_written_past_the_end() {
    let value = everything(-1);
    let length = encoded_length(&value).unwrap();
    let mut bytes = [0xee; 2048];
    assert_eq!(encode(&value, &mut bytes[..length]), Some(length));
    for short in 0..length {
        assert_eq!(encode(&value, &mut bytes[..short]), None, "{short} bytes");
        assert_eq!(encode_fast(&value, &mut bytes[..short]), None, "{short} bytes");
    }
    assert!(bytes[length..].iter().all(|byte| *byte == 0xee));
}

#[test]
fn other_bytes_are_not_the_encoding() {
    let value = everything(1 << 40);
    let mut bytes = with_postcard(&value);
    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        assert!(!is_encoding(&bytes, &value), "byte {at}");
        bytes[at] ^= 1;
        assert!(!is_encoding(&bytes[..at], &value), "{at} bytes");
    }
    bytes.push(0);
    assert!(!is_encoding(&bytes, &value));
}

#[test]
fn a_full_sink_is_an_error() {
    struct Never;
    impl Sink for Never {
        fn write(&mut self, _: &[u8]) -> Result<(), Full> {
            Err(Full)
        }
    }
    assert_eq!(encode_into(&7_u8, &mut Never), Err(Full));
}

#[test]
fn a_sequence_of_unknown_length_has_no_encoding() {
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_seq(None)?;
            unreachable!("there is no length to write");
        }
    }
    assert_eq!(encoded_length(&Endless), None);
}
