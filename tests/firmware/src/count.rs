//! Instructions, as the emulator counts them.
//!
//! With `-icount shift=10` every instruction takes 1,024 ns of the machine's time, and the timer of
//! the core counts that at 12.5 MHz: 12.8 ticks for each, which names the number exactly.

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// Counts instructions.
pub struct Counter {
    /// What counting itself takes.
    own: u32,
}

impl Counter {
    /// Starts the timer.
    #[must_use]
    pub fn new(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(MASK);
        timer.clear_current();
        timer.enable_counter();
        let mut counter = Self { own: 0 };
        let start = counter.start();
        counter.own = counter.since(start);
        counter
    }

    /// Now.
    #[inline(always)]
    #[must_use]
    pub fn start(&self) -> u32 {
        SYST::get_current()
    }

    /// The instructions since then, at most 1.3 million.
    #[inline(always)]
    #[must_use]
    pub fn since(&self, start: u32) -> u32 {
        let ticks = start.wrapping_sub(SYST::get_current()) & MASK;
        ((ticks * 10 + 64) >> 7) - self.own
    }
}

const MASK: u32 = 0x00ff_ffff;
