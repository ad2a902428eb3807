use std::{vec, vec::Vec};

use num_bigint::{BigInt, Sign};
use proptest::prelude::*;

use super::Affine;
use crate::{Integer, LIMIT_BYTES, Number, TooLarge};

#[derive(Clone, Copy, Debug)]
enum Operation {
    Add,
    Sub,
    Mul,
}

fn to_big(integer: Integer<'_>) -> BigInt {
    let sign = if integer.is_negative() { Sign::Minus } else { Sign::Plus };
    BigInt::from_bytes_le(sign, integer.magnitude())
}

fn with_integer<R>(value: &BigInt, then: impl FnOnce(Integer<'_>) -> R) -> R {
    let (sign, magnitude) = value.to_bytes_le();
    then(Integer::new(sign == Sign::Minus, &magnitude))
}

fn run<const BYTES: usize>(
    function: &mut Affine<BYTES>,
    operation: Operation,
    operand: &BigInt,
) -> Result<(), TooLarge> {
    with_integer(operand, |operand| match operation {
        Operation::Add => function.add(operand),
        Operation::Sub => function.sub(operand),
        Operation::Mul => function.mul(operand),
    })
}

fn fits(value: &BigInt, bytes: usize) -> bool {
    value.bits() <= 8 * bytes as u64
}

fn any_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![Just(Operation::Add), Just(Operation::Sub), Just(Operation::Mul)]
}

fn any_big(bytes: usize) -> impl Strategy<Value = BigInt> {
    (any::<bool>(), prop::collection::vec(any::<u8>(), 0..=bytes)).prop_map(|(negative, bytes)| {
        BigInt::from_bytes_le(if negative { Sign::Minus } else { Sign::Plus }, &bytes)
    })
}

proptest! {
    #![proptest_config(crate::seeded())]

    #[test]
    fn composing_commands_is_running_them_one_by_one(
        init in any_big(10),
        commands in prop::collection::vec((any_operation(), any_big(9)), 0..40),
    ) {
        let mut function = Affine::<16>::new();
        let (mut value, mut a, mut b) = (init.clone(), BigInt::from(1), BigInt::from(0));
        for (operation, operand) in &commands {
            let (new_a, new_b) = match operation {
                Operation::Add => (a.clone(), &b + operand),
                Operation::Sub => (a.clone(), &b - operand),
                Operation::Mul => (&a * operand, &b * operand),
            };
            let expected = fits(&new_a, 16) && fits(&new_b, 16);
            let before = function;
            prop_assert_eq!(run(&mut function, *operation, operand).is_ok(), expected);
            if expected {
                (a, b) = (new_a, new_b);
                match operation {
                    Operation::Add => value += operand,
                    Operation::Sub => value -= operand,
                    Operation::Mul => value *= operand,
                }
            } else {
                prop_assert_eq!(function, before);
            }
        }
        prop_assert_eq!(to_big(function.a()), a);
        prop_assert_eq!(to_big(function.b()), b);
        let evaluated = with_integer(&init, |init| function.evaluate::<32>(init)).unwrap();
        prop_assert_eq!(to_big(evaluated.as_integer()), value);
    }

    #[test]
    fn bytes_that_are_no_snapshot_leave_the_initial_function(
        bytes in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut function = Affine::<4>::new();
        function.add(Number::from(9_i64).as_integer()).unwrap();
        if function.restore(&mut bytes.as_slice()).is_err() {
            prop_assert_eq!(function, Affine::new());
        } else {
            let mut again = Snapshot::new();
            function.snapshot(&mut again).unwrap();
            prop_assert!(bytes.starts_with(&again));
        }
    }
}

type Snapshot = heapless::Vec<u8, 1030>;

fn largest() -> BigInt {
    (BigInt::from(1) << (8 * LIMIT_BYTES)) - 1
}

#[test]
fn b_reaches_the_limit_of_either_sign_and_not_one_more() {
    for sign in [1, -1] {
        let mut function = Affine::<LIMIT_BYTES>::new();
        let one = BigInt::from(sign);
        let limit = largest() * sign;
        run(&mut function, Operation::Add, &(&limit - &one)).unwrap();
        run(&mut function, Operation::Add, &one).unwrap();
        assert_eq!(to_big(function.b()), limit);
        let before = function;
        assert_eq!(run(&mut function, Operation::Add, &one), Err(TooLarge));
        assert_eq!(run(&mut function, Operation::Sub, &-&one), Err(TooLarge));
        assert_eq!(function, before);
        run(&mut function, Operation::Sub, &one).unwrap();
        assert_eq!(to_big(function.b()), limit - one);
    }
}

