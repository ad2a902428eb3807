//! `coracle`: Raft nodes over UDP, and a local cluster of them with a prompt.

mod cli;
mod client;
mod cluster;
mod commands;
mod config;
mod console;
mod event_loop;
mod lines;
mod local;
mod logging;
mod node;
mod prompt;
mod roster;
mod seal;
mod setup;
mod timer;
mod timing;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use cli::{Action, Cli};

fn main() -> ExitCode {
    let Cli { action } = Cli::parse();
    logging::start("warn");
    let result = match action {
        Action::Cluster(arguments) => cluster::run(&arguments),
        Action::Node(arguments) => {
            let timing = arguments.check().unwrap_or_else(|why| cli::refuse("node", why));
            node::run(&arguments, timing)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads standard output any more: an end like any other.
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
