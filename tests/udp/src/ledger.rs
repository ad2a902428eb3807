//! What was added to a number, and whether the number says so.

use std::fmt::Write;

use num_bigint::{BigInt, BigUint};

/// Additions, each of a power of eight of its own: so each digit of the sum says how often one of
/// them took effect.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    additions: Vec<Standing>,
}

/// What is known of an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It took effect, once.
    Acknowledged,
    /// It may have taken effect, once.
    Unknown,
    /// It has none.
    Refused,
}

impl Ledger {
    /// A new addition: its place and its operand. Until more is said it may take effect.
    pub fn begin(&mut self) -> (usize, BigInt) {
        let place = self.additions.len();
        self.additions.push(Standing::Unknown);
        (place, BigInt::from(BigUint::from(1_u8) << (BITS * place)))
    }

    /// The addition at this place was acknowledged.
    pub fn acknowledge(&mut self, place: usize) {
        self.additions[place] = Standing::Acknowledged;
    }

    /// The addition at this place was refused.
    pub fn refuse(&mut self, place: usize) {
        self.additions[place] = Standing::Refused;
    }

    /// How many were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.additions.iter().filter(|standing| **standing == Standing::Acknowledged).count()
    }

    /// Whether the sum has every addition that is acknowledged here once, and none at all twice: it
    /// may have been read while more were made.
    ///
    /// # Errors
    /// Names the additions that took effect too often or not at all.
    pub fn holds(&self, sum: &BigInt) -> Result<(), String> {
        let digits = sum.magnitude().to_radix_le(1 << BITS);
        let most = self.additions.len().max(digits.len());
        let mut wrong = String::new();
        for place in 0..most {
            let times = digits.get(place).copied().unwrap_or(0);
            let least = u8::from(self.additions.get(place) == Some(&Standing::Acknowledged));
            if !(least..=1).contains(&times) {
                write!(wrong, "; addition {place}: {times} times")
                    .expect("a string takes everything");
            }
        }
        if wrong.is_empty() && *sum >= BigInt::ZERO { Ok(()) } else { Err(format!("wrong{wrong}")) }
    }

    /// Whether the sum has every acknowledged addition once, and no other more than once.
    ///
    /// # Errors
    /// Names the additions that took effect too often or not at all.
    pub fn check(&self, sum: &BigInt) -> Result<(), String> {
        let digits = sum.magnitude().to_radix_le(1 << BITS);
        let mut beyond = digits.iter().skip(self.additions.len());
        if sum < &BigInt::ZERO || beyond.any(|digit| *digit != 0) {
            return Err(format!("{sum} is no sum of {} additions", self.additions.len()));
        }
        let mut wrong = String::new();
        for (place, standing) in self.additions.iter().enumerate() {
            let times = digits.get(place).copied().unwrap_or(0);
            let is_right = match standing {
                Standing::Acknowledged => times == 1,
                Standing::Unknown => times <= 1,
                Standing::Refused => times == 0,
            };
            if !is_right {
                write!(wrong, "; addition {place} ({standing:?}): {times} times")
                    .expect("a string takes everything");
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("wrong{wrong}")) }
    }
}

const BITS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// One acknowledged, one unknown, one refused.
    fn ledger() -> (Ledger, [BigInt; 3]) {
        let mut ledger = Ledger::default();
        let additions = [(); 3].map(|()| ledger.begin());
        ledger.acknowledge(additions[0].0);
        ledger.refuse(additions[2].0);
        (ledger, additions.map(|(_, operand)| operand))
    }

    #[test]
    fn an_acknowledged_addition_counts_once_and_an_unknown_one_at_most_once() {
        let (ledger, [one, eight, sixty_four]) = ledger();
        assert_eq!(ledger.check(&one), Ok(()));
        assert_eq!(ledger.check(&(&one + &eight)), Ok(()));
        for wrong in [
            BigInt::ZERO,
            -&one,
            &one + &one,
            &one + &eight + &eight,
            eight.clone(),
            &one + &sixty_four,
            &one + &sixty_four * 8,
        ] {
            assert!(ledger.check(&wrong).is_err(), "{wrong}");
        }
        assert_eq!(ledger.acknowledged(), 1);
    }

    #[test]
    fn a_sum_that_was_read_later_may_have_more_but_never_less_or_twice() {
        let (ledger, [one, eight, sixty_four]) = ledger();
        for right in [one.clone(), &one + &eight, &one + &sixty_four * 8] {
            assert_eq!(ledger.holds(&right), Ok(()), "{right}");
        }
        for wrong in [BigInt::ZERO, -&one, &one + &one, eight.clone(), &one + &sixty_four * 16] {
            assert!(ledger.holds(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_added_is_zero() {
        assert_eq!(Ledger::default().check(&BigInt::ZERO), Ok(()));
        assert!(Ledger::default().check(&BigInt::from(1)).is_err());
    }
}
