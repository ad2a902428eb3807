//! Signals that ask for the end of this process.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Has them noted from now on, and tells of the first one on a thread of its own. At the second one it
/// tells of that, and the process ends at once, with [`ENDED_BY_SIGNAL`].
///
/// # Errors
/// When signals cannot be caught: they end the process as if nobody had asked.
pub fn heed(
    mut first: impl FnMut() + Send + 'static,
    mut second: impl FnMut() + Send + 'static,
) -> io::Result<()> {
    let note = move || {
        if IS_WANTED.swap(true, Ordering::Relaxed) {
            second();
            std::process::exit(ENDED_BY_SIGNAL);
        }
        first();
    };
    ctrlc::set_handler(note).map_err(io::Error::other)
}

/// Whether one was noted.
pub fn is_wanted() -> bool {
    IS_WANTED.load(Ordering::Relaxed)
}

static IS_WANTED: AtomicBool = AtomicBool::new(false);
/// What a shell reports for a program that an interrupt ended.
pub const ENDED_BY_SIGNAL: i32 = 130;
