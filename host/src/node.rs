//! `coracle node`: one member of a cluster, and its console.

#[cfg(test)]
mod allocations;
mod arguments;
mod forward;
mod journal;
mod leaving;
mod membership;

pub use arguments::NodeArguments;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use coracle::wire::{is_reply, is_request};
use coracle::{Address, Condition, Destination, Event, NodeId, RoleName, Ticks, Timing};
use log::{debug, info, warn};
use mio::Waker;
use num_bigint::BigInt;

use crate::console::{self, Outcome, Request};
use crate::event_loop::{EventLoop, bind, wake};
use crate::faults::{self, Control, Life};
use crate::joining::{self, Asking};
use crate::local::{Local, Step, Taken};
use crate::print::complain;
use crate::roster::Roster;
use crate::setup::{self, DATAGRAM_BYTES, HostNode};
use crate::signals;
use crate::storage::OnHalt;
use crate::traffic::Traffic;
use forward::Forwarder;
use journal::Journal;
use leaving::Leaving;
use membership::Membership;

/// Runs a node until its console ends, or a signal asks for its end: a leader hands over first.
///
/// # Errors
/// When the nodes are not found, the address stays in use, the node cannot go on, or the console not
/// be read or written.
pub fn run(arguments: &NodeArguments, timing: Timing) -> io::Result<()> {
    let roster = arguments.roster()?;
    let init = arguments.init.clone();
    let Some(socket) = socket(arguments, &roster)? else { return Ok(()) };
    let event_loop = EventLoop::new(socket)?;
    info!("Node {} started on port {}", roster.id, roster.listen.port());
    let (requests, inbox) = sync_channel(1);
    let (outbox, outcomes) = channel();
    let counted = (event_loop.waker(), event_loop.traffic.clone());
    let born_of = roster.clone();
    let birth = || setup::node(&born_of, timing, arguments, counted.clone());
    let node = birth()?;
    let mut process = Process::new(roster.clone(), node, event_loop, (inbox, outbox))?;
    if arguments.storage.on_halt == OnHalt::Reset {
        process.rebirth = Some(Box::new(birth));
    }
    process.asking =
        arguments.joining.ask(&process.roster, &process.node, process.event_loop.waker())?;
    process.event_loop.faults = arguments.faults.of(&roster);
    let link = Link { requests, outcomes, waker: process.event_loop.waker() };
    let console = thread::Builder::new().name("console".to_owned());
    let console = if arguments.faults.controlled {
        let (orders, control) = Control::new();
        process.control = Some(control);
        console.spawn(move || orders.read(&link.waker))?
    } else if arguments.counted {
        process.heed_signals(timing)?;
        let traffic = process.event_loop.traffic.clone();
        console.spawn(move || link.count(&traffic))?
    } else {
        process.heed_signals(timing)?;
        console.spawn(move || link.serve(&roster, &init))?
    };
    process.run()?;
    // The console may wait for input for ever.
    if signals::is_wanted() {
        return Ok(());
    }
    if process.node.raft().is_removed() {
        let end = format!("Node {} is no longer a member of the cluster", process.roster.id);
        // Whoever has it under control sees that it ends, and tells of it.
        if arguments.faults.controlled {
            info!("{end}");
        } else {
            complain(end);
        }
        return Ok(());
    }
    console.join().unwrap_or_else(|_| Err(io::Error::other("the console has panicked")))
}

/// The node's socket; none for one under control whose address is in use, which says so itself.
fn socket(arguments: &NodeArguments, roster: &Roster) -> io::Result<Option<UdpSocket>> {
    if arguments.faults.controlled {
        faults::bind_controlled(roster.listen)
    } else {
        bind(roster.listen, BIND_PATIENCE).map(Some)
    }
}

/// A node with all that it speaks to.
struct Process<'a> {
    event_loop: EventLoop,
    roster: Roster,
    node: Box<HostNode>,
    local: Local,
    inbox: Receiver<Request>,
    outbox: Sender<Outcome>,
    /// Whom it follows, if there is no console.
    control: Option<Control>,
    /// Whom it knows while it is to be taken in.
    asking: Option<Asking>,
    /// How a signal ends it; at once, without this.
    leaving: Option<Leaving>,
    /// How a node begins that takes the place of one that has halted; none does, without this.
    rebirth: Option<Box<dyn Fn() -> io::Result<Box<HostNode>> + 'a>>,
    /// The time that the node knows of.
    now: Ticks,
    incoming: Box<[u8]>,
    outgoing: Box<[u8]>,
    journal: Journal,
    membership: Membership,
    forwarder: Forwarder,
}

