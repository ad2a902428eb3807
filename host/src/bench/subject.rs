//! What is measured: a cluster, and the floor beneath it.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use coracle::message::{Append, AppendOutcome, AppendReply, Message};
use coracle::wire::{Header, Route, encode};
use coracle::{RoleName, Server, Status};
use hdrhistogram::Histogram;

use super::BenchArguments;
use super::floor::{FloorFlow, Sizes};
use super::load::{Flow, Load, histogram};
use super::processes::{Processes, free_ports};
use super::sessions::Sessions;
use crate::client::Session;
use crate::faults::Probability;
use crate::roster::{loopback, servers_on};
use crate::seal::FastChecksum;
use crate::setup::{self, DATAGRAM_BYTES, HostClient};
use crate::traffic::Counted;

/// Node processes.
pub struct Cluster {
    /// The processes, in the order of their ports.
    pub processes: Processes,
    ports: Vec<u16>,
    /// The place of the one that leads.
    pub leader: usize,
}

/// Processes that send each other the same datagrams as a cluster's, and nothing else.
pub struct Floor {
    processes: Processes,
    leader: SocketAddr,
}

/// A load, and what came of it.
pub struct Driven<F> {
    load: Load,
    /// What is asked.
    pub flow: F,
    /// What came of all turns.
    pub measured: Measured,
}

/// What came of some turns.
#[derive(Clone)]
pub struct Measured {
    /// Operations per second in each turn.
    pub rates: Vec<f64>,
    /// How long each operation took, in nanoseconds.
    pub latencies: Histogram<u64>,
    /// How many there were.
    pub finished: u64,
    /// The processor time of all processes, without the client's.
    pub processor: Duration,
    /// What the leader's process has sent and received.
    pub leader: Counted,
}

impl Cluster {
    /// Starts nodes, and waits until one of them leads.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start(arguments: &BenchArguments, loss: Option<Probability>) -> io::Result<Self> {
        let ports = free_ports(usize::from(arguments.nodes))?;
        let node = |(place, port): (usize, &u16)| {
            let mut line = vec!["node".to_owned(), "--counted".to_owned()];
            line.extend(["--my_port".to_owned(), port.to_string()]);
            if let Some(span) = arguments.timing.heartbeat {
                line.extend(["--heartbeat".to_owned(), span.to_string()]);
            }
            if let Some(range) = arguments.timing.election {
                line.extend(["--election".to_owned(), format!("{}..{}", range.min, range.max)]);
            }
            if let Some(loss) = loss {
                let seed = arguments.seed.wrapping_add(place as u64);
                line.extend(["--loss".to_owned(), loss.to_string()]);
                line.extend(["--fault-seed".to_owned(), seed.to_string()]);
            }
            line.push("--other_ports".to_owned());
            line.extend(ports.iter().filter(|other| *other != port).map(u16::to_string));
            line
        };
        let lines: Vec<Vec<String>> = ports.iter().enumerate().map(node).collect();
        let processes = Processes::start(&lines)?;
        let mut cluster = Self { processes, ports, leader: 0 };
        cluster.find_leader()?;
        Ok(cluster)
    }

    /// Opens so many sessions, and warms up.
    ///
    /// # Errors
    /// When the cluster does not serve.
    pub fn load(
        &mut self,
        arguments: &BenchArguments,
        inflight: u16,
    ) -> io::Result<Driven<Sessions>> {
        let clients = (0..inflight).map(|_| setup::client(&self.servers()));
        let clients: io::Result<Vec<_>> = clients.collect();
        let mut driven = Driven::of_clients(clients?, arguments)?;
        self.turn(&mut driven, WARM_UP)?;
        driven.measured = Measured::new()?;
        self.find_leader()?;
        Ok(driven)
    }

    /// Has the load work for a while.
    ///
    /// # Errors
    /// When a command fails.
    pub fn turn(&mut self, driven: &mut Driven<Sessions>, span: Duration) -> io::Result<()> {
        driven.turn(&mut self.processes, span)
    }

    /// The nodes as clients know them.
    pub fn servers(&self) -> Vec<Server<SocketAddr>> {
        servers_on(&self.ports)
    }

    /// How long the datagrams are in which commands like these travel.
    ///
    /// # Errors
    /// When the leader does not say how it is.
    pub fn sizes(&mut self, sessions: &Sessions) -> io::Result<Sizes> {
        let status = self.status(self.leader)?;
        let entries = status.last.index.0.saturating_sub(status.base.index.0).max(1);
        let entry = u64::from(status.log_bytes).div_ceil(entries);
        let append = Message::Append(Append {
            term: status.term,
            prev: status.last,
            commit: status.commit,
            everywhere: status.commit,
            run: &[],
        });
        let outcome = AppendOutcome::Matched(status.last.index);
        let answer = AppendReply { term: status.term, echo: status.last.index.0, outcome };
        let header = Header { number: 1, route: Route::Tagged(0) };
        let mut buffer = vec![0; usize::from(DATAGRAM_BYTES)];
        let mut length = |message: &Message<'_>| {
            let length = encode(&header, message, &FastChecksum, &mut buffer);
            length.ok_or_else(|| io::Error::other("an empty datagram does not fit"))
        };
        Ok(Sizes {
            request: sessions.request_bytes,
            reply: sessions.reply_bytes,
            append: length(&append)?,
            entry: usize::try_from(entry).unwrap_or(usize::MAX),
            answer: length(&Message::AppendReply(answer))?,
            longest: usize::from(DATAGRAM_BYTES),
        })
    }

    /// How the node at this place is.
    ///
    /// # Errors
    /// When it does not say so.
    pub fn status(&self, place: usize) -> io::Result<Status> {
        let mut session = Session::new(&self.servers())?;
        session.status(place).map_err(|why| io::Error::other(why.to_string()))
    }

    /// Waits until a node leads, and remembers its place.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn find_leader(&mut self) -> io::Result<()> {
        let mut session = Session::new(&self.servers())?;
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            let mut leads = |place: &usize| {
                session.status(*place).is_ok_and(|status| status.role == RoleName::Leader)
            };
            if let Some(leader) = (0..self.ports.len()).find(|place| leads(place)) {
                self.leader = leader;
                return Ok(());
            }
            thread::sleep(ASK_INTERVAL);
        }
        Err(io::Error::other(format!("no node leads within {} s", START_LIMIT.as_secs())))
    }
}

