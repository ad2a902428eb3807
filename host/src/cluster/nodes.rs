//! The node processes of a cluster: started, given orders, ended.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use coracle::NodeId;

use super::folder::Folder;
use crate::faults::{Order, Said, to_line};

/// A member of the cluster: who it is, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Its address.
    pub address: SocketAddr,
}

/// The processes. They end with this value, and with this process however that ends: a node ends
/// with the pipe to its standard input.
pub struct Nodes {
    members: Vec<Member>,
    /// Those of the start.
    founders: Vec<NodeId>,
    /// Those that no cluster has taken in yet.
    waiting: Vec<NodeId>,
    /// Of each member that has a process that was not ended here.
    links: Vec<Option<Link>>,
    children: Children,
}

/// Every process that runs, for whoever has to end them all, and where they keep themselves.
#[derive(Clone, Default)]
pub struct Children(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    processes: Vec<(NodeId, Child)>,
    folder: Folder,
}

/// The way to a process.
struct Link {
    input: ChildStdin,
    said: Receiver<String>,
    /// Whether it is known to be at work: before that, it may have to read what it has stored.
    is_at_work: bool,
}

/// Why a node does not start. It does not run.
#[derive(Debug)]
pub enum StartError {
    /// Somebody else has its address.
    InUse(SocketAddr),
    /// Something else is wrong.
    Other(String),
}

/// Why it is not known that an order is followed.
#[derive(Debug, PartialEq, Eq)]
pub enum OrderFailure {
    /// The node does not run.
    Ended,
    /// It has not answered in time, and may still follow it.
    Silent(Duration),
    /// It does not follow it, for this reason.
    NotFollowed(String),
}

impl Nodes {
    /// No process yet for these members.
    pub fn new(members: Vec<Member>, children: Children) -> Self {
        let links = members.iter().map(|_| None).collect();
        let founders = members.iter().map(|member| member.id).collect();
        Self { members, founders, waiting: Vec::new(), links, children }
    }

    /// Who there is to be.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whether they keep what they must not forget.
    pub fn are_durable(&self) -> bool {
        !matches!(self.children.lock().folder, Folder::None)
    }

    /// One more, without a process yet: it is to wait until it is added. Gives its place.
    pub fn add(&mut self, member: Member) -> usize {
        self.members.push(member);
        self.waiting.push(member.id);
        self.links.push(None);
        self.members.len() - 1
    }

    /// Whether this one, started again, is a stranger: it has forgotten everything, and was not there
    /// when the cluster began. Then it waits until it is added.
    pub fn comes_back_strange(&mut self, id: NodeId) -> bool {
        let is_strange = !self.are_durable() && !self.founders.contains(&id);
        if is_strange && !self.waiting.contains(&id) {
            self.waiting.push(id);
        }
        is_strange
    }

    /// This one has been added.
    pub fn is_in(&mut self, id: NodeId) {
        self.waiting.retain(|waiting| *waiting != id);
    }

    /// There is no such node any more: ends it, if it runs, and removes what it has stored. Those
    /// behind it move up.
    ///
    /// # Errors
    /// When some of what it stored is left.
    pub fn forget(&mut self, place: usize) -> io::Result<()> {
        self.kill(place);
        self.links.remove(place);
        let id = self.members.remove(place).id;
        self.is_in(id);
        self.children.lock().folder.remove(id)
    }

    /// Starts all of them.
    ///
    /// # Errors
    /// When one does not start. The others may run.
    pub fn start_all(&mut self) -> Result<(), StartError> {
        (0..self.members.len()).try_for_each(|place| self.spawn(place))?;
        (0..self.members.len()).try_for_each(|place| self.await_listening(place))
    }

