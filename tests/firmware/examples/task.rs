//! A whole member as one task, in the manner of embassy. The core has no executor and needs none: a
//! member waits for a datagram or for its next timeout, whichever comes first, and any executor can
//! do that.
//!
//! `serve` is the task. With embassy, `Network` is a socket of embassy-net, `Time` is
//! `embassy_time`, and `serve` is spawned. Here three members run in one program, on a network in
//! memory, until they have agreed on ten commands; then the program ends with status 0.
#![no_std]
#![no_main]

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::{pending, poll_fn};
use core::task::{Context, Poll};

use coracle::{Array, Destination, Event, NodeError, NodeId, RoleName, Ticks};
use coracle_firmware::board::Clock;
use coracle_firmware::thin::{self, DATAGRAM, Log, Member};
use embassy_futures::block_on;
use embassy_futures::join::join3;
use embassy_futures::select::{Either, select};
use heapless::{Deque, Vec};
use semihosting::process::exit;
use static_cell::{ConstStaticCell, StaticCell};

coracle_firmware::reporting!();

/// Whatever carries datagrams.
trait Network {
    /// Waits for a datagram: from whom, and its length. If the future is dropped before it is
    /// ready, nothing is lost.
    async fn receive(&mut self, into: &mut [u8]) -> (NodeId, usize);
    /// Sends a datagram, or loses it.
    async fn send(&mut self, to: NodeId, datagram: &[u8]);
}

/// Whatever tells the time.
trait Time {
    /// The ticks since the start.
    fn now(&self) -> Ticks;
    /// Waits so many ticks.
    async fn after(&self, ticks: Ticks);
}

/// A member, for as long as the program runs: it ends only if the node does.
async fn serve(
    node: &mut Member,
    mut network: impl Network,
    time: &impl Time,
    task: &Task,
) -> NodeError<Infallible> {
    let mut datagram = [0; DATAGRAM];
    let mut arrived = [0; DATAGRAM];
    let mut told = time.now();
    loop {
        task.tend(node);
        loop {
            match node.poll(&mut datagram) {
                Ok(Some(Event::Send { to: Destination::Peer(id, _), datagram })) => {
                    network.send(id, datagram).await;
                }
                // Nobody but the members is on this network.
                Ok(Some(Event::Send { to: Destination::Client(_), .. })) => {}
                Ok(Some(Event::Applied { .. } | Event::Reads(_))) => {}
                Ok(Some(Event::Restored { .. } | Event::LeftEpoch { .. })) => {}
                Ok(None) => break,
                Err(error) => return error,
            }
        }
        let timeout = node.next_timeout();
        let timeout = async {
            match timeout {
                Some(ticks) => time.after(ticks).await,
                None => pending().await,
            }
        };
        let received = match select(network.receive(&mut arrived), timeout).await {
            Either::First((from, length)) => Some((from, length)),
            Either::Second(()) => None,
        };
        // The time goes first: what has arrived has arrived at the end of it.
        let now = time.now();
        node.tick(now.since(told));
        told = now;
        if let Some((from, length)) = received {
            let [from, ..] = from.0.to_le_bytes();
            // What is dropped is counted.
            let _dropped = node.receive(from, &arrived[..length]);
        }
    }
}

/// What the members of this program are to do.
struct Task {
    /// How many commands are still to be proposed.
    wishes: Cell<u64>,
    /// Which members have applied all of them.
    done: Cell<[bool; MEMBERS]>,
}

impl Task {
    /// The leader proposes one command after the other.
    fn tend(&self, node: &mut Member) {
        let raft = node.raft();
        let place = place_of(raft.member().id);
        let is_idle = raft.role() == RoleName::Leader && raft.applied() == raft.last().index;
        if is_idle && self.wishes.get() > 0 && node.propose(&1).is_ok() {
            self.wishes.set(self.wishes.get() - 1);
        }
        if node.machine().0 == COMMANDS {
            let mut done = self.done.get();
            done[place] = true;
            self.done.set(done);
        }
    }

