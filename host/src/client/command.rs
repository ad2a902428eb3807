//! `coracle client`: one command to a cluster, from any machine.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use coracle::EntryId;
use coracle_machines::{Answer, Command, Key, MAX_KEY_BYTES, MAX_VALUE_BYTES, Query, Response};

use super::{Failure, Session, token};
use crate::commands::{
    self, Encoded, IntegerLine, LineError, decode, describe, encode, parse_sum, printable, refusal,
    value,
};
use crate::print::{complain, failed, give};
use crate::servers::ServersArguments;
use crate::timing::Span;

/// `coracle client`.
#[derive(Args)]
pub struct ClientArguments {
    /// Whom it asks.
    #[command(flatten)]
    servers: ServersArguments,
    /// How long to try [default: 3s for get, 5s for everything else]
    #[arg(long, value_name = "SPAN")]
    timeout: Option<Span>,
    /// Go on with a command whose outcome is unknown: it takes effect once
    #[arg(long, value_name = "TOKEN", conflicts_with = "words")]
    retry: Option<String>,
    /// add N, sub N, mul N, get, set KEY VALUE, get KEY, del KEY, or two integers to be added up
    #[arg(
        value_name = "COMMAND",
        num_args = 1..,
        allow_negative_numbers = true,
        required_unless_present = "retry"
    )]
    words: Vec<String>,
}

/// Has the command done, and says what came of it.
pub fn run(arguments: &ClientArguments) -> ExitCode {
    let wish = match &arguments.retry {
        Some(token) => token::decode(token).map(Wish::Retry),
        None => parse(&arguments.words).map_err(|error| match error {
            LineError::Unknown(_) => format!("{error}; there are {FORMS}"),
            error => error.to_string(),
        }),
    };
    let wish = match wish {
        Ok(wish) => wish,
        Err(why) => return failed(format_args!("error: {why}; nothing happened")),
    };
    let session = arguments.servers.look_up().and_then(|servers| Session::new(&servers));
    let mut session = match session {
        Ok(session) => session,
        Err(why) => return failed(format_args!("error: {why}; nothing happened")),
    };
    if let Some(timeout) = arguments.timeout {
        session.limit(timeout.into());
    }
    match answer(&wish, &mut session) {
        Ok(answer) => give(&answer),
        Err(failure) => {
            let token = session.token();
            let status = ExitCode::from(failure.status());
            complain(failure);
            if let Some(token) = token {
                let servers = arguments.servers.repeated();
                complain(format_args!("to go on with it: coracle client{servers} --retry {token}"));
            }
            status
        }
    }
}

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq)]
enum Wish {
    Change(Encoded),
    Integer,
    Value { key: String, query: Query },
    Retry(Vec<u8>),
}

fn parse(words: &[String]) -> Result<Wish, LineError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["get"] => Ok(Wish::Integer),
        ["get", key] => {
            let bytes = checked_key(key, "get KEY")?;
            let query = Key::from_slice(bytes).map_err(|_| LineError::KeyTooLong)?;
            Ok(Wish::Value { key: (*key).to_owned(), query: Query::Get(query) })
        }
        ["set", key, value] => {
            let key = checked_key(key, "set KEY VALUE")?;
            if value.len() > MAX_VALUE_BYTES {
                return Err(LineError::ValueTooLong);
            }
            Ok(change(&Command::Set { key, value: value.as_bytes() }))
        }
        ["del", key] => Ok(change(&Command::Delete { key: checked_key(key, "del KEY")? })),
        ["add", left, right] => sum(left, right),
        [left, right] if commands::is_numeric(left) => sum(left, right),
        ["get", ..] => Err(LineError::Usage("get or get KEY")),
        ["set", ..] => Err(LineError::Usage("set KEY VALUE")),
        ["del", ..] => Err(LineError::Usage("del KEY")),
        [word] if commands::is_numeric(word) => Err(LineError::Usage("A B for the sum of two")),
        _ => match commands::parse_integer_line(&words.join(" "))? {
            IntegerLine::Change(command) => Ok(Wish::Change(command)),
            IntegerLine::Get => Ok(Wish::Integer),
        },
    }
}

fn checked_key<'a>(key: &'a str, form: &'static str) -> Result<&'a [u8], LineError> {
    match key.len() {
        0 => Err(LineError::Usage(form)),
        1..=MAX_KEY_BYTES => Ok(key.as_bytes()),
        _ => Err(LineError::KeyTooLong),
    }
}

fn sum(left: &str, right: &str) -> Result<Wish, LineError> {
    let (left, right) = parse_sum(left, right)?;
    Ok(change(&Command::Sum(left, right)))
}