    /// Starts one, which must not run.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&mut self, place: usize) -> Result<(), StartError> {
        self.spawn(place)?;
        self.await_listening(place)?;
        if let Some(link) = &mut self.links[place] {
            link.is_at_work = false;
        }
        Ok(())
    }

    fn spawn(&mut self, place: usize) -> Result<(), StartError> {
        let member = self.members[place];
        let failed = |error: io::Error| StartError::Other(error.to_string());
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.arg("node").args(self.arguments(member)).arg("--controlled");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.args(["--log", log::max_level().as_str()]);
        let mut child = command.spawn().map_err(failed)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        self.children.lock().processes.push((member.id, child));
        let (Some(input), Some(output)) = (input, output) else {
            return Err(StartError::Other("it has no input or output".to_owned()));
        };
        self.links[place] = Some(Link { input, said: listen(output), is_at_work: true });
        Ok(())
    }

    fn arguments(&self, Member { id, address }: Member) -> Vec<String> {
        let own = [("--id", id.to_string()), ("--listen", address.to_string())];
        let folder = self.children.lock().folder.of(id).map(|folder| ("--data-dir", folder));
        // Who comes back with nothing is known by the list of ids that it was started with first.
        let forgets = folder.is_none() && self.founders.contains(&id);
        let is_peer = |other: &&Member| !forgets || self.founders.contains(&other.id);
        let others = self.members.iter().filter(|other| other.id != id).filter(is_peer);
        let others = others.map(|other| ("--peer", format!("{}={}", other.id, other.address)));
        let all = own.into_iter().chain(others).chain(folder);
        let all = all.flat_map(|(name, value)| [name.to_owned(), value]);
        let waits = self.waiting.contains(&id).then(|| "--wait-to-be-added".to_owned());
        all.chain(waits).collect()
    }

    fn await_listening(&mut self, place: usize) -> Result<(), StartError> {
        let address = self.members[place].address;
        let said = self.links[place].as_ref().map(|link| link.said.recv_timeout(START_LIMIT));
        let error = match said {
            Some(Ok(line)) => match Said::parse(&line) {
                Some(Said::Listening) => return Ok(()),
                Some(Said::InUse) => StartError::InUse(address),
                Some(Said::Followed(_) | Said::NotFollowed(_)) | None => {
                    StartError::Other(format!("it says {line:?}"))
                }
            },
            Some(Err(RecvTimeoutError::Timeout)) => {
                StartError::Other(format!("it says nothing for {} s", START_LIMIT.as_secs()))
            }
            Some(Err(RecvTimeoutError::Disconnected)) | None => {
                StartError::Other("it has ended".to_owned())
            }
        };
        self.kill(place);
        Err(error)
    }

    /// Ends one, as a power cut would.
    pub fn kill(&mut self, place: usize) {
        self.links[place] = None;
        let id = self.members[place].id;
        let processes = &mut self.children.lock().processes;
        if let Some(at) = processes.iter().position(|(other, _)| *other == id) {
            end(&mut processes.swap_remove(at));
        }
    }

    /// Whether it has a process, which has not ended by itself either.
    pub fn is_running(&self, place: usize) -> bool {
        self.links[place].is_some() && self.ended(place).is_none()
    }

    /// How a process has ended that was not ended here.
    pub fn ended(&self, place: usize) -> Option<ExitStatus> {
        let id = self.members[place].id;
        let processes = &mut self.children.lock().processes;
        let (_, child) = processes.iter_mut().find(|(other, _)| *other == id)?;
        child.try_wait().ok().flatten()
    }

    /// Has a node follow these orders, all of them or none, and waits until it has.
    ///
    /// # Errors
    /// When it is not known to follow them.
    pub fn order(&mut self, place: usize, orders: &[Order]) -> Result<(), OrderFailure> {
        let link = self.links[place].as_mut().ok_or(OrderFailure::Ended)?;
        let line = to_line(orders);
        writeln!(link.input, "{line}").map_err(|_| OrderFailure::Ended)?;
        let limit = if link.is_at_work { ORDER_LIMIT } else { START_LIMIT };
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = link.said.recv_timeout(left).map_err(|error| match error {
                RecvTimeoutError::Timeout => OrderFailure::Silent(limit),
                RecvTimeoutError::Disconnected => OrderFailure::Ended,
            })?;
            link.is_at_work = true;
            match Said::parse(&answer) {
                Some(Said::Followed(followed)) if followed == line => return Ok(()),
                Some(Said::NotFollowed(why)) => {
                    return Err(OrderFailure::NotFollowed(why.to_owned()));
                }
                // A late answer to an order before.
                Some(Said::Followed(_) | Said::Listening | Said::InUse) | None => {}
            }
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.children.end_all();
    }
}

impl Children {
    /// Where those that are started from now on keep themselves.
    pub fn keep(&self, folder: Folder) {
        self.lock().folder = folder;
    }

    /// Ends the processes at once, as a power cut would, and waits for them. A temporary folder goes
    /// away with them.
    pub fn end_all(&self) {
        let mut running = self.lock();
        running.processes.iter_mut().for_each(|(id, child)| {
            if let Err(error) = child.kill() {
                log::debug!("node {id}: {error}");
            }
        });
        running.processes.drain(..).for_each(|mut child| end(&mut child));
        running.folder = Folder::None;
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end((id, child): &mut (NodeId, Child)) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        log::debug!("node {id}: {error}");
    }
}

/// Hands on what a node says, until it has ended.
fn listen(output: ChildStdout) -> Receiver<String> {
    let (sender, said) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    said
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(address) => write!(f, "{address} is in use"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for OrderFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("has ended"),
            Self::Silent(limit) => {
                let limit = limit.as_secs();
                write!(f, "has not confirmed it within {limit} s and may still follow it")
            }
            Self::NotFollowed(why) => write!(f, "does not follow it ({why})"),
        }
    }
}

const START_LIMIT: Duration = Duration::from_secs(5);
const ORDER_LIMIT: Duration = Duration::from_secs(1);
