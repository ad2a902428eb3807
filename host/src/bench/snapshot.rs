//! What commands cost while a snapshot is on its way to a new node, beside what they cost else.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use coracle::{Change, NodeId, Status};
use coracle_machines::{Command, MAX_VALUE_BYTES};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::load::{Flow, Load, Slice, Wire, histogram};
use super::processes::{Processes, free_ports};
use super::report::quantile;
use super::sessions::Sessions;
use super::subject::{Cluster, median, per_second};
use super::{BenchArguments, progress};
use crate::client::Session;
use crate::print::print;
use crate::roster::{loopback, servers_on};
use crate::setup::{self, DATAGRAM_BYTES};

/// Commands while nothing else goes on, and while a new node gets a snapshot.
#[derive(Serialize)]
struct Report {
    nodes: u8,
    size_bytes: u16,
    inflight: u16,
    /// The bytes of all values.
    state_bytes: usize,
    transfers: usize,
    /// From the start of a node until it has the snapshot.
    median_transfer_ms: f64,
    /// All chunks that were sent, and the rounds of heartbeats meanwhile.
    chunks: u32,
    heartbeats: u32,
    idle: Figures,
    sending: Figures,
    p50_ratio: f64,
    p99_ratio: f64,
}

/// How long commands took.
#[derive(Serialize)]
struct Figures {
    operations: u64,
    operations_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    longest_us: f64,
}

/// A cluster with a large state, and a load of small commands.
struct Bench<'a> {
    arguments: &'a BenchArguments,
    cluster: Cluster,
    load: Load,
    sessions: Sessions,
    idle: Sum,
    sending: Sum,
    spans_ms: Vec<f64>,
    chunks: u32,
    heartbeats: u32,
}

/// What came of some slices.
struct Sum {
    latencies: Histogram<u64>,
    finished: u64,
    span: Duration,
}