/// Whether the loop goes round again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Console {
    Open,
    Closed,
}

impl Process<'_> {
    fn new(
        roster: Roster,
        node: Box<HostNode>,
        event_loop: EventLoop,
        (inbox, outbox): (Receiver<Request>, Sender<Outcome>),
    ) -> io::Result<Self> {
        let client = setup::client(&roster.servers())?;
        Ok(Self {
            event_loop,
            roster,
            node,
            local: Local::new(client),
            inbox,
            outbox,
            control: None,
            asking: None,
            leaving: None,
            rebirth: None,
            now: Ticks(0),
            incoming: vec![0; usize::from(u16::MAX)].into_boxed_slice(),
            outgoing: vec![0; usize::from(DATAGRAM_BYTES)].into_boxed_slice(),
            journal: Journal::default(),
            membership: Membership::default(),
            forwarder: Forwarder::new(),
        })
    }

    /// One that is under control ends at once: whoever started it has the say.
    fn heed_signals(&mut self, timing: Timing) -> io::Result<()> {
        self.leaving = Some(Leaving::on_signal(self.event_loop.waker(), timing)?);
        Ok(())
    }

    fn run(&mut self) -> io::Result<()> {
        while self.turn()? == Life::GoesOn {}
        Ok(())
    }

    /// Takes everything that has arrived, does everything that follows from it, and only then waits.
    fn turn(&mut self) -> io::Result<Life> {
        if self.follow_orders()? == Life::Ends {
            return Ok(Life::Ends);
        }
        self.heed_refusal()?;
        self.pass_time();
        if let Some(receipt) = self.node.storage_mut().take_durable()? {
            self.node.durable(receipt);
        }
        self.receive();
        if self.take_requests() == Console::Closed {
            return Ok(Life::Ends);
        }
        if let Some(leaving) = &mut self.leaving {
            leaving.begin(&mut self.node, self.now);
        }
        self.poll()?;
        self.journal.update(&self.node, &self.roster, self.now);
        self.membership.update(&self.node);
        self.begin_anew()?;
        if self.node.raft().is_removed() {
            return Ok(Life::Ends);
        }
        if let Some(leaving) = &mut self.leaving
            && leaving.finish(&self.node, self.now) == Life::Ends
        {
            return Ok(Life::Ends);
        }
        let deadline = self.deadline();
        self.event_loop.wait(deadline)?;
        Ok(Life::GoesOn)
    }

    /// Puts a new node in the place of one that has halted, if that is wanted. It holds nothing, so
    /// its time begins anew too; what the console asked of the other one is asked again.
    fn begin_anew(&mut self) -> io::Result<()> {
        let Some(rebirth) = &self.rebirth else { return Ok(()) };
        if self.node.raft().condition() == Condition::Halted {
            let (id, last) = (self.roster.id, self.node.raft().last().index);
            warn!("Node {id} gives up what it holds, up to index {last}, and begins anew");
            self.node = rebirth()?;
            self.local.ask_again();
            self.begin_journal();
        }
        Ok(())
    }

    /// What is told of the node begins anew with it.
    fn begin_journal(&mut self) {
        self.journal = Journal::default();
        self.membership = Membership::default();
    }

    /// A node that has become a member was refused only what it had already.
    fn heed_refusal(&self) -> io::Result<()> {
        let Some(why) = self.asking.as_ref().and_then(Asking::refusal) else { return Ok(()) };
        let raft = self.node.raft();
        if raft.configuration().find(raft.member()).is_some() {
            return Ok(());
        }
        Err(io::Error::other(format!("node {} did not join: {why}", self.roster.id)))
    }

    /// Where another node is: as this one was told at its start, or else as the log says, or as it
    /// was when this one asked to be taken in.
    fn reach(&self, id: NodeId) -> Option<SocketAddr> {
        let members = &self.node.raft().configuration().members;
        let named = members.iter().filter(|member| member.member.id == id);
        locate(&self.roster, self.asking.as_ref(), id, named.map(|it| &it.address))
    }

    fn follow_orders(&mut self) -> io::Result<Life> {
        match (&mut self.control, &mut self.event_loop.faults) {
            (Some(control), Some(faults)) => control.follow(faults),
            _ => Ok(Life::GoesOn),
        }
    }

    fn pass_time(&mut self) {
        let now = self.event_loop.now();
        self.node.tick(now.since(self.now));
        self.local.tick(now);
        self.now = now;
    }

    /// Takes the datagrams that have arrived, but not so many at once that time stands still.
    fn receive(&mut self) {
        for _ in 0..MOST_AT_ONCE {
            let Some((length, from)) = self.event_loop.receive(&mut self.incoming) else { return };
            let datagram = self.incoming.get(..length).unwrap_or_default();
            if let Some(asking) = &mut self.asking {
                asking.hear(&self.node, datagram, from);
            }
            if is_request(datagram) {
                self.membership.on_request(&self.node, datagram);
            }
            if is_reply(datagram) {
                match self.local.receive(from, datagram) {
                    Taken::Read => continue,
                    Taken::Elsewhere => {
                        if let Some(to) = self.forwarder.asker(datagram) {
                            self.event_loop.send(to, datagram);
                        }
                        continue;
                    }
                    // The node counts it.
                    Taken::Unreadable => {}
                }
            } else if self.node.raft().role() != RoleName::Leader
                && is_request(datagram)
                && let Some(leader) = self.node.raft().leader()
                && let Some(to) = self.reach(leader)
                && self.forwarder.takes(from, datagram, self.now)
            {
                self.event_loop.send(to, datagram);
                continue;
            }
            if let Err(error) = self.node.receive(from, datagram) {
                debug!("a datagram from {from} is dropped: {error:?}");
            }
        }
    }

    fn take_requests(&mut self) -> Console {
        loop {
            match self.inbox.try_recv() {
                Ok(request) => {
                    let outcome = self.local.start(request);
                    self.tell(outcome);
                }
                Err(TryRecvError::Empty) => return Console::Open,
                Err(TryRecvError::Disconnected) => return Console::Closed,
            }
        }
    }

    /// Polls until neither the node nor the console's client has anything left. What they say to
    /// each other takes no way over the socket.
    fn poll(&mut self) -> io::Result<()> {
        loop {
            self.local.begin_read(&mut self.node);
            self.poll_node()?;
            if !self.poll_local() {
                return Ok(());
            }
        }
    }

    fn poll_node(&mut self) -> io::Result<()> {
        loop {
            let event = self.node.poll(&mut self.outgoing);
            match event.map_err(|error| io::Error::other(error.to_string()))? {
                Some(Event::Send { to: Destination::Peer(id, address), datagram }) => {
                    let to = locate(&self.roster, self.asking.as_ref(), id, [&address]);
                    if let Some(to) = to {
                        self.event_loop.send(to, datagram);
                    }
                }
                Some(Event::Send { to: Destination::Client(to), datagram }) => {
                    if to == self.roster.listen {
                        self.local.receive(to, datagram);
                    } else {
                        self.event_loop.send(to, datagram);
                    }
                }
                Some(Event::Reads(reads)) => {
                    let outcome = self.local.on_reads(reads, &self.node);
                    self.tell(outcome);
                }
                Some(Event::Applied { .. }) => {}
                Some(Event::LeftEpoch { epoch }) => {
                    warn!(
                        "Node {} held nothing of epoch {epoch}, of which nothing can come any more, \
                         and begins anew",
                        self.node.raft().member().id
                    );
                    self.begin_journal();
                }
                Some(Event::Restored { last }) => {
                    info!(
                        "Node {} goes on from a snapshot up to index {}",
                        self.node.raft().member().id,
                        last.index
                    );
                }
                None => return Ok(()),
            }
        }
    }

    /// Whether the node may have something to do now.
    fn poll_local(&mut self) -> bool {
        let mut has_spoken = false;
        while let Some(step) = self.local.poll(&mut self.outgoing) {
            has_spoken = true;
            match step {
                Step::Send(to, datagram) if to == self.roster.listen => {
                    if let Err(error) = self.node.receive(to, datagram) {
                        debug!("our own datagram is dropped: {error:?}");
                    }
                }
                Step::Send(to, datagram) => self.event_loop.send(to, datagram),
                Step::Finished(outcome) => self.tell(Some(outcome)),
            }
        }
        has_spoken
    }

    /// A console that has ended is noticed when its requests are looked for.
    fn tell(&self, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome
            && let Err(error) = self.outbox.send(outcome)
        {
            debug!("the console: {error}");
        }
    }

    fn deadline(&self) -> Option<Ticks> {
        let node = self.node.next_timeout().map(|span| self.now.plus(span));
        let leaving = self.leaving.as_ref().and_then(Leaving::deadline);
        let others = self.local.deadline().into_iter().chain(self.journal.deadline());
        node.into_iter().chain(others).chain(leaving).min()
    }
}

