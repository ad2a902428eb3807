//! What the images share: how they end, the board and the thin member.
#![no_std]

pub mod board;
pub mod count;
pub mod stack;
pub mod thin;

#[doc(hidden)]
pub use {cortex_m, cortex_m_rt, defmt, defmt_semihosting, semihosting};

/// An image that reports: it logs through the debugger, and there is an end for each kind of
/// failure. A panic ends the emulator with status 1, a fault with status 2.
#[macro_export]
macro_rules! reporting {
    () => {
        use $crate::{defmt, defmt_semihosting as _};

        /// Says where, and not what: formatting would be half of the image, and the host that runs
        /// the same rule has the message.
        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            if let Some(at) = info.location() {
                defmt::error!("panicked at {=str}:{=u32}", at.file(), at.line());
            }
            $crate::semihosting::process::exit(1)
        }

        /// Its message has been logged by then.
        #[defmt::panic_handler]
        fn defmt_panic() -> ! {
            $crate::semihosting::process::exit(1)
        }

        #[$crate::cortex_m_rt::exception]
        unsafe fn HardFault(frame: &$crate::cortex_m_rt::ExceptionFrame) -> ! {
            defmt::error!("a fault at {=u32:#x}", frame.pc());
            $crate::semihosting::process::exit(2)
        }
    };
}

/// An image that links only if no panic can be reached: behind the panic handler is a function that
/// does not exist.
#[macro_export]
macro_rules! never_panicking {
    () => {
        unsafe extern "C" {
            fn a_panic_is_reachable() -> !;
        }

        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            // SAFETY: it is never called, for nothing links that needs this handler.
            unsafe { a_panic_is_reachable() }
        }
    };
}