    /// Waits until all members have applied everything.
    async fn end(&self) {
        poll_fn(|context| ready_if(context, self.done.get() == [true; MEMBERS])).await;
    }
}

const MEMBERS: usize = 3;
const IDS: [NodeId; MEMBERS] = [NodeId(1), NodeId(2), NodeId(3)];
const COMMANDS: u64 = 10;

static LOGS: [ConstStaticCell<Log>; MEMBERS] =
    [const { ConstStaticCell::new(Array::zeroed()) }; MEMBERS];
static PLACES: [StaticCell<Member>; MEMBERS] = [const { StaticCell::new() }; MEMBERS];

#[cortex_m_rt::entry]
fn main() -> ! {
    let peripherals = cortex_m::Peripherals::take().expect("nobody has taken them");
    let time = Timer { clock: RefCell::new(Clock::new(peripherals.SYST)), now: Cell::new(0) };
    let air = Air { queues: [const { RefCell::new(Deque::new()) }; MEMBERS] };
    let task = Task { wishes: Cell::new(COMMANDS), done: Cell::new([false; MEMBERS]) };
    let [one, two, three] = [0, 1, 2].map(|place| {
        let others: Vec<_, MEMBERS> = IDS.into_iter().filter(|id| *id != IDS[place]).collect();
        let (place, log, id) = (&PLACES[place], LOGS[place].take(), IDS[place]);
        thin::member(place, log, id, &others).expect("a sound set-up")
    });
    let radio = |place| Radio { air: &air, place };
    let members = join3(
        serve(one, radio(0), &time, &task),
        serve(two, radio(1), &time, &task),
        serve(three, radio(2), &time, &task),
    );
    match block_on(select(members, task.end())) {
        Either::First(_) => panic!("a member has ended"),
        Either::Second(()) => {
            defmt::println!("three tasks have agreed on {=u64} commands", COMMANDS);
            exit(0)
        }
    }
}

/// A network in memory: what has arrived for each.
struct Air {
    queues: [RefCell<Queue>; MEMBERS],
}

/// Datagrams that have arrived, each with its sender.
type Queue = Deque<(NodeId, Vec<u8, DATAGRAM>), 4>;

/// One member's end of it.
struct Radio<'a> {
    air: &'a Air,
    place: usize,
}

impl Network for Radio<'_> {
    async fn receive(&mut self, into: &mut [u8]) -> (NodeId, usize) {
        let queue = &self.air.queues[self.place];
        poll_fn(|context| ready_if(context, !queue.borrow().is_empty())).await;
        let (from, datagram) = queue.borrow_mut().pop_front().expect("one has arrived");
        into[..datagram.len()].copy_from_slice(&datagram);
        (from, datagram.len())
    }

    async fn send(&mut self, to: NodeId, datagram: &[u8]) {
        let bytes = Vec::from_slice(datagram).expect("within its limit");
        // A full queue loses it.
        let _lost = self.air.queues[place_of(to)].borrow_mut().push_back((IDS[self.place], bytes));
    }
}

/// The timer of the core, in milliseconds.
struct Timer {
    clock: RefCell<Clock>,
    now: Cell<u64>,
}

impl Time for Timer {
    fn now(&self) -> Ticks {
        let elapsed = self.clock.borrow_mut().elapsed();
        self.now.set(self.now.get() + u64::from(elapsed));
        Ticks(self.now.get())
    }

    async fn after(&self, ticks: Ticks) {
        let end = self.now().plus(ticks);
        poll_fn(|context| ready_if(context, self.now() >= end)).await;
    }
}

/// No interrupt wakes anybody here, so who is not ready asks again.
fn ready_if(context: &Context<'_>, is_ready: bool) -> Poll<()> {
    if is_ready {
        return Poll::Ready(());
    }
    context.waker().wake_by_ref();
    Poll::Pending
}

fn place_of(id: NodeId) -> usize {
    IDS.iter().position(|other| *other == id).expect("it is a member")
}
