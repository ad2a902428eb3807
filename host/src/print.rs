//! What a command says.

use std::fmt;
use std::io::{self, Write};

/// Writes an answer and gives it away at once.
///
/// # Errors
/// When nobody reads standard output any more.
pub fn print(answer: &dyn fmt::Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{answer}")?;
    output.flush()
}

/// Says what was not done and why. If standard error is closed, nobody wants to know.
pub fn complain(why: impl fmt::Display) {
    if let Err(error) = writeln!(io::stderr(), "{why}") {
        log::debug!("{error}");
    }
}
