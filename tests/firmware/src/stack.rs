//! How deep the stack goes: what is below the stack pointer is painted, and later it is seen how
//! much of the paint is gone.

use cortex_m::register::msp;

/// Where the stack pointer stood when the stack below was painted.
pub struct Painted {
    pointer: usize,
}

impl Painted {
    /// Paints all that is below the caller's frame. No interrupt may be enabled.
    #[inline(always)]
    #[must_use]
    pub fn new() -> Self {
        let pointer = usize::try_from(msp::read()).unwrap_or(0);
        paint(pointer);
        Self { pointer }
    }

    /// How many bytes below have been used since.
    ///
    /// A word that was written with the paint's own value does not count; that is possible and
    /// rare.
    #[must_use]
    pub fn used(&self) -> usize {
        let mut word = lowest();
        while word.addr() < self.pointer {
            // SAFETY: the stack may be read at any time.
            if unsafe { word.read_volatile() } != PAINT {
                break;
            }
            word = word.wrapping_add(1);
        }
        self.pointer - word.addr()
    }
}

impl Default for Painted {
    fn default() -> Self {
        Self::new()
    }
}

#[inline(never)]
fn paint(pointer: usize) {
    let mut word = lowest();
    while word.addr() + MARGIN < pointer {
        // SAFETY: below the stack pointer, and above the lowest word of the stack, nothing lives
        // while no interrupt comes.
        unsafe { word.cast_mut().write_volatile(PAINT) };
        word = word.wrapping_add(1);
    }
}

fn lowest() -> *const u32 {
    unsafe extern "C" {
        static _stack_end: u32;
    }
    &raw const _stack_end
}

const PAINT: u32 = 0xcccc_cccc;

/// What painting itself may use.
const MARGIN: usize = 64;
