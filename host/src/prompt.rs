//! The cluster's prompt: lines that are typed or come from a pipe, and what comes of them.

mod editor;
mod request;

use std::io;

use coracle::EntryId;
use coracle_machines::{Answer, Query, Response};

use crate::client::Failure;
use crate::cluster::Cluster;
use crate::commands::{printable, refusal, value};
use crate::lines::Line;
use crate::print::{complain, print};

use editor::Source;
use request::{FORMS, Form, Request};

/// A prompt to a cluster.
pub struct Prompt {
    cluster: Cluster,
    /// The last command, as it was typed and as it was understood.
    last: Option<(String, Request)>,
}

impl Prompt {
    /// A prompt to this cluster.
    pub const fn new(cluster: Cluster) -> Self {
        Self { cluster, last: None }
    }

    /// Answers lines, in order, until `quit` or the end of input.
    ///
    /// Answers go to standard output, and whatever was not done to standard error.
    ///
    /// # Errors
    /// When lines cannot be read, or answers not be written.
    pub fn serve(mut self) -> io::Result<()> {
        let mut source = Source::open(&self.cluster.ids())?;
        loop {
            let line = match source.next()? {
                Line::Text(line) => line,
                Line::Unreadable(why) => {
                    complain(format_args!("error: {why}; nothing happened"));
                    continue;
                }
                Line::End => return Ok(()),
            };
            match Request::parse(&line) {
                Ok(Request::Quit) => return Ok(()),
                Ok(Request::Nothing) => {}
                Ok(request) => {
                    match self.answer(request, line.trim()) {
                        Ok(answer) => print(&answer)?,
                        Err(why) => complain(why),
                    }
                    source.know(&self.cluster.ids());
                }
                Err(why) => complain(format_args!("error: {why}; nothing happened")),
            }
        }
    }

    fn answer(&mut self, request: Request, line: &str) -> Result<String, String> {
        let failed = |failure: Failure| failure.to_string();
        let Cluster { session, observer, .. } = &mut self.cluster;
        match request {
            Request::Change(ref command) | Request::Sum(.., ref command) => {
                let result = session.change(command);
                self.last = Some((line.to_owned(), request));
                self.committed(result.map_err(failed)?)
            }
            Request::Retry => {
                let result = session.retry();
                self.committed(result.map_err(failed)?)
            }
            Request::Integer => {
                let value = observer.query(&Query::Integer, |answer| value(&answer));
                value.map(|value| value.to_string()).map_err(failed)
            }
            Request::Value { key, query } => {
                observer.query(&query, |answer| shown(&key, &answer)).map_err(failed)
            }
            Request::Act(action) => self.cluster.act(action),
            Request::Status => Ok(self.cluster.table()),
            Request::Help(forms) => Ok(help(&forms)),
            Request::Quit | Request::Nothing => Ok(String::new()),
        }
    }

    /// What has come of the last command.
    fn committed(&self, (entry, response): (EntryId, Response)) -> Result<String, String> {
        let EntryId { term, index } = entry;
        let (line, request) = match &self.last {
            Some((line, request)) => (line.as_str(), Some(request)),
            None => ("the last command", None),
        };
        let note = match (response, request) {
            (Response::Refused(why), _) => {
                return Err(Failure::Refused(refusal(why)).to_string());
            }
            (Response::Sum(sum), Some(Request::Sum(left, right, _))) => {
                return Ok(format!("{left} + {right} = {sum} (term {term}, index {index})"));
            }
            (Response::Deleted(false), _) => "; the key was not set",
            (Response::Done | Response::Sum(_) | Response::Deleted(true), _) => "",
        };
        Ok(format!("committed: {} (term {term}, index {index}){note}", printable(line.as_bytes())))
    }
}

fn shown(key: &str, answer: &Answer<'_>) -> Option<String> {
    match answer {
        Answer::Value(Some(value)) => {
            Some(format!("{} = {}", printable(key.as_bytes()), printable(value)))
        }
        Answer::Value(None) => Some(format!("{} is not set", printable(key.as_bytes()))),
        Answer::Integer { .. } => None,
    }
}

fn help(forms: &[&Form]) -> String {
    let lines = forms.iter().map(|Form { verb, operands, does }| {
        let form = format!("{verb} {operands}");
        format!("{form:<20}  {does}")
    });
    let mut lines: Vec<String> = lines.collect();
    if forms.len() == FORMS.len() {
        lines.push(HELP_END.to_owned());
    }
    lines.join("\n")
}

const HELP_END: &str = "\
ID is a node's id, as in status, or the word leader; P is a probability such as 30% or 0.3.
The tab key completes, the arrow keys bring back earlier lines, Ctrl-R looks for one. Ctrl-C takes
back what is typed; on an empty line it quits, as Ctrl-D does.";
