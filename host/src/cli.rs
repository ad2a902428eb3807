//! The command line.

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use num_bigint::BigInt;

use crate::commands;

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
    /// node. The other nodes run on this machine too. Nothing is stored.
    Node(NodeArguments),
}

/// `coracle node`.
#[derive(Args)]
pub struct NodeArguments {
    /// The integer that this node starts from; the other nodes may have others
    #[arg(
        short = 'i',
        long = "init_value",
        value_name = "INIT",
        default_value = "0",
        allow_negative_numbers = true,
        value_parser = commands::parse_init
    )]
    pub init: BigInt,
    /// The UDP port of this node, which is also its id
    #[arg(
        short = 'm',
        long = "my_port",
        value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub port: u16,
    /// The UDP ports of all other nodes; with none, the node is a cluster by itself
    #[arg(
        short = 'o',
        long = "other_ports",
        value_name = "PORT",
        required = true,
        num_args = 0..,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub others: Vec<u16>,
}

impl NodeArguments {
    /// Says what is wrong with the arguments taken together.
    pub fn check(&self) -> Result<(), String> {
        let Self { init: _, port, others } = self;
        if others.contains(port) {
            return Err(format!("port {port} is this node's own, so no other node can have it"));
        }
        let is_repeated = |(at, port): (usize, &u16)| others[..at].contains(port);
        if let Some((_, port)) = others.iter().enumerate().find(|&other| is_repeated(other)) {
            return Err(format!("port {port} is given twice"));
        }
        if others.len() >= MAX_NODES {
            return Err(format!("a cluster has at most {MAX_NODES} nodes"));
        }
        Ok(())
    }
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

    fn node(line: &str) -> Result<NodeArguments, clap::Error> {
        let cli = Cli::try_parse_from(["coracle", "node"].into_iter().chain(line.split(' ')))?;
        match cli.action {
            Action::Node(arguments) => Ok(arguments),
            Action::Cluster(_) => panic!("not a node"),
        }
    }

    #[test]
    fn the_command_line_is_of_one_piece() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_node_takes_short_and_long_names() {
        for line in [
            "-i 4 -m 8001 -o 8002 8003",
            "--init_value 4 --my_port 8001 --other_ports 8002 8003",
            "-o 8002 8003 -m 8001 --init_value=4",
        ] {
            let arguments = node(line).unwrap();
            assert_eq!(arguments.init, BigInt::from(4), "{line}");
            assert_eq!(arguments.port, 8001, "{line}");
            assert_eq!(arguments.others, [8002, 8003], "{line}");
        }
    }

    #[test]
    fn the_initial_value_may_be_missing_negative_or_large() {
        assert_eq!(node("-m 8001 -o 8002").unwrap().init, BigInt::ZERO);
        assert_eq!(node("-i -5 -m 8001 -o 8002").unwrap().init, BigInt::from(-5));
        assert_eq!(node("--init_value -5 -m 8001 -o 8002").unwrap().init, BigInt::from(-5));
        let digits = "7".repeat(2000);
        let large = node(&format!("-i -{digits} -m 8001 -o 8002")).unwrap().init;
        assert_eq!(large.to_string(), format!("-{digits}"));
    }

    #[test]
    fn wrong_arguments_are_wrong_usage() {
        for (line, kind) in [
            ("-i 4 -m 8001", ErrorKind::MissingRequiredArgument),
            ("-o 8001", ErrorKind::MissingRequiredArgument),
            ("-i four -m 8001 -o 8002", ErrorKind::ValueValidation),
            ("-i -m 8001 -o 8002", ErrorKind::InvalidValue),
            ("-m 80010 -o 8002", ErrorKind::ValueValidation),
            ("-m 0 -o 8002", ErrorKind::ValueValidation),
            ("-m 8001 -o 8002 --unknown", ErrorKind::UnknownArgument),
        ] {
            let error = node(line).err().map(|error| error.kind());
            assert_eq!(error, Some(kind), "{line}");
        }
    }

    #[test]
    fn ports_must_differ() {
        assert!(node("-m 8001 -o 8002 8003").unwrap().check().is_ok());
        assert!(node("-m 8001 -o 8002 8001").unwrap().check().is_err());
        assert!(node("-m 8001 -o 8002 8002").unwrap().check().is_err());
        let others: Vec<String> = (1..=32).map(|port| port.to_string()).collect();
        assert!(node(&format!("-m 8001 -o {}", others.join(" "))).unwrap().check().is_err());
    }
}
