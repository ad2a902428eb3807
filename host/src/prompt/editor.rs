//! Where the prompt's lines come from: a pipe, or a terminal with a line editor.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, IsTerminal, StdinLock};

use coracle::NodeId;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::request::{FORMS, LEADER};
use crate::lines::{Line, read_line};

/// Where lines come from.
pub enum Source {
    /// A terminal: lines are edited.
    Terminal(Box<Editor<Assistant, MemHistory>>),
    /// Anything else.
    Pipe(StdinLock<'static>),
}

impl Source {
    /// Standard input, for commands about these nodes.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub fn open(nodes: &[NodeId]) -> io::Result<Self> {
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Ok(Self::Pipe(io::stdin().lock()));
        }
        let config = Config::builder().completion_type(CompletionType::List).build();
        let editor = Editor::with_history(config, MemHistory::new());
        let mut editor = editor.map_err(io::Error::other)?;
        editor.set_helper(Some(Assistant::new(nodes)));
        Ok(Self::Terminal(Box::new(editor)))
    }

    /// From now on there are these nodes.
    pub fn know(&mut self, nodes: &[NodeId]) {
        if let Self::Terminal(editor) = self
            && let Some(assistant) = editor.helper_mut()
        {
            assistant.ids = Assistant::new(nodes).ids;
        }
    }

    /// The next line.
    ///
    /// # Errors
    /// When there is no telling.
    pub fn next(&mut self) -> io::Result<Line> {
        match self {
            Self::Pipe(input) => read_line(input),
            Self::Terminal(editor) => match editor.readline("coracle> ") {
                Ok(line) => {
                    if let Err(error) = editor.add_history_entry(&line) {
                        log::debug!("history: {error}");
                    }
                    Ok(Line::Text(line))
                }
                Err(ReadlineError::Eof) => Ok(Line::End),
                Err(ReadlineError::Interrupted) => {
                    let was_empty = editor.helper().is_none_or(|helper| helper.is_empty.get());
                    Ok(if was_empty { Line::End } else { Line::Text(String::new()) })
                }
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }
}

/// What helps with typing a line.
pub struct Assistant {
    /// What may stand where an id is expected.
    ids: Vec<String>,
    /// Whether nothing was typed when the line was last looked at.
    is_empty: Cell<bool>,
}

impl Assistant {
    fn new(nodes: &[NodeId]) -> Self {
        let ids = nodes.iter().map(NodeId::to_string).chain([LEADER.to_owned()]).collect();
        Self { ids, is_empty: Cell::new(true) }
    }

    /// Where the word before the cursor begins, and what it may become.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        let start = line.rfind([' ', '\t', ',', '|']).map_or(0, |at| at + 1);
        let (before, word) = line.split_at(start);
        let begins = |candidate: &&str| candidate.starts_with(word);
        let verbs = || {
            let mut verbs: Vec<&str> = FORMS.iter().map(|form| form.verb).filter(begins).collect();
            verbs.sort_unstable();
            verbs.dedup();
            verbs.into_iter().map(|verb| format!("{verb} ")).collect()
        };
        let ids = || self.ids.iter().map(String::as_str).filter(begins).map(str::to_owned);
        let words: Vec<&str> = before.split_whitespace().collect();
        let found = match words.as_slice() {
            [] | ["help"] => verbs(),
            [
                "kill" | "restart" | "pause" | "resume" | "transfer" | "remove" | "promote"
                | "demote" | "recover",
            ]
            | ["partition", ..] => ids().collect(),
            _ => Vec::new(),
        };
        (start, found)
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line.get(..pos).unwrap_or_default()))
    }
}

/// The operands of the command that is being typed. They stand for others, so that they cannot be
/// taken over into the line.
#[derive(Debug, PartialEq, Eq)]
pub struct Operands(String);

impl Hint for Operands {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Hinter for Assistant {
    type Hint = Operands;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<Operands> {
        self.is_empty.set(line.trim().is_empty());
        let verb = line.trim_end();
        if pos < line.len() || verb.is_empty() {
            return None;
        }
        let forms = FORMS.iter().filter(|form| form.verb == verb && !form.operands.is_empty());
        let operands: Vec<&str> = forms.map(|form| form.operands).collect();
        let space = if line.len() == verb.len() { " " } else { "" };
        let hint = format!("{space}{}", operands.join(" or "));
        (!operands.is_empty()).then_some(Operands(hint))
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[2m{hint}\x1b[0m"))
    }
}

impl Validator for Assistant {}

impl Helper for Assistant {}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(line: &str) -> Vec<String> {
        Assistant::new(&[NodeId(1), NodeId(2), NodeId(21)]).candidates(line).1
    }

    #[test]
    fn a_first_word_becomes_a_command_and_another_one_an_id() {
        assert_eq!(candidates("re"), ["recover ", "remove ", "restart ", "resume ", "retry "]);
        assert_eq!(candidates("  ad"), ["add "]);
        assert_eq!(candidates("help ki"), ["kill "]);
        assert_eq!(candidates("kill "), ["1", "2", "21", "leader"]);
        assert_eq!(candidates("kill 2"), ["2", "21"]);
        assert_eq!(candidates("transfer l"), ["leader"]);
        assert_eq!(candidates("partition 1,2 |l"), ["leader"]);
        assert_eq!(candidates("kill 1 "), [""; 0]);
        assert_eq!(candidates("add "), [""; 0]);
        assert_eq!(candidates("frob"), [""; 0]);
    }

    #[test]
    fn only_the_word_before_the_cursor_is_replaced() {
        let assistant = Assistant::new(&[NodeId(1)]);
        assert_eq!(assistant.candidates("partition 1,l"), (12, vec!["leader".to_owned()]));
    }

    #[test]
    fn a_hint_names_the_operands_and_cannot_be_taken_for_a_line() {
        let assistant = Assistant::new(&[NodeId(1)]);
        let history = MemHistory::new();
        let hint = |line: &str| assistant.hint(line, line.len(), &Context::new(&history));
        assert_eq!(hint("kill"), Some(Operands(" ID".to_owned())));
        assert_eq!(hint("add "), Some(Operands("N or A B".to_owned())));
        assert_eq!(hint("kill 1"), None);
        assert_eq!(hint("heal"), None);
        assert!(!assistant.is_empty.get());
        assert_eq!(hint(" "), None);
        assert!(assistant.is_empty.get());
    }
}
