//! A node's clock: it runs too fast or too slow, and in steps.

use coracle::Ticks;

use crate::queue::Micros;

/// The rate of a clock that is right, in the units of [`Clock::set_rate`].
pub const TRUE_RATE: u64 = 64;

/// What a node takes for the time.
#[derive(Clone, Debug)]
pub struct Clock {
    /// How long a tick is on a clock that is right.
    tick: Micros,
    /// How fast it runs, in 64ths.
    rate: u64,
    /// The true time at which the rate was set last, and what the clock showed then, in 64ths of a
    /// microsecond.
    since: Micros,
    shown: u64,
    /// The ticks that the node was told of.
    told: u64,
}

impl Clock {
    /// A clock that is right and starts now.
    #[must_use]
    pub const fn new(tick: Micros, now: Micros) -> Self {
        Self { tick, rate: TRUE_RATE, since: now, shown: 0, told: 0 }
    }

    /// From now on the clock shows `rate` microseconds for each 64 that pass.
    pub fn set_rate(&mut self, now: Micros, rate: u64) {
        self.shown = self.shows(now);
        self.since = now;
        self.rate = rate;
    }

    /// The ticks that went by since the node was told last; now it is told.
    pub fn elapsed(&mut self, now: Micros) -> Ticks {
        let ticks = self.shows(now) / self.tick_length();
        let elapsed = ticks - self.told;
        self.told = ticks;
        Ticks(elapsed)
    }

    /// The true time at which so many ticks have passed since the node was told last.
    #[must_use]
    pub fn when(&self, ticks: Ticks) -> Micros {
        let target = self.told.saturating_add(ticks.0).saturating_mul(self.tick_length());
        let missing = target.saturating_sub(self.shown);
        self.since.plus(Micros(missing.div_ceil(self.rate)))
    }

    const fn shows(&self, now: Micros) -> u64 {
        self.shown + now.since(self.since).0 * self.rate
    }

    const fn tick_length(&self) -> u64 {
        self.tick.0 * TRUE_RATE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_woken_when_its_ticks_have_passed_is_told_of_all_of_them() {
        for rate in [16, 37, 64, 256] {
            let mut clock = Clock::new(Micros(10), Micros(1003));
            assert_eq!(clock.elapsed(Micros(1017)), Ticks(1));
            clock.set_rate(Micros(1019), rate);
            let at = clock.when(Ticks(7));
            assert_eq!(clock.clone().elapsed(Micros(at.0 - 1)), Ticks(6));
            assert_eq!(clock.elapsed(at), Ticks(7));
        }
    }
}
