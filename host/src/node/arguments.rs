//! `coracle node`: its arguments, in three forms.

use std::io;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use coracle::{NodeId, Timing};
use num_bigint::BigInt;

use crate::cli::MAX_NODES;
use crate::commands;
use crate::config::Config;
use crate::faults::FaultArguments;
use crate::joining::JoiningArguments;
use crate::limits::LimitArguments;
use crate::roster::Roster;
use crate::storage::StorageArguments;
use crate::timing::TimingArguments;

/// `coracle node`.
#[derive(Args)]
#[command(group = ArgGroup::new("form").required(true).args(["port", "id", "config"]))]
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
        requires = "others",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    port: Option<u16>,
    /// The UDP ports of all other nodes; with none, the node is a cluster by itself
    #[arg(
        short = 'o',
        long = "other_ports",
        value_name = "PORT",
        requires = "port",
        num_args = 0..,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    others: Option<Vec<u16>>,
    /// The id of this node, a number
    #[arg(long, value_name = "ID", requires = "listen")]
    id: Option<u32>,
    /// The address at which this node takes datagrams; with --config, instead of the one in the file
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "port")]
    listen: Option<String>,
    /// Another node; once for each
    #[arg(long = "peer", value_name = "ID=HOST:PORT", requires = "id", value_parser = parse_peer)]
    peers: Vec<(NodeId, String)>,
    /// A file with a line such as `node0: localhost:18812` for each node
    #[arg(long, value_name = "FILE", requires = "number")]
    config: Option<PathBuf>,
    /// Which of the nodes in the file this one is
    #[arg(value_name = "NUMBER", requires = "config")]
    number: Option<u32>,
    /// How fast it is.
    #[command(flatten)]
    timing: TimingArguments,
    /// What it may hold and send.
    #[command(flatten)]
    pub limits: LimitArguments,
    /// How it stands to the members.
    #[command(flatten)]
    pub joining: JoiningArguments,
    /// Where it keeps itself.
    #[command(flatten)]
    pub storage: StorageArguments,
    /// Answer lines on standard input with what was counted, in place of a console
    #[arg(long, hide = true)]
    pub counted: bool,
    /// What a test bench makes of it.
    #[command(flatten)]
    pub faults: Box<FaultArguments>,
}

impl NodeArguments {
    /// Says what is wrong with the arguments taken together, and what the spans of time are.
    pub fn check(&self) -> Result<Timing, String> {
        if let (Some(port), Some(others)) = (self.port, &self.others) {
            check_different("port", port, others)?;
        }
        if let Some(id) = self.id {
            let peers: Vec<u32> = self.peers.iter().map(|(id, _)| id.0).collect();
            check_different("id", id, &peers)?;
        }
        self.timing.timing()
    }

    /// The nodes that they name.
    ///
    /// # Errors
    /// When the file cannot be used, or an address not be found.
    pub fn roster(&self) -> io::Result<Roster> {
        if let (Some(file), Some(number)) = (&self.config, self.number) {
            let number = NodeId(number);
            let fail = |why| io::Error::other(format!("{}: {why}", file.display()));
            let (listed, others) = Config::read(file)?.split(number).map_err(fail)?;
            if others.len() >= MAX_NODES {
                return Err(fail(format!("a cluster has at most {MAX_NODES} nodes")));
            }
            return Roster::look_up(number, self.listen.as_ref().unwrap_or(&listed), &others);
        }
        if let (Some(id), Some(listen)) = (self.id, &self.listen) {
            return Roster::look_up(NodeId(id), listen, &self.peers);
        }
        let others = self.others.as_deref().unwrap_or_default();
        Ok(Roster::of_ports(self.port.unwrap_or_default(), others))
    }
}

fn check_different<T: Copy + PartialEq + std::fmt::Display>(
    what: &str,
    own: T,
    others: &[T],
) -> Result<(), String> {
    if others.contains(&own) {
        return Err(format!("{what} {own} is this node's own, so no other node can have it"));
    }
    let is_repeated = |(at, other): (usize, &T)| others.iter().take(at).any(|it| it == other);
    if let Some((_, twice)) = others.iter().enumerate().find(|&other| is_repeated(other)) {
        return Err(format!("{what} {twice} is given twice"));
    }
    if others.len() >= MAX_NODES {
        return Err(format!("a cluster has at most {MAX_NODES} nodes"));
    }
    Ok(())
}

