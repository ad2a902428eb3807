use std::{format, string::String, vec, vec::Vec};

use num_bigint::{BigInt, Sign};
use proptest::prelude::*;

use super::{Integer, Number, TooLarge};

fn to_big(integer: Integer<'_>) -> BigInt {
    let sign = if integer.is_negative() { Sign::Minus } else { Sign::Plus };
    BigInt::from_bytes_le(sign, integer.magnitude())
}

fn number<const BYTES: usize>(value: &BigInt) -> Result<Number<BYTES>, TooLarge> {
    let (sign, magnitude) = value.to_bytes_le();
    Number::new(Integer::new(sign == Sign::Minus, &magnitude))
}

fn check<const BYTES: usize>(result: Result<Number<BYTES>, TooLarge>, expected: &BigInt) {
    if expected.bits() > 8 * BYTES as u64 {
        assert_eq!(result, Err(TooLarge), "{expected}");
    } else {
        let result = result.unwrap();
        assert_eq!(&to_big(result.as_integer()), expected);
        assert_eq!(Ok(result), number(expected));
    }
}

fn sum<const BYTES: usize>(
    mut left: Number<BYTES>,
    right: &Number<BYTES>,
) -> Result<Number<BYTES>, TooLarge> {
    let before = left;
    left.add(right).map(|()| left).inspect_err(|_| assert_eq!(left, before))
}

fn product<const BYTES: usize>(
    mut left: Number<BYTES>,
    right: &Number<BYTES>,
) -> Result<Number<BYTES>, TooLarge> {
    let before = left;
    left.multiply(right).map(|()| left).inspect_err(|_| assert_eq!(left, before))
}

fn negated<const BYTES: usize>(mut number: Number<BYTES>) -> Number<BYTES> {
    number.negate();
    number
}

/// Integers of at most this many bytes, with many zero and all-one bytes among them.
fn any_big(bytes: usize) -> impl Strategy<Value = BigInt> {
    let byte = prop_oneof![Just(0), Just(0xff), any::<u8>()];
    (any::<bool>(), prop::collection::vec(byte, 0..=bytes)).prop_map(|(negative, magnitude)| {
        BigInt::from_bytes_le(if negative { Sign::Minus } else { Sign::Plus }, &magnitude)
    })
}

proptest! {
    #![proptest_config(crate::seeded())]

    #[test]
    fn arithmetic_is_exact_or_refused(left in any_big(24), right in any_big(24)) {
        let (l, r) = (number::<24>(&left).unwrap(), number::<24>(&right).unwrap());
        check(sum(l, &r), &(&left + &right));
        check(sum(l, &negated(r)), &(&left - &right));
        check(product(l, &r), &(&left * &right));
    }

    #[test]
    fn arithmetic_is_exact_at_odd_widths(left in any_big(7), right in any_big(7)) {
        let (l, r) = (number::<7>(&left).unwrap(), number::<7>(&right).unwrap());
        check(sum(l, &r), &(&left + &right));
        check(sum(l, &negated(r)), &(&left - &right));
        check(product(l, &r), &(&left * &right));
    }

    #[test]
    fn primitive_integers_keep_their_value(value in any::<i128>()) {
        prop_assert_eq!(to_big(Number::from(value).as_integer()), BigInt::from(value));
    }

    #[test]
    fn decimals_are_read_exactly(value in any_big(24)) {
        let text = format!("{value}");
        prop_assert_eq!(Number::<24>::from_decimal(text.as_bytes()), number(&value).ok());
    }

    #[test]
    fn an_integer_survives_postcard(value in any_big(300)) {
        let (sign, magnitude) = value.to_bytes_le();
        let integer = Integer::new(sign == Sign::Minus, &magnitude);
        let bytes = postcard::to_extend(&integer, Vec::new()).unwrap();
        let (decoded, rest) = postcard::take_from_bytes::<Integer<'_>>(&bytes).unwrap();
        prop_assert_eq!((decoded, rest.len()), (integer, 0));
    }
}

#[test]
fn the_extremes_of_primitive_integers_fit() {
    for value in [i128::MIN, i128::MAX, 0, -1, 1] {
        assert_eq!(to_big(Number::from(value).as_integer()), BigInt::from(value));
    }
    assert_eq!(Number::from(i64::MIN), Number::from(i128::from(i64::MIN)));
}

#[test]
fn zero_has_one_form() {
    assert_eq!(Integer::new(true, &[0, 0]), Integer::ZERO);
    let zero = sum(Number::from(5_i64), &Number::from(-5_i64)).unwrap();
    assert_eq!(zero, Number::ZERO);
    assert!(!negated(zero).as_integer().is_negative());
    let product = product(Number::from(-5_i64), &zero).unwrap();
    assert_eq!(product, Number::ZERO);
}

#[test]
fn a_number_takes_its_width_and_no_byte_more() {
    assert!(Number::<4>::new(Integer::new(false, &[0xff; 4])).is_ok());
    assert_eq!(Number::<4>::new(Integer::new(false, &[0xff; 5])), Err(TooLarge));
    assert!(Number::<4>::new(Integer::new(true, &[1, 0, 0, 0, 0, 0])).is_ok());
}

#[test]
fn encodings_that_are_not_minimal_are_refused() {
    let refused: [&[u8]; 5] = [
        &[0, 1, 0],       // zero as one byte
        &[0, 3, 5, 1, 0], // a zero on top
        &[1, 0],          // minus zero
        &[1, 2, 0, 0],    // minus zero, two bytes
        &[2, 1, 5],       // a sign that is neither
    ];
    for bytes in refused {
        assert!(postcard::take_from_bytes::<Integer<'_>>(bytes).is_err(), "{bytes:?}");
    }
    assert_eq!(
        postcard::to_extend(&Integer::new(true, &[5, 1]), Vec::new()).unwrap(),
        [1, 2, 5, 1]
    );
    assert_eq!(postcard::to_extend(&Integer::ZERO, Vec::new()).unwrap(), [0, 0]);
}

#[test]
fn what_is_no_decimal_is_not_read() {
    for text in ["", "-", "+", "+-1", "--1", "1 ", " 1", "1_000", "0x1", "1.5", "١"] {
        assert_eq!(Number::<8>::from_decimal(text.as_bytes()), None, "{text}");
    }
    for (text, value) in [("+7", 7), ("-0", 0), ("007", 7), ("-12", -12_i64)] {
        let read = Number::<16>::from_decimal(text.as_bytes());
        assert_eq!(read, Some(Number::from(value)), "{text}");
    }
}

#[test]
fn a_decimal_past_the_width_is_not_read() {
    assert!(Number::<2>::from_decimal(b"65535").is_some());
    assert_eq!(Number::<2>::from_decimal(b"65536"), None);
    assert_eq!(Number::<2>::from_decimal(b"-655350"), None);
    let nines: Vec<u8> = vec![b'9'; 100];
    assert_eq!(Number::<2>::from_decimal(&nines), None);
    assert_eq!(String::from_utf8(nines).unwrap().len(), 100);
}
