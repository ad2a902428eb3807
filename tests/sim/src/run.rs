//! One run: a seed's cluster, from its first datagram to the end.

mod calm;
mod local;
mod operate;
pub(crate) mod step;
mod trouble;
pub(crate) mod warm;

use std::cell::Cell;
use std::rc::Rc;

use crate::chance::{Chance, mix, mix_bytes};
use crate::clients::{Client, Records};
use crate::describe::describe;
use crate::disk::Shared;
use crate::faults::Trouble;
use crate::history::History;
use crate::host::Host;
use crate::invariants::{Chronicle, Verdict, ensure};
use crate::network::{Address, Network};
use crate::plan::Plan;
use crate::queue::{Micros, Queue};
use crate::report::Counts;
use coracle::{NodeId, Receipt};
use local::Locals;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether every invariant held.
    pub verdict: Verdict,
    /// A hash of everything that happened.
    pub hash: u64,
    /// What happened how often.
    pub counts: Counts,
    /// How many events there were.
    pub events: u64,
    /// What clients asked and were told.
    pub history: History,
}

/// Whether each event is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// No.
    Off,
    /// Yes, to the standard output.
    On,
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64, trace: Trace) -> Outcome {
    let mut run = Run::new(Plan::new(seed), trace);
    let verdict = run.play().and_then(|()| run.judge());
    run.outcome(verdict)
}

/// Something that is going to happen.
#[derive(Debug)]
enum Event {
    /// A datagram reaches its end.
    Arrive { from: Address, to: Address, datagram: Box<[u8]> },
    /// A node looks at what has arrived, and at its clock.
    Wake { node: usize },
    /// Records are durable.
    Sync { node: usize, life: u32, upto: u64 },
    /// A node hears of it.
    Durable { node: usize, life: u32, receipt: Receipt },
    /// A node that is down is started.
    Start { node: usize, life: u32 },
    /// A client looks at its clock.
    Client { client: usize },
    /// Somebody asks a node directly.
    Local,
    /// A node is asked how far it is.
    Probe,
    /// An operator changes the members.
    Operate,
    /// A phase begins.
    Phase(usize),
    /// A flapping partition comes or goes.
    Flap { phase: usize, is_cut: bool },
    /// A leader is cut off.
    Hunt { node: usize, phase: usize },
    /// Something happens to a node.
    Trouble(Trouble),
    /// The faults stop.
    Calm,
    /// There must be a leader; clients begin nothing more.
    LeaderDue,
    /// Clients fall silent.
    Silence,
    /// All nodes must agree, and the run ends.
    AgreementDue,
}

/// The state of the world.
struct Run {
    plan: Plan,
    trace: Trace,
    queue: Queue<Event>,
    network: Network,
    hosts: Vec<Host>,
    disks: Vec<Shared>,
    clients: Vec<Client>,
    /// When each client is woken next.
    client_at: Vec<Option<Micros>>,
    locals: Locals,
    records: Records,
    chronicle: Chronicle,
    chance: Chance,
    counts: Counts,
    is_aligned: Rc<Cell<bool>>,
    phase: usize,
    /// Whether the faults have stopped, and what was so when they did.
    calm: Option<calm::Calm>,
    /// Whether more were restarted with nothing than the others could do without.
    has_gone_beyond: bool,
    /// Whether clients may begin operations, and whether they may speak at all.
    may_begin: bool,
    is_silent: bool,
    buffer: Vec<u8>,
    hash: u64,
    events: u64,
}

impl Run {
    fn new(plan: Plan, trace: Trace) -> Self {
        let nodes = plan.nodes();
        let (hosts, disks) = (0..nodes).map(|place| Host::new(&plan, place)).unzip();
        let network = Network::new(plan.calm, Chance::new(plan.seed, 2));
        let clients: Vec<Client> =
            (0..plan.clients.count).map(|place| Client::new(&plan, place)).collect();
        Self {
            trace,
            queue: Queue::default(),
            network,
            hosts,
            disks,
            client_at: vec![None; clients.len()],
            clients,
            locals: Locals::default(),
            records: Records::default(),
            chronicle: Chronicle::new(nodes),
            chance: Chance::new(plan.seed, 3),
            counts: Counts::default(),
            is_aligned: Rc::default(),
            phase: 0,
            calm: None,
            has_gone_beyond: false,
            may_begin: true,
            is_silent: false,
            buffer: vec![0; 2048],
            hash: mix(plan.seed, 0),
            events: 0,
            plan,
        }
    }

