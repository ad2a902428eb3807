//! The cluster's prompt: lines that are typed or come from a pipe, and what comes of them.

use std::fmt;
use std::io::{self, IsTerminal, StdinLock, Write};

use coracle::{EntryId, Status};
use coracle_machines::{Answer, Query, Response};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::client::{Failure, Session};
use crate::commands::{self, Encoded, IntegerLine, LineError, refusal, split_verb, value};
use crate::lines::{Line, read_line};

/// A prompt to a cluster.
pub struct Prompt<'a> {
    ports: &'a [u16],
    session: Session,
}

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Change(Encoded),
    Integer,
    Value(Query),
    Retry,
    Status,
    Help,
    Quit,
    Nothing,
}

impl<'a> Prompt<'a> {
    /// A prompt to the nodes on these ports.
    pub const fn new(ports: &'a [u16], session: Session) -> Self {
        Self { ports, session }
    }

    /// Answers lines, in order, until `quit` or the end of input.
    ///
    /// Answers go to standard output, and whatever has no answer to standard error.
    ///
    /// # Errors
    /// When lines cannot be read, or answers not be written.
    pub fn serve(mut self) -> io::Result<()> {
        let mut source = Source::open()?;
        loop {
            let line = match source.next()? {
                Line::Text(line) => line,
                Line::Unreadable(why) => {
                    complain(format_args!("error: {why}"));
                    continue;
                }
                Line::End => return Ok(()),
            };
            match parse(&line) {
                Ok(Request::Quit) => return Ok(()),
                Ok(Request::Nothing) => {}
                Ok(request) => match self.answer(request, line.trim()) {
                    Ok(answer) => print(&answer)?,
                    Err(failure) => complain(failure),
                },
                Err(error @ LineError::Unknown(_)) => {
                    complain(format_args!("error: {error}; help lists those that there are"));
                }
                Err(error) => complain(format_args!("error: {error}")),
            }
        }
    }

    fn answer(&mut self, request: Request, line: &str) -> Result<String, Failure> {
        match request {
            Request::Change(command) => committed(line, self.session.change(&command)?),
            Request::Retry => committed("the last command", self.session.retry()?),
            Request::Integer => {
                let value = self.session.query(&Query::Integer, |answer| value(&answer))?;
                Ok(value.to_string())
            }
            Request::Value(query) => self.session.query(&query, |answer| shown(line, &answer)),
            Request::Status => Ok(self.table()),
            Request::Help => Ok(HELP.to_owned()),
            Request::Quit | Request::Nothing => Ok(String::new()),
        }
    }

    /// How each node is, as it says itself.
    fn table(&mut self) -> String {
        let mut table =
            String::from("   id  role            term  leader      commit     applied    log");
        for (place, port) in self.ports.iter().enumerate() {
            let row = match self.session.status(place) {
                Ok(status) => row(&status),
                Err(_) => "does not answer".to_owned(),
            };
            table.push_str(&format!("\n{port:>5}  {row}"));
        }
        table
    }
}

/// Where lines come from.
enum Source {
    Terminal(Box<DefaultEditor>),
    Pipe(StdinLock<'static>),
}

impl Source {
    fn open() -> io::Result<Self> {
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Ok(Self::Pipe(io::stdin().lock()));
        }
        let editor = DefaultEditor::new().map_err(io::Error::other)?;
        Ok(Self::Terminal(Box::new(editor)))
    }