#[test]
fn a_reaches_the_limit_of_either_sign_and_not_one_more() {
    for sign in [1, -1] {
        let mut function = Affine::<LIMIT_BYTES>::new();
        // 2^4096 - 1 = (2^2048 - 1)(2^2048 + 1)
        let half = BigInt::from(1) << (4 * LIMIT_BYTES);
        run(&mut function, Operation::Mul, &(&half - 1)).unwrap();
        run(&mut function, Operation::Mul, &((&half + 1) * sign)).unwrap();
        assert_eq!(to_big(function.a()), largest() * sign);
        let before = function;
        assert_eq!(run(&mut function, Operation::Mul, &BigInt::from(2)), Err(TooLarge));
        assert_eq!(function, before);

        let mut function = Affine::<LIMIT_BYTES>::new();
        run(&mut function, Operation::Mul, &half).unwrap();
        let before = function;
        assert_eq!(run(&mut function, Operation::Mul, &(&half * sign)), Err(TooLarge));
        assert_eq!(function, before);
    }
}

#[test]
fn a_product_that_only_b_cannot_hold_changes_neither() {
    let mut function = Affine::<LIMIT_BYTES>::new();
    run(&mut function, Operation::Add, &largest()).unwrap();
    let before = function;
    assert_eq!(run(&mut function, Operation::Mul, &BigInt::from(-2)), Err(TooLarge));
    assert_eq!(function, before);
    run(&mut function, Operation::Mul, &BigInt::from(-1)).unwrap();
    assert_eq!(to_big(function.b()), -largest());
}

#[test]
fn an_operand_past_the_limit_is_refused_even_where_its_result_would_fit() {
    let mut function = Affine::<LIMIT_BYTES>::new();
    run(&mut function, Operation::Add, &-largest()).unwrap();
    let before = function;
    assert_eq!(run(&mut function, Operation::Add, &(largest() + 1)), Err(TooLarge));
    assert_eq!(function, before);
}

#[test]
fn after_multiplying_by_zero_the_initial_value_is_forgotten() {
    let mut function = Affine::<LIMIT_BYTES>::new();
    run(&mut function, Operation::Add, &BigInt::from(-3)).unwrap();
    run(&mut function, Operation::Mul, &BigInt::from(0)).unwrap();
    assert_eq!((function.a(), function.b()), (Integer::ZERO, Integer::ZERO));
    let mut snapshot = Snapshot::new();
    function.snapshot(&mut snapshot).unwrap();
    assert_eq!(snapshot, [0, 0, 0, 0, 0, 0]);
    run(&mut function, Operation::Add, &BigInt::from(7)).unwrap();
    let seven = function.evaluate::<16>(Number::from(i128::MAX).as_integer());
    assert_eq!(seven, Some(Number::from(7_i64)));
}

#[test]
fn a_value_past_the_width_asked_for_is_none() {
    let mut function = Affine::<LIMIT_BYTES>::new();
    run(&mut function, Operation::Mul, &largest()).unwrap();
    let init = Number::from(2_i64);
    assert_eq!(function.evaluate::<LIMIT_BYTES>(init.as_integer()), None);
    let value = function.evaluate::<{ LIMIT_BYTES + 2 }>(init.as_integer()).unwrap();
    assert_eq!(to_big(value.as_integer()), largest() * 2);
}

#[test]
fn the_largest_function_survives_a_snapshot() {
    let mut function = Affine::<LIMIT_BYTES>::new();
    run(&mut function, Operation::Mul, &-largest()).unwrap();
    run(&mut function, Operation::Sub, &largest()).unwrap();
    let mut snapshot = Snapshot::new();
    function.snapshot(&mut snapshot).unwrap();
    assert_eq!(snapshot.len(), 2 * (3 + LIMIT_BYTES));
    let mut restored = Affine::<LIMIT_BYTES>::new();
    restored.restore(&mut snapshot.as_slice()).unwrap();
    assert_eq!(restored, function);
    let mut smaller = Affine::<{ LIMIT_BYTES - 1 }>::new();
    assert!(smaller.restore(&mut snapshot.as_slice()).is_err());
}

#[test]
fn another_form_of_the_same_integer_is_no_snapshot() {
    let refused: [Vec<u8>; 5] = [
        vec![1, 0, 0, 0, 0, 0],       // minus zero
        vec![0, 1, 0, 0, 0, 0, 0],    // zero as one byte
        vec![0, 2, 0, 1, 0, 0, 0, 0], // a zero on top
        vec![2, 1, 0, 1, 0, 0, 0],    // a sign that is neither
        vec![0, 0, 0, 1, 0, 0],       // minus zero as b
    ];
    for bytes in refused {
        let mut function = Affine::<4>::new();
        assert!(function.restore(&mut bytes.as_slice()).is_err(), "{bytes:?}");
        assert_eq!(function, Affine::new());
    }
}