    /// Lets everything happen, in order.
    fn play(&mut self) -> Verdict {
        self.note(|| self.plan.to_string());
        for node in 0..self.hosts.len() {
            let life = self.hosts[node].life;
            let first = Micros(self.chance.below(self.plan.election().0));
            let late = self.plan.late.iter().find(|(place, _)| *place == node);
            let first = late.map_or(first, |(_, at)| *at);
            self.queue.put_at(first, Event::Start { node, life });
        }
        for client in 0..self.clients.len() {
            let at = self.clients[client].begins_at();
            self.wake_client(client, at);
        }
        self.queue.put_at(Micros(0), Event::Phase(0));
        self.queue.put_in(self.plan.election(), Event::Local);
        self.queue.put_in(self.plan.election(), Event::Probe);
        if self.plan.is_operated {
            self.queue.put_in(self.plan.election().times(3), Event::Operate);
        }
        while let Some(event) = self.queue.take() {
            self.events += 1;
            ensure(13, self.events < MOST_EVENTS, || "the run does not end".to_owned())?;
            let is_end = matches!(event, Event::AgreementDue);
            self.happen(event)?;
            if is_end {
                break;
            }
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Verdict {
        match event {
            Event::Arrive { from, to, datagram } => self.arrive(from, to, datagram),
            Event::Wake { node } => self.on_wake(node),
            Event::Sync { node, life, upto } => self.on_sync(node, life, upto),
            Event::Durable { node, life, receipt } => self.on_durable(node, life, receipt),
            Event::Start { node, life } => self.on_start(node, life),
            Event::Client { client } => self.on_client(client),
            Event::Local => self.on_local(),
            Event::Probe => self.on_probe(),
            Event::Operate => self.on_operate(),
            Event::Phase(phase) => self.on_phase(phase),
            Event::Flap { phase, is_cut } => self.on_flap(phase, is_cut),
            Event::Hunt { node, phase } => self.on_hunt(node, phase),
            Event::Trouble(trouble) => self.on_trouble(trouble),
            Event::Calm => self.on_calm(),
            Event::LeaderDue => self.on_leader_due(),
            Event::Silence => {
                self.is_silent = true;
                self.clients_are_served()
            }
            Event::AgreementDue => self.on_agreement_due(),
        }
    }

    /// What can only be judged at the end: the histories, and the judge.
    fn judge(&mut self) -> Verdict {
        for operation in &self.records.denied {
            ensure(11, self.chronicle.application(*operation).is_none(), || {
                format!("operation {} took effect, although it was denied", operation.0)
            })?;
        }
        if self.chronicle.worlds() > 1 {
            // What was done in one world is gone in the next, and clients are told.
            self.counts.add("runs with more than one world", 1);
            return Ok(());
        }
        let history = &self.records.history;
        let unexplained = history.unexplained_key();
        ensure(11, unexplained.is_none(), || {
            format!("no order of the operations on key {unexplained:?} explains their answers")
        })?;
        let Some((lying, key)) = history.with_a_lie(&mut self.chance) else { return Ok(()) };
        self.counts.add("histories with a lie, rejected", 1);
        ensure(11, !lying.is_key_linearizable(key), || {
            format!("a lie about key {key} is not found: the judge is blind")
        })
    }

    fn arrive(&mut self, from: Address, to: Address, datagram: Box<[u8]>) -> Verdict {
        match (from, to) {
            (Address::Client(_), _) | (_, Address::Client(_)) if self.is_silent => Ok(()),
            (_, Address::Node(node)) => {
                let host = &mut self.hosts[node];
                if host.peer.is_none() {
                    return Ok(());
                }
                host.inbox.push_back((from, datagram));
                let look_at = self.queue.now().plus(self.plan.batching);
                self.wake(node, look_at);
                Ok(())
            }
            (_, Address::Client(client)) => {
                self.note(|| format!("client {client} gets {}", describe(&datagram)));
                self.clients[client].receive(from, &datagram);
                self.step_client(client)
            }
        }
    }

    fn on_client(&mut self, client: usize) -> Verdict {
        if self.client_at[client] != Some(self.queue.now()) || self.is_silent {
            return Ok(());
        }
        self.client_at[client] = None;
        self.step_client(client)
    }

    fn step_client(&mut self, client: usize) -> Verdict {
        let now = self.queue.now();
        let (plan, may_begin) = (self.plan.clients, self.may_begin);
        let stepped =
            self.clients[client].step(now, &plan, may_begin, &mut self.records, &self.chronicle);
        let wants = stepped?;
        for (to, datagram) in wants.datagrams {
            self.send(Address::Client(client), to, &datagram);
        }
        if let Some(at) = wants.wake_at {
            self.wake_client(client, at.max(now.plus(Micros(1))));
        }
        Ok(())
    }

    fn wake_client(&mut self, client: usize, at: Micros) {
        if self.client_at[client].is_none_or(|earlier| at < earlier) {
            self.client_at[client] = Some(at);
            self.queue.put_at(at, Event::Client { client });
        }
    }

    /// Hands a datagram to the network.
    fn send(&mut self, from: Address, to: Address, datagram: &[u8]) {
        self.mix(mix_bytes(self.queue.now().0, datagram));
        self.note(|| format!("{} -> {}: {}", name(from), name(to), describe(datagram)));
        let queue = &mut self.queue;
        self.network.send(from, to, datagram, |(delay, datagram)| {
            queue.put_in(delay, Event::Arrive { from, to, datagram });
        });
    }

    /// Wakes a node at a time, unless it is woken earlier.
    fn wake(&mut self, node: usize, at: Micros) {
        let host = &mut self.hosts[node];
        let at = at.max(host.paused_until);
        if host.run_at.is_none_or(|earlier| at < earlier) {
            host.run_at = Some(at);
            self.queue.put_at(at, Event::Wake { node });
        }
    }

    /// The node that leads in the latest term, as far as anybody leads.
    fn leader(&self) -> Option<usize> {
        let leads = |place: &usize| {
            let peer = self.hosts[*place].peer.as_ref();
            peer.is_some_and(|peer| peer.raft().role() == coracle::RoleName::Leader)
        };
        let term = |place: &usize| self.hosts[*place].peer.as_ref().map(|peer| peer.raft().term());
        (0..self.hosts.len()).filter(leads).max_by_key(term)
    }

    fn place_of(&self, id: NodeId) -> Option<usize> {
        self.plan.ids.iter().position(|of| *of == id)
    }

    fn mix(&mut self, word: u64) {
        self.hash = mix(self.hash, word);
    }

    /// Prints a line, if the run is traced.
    fn note(&self, line: impl FnOnce() -> String) {
        if self.trace == Trace::On {
            println!("{:>12} {}", self.queue.now(), line());
        }
    }
}

fn name(address: Address) -> String {
    match address {
        Address::Node(node) => format!("n{node}"),
        Address::Client(client) => format!("c{client}"),
    }
}

/// A run of this many events is one that feeds itself.
const MOST_EVENTS: u64 = 2_000_000;
