//! A script as text: commands, and beneath each what came of it.

use std::fmt;

use super::commands::carry_out;
use super::world::World;

/// A script that was read.
#[derive(Clone, Debug)]
pub struct Script {
    name: String,
    text: String,
    items: Vec<Item>,
}

/// A line that is no output, and the output that stands beneath it.
#[derive(Clone, Debug)]
struct Item {
    /// From 1 on.
    line: usize,
    text: String,
    output: Vec<String>,
}

/// What came of a script.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The script with the output that it has now, up to an error.
    pub text: String,
    /// What stopped it.
    pub error: Option<ScriptError>,
}

/// Something is wrong with a line of a script, or with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// The script.
    pub name: String,
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.name, self.line, self.what)
    }
}

impl Script {
    /// Reads a script. A line that begins with four spaces is output, one that begins with `#` is a
    /// comment, and any other is a command, unless it is empty.
    ///
    /// # Errors
    /// Output that stands beneath no command.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScriptError> {
        let mut items: Vec<Item> = Vec::new();
        for (place, line) in text.lines().enumerate() {
            let error = |what: &str| ScriptError {
                name: name.to_owned(),
                line: place + 1,
                what: what.to_owned(),
            };
            let Some(output) = line.strip_prefix(INDENT) else {
                if line.starts_with(char::is_whitespace) && !line.trim().is_empty() {
                    return Err(error("a line begins with four spaces or with none"));
                }
                let text = line.trim_end().to_owned();
                items.push(Item { line: place + 1, text, output: Vec::new() });
                continue;
            };
            match items.last_mut() {
                Some(item) if is_command(&item.text) => item.output.push(output.to_owned()),
                Some(_) | None => return Err(error("output stands beneath a command")),
            }
        }
        Ok(Self { name: name.to_owned(), text: text.to_owned(), items })
    }

    /// Plays the script.
    #[must_use]
    pub fn run(&self) -> Ran {
        let mut world = World::default();
        let mut text = String::new();
        for item in &self.items {
            text.push_str(&item.text);
            text.push('\n');
            if !is_command(&item.text) {
                continue;
            }
            let done = carry_out(&mut world, &item.text);
            for line in world.take_output() {
                text.push_str(&format!("{INDENT}{line}\n"));
            }
            if let Err(stop) = done {
                let what = format!("{}: {stop}", item.text);
                let error = ScriptError { name: self.name.clone(), line: item.line, what };
                return Ran { text, error: Some(error) };
            }
        }
        Ran { text, error: None }
    }

    /// Where the script first differs from what came of it, for a person to read.
    #[must_use]
    pub fn difference(&self, now: &str) -> ScriptError {
        let error = |line, what| ScriptError { name: self.name.clone(), line, what };
        let Ok(ran) = Self::parse(&self.name, now) else {
            return error(1, "what came of it is no script".to_owned());
        };
        let differing = self.items.iter().zip(&ran.items).find(|(was, is)| was.output != is.output);
        let Some((was, is)) = differing else {
            let same = self.text.lines().zip(now.lines()).take_while(|(was, is)| was == is);
            return error(same.count() + 1, "the lines differ in their white space".to_owned());
        };
        let same_before = same(was.output.iter().zip(&is.output));
        let rest = was.output.len().min(is.output.len()) - same_before;
        let same_behind = same(was.output.iter().rev().zip(is.output.iter().rev())).min(rest);
        let mut what = format!("another output than expected\n  {}", was.text);
        let mut push = |sign: char, lines: &[String]| {
            for line in lines {
                what.push_str(&format!("\n{sign} {INDENT}{line}"));
            }
        };
        push(' ', &was.output[..same_before]);
        push('-', &was.output[same_before..was.output.len() - same_behind]);
        push('+', &is.output[same_before..is.output.len() - same_behind]);
        push(' ', &was.output[was.output.len() - same_behind..]);
        error(was.line + 1 + same_before, what)
    }

    /// Its commands, as they are written.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(|item| item.text.as_str()).filter(|text| is_command(text))
    }
}

fn same<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> usize {
    pairs.take_while(|(was, is)| was == is).count()
}

fn is_command(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

const INDENT: &str = "    ";