impl Floor {
    /// Starts one process for each node of a cluster.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start(nodes: u8, sizes: Sizes) -> io::Result<Self> {
        let ports = free_ports(usize::from(nodes))?;
        let followers: Vec<String> = ports.iter().skip(1).map(u16::to_string).collect();
        let process = |(place, port): (usize, &u16)| {
            let mut line = vec!["floor".to_owned(), "--port".to_owned(), port.to_string()];
            line.extend(["--sizes".to_owned(), sizes.to_string(), "--followers".to_owned()]);
            line.extend(followers.iter().filter(|_| place == 0).cloned());
            line
        };
        let lines: Vec<Vec<String>> = ports.iter().enumerate().map(process).collect();
        let mut processes = Processes::start(&lines)?;
        // Who answers has its socket.
        processes.all_counted()?;
        let leader = ports.first().copied().map(loopback);
        Ok(Self { processes, leader: leader.ok_or(io::ErrorKind::NotFound)? })
    }

    /// A load of so many requests in flight, warmed up.
    ///
    /// # Errors
    /// When it comes to a standstill.
    pub fn load(&mut self, inflight: u16, sizes: Sizes) -> io::Result<Driven<FloorFlow>> {
        let flow = FloorFlow::new(self.leader, usize::from(inflight), sizes.request);
        let mut driven = Driven::new(flow)?;
        self.turn(&mut driven, WARM_UP)?;
        driven.measured = Measured::new()?;
        Ok(driven)
    }

    /// Has the load work for a while.
    ///
    /// # Errors
    /// When it comes to a standstill.
    pub fn turn(&mut self, driven: &mut Driven<FloorFlow>, span: Duration) -> io::Result<()> {
        driven.turn(&mut self.processes, span)
    }
}

impl Driven<Sessions> {
    /// Sessions of these clients, before their first command.
    ///
    /// # Errors
    /// When there are no such commands.
    #[allow(clippy::vec_box, reason = "a client is too large to be moved about")]
    pub fn of_clients(
        clients: Vec<Box<HostClient>>,
        arguments: &BenchArguments,
    ) -> io::Result<Self> {
        Self::new(Sessions::new(clients, usize::from(arguments.size))?)
    }
}

impl<F: Flow> Driven<F> {
    /// One operation in each slot; gives how long it took for all of them to end.
    ///
    /// # Errors
    /// When one fails.
    pub fn once(&mut self) -> io::Result<Duration> {
        Ok(self.load.run(&mut self.flow, Duration::ZERO)?.span)
    }

    fn new(flow: F) -> io::Result<Self> {
        Ok(Self { load: Load::new()?, flow, measured: Measured::new()? })
    }

    fn turn(&mut self, processes: &mut Processes, span: Duration) -> io::Result<()> {
        let (counted, processor) = (processes.all_counted()?, processes.processor_time()?);
        let slice = self.load.run(&mut self.flow, span)?;
        let measured = &mut self.measured;
        measured.processor += processes.processor_time()?.saturating_sub(processor);
        let after = processes.all_counted()?;
        let since = after.iter().zip(&counted).map(|(after, before)| after.since(before));
        // Leaders may change; whoever has sent most was the leader of this turn.
        let leader = since.max_by_key(|since| since.sent).unwrap_or_default();
        measured.leader = measured.leader.plus(&leader);
        measured.finished += slice.finished;
        measured.rates.push(per_second(slice.finished, slice.span));
        measured.latencies.add(&slice.latencies).map_err(io::Error::other)
    }
}

impl Measured {
    fn new() -> io::Result<Self> {
        Ok(Self {
            rates: Vec::new(),
            latencies: histogram()?,
            finished: 0,
            processor: Duration::ZERO,
            leader: Counted::default(),
        })
    }

    /// The median of the turns' rates.
    pub fn rate(&self) -> f64 {
        median(&self.rates)
    }

    /// The leader's datagrams for each operation, and the processor time in microseconds.
    pub fn per_command(&self) -> [f64; 2] {
        let finished = as_float(self.finished.max(1));
        [as_float(self.leader.sent) / finished, self.processor.as_secs_f64() * 1e6 / finished]
    }
}

/// The middle one of some values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |at: usize| sorted.get(at).copied().unwrap_or_default();
    f64::midpoint(middle(sorted.len().saturating_sub(1) / 2), middle(sorted.len() / 2))
}

/// A rate.
pub fn per_second(count: u64, span: Duration) -> f64 {
    as_float(count) / span.as_secs_f64()
}

/// Exact up to 2^53.
#[allow(clippy::cast_precision_loss, reason = "nobody counts that far")]
pub const fn as_float(count: u64) -> f64 {
    count as f64
}

const WARM_UP: Duration = Duration::from_millis(200);
const START_LIMIT: Duration = Duration::from_secs(20);
const ASK_INTERVAL: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
