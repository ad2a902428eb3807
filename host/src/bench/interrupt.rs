//! A signal that asks for the end, where there is something to be taken away first.

use std::io::{self, ErrorKind};

use crate::signals;

/// Has signals noted from now on, of which the first one makes [`check`] fail. The second one ends
/// this process at once.
///
/// # Errors
/// When signals cannot be caught.
pub fn heed() -> io::Result<()> {
    signals::heed(|| {}, || {})
}

/// Goes on, unless a signal was noted.
///
/// # Errors
/// A signal was.
pub fn check() -> io::Result<()> {
    if signals::is_wanted() {
        return Err(io::Error::new(ErrorKind::Interrupted, "not measured: a signal asked to end"));
    }
    Ok(())
}