fn change(command: &Command<'_>) -> Wish {
    Wish::Change(encode(command))
}

fn answer(wish: &Wish, session: &mut Session) -> Result<String, Failure> {
    match wish {
        Wish::Change(command) => {
            let applied = session.change(command)?;
            committed(&command.0, applied, session)
        }
        Wish::Retry(ticket) => {
            let (command, applied) = session.resume(ticket)?;
            committed(&command, applied, session)
        }
        Wish::Integer => {
            let value = session.query(&Query::Integer, |answer| value(&answer))?;
            Ok(value.to_string())
        }
        Wish::Value { key, query } => session.query(query, |answer| shown(key, &answer)),
    }
}

fn committed(
    command: &[u8],
    (entry, response): (EntryId, Response),
    session: &mut Session,
) -> Result<String, Failure> {
    let EntryId { term, index } = entry;
    let command: Option<Command<'_>> = decode(command);
    let what = command.as_ref().map_or_else(|| "a command".to_owned(), describe);
    match (response, command) {
        (Response::Refused(why), _) => Err(Failure::Refused(refusal(why))),
        (Response::Sum(sum), Some(Command::Sum(left, right))) => {
            Ok(summary(session, &format!("{left} + {right} = {sum}")))
        }
        (Response::Deleted(false), _) => {
            Ok(format!("committed: {what} (term {term}, index {index}); the key was not set"))
        }
        (Response::Done | Response::Sum(_) | Response::Deleted(true), _) => {
            Ok(format!("committed: {what} (term {term}, index {index})"))
        }
    }
}

/// The form that an addition's answer has, with an empty line first. Who leads is asked for, since
/// a command that is sent again may be answered by a node that no longer does.
fn summary(session: &mut Session, result: &str) -> String {
    let performer = session.answered_by();
    let mut text = String::from("\nOperation Summary:\n");
    let node = |id: Option<coracle::NodeId>| match id {
        Some(id) => format!("Node {id}"),
        None => "unknown".to_owned(),
    };
    // A string takes whatever is written to it.
    let _written = write!(
        text,
        "Leader: {}\nOperation performed on: {}\nResult: {result}",
        node(session.leader()),
        node(performer)
    );
    text
}

fn shown(key: &str, answer: &Answer<'_>) -> Option<String> {
    match answer {
        Answer::Value(Some(value)) => Some(format!("{key} = {}", printable(value))),
        Answer::Value(None) => Some(format!("{key} is not set")),
        Answer::Integer { .. } => None,
    }
}

const FORMS: &str =
    "add N, sub N, mul N, get, set KEY VALUE, get KEY, del KEY, and two integers to be added up";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Wish, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_commands() {
        assert_eq!(parsed(&["10", "-2"]), Ok(change(&Command::Sum(10, -2))));
        assert_eq!(parsed(&["add", "10", "-2"]), Ok(change(&Command::Sum(10, -2))));
        assert_eq!(parsed(&["get"]), Ok(Wish::Integer));
        let set = Command::Set { key: b"a key", value: b"" };
        assert_eq!(parsed(&["set", "a key", ""]), Ok(change(&set)));
        assert_eq!(parsed(&["del", "A"]), Ok(change(&Command::Delete { key: b"A" })));
        for words in [["add", "-5"], ["sub", "+5"], ["mul", "0"], ["get", "A"]] {
            assert!(parsed(&words).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn words_that_are_no_command_say_why() {
        let (long_key, long_value) = ("k".repeat(65), "v".repeat(961));
        for (words, why) in [
            (&["frob"][..], "unknown command \"frob\""),
            (&["five", "3"], "unknown command \"five\""),
            (&["5"], "the command has the form A B for the sum of two"),
            (&["5", "three"], "\"three\" is not an integer"),
            (&["5x", "3"], "\"5x\" is not an integer"),
            (&["5", "3", "1"], "unknown command \"5\""),
            (&["9223372036854775808", "0"], "the integer does not fit 64 bits, its sign included"),
            (&["add"], "the command has the form add N"),
            (&["get", "A", "B"], "the command has the form get or get KEY"),
            (&["get", ""], "the command has the form get KEY"),
            (&["set", "A"], "the command has the form set KEY VALUE"),
            (&["set", "", "v"], "the command has the form set KEY VALUE"),
            (&["del"], "the command has the form del KEY"),
            (&["set", &long_key, "v"], "the key has more than 64 bytes"),
            (&["get", &long_key], "the key has more than 64 bytes"),
            (&["set", "k", &long_value], "the value has more than 960 bytes"),
        ] {
            assert_eq!(parsed(words), Err(why.to_owned()), "{words:?}");
        }
    }
}