/// Where a node is, of which the log states these addresses.
fn locate<'a>(
    roster: &Roster,
    asking: Option<&Asking>,
    id: NodeId,
    stated: impl IntoIterator<Item = &'a Address>,
) -> Option<SocketAddr> {
    let met = || asking?.met.iter().find(|peer| peer.id == id).map(|peer| peer.address);
    let known = roster.address(id);
    known.or_else(|| stated.into_iter().find_map(joining::place)).or_else(met)
}

/// The console's side of the channels to the loop.
struct Link {
    requests: SyncSender<Request>,
    outcomes: Receiver<Outcome>,
    waker: Arc<Waker>,
}

impl Link {
    /// Serves the console. Its end closes the channels, which ends the node.
    fn serve(self, roster: &Roster, init: &BigInt) -> io::Result<()> {
        let ask = |request| self.ask(request);
        let result = console::serve(roster, init, io::stdin().lock(), io::stdout().lock(), ask);
        self.close();
        result
    }

    /// Tells what was counted, whenever it is asked, until its input ends.
    fn count(self, traffic: &Traffic) -> io::Result<()> {
        let result = traffic.serve(io::stdin().lock(), io::stdout().lock());
        self.close();
        result
    }

    fn close(self) {
        let Self { requests, outcomes: _, waker } = self;
        drop(requests);
        wake(&waker);
    }

