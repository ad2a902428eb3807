//! `coracle member` and `coracle transfer`: who belongs to a cluster, and who leads it.

mod adding;

use std::fmt::Write;
use std::io;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use coracle::{Change, NodeId};
use serde::Serialize;

use crate::client::{Failure, Roll, Session};
use crate::joining::place;
use crate::print::{complain, failed, give};
use crate::servers::ServersArguments;
use crate::timing::Span;

pub use adding::Newcomer;
use adding::Unfinished;

/// `coracle member`.
#[derive(Args)]
pub struct MemberArguments {
    /// What to do.
    #[command(subcommand)]
    action: MemberAction,
}

#[derive(Subcommand)]
enum MemberAction {
    /// Show the members as one node knows them, and the version of the configuration
    List {
        /// As one object of JSON on one line
        #[arg(long)]
        json: bool,
        /// Whom it asks.
        #[command(flatten)]
        asking: Asking,
    },
    /// Take in the blank node at an address, which was started with --wait-to-be-added
    Add {
        /// Where it is, as the members reach it
        #[arg(value_name = "HOST:PORT")]
        address: String,
        /// Without a vote; else it gets one when it has the log
        #[arg(long)]
        learner: bool,
        /// Whom it asks.
        #[command(flatten)]
        asking: Asking,
    },
    /// Put the blank node at an address in the place of a member
    ///
    /// Takes it in with the part of that member, waits until it has the log and that part, and then
    /// takes the member out. Says each step; when it cannot go on, the same command again does.
    Replace {
        /// The member that is to go
        #[arg(value_name = "OLD")]
        old: u32,
        /// Where the new one is, as the members reach it
        #[arg(value_name = "HOST:PORT")]
        address: String,
        /// How long the new one may take to get the log
        #[arg(long, value_name = "SPAN", default_value = "60s")]
        catch_up: Span,
        /// Whom it asks.
        #[command(flatten)]
        asking: Asking,
    },
    /// Take a member out
    Remove(Named),
    /// Give a learner a vote, when it has the log
    Promote(Named),
    /// Take a voter its vote; it stays as a learner
    Demote(Named),
}

#[derive(Args)]
struct Named {
    /// The member
    id: u32,
    /// Whom it asks.
    #[command(flatten)]
    asking: Asking,
}

/// `coracle transfer`.
#[derive(Args)]
pub struct TransferArguments {
    /// Who shall lead [default: the voter that has most of the log]
    #[arg(long, value_name = "ID")]
    to: Option<u32>,
    /// Whom it asks.
    #[command(flatten)]
    asking: Asking,
}

#[derive(Args)]
struct Asking {
    /// Whom it asks.
    #[command(flatten)]
    servers: ServersArguments,
    /// How long to try
    #[arg(long, value_name = "SPAN", default_value = "5s")]
    timeout: Span,
}

/// Shows or changes the members.
pub fn run(arguments: &MemberArguments) -> ExitCode {
    let (named, change, done) = match &arguments.action {
        MemberAction::List { json, asking } => {
            return report(asking, |session| session.members().map(|roll| list(&roll, *json)));
        }
        MemberAction::Add { address, learner, asking } => return add(asking, address, *learner),
        MemberAction::Replace { old, address, catch_up, asking } => {
            return replace(asking, (NodeId(*old), address), *catch_up);
        }
        MemberAction::Remove(named) => (named, Change::Remove(NodeId(named.id)), "removed"),
        MemberAction::Promote(named) => (named, Change::Promote(NodeId(named.id)), "promoted"),
        MemberAction::Demote(named) => (named, Change::Demote(NodeId(named.id)), "demoted"),
    };
    report(&named.asking, |session| {
        let version = session.change_members(change)?;
        let is_late = matches!(change, Change::Promote(id) if session.waits_for_vote(id));
        let then = if is_late { WHEN_IT_HAS_THE_LOG } else { "" };
        Ok(format!("{done}: node {} (version {version}){then}", named.id))
    })
}

