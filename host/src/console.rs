//! A node's console: commands on standard input, answers on standard output.

use std::fmt::Display;
use std::io::{self, BufRead, Write};

use num_bigint::BigInt;

use crate::commands::{Encoded, IntegerLine, LineError, parse_integer_line};
use crate::lines::{Line, read_line};
use crate::roster::Roster;

/// What the console asks of its node.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Have this command committed.
    Change(Encoded),
    /// Tell the value of the integer, with all that is committed by now.
    Get,
}

/// What the node answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command is committed and applied.
    Committed,
    /// The value of the integer on this node.
    Value(BigInt),
    /// It will not be done, and nothing happened.
    Refused(String),
    /// It is not known whether the command took effect.
    Unknown(String),
}

/// Serves the console until an empty line, the end of input, or the end of the node, which is when
/// `ask` gives none.
///
/// Everything it writes starts with `*`, but for the bare value.
///
/// # Errors
/// Those of `input` and `output`.
pub fn serve(
    roster: &Roster,
    init: &BigInt,
    mut input: impl BufRead,
    mut output: impl Write,
    mut ask: impl FnMut(Request) -> Option<Outcome>,
) -> io::Result<()> {
    let others: Vec<String> = roster.others.iter().map(|peer| peer.id.to_string()).collect();
    writeln!(output, "* start node {} with init value {init}", roster.id)?;
    writeln!(output, "* others are: {}", others.join(" "))?;
    loop {
        writeln!(output, "* Enter a command: ")?;
        output.flush()?;
        let line = match read_line(&mut input)? {
            Line::Text(line) if line.is_empty() || line == "\r" => return Ok(()),
            Line::Text(line) => line,
            Line::Unreadable(why) => {
                report(&mut output, why)?;
                continue;
            }
            Line::End => return Ok(()),
        };
        let request = match understand(&line) {
            Ok(request) => request,
            Err(why) => {
                report(&mut output, why)?;
                continue;
            }
        };
        match ask(request) {
            Some(Outcome::Committed) => writeln!(output, "* commit command: {line}")?,
            Some(Outcome::Value(value)) => {
                let value = value.to_string();
                writeln!(output, "* current value is: {value}\n{value}")?;
            }
            Some(Outcome::Refused(why)) => {
                report(&mut output, format_args!("refused: {why}; nothing happened"))?;
            }
            Some(Outcome::Unknown(why)) => {
                report(&mut output, format_args!("outcome unknown: {why}"))?;
            }
            None => return Ok(()),
        }
    }
}

fn understand(line: &str) -> Result<Request, String> {
    match parse_integer_line(line) {
        Ok(IntegerLine::Change(command)) => Ok(Request::Change(command)),
        Ok(IntegerLine::Get) => Ok(Request::Get),
        Err(error @ LineError::Unknown(_)) => {
            Err(format!("{error}: use add N, sub N, mul N or get"))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn report(output: &mut impl Write, error: impl Display) -> io::Result<()> {
    writeln!(output, "* error: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::parse_init;

    fn session(input: &str, answers: Vec<Outcome>) -> String {
        let init = parse_init("-5").unwrap();
        let roster = Roster::of_ports(8001, &[8002, 8003]);
        let mut answers = answers.into_iter();
        let mut output = Vec::new();
        serve(&roster, &init, input.as_bytes(), &mut output, |_| answers.next()).unwrap();
        String::from_utf8(output).unwrap()
    }

    const HEAD: &str = "* start node 8001 with init value -5\n* others are: 8002 8003\n";
    const PROMPT: &str = "* Enter a command: \n";

    #[test]
    fn the_end_of_input_and_an_empty_line_end_it() {
        assert_eq!(session("", vec![]), format!("{HEAD}{PROMPT}"));
        assert_eq!(session("\nget\n", vec![]), format!("{HEAD}{PROMPT}"));
        assert_eq!(session("\r\nget\n", vec![]), format!("{HEAD}{PROMPT}"));
    }

    #[test]
    fn a_committed_command_is_repeated_verbatim() {
        let output = session(" add  10 \n", vec![Outcome::Committed]);
        assert_eq!(output, format!("{HEAD}{PROMPT}* commit command:  add  10 \n{PROMPT}"));
    }

    #[test]
    fn a_value_also_stands_on_a_line_by_itself() {
        let output = session("get", vec![Outcome::Value(BigInt::from(-7))]);
        assert_eq!(output, format!("{HEAD}{PROMPT}* current value is: -7\n-7\n{PROMPT}"));
    }

    #[test]
    fn an_error_is_one_line_with_a_star_and_the_prompt_comes_again() {
        for line in ["frobnicate", "add", "add ten", " ", "set a b", "add 1\u{b}\u{1b}[2J"] {
            let output = session(&format!("{line}\n"), vec![]);
            let rest = output.strip_prefix(&format!("{HEAD}{PROMPT}* error: ")).unwrap();
            let (error, rest) = rest.split_once('\n').unwrap();
            assert!(!error.is_empty() && !error.contains(char::is_control), "{error}");
            assert_eq!(rest, PROMPT, "{line}");
        }
        let refused = session("mul 2", vec![Outcome::Refused("too large".to_owned())]);
        let line = "* error: refused: too large; nothing happened\n";
        assert_eq!(refused, format!("{HEAD}{PROMPT}{line}{PROMPT}"));
    }

    #[test]
    fn it_ends_when_the_node_is_gone() {
        assert_eq!(session("get\nget\n", vec![]), format!("{HEAD}{PROMPT}"));
    }
}