    fn next(&mut self) -> io::Result<Line> {
        match self {
            Self::Pipe(input) => read_line(input),
            Self::Terminal(editor) => match editor.readline("coracle> ") {
                Ok(line) => {
                    if let Err(error) = editor.add_history_entry(&line) {
                        log::debug!("history: {error}");
                    }
                    Ok(Line::Text(line))
                }
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(Line::End),
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }
}

fn parse(line: &str) -> Result<Request, LineError> {
    match split_verb(line) {
        ("", _) => Ok(Request::Nothing),
        ("set", rest) => commands::parse_set(rest).map(Request::Change),
        ("get", key) if !key.is_empty() => commands::parse_key(key).map(Request::Value),
        ("status", "") => Ok(Request::Status),
        ("retry", "") => Ok(Request::Retry),
        ("help", "") => Ok(Request::Help),
        ("quit", "") => Ok(Request::Quit),
        ("status", _) => Err(LineError::Usage("status")),
        ("retry", _) => Err(LineError::Usage("retry")),
        ("help", _) => Err(LineError::Usage("help")),
        ("quit", _) => Err(LineError::Usage("quit")),
        _ => match commands::parse_integer_line(line)? {
            IntegerLine::Change(command) => Ok(Request::Change(command)),
            IntegerLine::Get => Ok(Request::Integer),
        },
    }
}

fn committed(what: &str, (entry, response): (EntryId, Response)) -> Result<String, Failure> {
    let EntryId { term, index } = entry;
    match response {
        Response::Refused(why) => Err(Failure::Refused(refusal(why))),
        Response::Done | Response::Sum(_) | Response::Deleted(_) => {
            Ok(format!("committed: {what} (term {term}, index {index})"))
        }
    }
}

fn shown(line: &str, answer: &Answer<'_>) -> Option<String> {
    let (_, key) = split_verb(line);
    match answer {
        Answer::Value(Some(value)) => Some(format!("{key} = {}", String::from_utf8_lossy(value))),
        Answer::Value(None) => Some(format!("{key} is not set")),
        Answer::Integer { .. } => None,
    }
}

fn row(status: &Status) -> String {
    let Status { role, term, leader, commit, applied, log_bytes, log_capacity, .. } = status;
    let leader = leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
    let fill = 100.0 * f64::from(*log_bytes) / f64::from((*log_capacity).max(1));
    format!("{role:<13} {term:>6}  {leader:>6} {commit:>11} {applied:>11} {fill:>5.1}%")
}

/// Writes an answer and gives it away at once.
///
/// # Errors
/// When nobody reads standard output any more.
pub fn print(answer: &dyn fmt::Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{answer}")?;
    output.flush()
}

/// Says why there is no answer. If standard error is closed, nobody wants to know.
fn complain(why: impl fmt::Display) {
    if let Err(error) = writeln!(io::stderr(), "{why}") {
        log::debug!("{error}");
    }
}

const HELP: &str = "\
add N, sub N, mul N   change the integer
get                   show it
set KEY VALUE         give a key a value
get KEY               show a key's value
retry                 ask again for a command whose outcome is unknown; it takes effect once
status                show the nodes
help                  show this
quit                  end the prompt and the nodes";

#[cfg(test)]
mod tests {
    use coracle_machines::Key;

    use super::*;

    #[test]
    fn every_line_of_the_help_is_understood() {
        for form in ["add 1", "sub -1", "mul 0", "get", "set KEY a value", "get KEY"] {
            assert!(parse(form).is_ok(), "{form}");
        }
        assert_eq!(parse(" retry "), Ok(Request::Retry));
        assert_eq!(parse("status"), Ok(Request::Status));
        assert_eq!(parse("help"), Ok(Request::Help));
        assert_eq!(parse("quit"), Ok(Request::Quit));
        assert_eq!(parse("  "), Ok(Request::Nothing));
    }

    #[test]
    fn get_is_for_the_integer_or_for_a_key() {
        assert_eq!(parse("get"), Ok(Request::Integer));
        let key = Key::from_slice(b"A").unwrap();
        assert_eq!(parse("get A"), Ok(Request::Value(Query::Get(key))));
        assert_eq!(parse("get A B"), Err(LineError::Usage("get KEY")));
    }

    #[test]
    fn more_words_than_needed_are_no_command() {
        for line in ["quit now", "status 1", "help me", "retry it", "add 1 2", "frob"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