/// Hands leadership over.
pub fn transfer(arguments: &TransferArguments) -> ExitCode {
    let to = arguments.to.map(NodeId);
    report(&arguments.asking, |session| Ok(format!("node {} leads", session.transfer(to)?)))
}

fn add(asking: &Asking, address: &str, is_learner: bool) -> ExitCode {
    let newcomer = match Newcomer::meet(address, asking.timeout.into()) {
        Ok(newcomer) => newcomer,
        Err(why) => return nothing_happened(&why),
    };
    report(asking, |session| {
        let version = newcomer.add(session, !is_learner)?;
        let then = if is_learner { "" } else { WHEN_IT_HAS_THE_LOG };
        Ok(format!("added: node {} (version {version}){then}", newcomer.member.id))
    })
}

fn replace(asking: &Asking, (old, address): (NodeId, &str), catch_up: Span) -> ExitCode {
    let found = Newcomer::meet(address, asking.timeout.into())
        .and_then(|newcomer| Ok((newcomer, asking.session()?)));
    let (newcomer, mut session) = match found {
        Ok(found) => found,
        Err(why) => return nothing_happened(&why),
    };
    match adding::replace(&mut session, old, &newcomer, catch_up.into()) {
        Ok(answer) => give(&answer),
        Err(Unfinished::Failed(failure)) => ended(failure),
        Err(Unfinished::InPart(why)) => {
            complain(format_args!("done in part: {why}"));
            ExitCode::from(IN_PART)
        }
    }
}

fn report(asking: &Asking, ask: impl FnOnce(&mut Session) -> Result<String, Failure>) -> ExitCode {
    let mut session = match asking.session() {
        Ok(session) => session,
        Err(why) => return nothing_happened(&why),
    };
    ask(&mut session).map_or_else(ended, |answer| give(&answer))
}

impl Asking {
    fn session(&self) -> io::Result<Session> {
        let mut session = Session::new(&self.servers.look_up()?)?;
        session.limit(self.timeout.into());
        Ok(session)
    }
}

fn nothing_happened(why: &io::Error) -> ExitCode {
    failed(format_args!("error: {why}; nothing happened"))
}

fn ended(failure: Failure) -> ExitCode {
    let status = ExitCode::from(failure.status());
    complain(failure);
    status
}

/// What a replacement ends with of which a step is missing: as where the outcome is unknown, it is
/// worth a look at the members.
const IN_PART: u8 = 3;

#[derive(Serialize)]
struct Listed {
    version: u64,
    committed: bool,
    members: Vec<ListedMember>,
}

#[derive(Serialize)]
struct ListedMember {
    id: u32,
    /// None of a member that was absent from the first start, until it is taken in.
    incarnation: Option<String>,
    part: String,
    datagram: u16,
    address: Option<String>,
}

/// The members in words, one a line, or as JSON.
pub fn list(roll: &Roll, json: bool) -> String {
    let member = |member: &coracle::Member| ListedMember {
        id: member.member.id.0,
        incarnation: member.member.has_life().then(|| member.member.incarnation.to_string()),
        part: member.part.to_string(),
        datagram: member.datagram,
        address: place(&member.address).map(|address| address.to_string()),
    };
    let members: Vec<ListedMember> = roll.members.iter().map(member).collect();
    let Roll { version, is_committed: committed, .. } = *roll;
    let state = if committed { "committed" } else { "not committed yet" };
    if json {
        let listed = Listed { version: version.0, committed, members };
        return serde_json::to_string(&listed).unwrap_or_else(|error| error.to_string());
    }
    let mut text = format!("version {version}, {state}");
    for ListedMember { id, incarnation, part, address, .. } in members {
        let address = address.map_or_else(String::new, |address| format!(" {address}"));
        let absent = if incarnation.is_none() { ", absent from the first start" } else { "" };
        // A string takes whatever is written to it.
        let _written = write!(text, "\n{id} {part}{address}{absent}");
    }
    text
}

/// Behind what was done for a node that is to vote.
pub const WHEN_IT_HAS_THE_LOG: &str = "; it gets its vote when it has the log";