fn parse_peer(text: &str) -> Result<(NodeId, String), String> {
    let form = "it must have the form ID=HOST:PORT";
    let (id, address) = text.split_once('=').ok_or(form)?;
    let id = id.parse().map_err(|_| format!("{id:?} is no id: {form}, where ID is a number"))?;
    Ok((NodeId(id), address.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;
    use crate::cli::{Action, Cli};

    fn node(line: &str) -> Result<NodeArguments, clap::Error> {
        let cli = Cli::try_parse_from(["coracle", "node"].into_iter().chain(line.split(' ')))?;
        let Action::Node(arguments) = cli.action else { panic!("not a node") };
        Ok(*arguments)
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
            assert_eq!(
                arguments.roster().unwrap(),
                Roster::of_ports(8001, &[8002, 8003]),
                "{line}"
            );
        }
    }

    #[test]
    fn a_node_takes_an_id_and_addresses() {
        let line = "--id 0 --listen 127.0.0.1:7000 --peer 2=127.0.0.1:7002 --peer 1=127.0.0.1:7001";
        let arguments = node(&format!("{line} -i -5")).unwrap();
        assert_eq!(arguments.init, BigInt::from(-5));
        assert!(arguments.check().is_ok());
        let roster = arguments.roster().unwrap();
        assert_eq!(roster.id, NodeId(0));
        let ids: Vec<u32> = roster.others.iter().map(|peer| peer.id.0).collect();
        assert_eq!(ids, [2, 1]);
        assert!(node("--id 1 --listen 127.0.0.1:7000").unwrap().check().is_ok());
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
            ("-i 4", ErrorKind::MissingRequiredArgument),
            ("-i 4 -m 8001", ErrorKind::MissingRequiredArgument),
            ("-o 8001", ErrorKind::MissingRequiredArgument),
            ("-i four -m 8001 -o 8002", ErrorKind::ValueValidation),
            ("-i -m 8001 -o 8002", ErrorKind::InvalidValue),
            ("-m 80010 -o 8002", ErrorKind::ValueValidation),
            ("-m 0 -o 8002", ErrorKind::ValueValidation),
            ("-m 8001 -o 8002 --unknown", ErrorKind::UnknownArgument),
            ("--id 1", ErrorKind::MissingRequiredArgument),
            ("-m 8001 -o 8002 --priority 101", ErrorKind::ValueValidation),
            ("--id 1 --listen a:1 --learner", ErrorKind::MissingRequiredArgument),
            ("--id 1 --listen a:1 --join b:2 --peer 2=b:2", ErrorKind::ArgumentConflict),
            ("--id 1 --listen a:1 --join b:2 --wait-to-be-added", ErrorKind::ArgumentConflict),
            ("--listen a:1", ErrorKind::MissingRequiredArgument),
            ("--id 1 --listen a:1 --peer b:2", ErrorKind::ValueValidation),
            ("--id 1 --listen a:1 --peer x=b:2", ErrorKind::ValueValidation),
            ("--id -1 --listen a:1", ErrorKind::UnknownArgument),
            ("--config nodes", ErrorKind::MissingRequiredArgument),
            ("--config nodes one", ErrorKind::ValueValidation),
            ("--config nodes 1 --id 1 --listen a:1", ErrorKind::ArgumentConflict),
            ("-m 8001 -o 8002 --id 1 --listen a:1", ErrorKind::ArgumentConflict),
            ("-m 8001 -o 8002 --heartbeat 50", ErrorKind::ValueValidation),
            ("-m 8001 -o 8002 --election 5s", ErrorKind::ValueValidation),
            ("-m 8001 -o 8002 --pending 0", ErrorKind::ValueValidation),
            ("-m 8001 -o 8002 --pending 1025", ErrorKind::ValueValidation),
            ("-m 8001 -o 8002 --sessions 0", ErrorKind::ValueValidation),
            ("-m 8001 -o 8002 --sessions 2049", ErrorKind::ValueValidation),
            ("-m 8001 -o 8002 --first-start", ErrorKind::MissingRequiredArgument),
            (
                "--id 1 --listen a:1 --data-dir d --first-start --join b:2",
                ErrorKind::ArgumentConflict,
            ),
            (
                "--id 1 --listen a:1 --data-dir d --first-start --wait-to-be-added",
                ErrorKind::ArgumentConflict,
            ),
        ] {
            let error = node(line).err().map(|error| error.kind());
            assert_eq!(error, Some(kind), "{line}");
        }
    }

    #[test]
    fn tables_may_be_smaller_or_larger_than_usual() {
        let tables = |line: &str| {
            let tables = node(&format!("-m 8001 -o 8002{line}")).unwrap().limits.tables();
            (tables.sessions, tables.pending)
        };
        assert_eq!(tables(""), (1024, 256));
        assert_eq!(tables(" --sessions 1 --pending 1"), (1, 1));
        assert_eq!(tables(" --sessions 2048 --pending 1024"), (2048, 1024));
    }

    #[test]
    fn ports_and_ids_must_differ_and_spans_go_together() {
        let is_sound = |line: &str| node(line).unwrap().check().is_ok();
        assert!(is_sound("-m 8001 -o 8002 8003 --priority 100"));
        assert!(!is_sound("-m 8001 -o 8002 8001"));
        assert!(!is_sound("-m 8001 -o 8002 8002"));
        assert!(!is_sound("--id 1 --listen a:1 --peer 1=b:2"));
        assert!(!is_sound("--id 1 --listen a:1 --peer 2=b:2 --peer 2=c:3"));
        let others = |most: u16| (1..=most).map(|port| port.to_string()).collect::<Vec<_>>();
        assert!(is_sound(&format!("-m 8001 -o {}", others(31).join(" "))));
        assert!(!is_sound(&format!("-m 8001 -o {}", others(32).join(" "))));
        assert!(is_sound("-m 8001 -o 8002 --heartbeat 6s --election 20s..30s"));
        assert!(!is_sound("-m 8001 -o 8002 --heartbeat 200ms --election 150ms..300ms"));
    }
}
