//! `coracle recover`: the way out when a majority of a cluster is gone for ever.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use coracle::{Address, EntryId, Index, Member, NodeId, Status};
use coracle_disk::{Kept, Recovered};

use crate::client::{Failure, Session, found_error};
use crate::inspect;
use crate::print::{complain, failed, give, print};
use crate::roster::any_address;
use crate::servers::server;
use crate::setup;
use crate::timing::Span;

/// `coracle recover`.
#[derive(Args)]
pub struct RecoverArguments {
    /// The data directory of a node that does not run
    #[arg(value_name = "DIR", required_unless_present = "server", conflicts_with = "server")]
    directory: Option<PathBuf>,
    /// A live node that stores nothing
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// How long to wait for a live node
    #[arg(long, value_name = "SPAN", default_value = "5s")]
    timeout: Span,
}

/// Makes a cluster of one survivor, once somebody has said yes.
pub fn run(arguments: &RecoverArguments) -> ExitCode {
    let recovered = match (&arguments.directory, &arguments.server) {
        (Some(path), _) => recover_directory(path, arguments.yes),
        (None, Some(name)) => recover_live(name, arguments),
        // Clap wants one of the two.
        (None, None) => Err(End::Nothing("neither a directory nor a node is named".to_owned())),
    };
    match recovered {
        Ok(answer) => give(&answer),
        Err(End::Unwanted) => {
            complain(
                "not recovered: nobody said yes; nothing was changed (--yes says it beforehand)",
            );
            ExitCode::from(UNWANTED)
        }
        Err(End::Nothing(why)) => failed(format_args!("error: {why}; nothing was changed")),
        Err(End::Said(why)) => failed(format_args!("error: {why}")),
        Err(End::Failure(failure)) => {
            let status = ExitCode::from(failure.status());
            complain(failure);
            status
        }
        Err(End::Unknown(why)) => {
            complain(format_args!("outcome unknown: {why}"));
            ExitCode::from(UNKNOWN)
        }
    }
}

/// Why nothing is recovered, or nobody knows.
enum End {
    /// Nobody said yes.
    Unwanted,
    /// Nothing was changed.
    Nothing(String),
    /// The same, and it says so itself.
    Said(String),
    Failure(Failure),
    Unknown(String),
}

fn recover_directory(path: &Path, is_wanted: bool) -> Result<String, End> {
    let (seen, report) = inspect::look(path, false).map_err(End::Said)?;
    let (Some(identity), Some(hard)) = (seen.identity, seen.hard) else {
        return Err(End::Nothing("there is no state".to_owned()));
    };
    if seen.last.index == Index::ZERO {
        let why = format!("{} holds no entries: there is nothing to recover", path.display());
        return Err(End::Nothing(why));
    }
    say(&format_args!("{report}\n\n{}", warning(identity.id, &seen)))?;
    ask(is_wanted)?;
    let (mut node, found) = setup::survivor(path, identity, own_address(identity.id, &seen))
        .map_err(|error| End::Said(error.to_string()))?;
    // It may have run since.
    if found.hard != Some(hard) || found.last != seen.last {
        return Err(End::Nothing("the directory has changed meanwhile: look again".to_owned()));
    }
    let founded = node.found_alone();
    if let Err(error) = founded {
        let mut buffer = vec![0; usize::from(setup::DATAGRAM_BYTES)];
        // A medium that has failed says how.
        return Err(match node.poll(&mut buffer) {
            Err(coracle::NodeError::Storage(error)) => End::Unknown(error.to_string()),
            Ok(_) | Err(_) => End::Nothing(found_error(error)),
        });
    }
    drop(node);
    let (_, report) = inspect::look(path, false).map_err(End::Unknown)?;
    Ok(format!("{report}\n\nrecovered: node {} is a cluster of its own. {START_IT}", identity.id))
}

