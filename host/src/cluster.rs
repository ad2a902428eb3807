//! `coracle cluster`: node processes on this machine, and a prompt to them.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use coracle::{NodeId, RoleName, Status};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::cli::ClusterArguments;
use crate::client::Session;
use crate::prompt::{Prompt, print};
use crate::roster::servers_on;

/// Runs the cluster until the prompt ends.
///
/// # Errors
/// When the nodes do not start, or the prompt cannot be read or written.
pub fn run(arguments: &ClusterArguments) -> io::Result<()> {
    let ports = free_ports(usize::from(arguments.nodes), arguments.base_port)?;
    let names: Vec<String> = ports.iter().map(u16::to_string).collect();
    let names = names.join(" ");
    print(&format_args!("starting {} nodes on 127.0.0.1, ports {names}", ports.len()))?;
    let nodes = Nodes::default();
    end_on_signal(Arc::clone(&nodes.running))?;
    nodes.start(&ports)?;
    let mut session = Session::new(&servers_on(&ports))?;
    let leader = wait_for_leader(&ports, &nodes, &mut session)?;
    print(&format_args!("ready: node {leader} leads; help lists the commands"))?;
    Prompt::new(&ports, session).serve()
}

/// The processes. They end with this value, and with this process: a node ends when the pipe to its
/// standard input does.
#[derive(Default)]
struct Nodes {
    running: Arc<Mutex<Vec<Node>>>,
}

struct Node {
    port: u16,
    process: Child,
}

impl Nodes {
    fn start(&self, ports: &[u16]) -> io::Result<()> {
        for port in ports {
            let process = spawn(*port, ports).map_err(|error| {
                io::Error::other(format!("node {port} cannot be started: {error}"))
            })?;
            lock(&self.running).push(Node { port: *port, process });
        }
        Ok(())
    }

    /// A node that has ended by itself.
    fn ended(&self) -> Option<(u16, ExitStatus)> {
        let mut running = lock(&self.running);
        running.iter_mut().find_map(|node| Some((node.port, node.process.try_wait().ok()??)))
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        end_all(&self.running);
    }
}

fn spawn(port: u16, ports: &[u16]) -> io::Result<Child> {
    let others = ports.iter().filter(|other| **other != port).map(u16::to_string);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["node", "--my_port", &port.to_string(), "--other_ports"]).args(others);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command.args(["--log", log::max_level().as_str()]);
    command.spawn()
}

/// Ends the nodes at once and waits for them: they store nothing.
fn end_all(running: &Mutex<Vec<Node>>) {
    let mut running = lock(running);
    for node in running.iter_mut() {
        if let Err(error) = node.process.kill() {
            log::debug!("node {}: {error}", node.port);
        }
    }
    for mut node in running.drain(..) {
        if let Err(error) = node.process.wait() {
            log::debug!("node {}: {error}", node.port);
        }
    }
}

/// Ends the nodes, then this process, when a signal asks for it. A line editor that is in the
/// middle of a line leaves the terminal as it was before.
fn end_on_signal(running: Arc<Mutex<Vec<Node>>>) -> io::Result<()> {
    let terminal = tcgetattr(io::stdin()).ok();
    let end = move || {
        end_all(&running);
        if let Some(terminal) = &terminal
            && let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, terminal)
        {
            log::debug!("the terminal: {error}");
        }
        std::process::exit(ENDED_BY_SIGNAL);
    };
    ctrlc::set_handler(end).map_err(io::Error::other)
}

fn lock(running: &Mutex<Vec<Node>>) -> MutexGuard<'_, Vec<Node>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until every node has joined the cluster and follows one leader.
fn wait_for_leader(ports: &[u16], nodes: &Nodes, session: &mut Session) -> io::Result<NodeId> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        let statuses: Vec<Option<Status>> =
            (0..ports.len()).map(|place| session.status(place).ok()).collect();
        if let Some(leader) = common_leader(&statuses) {
            return Ok(leader);
        }
        if let Some((port, status)) = nodes.ended() {
            return Err(io::Error::other(format!(
                "node {port} ended at its start ({status}); its port may have been taken: \
                 try again, or another --base-port"
            )));
        }
        if Instant::now() >= deadline {
            let limit = START_LIMIT.as_secs();
            let why = format!("the nodes have not found a leader within {limit} s");
            return Err(io::Error::other(why));
        }
        thread::sleep(ASK_INTERVAL);
    }
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

/// The first free ports from `base` on. Another program may still take one before its node does;
/// then that node says so.
fn free_ports(count: usize, base: u16) -> io::Result<Vec<u16>> {
    let is_free = |port: &u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let ports: Vec<u16> = (base..=u16::MAX).filter(is_free).take(count).collect();
    if ports.len() < count {
        let why = format!("there are no {count} free UDP ports from {base} on");
        return Err(io::Error::other(why));
    }
    Ok(ports)
}

const START_LIMIT: Duration = Duration::from_secs(10);
const ASK_INTERVAL: Duration = Duration::from_millis(20);
/// What a shell reports for a program that an interrupt ended.
const ENDED_BY_SIGNAL: i32 = 130;
