//! What becomes of a datagram, drawn from a seed.

use std::time::Duration;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// How one way between two ends treats its datagrams. By default it is a good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Nothing passes.
    pub is_cut: bool,
    /// Of a thousand datagrams, how many are lost.
    pub lost: u32,
    /// Of a thousand, how many arrive twice.
    pub doubled: u32,
    /// Of a thousand, how many are held for `hold`, so that later ones overtake them.
    pub held: u32,
    /// For how long those are held.
    pub hold: Duration,
    /// How long every datagram takes at least.
    pub delay: Duration,
    /// How much longer it takes at most; drawn for each.
    pub jitter: Duration,
}

impl Faults {
    /// Loses this many of a thousand.
    #[must_use]
    pub fn losing(lost: u32) -> Self {
        Self { lost, ..Self::default() }
    }
}

/// What becomes of one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Cut,
    Lost,
    /// How long until it leaves, and its copy if it has one.
    Leaves(Duration, Option<Duration>),
}

/// The fates of one way, which are the same for the same seed, faults and place in the order.
#[derive(Debug)]
pub(crate) struct Fates {
    random: Xoshiro256PlusPlus,
}

impl Fates {
    pub(crate) fn new(seed: u64, way: u64) -> Self {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(way);
        Self { random: Xoshiro256PlusPlus::seed_from_u64(mixed) }
    }

    /// Draws the next one. It always draws as often, so that a fault does not move all that follow.
    pub(crate) fn next(&mut self, faults: &Faults) -> Fate {
        let mut is_hit = |of_thousand: u32| self.random.next_u64() % 1000 < u64::from(of_thousand);
        let (is_lost, is_doubled) = (is_hit(faults.lost), is_hit(faults.doubled));
        let held = [is_hit(faults.held), is_hit(faults.held)];
        let [first, second] = held.map(|is_held| {
            let hold = if is_held { faults.hold } else { Duration::ZERO };
            faults.delay + self.part(faults.jitter) + hold
        });
        if faults.is_cut {
            Fate::Cut
        } else if is_lost {
            Fate::Lost
        } else {
            Fate::Leaves(first, is_doubled.then_some(second))
        }
    }

    fn part(&mut self, of: Duration) -> Duration {
        let micros = u64::try_from(of.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.random.next_u64() % micros.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(seed: u64, faults: &Faults) -> Vec<Fate> {
        let mut fates = Fates::new(seed, 3);
        (0..10_000).map(|_| fates.next(faults)).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_fates_and_another_seed_others() {
        let faults = Faults { lost: 300, doubled: 100, held: 50, ..Faults::default() };
        assert_eq!(fates(1, &faults), fates(1, &faults));
        assert_ne!(fates(1, &faults), fates(2, &faults));
    }

    #[test]
    fn as_many_are_lost_and_doubled_as_was_asked() {
        let faults = Faults { lost: 300, doubled: 100, ..Faults::default() };
        let drawn = fates(7, &faults);
        let lost = drawn.iter().filter(|fate| **fate == Fate::Lost).count();
        let doubled = drawn.iter().filter(|fate| matches!(fate, Fate::Leaves(_, Some(_)))).count();
        assert!((2850..3150).contains(&lost), "{lost} of 10000");
        assert!((630..770).contains(&doubled), "{doubled} of 7000");
    }

    #[test]
    fn a_good_way_lets_everything_pass_at_once_and_a_cut_one_nothing() {
        let good = Fate::Leaves(Duration::ZERO, None);
        assert!(fates(1, &Faults::default()).iter().all(|fate| *fate == good));
        let cut = Faults { is_cut: true, ..Faults::default() };
        assert!(fates(1, &cut).iter().all(|fate| *fate == Fate::Cut));
        assert!(fates(1, &Faults::losing(1000)).iter().all(|fate| *fate == Fate::Lost));
    }

    #[test]
    fn delays_lie_between_their_bounds() {
        let (delay, jitter) = (Duration::from_millis(2), Duration::from_millis(5));
        let faults = Faults { delay, jitter, ..Faults::default() };
        let leaves = |fate: &Fate| match fate {
            Fate::Leaves(after, None) => (delay..=delay + jitter).contains(after),
            Fate::Leaves(_, Some(_)) | Fate::Cut | Fate::Lost => false,
        };
        assert!(fates(1, &faults).iter().all(leaves));
    }
}