/// What may be lost, and what must be seen to.
fn warning(id: NodeId, seen: &Recovered) -> String {
    let mut text = format!(
        "The cluster of node {id} is to be given up, and node {id} to go on alone with what is shown \
         above:"
    );
    let applied = seen.snapshot.as_ref().map_or(Index::ZERO, |Kept { applied, .. }| applied.index);
    let EntryId { index: last, .. } = seen.last;
    let count = last.since(applied);
    if count > 0 {
        let first = applied.next();
        // A string takes whatever is written to it.
        let _written = write!(
            text,
            "\n- It is not stored which of the entries {first} to {last} were committed. All of them \
             take effect, also\n  those of which no client was ever told that they are done."
        );
    }
    let _written = write!(text, "\n{LOST}");
    let others: Vec<String> = others(id, seen).iter().map(ToString::to_string).collect();
    if !others.is_empty() {
        let _written =
            write!(text, "\n- The other members were: {}. {NEVER_AGAIN}", others.join(", "));
    }
    text
}

fn members(seen: &Recovered) -> Vec<Member> {
    inspect::members(seen).and_then(|(_, members)| members).unwrap_or_default()
}

fn others(id: NodeId, seen: &Recovered) -> Vec<NodeId> {
    let mut others: Vec<NodeId> = members(seen).iter().map(|member| member.member.id).collect();
    others.dedup();
    others.retain(|other| *other != id);
    others
}

/// How the others reached it, in whichever life.
fn own_address(id: NodeId, seen: &Recovered) -> Address {
    let own = members(seen).into_iter().filter(|member| member.member.id == id);
    own.map(|member| member.address).next_back().unwrap_or(Address::EMPTY)
}

fn recover_live(name: &str, arguments: &RecoverArguments) -> Result<String, End> {
    let session = any_address(name).and_then(|address| Session::new(&[server(address)]));
    let mut session = session.map_err(|why| End::Nothing(why.to_string()))?;
    session.limit(arguments.timeout.into());
    let status = session.status(0).map_err(|failure| End::Nothing(failure.why()))?;
    let Status { member, epoch, role, term, commit, last, .. } = status;
    let id = member.id;
    say(&format_args!(
        "node          {id}, incarnation {}\nepoch         {epoch}\nrole          {role}\nterm          \
         {term}\nlog           up to index {} (term {}), known to be committed up to {commit}\n\n\
         The cluster of node {id} is to be given up, and node {id} to go on alone with what it holds:\n\
         - Entries behind index {commit} take effect too, also those of which no client was ever told \
         that\n  they are done.\n{LOST}\n- {OTHERS_LIVE}",
        member.incarnation, last.index, last.term
    ))?;
    ask(arguments.yes)?;
    let (epoch, first) = session.found_alone(epoch).map_err(End::Failure)?;
    Ok(format!(
        "recovered: node {id} is a cluster of its own, of the epoch {epoch}, with all entries\n\
         before index {}. {RESTART_OTHERS}",
        first.index
    ))
}

fn say(what: &dyn std::fmt::Display) -> Result<(), End> {
    print(what).map_err(|error| End::Nothing(format!("the report cannot be written: {error}")))
}

/// Waits for a yes, if none was given. Without somebody to ask there is none.
fn ask(is_wanted: bool) -> Result<(), End> {
    if is_wanted {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(End::Unwanted);
    }
    say(&format_args!("\nType yes to do that:"))?;
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(_) if line.trim() == "yes" => Ok(()),
        Ok(_) | Err(_) => Err(End::Unwanted),
    }
}

const LOST: &str = "- Whatever this node lacks is lost, even if a client was told that it is done.
- Sessions of clients end: a command that is under way may have taken effect or not.";
const NEVER_AGAIN: &str = "None of them may ever run again with
  what it has stored: they could be a cluster beside this one, and both would do commands. Stop
  them, and put their directories away.";
const OTHERS_LIVE: &str =
    "If others still run where this node cannot hear them, end them first: they could
  be a cluster beside this one, and both would do commands.";
const START_IT: &str = "Start it as before.
Others join it with empty directories, by `coracle node --join`, or as blank nodes by
`coracle member add`";
const RESTART_OTHERS: &str = "Start the others anew, as they were: they are taken in, and get
their votes when they have the log";

const UNWANTED: u8 = 2;
const UNKNOWN: u8 = 3;