    fn ask(&self, request: Request) -> Option<Outcome> {
        self.requests.send(request).ok()?;
        wake(&self.waker);
        self.outcomes.recv().ok()
    }
}

const BIND_PATIENCE: Duration = Duration::from_secs(5);
const MOST_AT_ONCE: usize = 1024;

#[cfg(test)]
mod tests {
    use coracle::message::{Answer, BootReply, Message, Reply, Request, Want};
    use coracle::wire::{ClientRoute, Header, Route, encode};
    use coracle::{ClientId, ClusterId, Epoch};

    use super::*;
    use crate::seal::FastChecksum;

    fn datagram(message: &Message<'_>) -> Vec<u8> {
        let (cluster, epoch, client) = (ClusterId(1), Epoch(2), ClientId(3));
        let route = Route::Client(ClientRoute { cluster, epoch, client });
        let mut buffer = vec![0; 1200];
        let length = encode(&Header { number: 7, route }, message, &FastChecksum, &mut buffer);
        buffer.truncate(length.unwrap());
        buffer
    }

    #[test]
    fn only_an_answer_to_a_client_is_a_reply_and_only_its_question_a_request() {
        let reply = Reply { echo: 5, from: NodeId(1), answer: Answer::Busy };
        let request = Request { want: Want::Open, padding: &[] };
        let [reply, request] =
            [Message::Reply(reply), Message::Request(request)].map(|message| datagram(&message));
        assert!(is_reply(&reply) && !is_request(&reply));
        assert!(is_request(&request) && !is_reply(&request));
        let other = BootReply { epoch: Epoch(1), accepted: true };
        for datagram in [&datagram(&Message::BootReply(other))[..], &[], &[14], &[1, 0x8d]] {
            assert!(!is_reply(datagram) && !is_request(datagram));
        }
    }
}
