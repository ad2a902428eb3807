//! `coracle member` and `coracle transfer`: who belongs to a cluster, and who leads it.

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use coracle::{Change, NodeId};
use serde::Serialize;

use crate::client::{Failure, Roll, Session};
use crate::joining::decode;
use crate::print::{complain, failed, give};
use crate::servers::ServersArguments;
use crate::timing::Span;

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
        MemberAction::Remove(named) => (named, Change::Remove(NodeId(named.id)), "removed"),
        MemberAction::Promote(named) => (named, Change::Promote(NodeId(named.id)), "promoted"),
        MemberAction::Demote(named) => (named, Change::Demote(NodeId(named.id)), "demoted"),
    };
    report(&named.asking, |session| {
        let version = session.change_members(change)?;
        Ok(format!("{done}: node {} (version {version})", named.id))
    })
}

/// Hands leadership over.
pub fn transfer(arguments: &TransferArguments) -> ExitCode {
    let to = arguments.to.map(NodeId);
    report(&arguments.asking, |session| Ok(format!("node {} leads", session.transfer(to)?)))
}

fn report(asking: &Asking, ask: impl FnOnce(&mut Session) -> Result<String, Failure>) -> ExitCode {
    let session = asking.servers.look_up().and_then(|servers| Session::new(&servers));
    let mut session = match session {
        Ok(session) => session,
        Err(why) => {
            return failed(format_args!("error: {why}; nothing happened"));
        }
    };
    session.limit(asking.timeout.into());
    match ask(&mut session) {
        Ok(answer) => give(&answer),
        Err(failure) => {
            let status = ExitCode::from(failure.status());
            complain(failure);
            status
        }
    }
}

#[derive(Serialize)]
struct Listed {
    version: u64,
    committed: bool,
    members: Vec<ListedMember>,
}

#[derive(Serialize)]
struct ListedMember {
    id: u32,
    incarnation: String,
    part: String,
    datagram: u16,
    address: Option<String>,
}

/// The members in words, one a line, or as JSON.
pub fn list(roll: &Roll, json: bool) -> String {
    let member = |member: &coracle::Member| ListedMember {
        id: member.member.id.0,
        incarnation: member.member.incarnation.to_string(),
        part: member.part.to_string(),
        datagram: member.datagram,
        address: decode(&member.address).map(|address| address.to_string()),
    };
    let members: Vec<ListedMember> = roll.members.iter().map(member).collect();
    let Roll { version, is_committed: committed, .. } = *roll;
    let state = if committed { "committed" } else { "not committed yet" };
    if json {
        let listed = Listed { version: version.0, committed, members };
        return serde_json::to_string(&listed).unwrap_or_else(|error| error.to_string());
    }
    let mut text = format!("version {version}, {state}");
    for ListedMember { id, part, address, .. } in members {
        let address = address.map_or_else(String::new, |address| format!(" {address}"));
        // A string takes whatever is written to it.
        let _written = write!(text, "\n{id} {part}{address}");
    }
    text
}
