//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use log::LevelFilter;

use crate::bench::{BenchArguments, FloorArguments};
use crate::client::ClientArguments;
use crate::inspect::InspectArguments;
use crate::is_leader::IsLeaderArguments;
use crate::member::{MemberArguments, TransferArguments};
use crate::node::NodeArguments;
use crate::recover::RecoverArguments;
use crate::status::StatusArguments;

/// A Raft cluster over UDP datagrams
///
/// Nodes replicate an integer and a key-value store. A command is answered when a majority of them
/// has it. Datagrams are not authenticated yet: use trusted networks only.
#[derive(Parser)]
#[command(name = "coracle", version, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
    /// What is logged on standard error, with the time in UTC: off, error, warn, info, debug or
    /// trace [default: that of RUST_LOG, or else error for a cluster and warn for all others]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log: Option<LevelFilter>,
}

/// What `coracle` can do.
#[derive(Subcommand)]
pub enum Action {
    /// Start a cluster of nodes on this machine, and a prompt to it
    ///
    /// The prompt takes commands such as add 5, set KEY VALUE, get and status, and makes faults
    /// with kill, restart, pause, resume, partition, loss and heal, typed or from a pipe; with join and
    /// remove nodes come and go; help lists all. The nodes end with it.
    Cluster(ClusterArguments),
    /// Run one node, with commands for its integer on standard input
    ///
    /// Takes add N, sub N, mul N and get, one a line; an empty line or the end of input ends the
    /// node. With --data-dir it keeps what it must not forget, and goes on from there when it is started
    /// again; without, nothing is stored. A cluster begins when all nodes are there; one with
    /// directories that is started for the very first time may begin with a majority, by --first-start.
    /// There are three ways to say which nodes there are:
    ///
    ///   coracle node -m 8001 -o 8002 8003
    ///   coracle node --id 1 --listen HOST:PORT --peer 2=HOST:PORT --peer 3=HOST:PORT
    ///   coracle node --config FILE 0
    ///
    /// In the first, all are on this machine, and a node's port is its id. In the second and third
    /// they are on any machines, and have the ids that they are given.
    #[command(verbatim_doc_comment)]
    Node(Box<NodeArguments>),
    /// Have a cluster do one command
    ///
    /// One of: add N, sub N, mul N, get, set KEY VALUE, get KEY, del KEY, and two integers, which
    /// are added up as an entry of the log. Any node may be asked; the leader is found.
    ///
    /// Exit status: 0 when it was done. 1 when it was not and will not be, when no node has taken
    /// it, and for wrong usage: nothing happened. 3 when the outcome is unknown: it may have been
    /// done, or may still be. Then a token is printed, and `coracle client --retry TOKEN` goes on
    /// with the command in its session, where it takes effect once.
    Client(ClientArguments),
    /// Say whether a node of a file leads: True or False
    ///
    /// Exit status: 0 with an answer, 1 without one.
    #[command(name = "is-leader")]
    IsLeader(IsLeaderArguments),
    /// Show how a node is
    ///
    /// Its role and term, its log, how far a leader knows each follower to be, and everything that
    /// it counts. Exit status: 0 with an answer, 1 without one.
    Status(StatusArguments),
    /// Show what a node's data directory holds, and whether every byte of it is as it was written
    ///
    /// The node must not run: ask one that does with `coracle status`. Nothing is changed, and
    /// nothing is made. Exit status: 0 when a node can go on from the directory, 1 when it is
    /// missing, empty, in use, of another version or damaged; damage is named with its file and
    /// offset.
    Inspect(InspectArguments),
    /// Give a cluster up whose majority is gone for ever, and found another one of a survivor alone
    ///
    /// From the data directory of a node that does not run, or on a live node of a cluster that stores
    /// nothing. First says what there is and what may be lost; then it wants a yes, typed or given with
    /// --yes. The survivor is a cluster of its own afterwards, with all that it held, and others join
    /// it with empty directories. Choose the one with the last entry of the highest term, and of these
    /// the highest index. What the others have stored must never be used again.
    ///
    /// Exit status: 0 when it was done, 1 when it was not and nothing has changed, 2 without a yes, 3
    /// when the outcome is unknown; then look with `coracle inspect` or `coracle status`.
    Recover(RecoverArguments),
    /// Show or change the members of a cluster
    ///
    /// Any node may be asked; the leader is found. A cluster that stores nothing keeps the voters
    /// that it was formed with.
    ///
    /// Exit status: 0 when it was done, 1 when it was not and will not be, 3 when the outcome is
    /// unknown, or a replacement was done in part.
    Member(MemberArguments),
    /// Hand leadership over to another node
    ///
    /// Exit status: 0 when that node leads, 1 when nothing happened, 3 when the outcome is unknown.
    Transfer(TransferArguments),
    /// Measure clusters on this machine, beside the same datagrams without Raft
    ///
    /// Starts node processes of its own and keeps them busy in turns with processes that send each
    /// other datagrams of the same lengths and do nothing else. Times are medians of these turns.
    /// Nothing is stored; with --data-dir everything is, and a loop of syncs takes turns too.
    Bench(BenchArguments),
    /// One process of what `bench` measures clusters against
    #[command(hide = true)]
    Floor(FloorArguments),
}

/// `coracle cluster`.
#[derive(Args)]
pub struct ClusterArguments {
    /// How many nodes [default: as many as --data-dir holds, or else 3]
    #[arg(
        short = 'n',
        long,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_NODES_U8))
    )]
    pub nodes: Option<u8>,
    /// The first UDP port to try; nodes take the free ones from there on
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 50051,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub base_port: u16,
    /// Keep each node's state under this directory, and go on from what is in it; without this they
    /// are kept in a temporary one, which goes away with the cluster
    #[arg(long, value_name = "DIR", conflicts_with = "memory")]
    pub data_dir: Option<PathBuf>,
    /// Store nothing: a node that is started again is blank
    #[arg(long)]
    pub memory: bool,
}

impl Cli {
    /// Reads the command line, or ends the program: with status 1 for a client that is used wrongly,
    /// as its users are used to, and with 2 for everybody else.
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            let command = Self::command();
            let is_verb = |word: &OsString| {
                command.get_subcommands().any(|verb| verb.get_name() == word.as_os_str())
            };
            let is_client = std::env::args_os().skip(1).find(is_verb);
            if is_client.is_none_or(|verb| verb != "client") || !error.use_stderr() {
                error.exit();
            }
            // Without standard error there is nobody to tell.
            let _printed = error.print();
            std::process::exit(1)
        })
    }
}

/// Ends the program as clap does when the arguments of a subcommand make no sense.
pub fn refuse(subcommand: &str, why: String) -> ! {
    let mut command = Cli::command();
    command.build();
    let command = command.find_subcommand_mut(subcommand).cloned().unwrap_or_default();
    command.bin_name(format!("coracle {subcommand}")).error(ErrorKind::ValueValidation, why).exit()
}

/// The most nodes of one cluster.
pub const MAX_NODES: usize = MAX_NODES_U8 as usize;
/// The same as a small number.
pub const MAX_NODES_U8: u8 = 32;

const AFTER_HELP: &str = "\
Exit status: 0 when all went well, 1 after a failure, 2 for wrong usage, 3 for a client's command
whose outcome is unknown, 130 for a cluster that a signal ended, and for a node that a second one
ended. A client that is used wrongly also ends with 1.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_of_one_piece() {
        Cli::command().debug_assert();
    }
}
