//! The command line.

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::node::NodeArguments;

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
}

/// What `coracle` can do.
#[derive(Subcommand)]
pub enum Action {
    /// Start a cluster of nodes on this machine, and a prompt to it
    ///
    /// The prompt takes add N, sub N, mul N, get, set KEY VALUE, get KEY, status, help and quit,
    /// typed or from a pipe. The nodes end with it.
    Cluster(ClusterArguments),
    /// Run one node, with commands for its integer on standard input
    ///
    /// Takes add N, sub N, mul N and get, one a line; an empty line or the end of input ends the
    /// node. Nothing is stored. There are three ways to say which nodes there are:
    ///
    ///   coracle node -m 8001 -o 8002 8003
    ///   coracle node --id 1 --listen HOST:PORT --peer 2=HOST:PORT --peer 3=HOST:PORT
    ///   coracle node --config FILE 0
    ///
    /// In the first, all are on this machine, and a node's port is its id. In the second and third
    /// they are on any machines, and have the ids that they are given.
    #[command(verbatim_doc_comment)]
    Node(NodeArguments),
}

/// `coracle cluster`.
#[derive(Args)]
pub struct ClusterArguments {
    /// How many nodes
    #[arg(
        short = 'n',
        long,
        value_name = "COUNT",
        default_value_t = 3,
        value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_NODES_U8))
    )]
    pub nodes: u8,
    /// The first UDP port to try; nodes take the free ones from there on
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 50051,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub base_port: u16,
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
const MAX_NODES_U8: u8 = 32;

const AFTER_HELP: &str = "\
Set RUST_LOG to error, warn (the default), info or debug for the log on standard error.
Exit status: 0 when all went well, 1 after a failure, 2 for wrong usage, 130 for a cluster that a
signal ended.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_of_one_piece() {
        Cli::command().debug_assert();
    }
}
