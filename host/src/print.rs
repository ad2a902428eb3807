//! What a command says.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

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

/// Writes the answer that a command ends with. If nobody reads it any more, nobody wants it.
pub fn give(answer: &dyn fmt::Display) -> ExitCode {
    match print(answer) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            failed(format_args!("error: the answer cannot be written: {error}"))
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// Says why a command ends with nothing done.
pub fn failed(why: impl fmt::Display) -> ExitCode {
    complain(why);
    ExitCode::FAILURE
}
