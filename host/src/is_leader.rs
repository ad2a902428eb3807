//! `coracle is-leader`: whether a node of a file leads.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use coracle::{NodeId, RoleName};

use crate::client::{Failure, Session};
use crate::config::Config;
use crate::print::{failed, print};
use crate::roster::any_address;
use crate::servers::server;
use crate::timing::Span;

/// `coracle is-leader`.
#[derive(Args)]
pub struct IsLeaderArguments {
    /// A file with a line such as `node0: localhost:18812` for each node
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Which of the nodes in the file is asked
    #[arg(value_name = "NUMBER")]
    number: u32,
    /// How long to wait for the answer
    #[arg(long, value_name = "SPAN", default_value = "3s")]
    timeout: Span,
}

/// Asks the node.
pub fn run(arguments: &IsLeaderArguments) -> ExitCode {
    match ask(arguments) {
        Ok(answer) => match print(&answer) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
            Ok(()) | Err(_) => ExitCode::SUCCESS,
        },
        Err(why) => failed(format_args!("error: {why}")),
    }
}

fn ask(arguments: &IsLeaderArguments) -> Result<&'static str, String> {
    let IsLeaderArguments { config, number, timeout } = arguments;
    let number = NodeId(*number);
    let text = |error: io::Error| error.to_string();
    let (name, _) = (Config::read(config).map_err(text)?.split(number))
        .map_err(|why| format!("{}: {why}", config.display()))?;
    let address = any_address(&name).map_err(text)?;
    let mut session = Session::new(&[server(address)]).map_err(text)?;
    session.limit(Duration::from(*timeout));
    let status = session.status(0).map_err(Failure::why)?;
    if status.member.id != number {
        let other = status.member.id;
        return Err(format!("at {address} is not node {number}, but node {other}"));
    }
    Ok(if status.role == RoleName::Leader { "True" } else { "False" })
}
