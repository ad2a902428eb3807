//! How deep the stack has been: the start-up code has painted all of it.

/// The bytes of stack below which nothing was ever written.
///
/// A word that was written with the paint's own value does not count; that is possible and rare.
#[must_use]
pub fn deepest() -> usize {
    let (mut word, end) = bounds();
    let lowest = end.addr();
    while word < end {
        // SAFETY: between the two ends of the stack there are words that may be read.
        if unsafe { word.read_volatile() } != PAINT {
            return lowest - word.addr();
        }
        word = word.wrapping_add(1);
    }
    0
}

/// Paints what lies below the caller's frame anew, so that only what comes now is seen.
#[inline(never)]
pub fn paint() {
    let (mut word, _) = bounds();
    let here = cortex_m::register::msp::read() as usize;
    while word.addr() + MARGIN < here {
        // SAFETY: nothing lives below the stack pointer but interrupts, and none is enabled.
        unsafe { word.cast_mut().write_volatile(PAINT) };
        word = word.wrapping_add(1);
    }
}

fn bounds() -> (*const u32, *const u32) {
    unsafe extern "C" {
        static _stack_end: u32;
        static _stack_start: u32;
    }
    (&raw const _stack_end, &raw const _stack_start)
}

const PAINT: u32 = 0xcccc_cccc;

/// What this function itself may use.
const MARGIN: usize = 64;
