//! `coracle`: Raft nodes over UDP, clients of them, and a local cluster with a prompt.

mod bench;
mod cli;
mod client;
mod cluster;
mod commands;
mod config;
mod console;
mod entries;
mod event_loop;
mod faults;
mod inspect;
mod is_leader;
mod joining;
mod limits;
mod lines;
mod local;
mod logging;
mod member;
mod node;
mod print;
mod prompt;
mod recover;
mod roster;
mod seal;
mod servers;
mod setup;
mod signals;
mod status;
mod storage;
mod timer;
mod timing;
mod traffic;

use std::io;
use std::process::ExitCode;

use log::LevelFilter;

use cli::{Action, Cli};
use print::failed;

fn main() -> ExitCode {
    let Cli { action, log } = Cli::read();
    logging::start(log, usual_level(&action));
    match action {
        Action::Cluster(arguments) => end(cluster::run(&arguments)),
        Action::Bench(arguments) => end(bench::run(&arguments)),
        Action::Floor(arguments) => end(bench::floor::run(&arguments)),
        Action::Node(arguments) => {
            let timing = arguments.check().unwrap_or_else(|why| cli::refuse("node", why));
            end(node::run(&arguments, timing))
        }
        Action::Client(arguments) => client::run(&arguments),
        Action::IsLeader(arguments) => is_leader::run(&arguments),
        Action::Inspect(arguments) => inspect::run(&arguments),
        Action::Recover(arguments) => recover::run(&arguments),
        Action::Status(arguments) => status::run(&arguments),
        Action::Member(arguments) => member::run(&arguments),
        Action::Transfer(arguments) => member::transfer(&arguments),
    }
}

/// A prompt shares its terminal with the log of its nodes.
const fn usual_level(action: &Action) -> LevelFilter {
    match action {
        Action::Cluster(_) => LevelFilter::Error,
        Action::Node(_)
        | Action::Client(_)
        | Action::IsLeader(_)
        | Action::Inspect(_)
        | Action::Recover(_)
        | Action::Status(_)
        | Action::Member(_)
        | Action::Transfer(_)
        | Action::Bench(_)
        | Action::Floor(_) => LevelFilter::Warn,
    }
}

fn end(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads standard output any more: an end like any other.
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(why) => failed(format_args!("error: {why}")),
    }
}
