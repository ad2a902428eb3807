//! `coracle cluster`: node processes on this machine, and a prompt to them.

mod actions;
mod folder;
mod lead;
mod members;
mod network;
mod nodes;
mod table;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use coracle::{NodeId, RoleName, Server, Status};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::cli::ClusterArguments;
use crate::client::Session;
use crate::print::print;
use crate::prompt::Prompt;
use crate::roster::loopback;
use crate::signals::ENDED_BY_SIGNAL;

pub use actions::{Action, Who};
use folder::Folder;
use network::Network;
use nodes::{Children, Member, Nodes, StartError};

/// Runs the cluster until the prompt ends.
///
/// # Errors
/// When the nodes do not start, or the prompt cannot be read or written.
pub fn run(arguments: &ClusterArguments) -> io::Result<()> {
    let children = Children::default();
    end_on_signal(children.clone())?;
    let nodes = start(arguments, &children)?;
    let addresses: Vec<SocketAddr> = nodes.members().iter().map(|node| node.address).collect();
    let mut cluster = Cluster::new(nodes, arguments.base_port)?;
    let ports: Vec<String> = addresses.iter().map(|address| address.port().to_string()).collect();
    let several = if ports.len() == 1 { "" } else { "s" };
    let (count, ports) = (ports.len(), ports.join(" "));
    print(&format_args!("starting {count} node{several} on 127.0.0.1, port{several} {ports}"))?;
    let leader = cluster.wait_for_all()?;
    let servers: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    let (program, servers) = (program(), servers.join(","));
    print(&format_args!("from another terminal: {program} client --servers {servers} get"))?;
    print(&format_args!("ready: node {leader} leads; help lists the commands"))?;
    Prompt::new(cluster).serve()
}

/// Nodes, the network between them, and a client of theirs.
pub struct Cluster {
    nodes: Nodes,
    network: Network,
    paused: Vec<NodeId>,
    /// Where the search for a free port begins.
    base_port: u16,
    /// The highest id that a node of this cluster has had.
    last: NodeId,
    /// For commands.
    pub session: Session,
    /// For whatever has no effect. It is another client, so that a command whose outcome is unknown
    /// can still be asked for again.
    pub observer: Session,
}

impl Cluster {
    fn new(nodes: Nodes, base_port: u16) -> io::Result<Self> {
        let servers = servers(&nodes);
        let (session, observer) = (Session::new(&servers)?, Session::new(&servers)?);
        let last = nodes.members().iter().map(|node| node.id).max().unwrap_or_default();
        let (network, paused) = (Network::default(), Vec::new());
        Ok(Self { nodes, network, paused, base_port, last, session, observer })
    }

    /// Has the clients ask the nodes that there are now.
    fn reconnect(&mut self) -> io::Result<()> {
        let servers = servers(&self.nodes);
        self.session = self.session.with_servers(&servers)?;
        self.observer = Session::new(&servers)?;
        Ok(())
    }

    /// Who there is.
    pub fn ids(&self) -> Vec<NodeId> {
        self.nodes.members().iter().map(|node| node.id).collect()
    }

    /// Waits until every node has joined the cluster and follows one leader.
    fn wait_for_all(&mut self) -> io::Result<NodeId> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let places = 0..self.nodes.members().len();
            let statuses: Vec<Option<Status>> =
                places.clone().map(|place| self.observer.status(place).ok()).collect();
            if let Some(leader) = common_leader(&statuses) {
                return Ok(leader);
            }
            for place in places {
                if let Some(status) = self.nodes.ended(place) {
                    let id = self.nodes.members()[place].id;
                    return Err(io::Error::other(format!("node {id} has ended ({status})")));
                }
            }
            if Instant::now() >= deadline {
                let limit = START_LIMIT.as_secs();
                let why = format!("the nodes have not found a leader within {limit} s");
                return Err(io::Error::other(why));
            }
            thread::sleep(ASK_INTERVAL);
        }
    }
}

fn servers(nodes: &Nodes) -> Vec<Server<SocketAddr>> {
    let server = |node: &Member| Server { address: node.address, id: Some(node.id) };
    nodes.members().iter().map(server).collect()
}

fn common_leader(statuses: &[Option<Status>]) -> Option<NodeId> {
    let first = (*statuses.first()?)?;
    let leader = first.leader?;
    let agrees = |status: &Status| {
        status.epoch == first.epoch
            && status.leader == Some(leader)
            && status.role != RoleName::Blank
    };
    statuses.iter().all(|status| status.as_ref().is_some_and(agrees)).then_some(leader)
}

/// Starts nodes on the first free ports. A port that another program takes in the moment between
/// makes for another try.
fn start(arguments: &ClusterArguments, children: &Children) -> io::Result<Nodes> {
    let ids = folder::ids(arguments)?;
    let mut last = None;
    for attempt in 0..MOST_ATTEMPTS {
        let ports = free_ports(ids.len(), arguments.base_port, &[])?;
        let members = ids.iter().zip(ports);
        let members = members.map(|(id, port)| Member { id: *id, address: loopback(port) });
        children.keep(Folder::new(arguments)?);
        let mut nodes = Nodes::new(members.collect(), children.clone());
        match nodes.start_all() {
            Ok(()) => return Ok(nodes),
            Err(StartError::InUse(address)) => last = Some(address),
            Err(why) => return Err(io::Error::other(format!("a node does not start: {why}"))),
        }
        drop(nodes);
        thread::sleep(pause_before(attempt));
    }
    let taken = last.map_or_else(String::new, |address| format!(" ({address}, lately)"));
    Err(io::Error::other(format!(
        "no node runs: each of {MOST_ATTEMPTS} times somebody else took one of the ports{taken}; \
         try again, or another --base-port"
    )))
}

/// Differs from one process to the next, so that two do not meet again and again.
fn pause_before(attempt: u32) -> Duration {
    PAUSE_STEP * (attempt + 1) * (1 + std::process::id() % 7)
}

/// The first free ports from `base` on, without those of nodes that are down.
fn free_ports(count: usize, base: u16, but: &[u16]) -> io::Result<Vec<u16>> {
    // All are held until the last is found: nobody else who looks gets the same.
    let ports = (base..=u16::MAX).filter(|port| !but.contains(port));
    let sockets = ports.filter_map(|port| UdpSocket::bind(loopback(port)).ok());
    let held: Vec<UdpSocket> = sockets.take(count).collect();
    if held.len() < count {
        let why = format!("no node runs: there are no {count} free UDP ports from {base} on");
        return Err(io::Error::other(why));
    }
    held.iter().map(|socket| Ok(socket.local_addr()?.port())).collect()
}

/// Ends the nodes, then this process, when a signal asks for it. A line editor that is in the
/// middle of a line leaves the terminal as it was before.
fn end_on_signal(children: Children) -> io::Result<()> {
    let terminal = tcgetattr(io::stdin()).ok();
    let end = move || {
        children.end_all();
        if let Some(terminal) = &terminal
            && let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, terminal)
        {
            log::debug!("the terminal: {error}");
        }
        std::process::exit(ENDED_BY_SIGNAL);
    };
    ctrlc::set_handler(end).map_err(io::Error::other)
}

/// This program as it was called, if that can be called again from the same place.
fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    if called.is_empty() || !called.chars().all(is_plain) { "coracle".to_owned() } else { called }
}

const START_LIMIT: Duration = Duration::from_secs(10);
const ASK_INTERVAL: Duration = Duration::from_millis(20);
const MOST_ATTEMPTS: u32 = 10;
const PAUSE_STEP: Duration = Duration::from_millis(10);