/// Has new nodes join a cluster one after the other, each time after a while without one, and prints
/// how long commands took in both.
///
/// # Errors
/// When a node does not start or get the state, another leader is elected, or a command fails.
pub fn run(arguments: &BenchArguments, transfers: u16) -> io::Result<()> {
    let progress = progress(u64::from(transfers));
    let mut bench = Bench::new(arguments)?;
    let idle = Duration::from_secs(u64::from(arguments.seconds)) / u32::from(transfers.max(1));
    for _ in 0..transfers {
        bench.idle_for(idle)?;
        bench.transfer()?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    bench.report().print(arguments.json)
}

impl<'a> Bench<'a> {
    fn new(arguments: &'a BenchArguments) -> io::Result<Self> {
        let mut cluster = Cluster::start(arguments, None)?;
        let mut load = Load::new()?;
        let sessions = |count: u16| {
            let clients = (0..count).map(|_| setup::client(&cluster.servers()));
            Sessions::new(clients.collect::<io::Result<_>>()?, usize::from(arguments.size))
        };
        let mut filling = Filling { sessions: sessions(FILLERS)?, next: 0 };
        while filling.next < KEYS {
            load.run(&mut filling, SLICE)?;
        }
        let mut sessions = sessions(arguments.inflight.unwrap_or(1))?;
        load.run(&mut sessions, WARM_UP)?;
        cluster.find_leader()?;
        let (idle, sending) = (Sum::new()?, Sum::new()?);
        let spans_ms = Vec::new();
        Ok(Self {
            arguments,
            cluster,
            load,
            sessions,
            idle,
            sending,
            spans_ms,
            chunks: 0,
            heartbeats: 0,
        })
    }

    fn idle_for(&mut self, span: Duration) -> io::Result<()> {
        let start = Instant::now();
        while start.elapsed() < span {
            let slice = self.load.run(&mut self.sessions, SLICE)?;
            self.idle.add(&slice)?;
        }
        Ok(())
    }

    /// Starts a node, keeps the load up until it has the snapshot, and takes it out again. What
    /// counts are the slices in which chunks were sent.
    fn transfer(&mut self) -> io::Result<()> {
        let ports = free_ports(1)?;
        let port = *ports.first().ok_or(io::ErrorKind::NotFound)?;
        let first = self.look()?;
        let start = Instant::now();
        let joined = Processes::start(&[self.joining(port)])?;
        let mut asked = Session::new(&servers_on(&ports))?;
        // While it takes on the state it answers nobody.
        asked.limit(LONGEST_TRANSFER);
        let mut before = first;
        loop {
            let slice = self.load.run(&mut self.sessions, SLICE)?;
            let now = self.look()?;
            if now.term != first.term {
                return Err(io::Error::other(
                    "another leader was elected during a transfer, so there are no figures: try a \
                     longer --election",
                ));
            }
            let sent = now.counters.chunks_sent.saturating_sub(before.counters.chunks_sent);
            if sent > 0 {
                self.sending.add(&slice)?;
                self.chunks = self.chunks.saturating_add(sent);
                let beats = now.counters.heartbeats.saturating_sub(before.counters.heartbeats);
                self.heartbeats = self.heartbeats.saturating_add(beats);
            }
            before = now;
            // Before that it may not listen yet.
            if now.counters.chunks_sent > first.counters.chunks_sent {
                let learner = asked.status(0).map_err(|why| io::Error::other(why.to_string()))?;
                if learner.counters.snapshots_installed > 0 {
                    break;
                }
            }
            if start.elapsed() > LONGEST_TRANSFER {
                return Err(io::Error::other("the new node did not get the snapshot in time"));
            }
        }
        self.spans_ms.push(start.elapsed().as_secs_f64() * 1000.0);
        let removed = Session::new(&self.cluster.servers())?
            .change_members(Change::Remove(NodeId(u32::from(port))));
        removed.map_err(|why| io::Error::other(why.to_string()))?;
        drop(joined);
        Ok(())
    }

    fn joining(&self, port: u16) -> Vec<String> {
        let servers = self.cluster.servers();
        let servers: Vec<String> = servers.iter().map(|it| it.address.to_string()).collect();
        let mut line = ["node", "--counted", "--learner"].map(str::to_owned).to_vec();
        line.extend(["--id".to_owned(), port.to_string()]);
        line.extend(["--listen".to_owned(), loopback(port).to_string()]);
        line.extend(["--join".to_owned(), servers.join(",")]);
        line
    }

    fn look(&self) -> io::Result<Status> {
        self.cluster.status(self.cluster.leader)
    }

    fn report(&self) -> Report {
        let (idle, sending) = (self.idle.figures(), self.sending.figures());
        Report {
            nodes: self.arguments.nodes,
            size_bytes: self.arguments.size,
            inflight: self.arguments.inflight.unwrap_or(1),
            state_bytes: KEYS * MAX_VALUE_BYTES,
            transfers: self.spans_ms.len(),
            median_transfer_ms: median(&self.spans_ms),
            chunks: self.chunks,
            heartbeats: self.heartbeats,
            p50_ratio: sending.p50_us / idle.p50_us,
            p99_ratio: sending.p99_us / idle.p99_us,
            idle,
            sending,
        }
    }
}

impl Sum {
    fn new() -> io::Result<Self> {
        Ok(Self { latencies: histogram()?, finished: 0, span: Duration::ZERO })
    }

    fn add(&mut self, slice: &Slice) -> io::Result<()> {
        self.finished += slice.finished;
        self.span += slice.span;
        self.latencies.add(&slice.latencies).map_err(io::Error::other)
    }

    fn figures(&self) -> Figures {
        let at = |part| quantile(&self.latencies, part);
        Figures {
            operations: self.finished,
            operations_per_second: per_second(self.finished, self.span),
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            longest_us: at(1.0),
        }
    }
}

impl Report {
    fn print(&self, is_json: bool) -> io::Result<()> {
        if is_json {
            return print(&serde_json::to_string(self)?);
        }
        let Self { nodes, size_bytes, inflight, state_bytes, transfers, .. } = self;
        let Self { median_transfer_ms, chunks, heartbeats, idle, sending, .. } = self;
        print(&format_args!(
            "{nodes} nodes, {size_bytes}-byte commands, {inflight} in flight; {transfers} new nodes got \
             {state_bytes} bytes each,\nin {median_transfer_ms:.0} ms from the start of their \
             process (median); {chunks} chunks in {heartbeats} heartbeats"
        ))?;
        print(&format_args!("{:24}{:>14}{:>14}{:>8}", "", "idle", "transferring", "ratio"))?;
        let row = |name: &str, take: fn(&Figures) -> f64| {
            let (idle, sending) = (take(idle), take(sending));
            let ratio = sending / idle;
            print(&format_args!("{name:24}{idle:>14.0}{sending:>14.0}{ratio:>8.2}"))
        };
        row("operations per second", |it| it.operations_per_second)?;
        row("latency p50, us", |it| it.p50_us)?;
        row("latency p99, us", |it| it.p99_us)?;
        row("latency p99.9, us", |it| it.p999_us)?;
        row("longest, us", |it| it.longest_us)
    }
}

/// Sessions that set one key after the other to the longest value.
struct Filling {
    sessions: Sessions,
    /// How many were begun.
    next: usize,
}

impl Flow for Filling {
    fn slots(&self) -> usize {
        self.sessions.slots()
    }

    fn start(&mut self, slot: usize, wire: &Wire) -> io::Result<()> {
        let key = u64::try_from(self.next % KEYS).unwrap_or_default().to_le_bytes();
        self.next += 1;
        let mut buffer = [0; DATAGRAM_BYTES as usize];
        let command = Command::Set { key: &key, value: &[b'v'; MAX_VALUE_BYTES] };
        let bytes = postcard::to_slice(&command, &mut buffer).map_err(io::Error::other)?;
        self.sessions.set_command(slot, bytes);
        self.sessions.start(slot, wire)
    }

    fn receive(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        wire: &Wire,
    ) -> io::Result<Option<usize>> {
        self.sessions.receive(from, datagram, wire)
    }

    fn pass_time(&mut self, wire: &Wire) -> io::Result<()> {
        self.sessions.pass_time(wire)
    }
}

/// Their values have 10 MB: more than half of a log, so that its front is gone, and with it all ways
/// to the state but a snapshot.
const KEYS: usize = 10_000_000_usize.div_ceil(MAX_VALUE_BYTES);
const FILLERS: u16 = 64;
const SLICE: Duration = Duration::from_millis(50);
const WARM_UP: Duration = Duration::from_millis(200);
const LONGEST_TRANSFER: Duration = Duration::from_secs(30);
