//! A signal that asks for the end, where there is something to be taken away first.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Has signals noted from now on, of which the first one makes [`check`] fail. The second one ends
/// this process at once.
///
/// # Errors
/// When signals cannot be caught.
pub fn heed() -> io::Result<()> {
    let note = || {
        if IS_WANTED.swap(true, Ordering::Relaxed) {
            std::process::exit(ENDED_BY_SIGNAL);
        }
    };
    ctrlc::set_handler(note).map_err(io::Error::other)
}

/// Goes on, unless a signal was noted.
///
/// # Errors
/// A signal was.
pub fn check() -> io::Result<()> {
    if IS_WANTED.load(Ordering::Relaxed) {
        return Err(io::Error::new(ErrorKind::Interrupted, "not measured: a signal asked to end"));
    }
    Ok(())
}

static IS_WANTED: AtomicBool = AtomicBool::new(false);
const ENDED_BY_SIGNAL: i32 = 130;
