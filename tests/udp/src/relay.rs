//! The network between the ends: a socket for each ordered pair of them, and one thread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::fate::{Fate, Fates, Faults};

/// A direction between two ends, by their places: nodes first, then clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Whose datagrams they are.
    pub from: usize,
    /// Who gets them.
    pub to: usize,
}

/// What a relay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that left, copies included.
    pub forwarded: u64,
    /// Datagrams lost by chance.
    pub lost: u64,
    /// Datagrams that a cut stopped.
    pub cut: u64,
    /// Copies that left beside the first.
    pub doubled: u64,
    /// Datagrams that left after a later one of the same way.
    pub overtaken: u64,
    /// Datagrams that did not leave at once.
    pub delayed: u64,
    /// Datagrams from somebody who is no end.
    pub strange: u64,
}

/// A network between ends on the loopback interface. It ends with this value.
///
/// Each end knows each other one under an address of the relay, and what it sends there arrives
/// from the address under which the other end knows it.
pub struct Relay {
    shared: Arc<Shared>,
    /// By the way's place: where `from` sends what is for `to`.
    addresses: Vec<Option<SocketAddr>>,
    waker: Waker,
    thread: Option<JoinHandle<io::Result<()>>>,
}

struct Shared {
    ends: usize,
    ways: Mutex<Vec<State>>,
    is_ended: AtomicBool,
}

struct State {
    faults: Faults,
    fates: Fates,
    counts: Counts,
    /// The number of the next datagram, and the last number that has left.
    next: u64,
    last: u64,
}

impl Relay {
    /// A network without faults between nodes, and between each client and each node.
    ///
    /// # Errors
    /// When there are no sockets.
    pub fn start(seed: u64, nodes: &[SocketAddr], clients: &[SocketAddr]) -> io::Result<Self> {
        let ends: Vec<SocketAddr> = nodes.iter().chain(clients).copied().collect();
        let poll = Poll::new()?;
        let mut sockets = Vec::with_capacity(ends.len() * ends.len());
        for place in 0..ends.len() * ends.len() {
            let (from, to) = (place / ends.len(), place % ends.len());
            let is_used = from != to && (from < nodes.len() || to < nodes.len());
            sockets.push(is_used.then(|| UdpSocket::bind(any_port())).transpose()?);
            if let Some(socket) = sockets.last_mut().and_then(Option::as_mut) {
                poll.registry().register(socket, Token(place), Interest::READABLE)?;
            }
        }
        let address = |socket: &Option<UdpSocket>| -> io::Result<_> {
            socket.as_ref().map(UdpSocket::local_addr).transpose()
        };
        let addresses = sockets.iter().map(address).collect::<io::Result<Vec<_>>>()?;
        let state = |place: usize| State::new(Fates::new(seed, place as u64));
        let shared = Arc::new(Shared {
            ends: ends.len(),
            ways: Mutex::new((0..sockets.len()).map(state).collect()),
            is_ended: AtomicBool::new(false),
        });
        let waker = Waker::new(poll.registry(), WAKER)?;
        let carrier = Carrier {
            shared: Arc::clone(&shared),
            poll,
            ends,
            sockets,
            waiting: BinaryHeap::new(),
            order: 0,
        };
        let thread = thread::Builder::new().name("relay".to_owned());
        let thread = Some(thread.spawn(move || carrier.carry())?);
        Ok(Self { shared, addresses, waker, thread })
    }

    /// Where `way.from` sends what is for `way.to`.
    ///
    /// # Panics
    /// If there is no such way.
    #[must_use]
    pub fn address(&self, way: Way) -> SocketAddr {
        self.addresses[self.shared.place(way)].expect("a way between two ends, one of them a node")
    }

    /// From now on this way treats its datagrams like this.
    pub fn set(&self, way: Way, faults: Faults) {
        let place = self.shared.place(way);
        self.shared.lock()[place].faults = faults;
    }

    /// From now on all ways between these ends treat their datagrams like this.
    pub fn set_among(&self, ends: &[usize], faults: Faults) {
        for &from in ends {
            for &to in ends.iter().filter(|to| **to != from) {
                self.set(Way { from, to }, faults);
            }
        }
    }

    /// What happened on all ways so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.shared.lock().iter().for_each(|state| sum += state.counts);
        sum
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_ended.store(true, Ordering::Relaxed);
        let result = self.waker.wake();
        let thread = self.thread.take().map(JoinHandle::join);
        let is_sound = result.is_ok() && matches!(thread, Some(Ok(Ok(()))));
        assert!(is_sound || thread::panicking(), "the relay failed: {result:?}, {thread:?}");
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { forwarded, lost, cut, doubled, overtaken, delayed, strange } = other;
        self.forwarded += forwarded;
        self.lost += lost;
        self.cut += cut;
        self.doubled += doubled;
        self.overtaken += overtaken;
        self.delayed += delayed;
        self.strange += strange;
    }
}

impl Shared {
    fn place(&self, way: Way) -> usize {
        assert!(way.from < self.ends && way.to < self.ends, "{way:?} of {} ends", self.ends);
        way.from * self.ends + way.to
    }

    fn lock(&self) -> MutexGuard<'_, Vec<State>> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(fates: Fates) -> Self {
        Self { faults: Faults::default(), fates, counts: Counts::default(), next: 1, last: 0 }
    }
}

/// The thread's side.
struct Carrier {
    shared: Arc<Shared>,
    poll: Poll,
    ends: Vec<SocketAddr>,
    /// By the way's place: what faces `from` and stands for `to`.
    sockets: Vec<Option<UdpSocket>>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    order: u64,
}

/// A datagram that has not left. The fields' order is that of leaving.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    at: Instant,
    order: u64,
    place: usize,
    number: u64,
    datagram: Vec<u8>,
}

impl Carrier {
    fn carry(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(self.sockets.len() + 1);
        while !self.shared.is_ended.load(Ordering::Relaxed) {
            let next = self.waiting.peek();
            let wait = next.map(|Reverse(next)| next.at.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, wait) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            for event in events.iter().filter(|event| event.token() != WAKER) {
                self.receive(event.token().0)?;
            }
            self.send_due();
        }
        Ok(())
    }

    /// Takes everything that one end has sent to another.
    fn receive(&mut self, place: usize) -> io::Result<()> {
        let mut buffer = [0; MOST_BYTES];
        loop {
            let Some(socket) = &self.sockets[place] else { return Ok(()) };
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) if from == self.ends[place / self.ends.len()] => {
                    self.take(place, &buffer[..length]);
                }
                Ok(_) => self.shared.lock()[place].counts.strange += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // News that nobody listened where an earlier datagram went.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, place: usize, datagram: &[u8]) {
        let mut ways = self.shared.lock();
        let Some(state) = ways.get_mut(place) else { return };
        let number = state.next;
        state.next += 1;
        let faults = state.faults;
        match state.fates.next(&faults) {
            Fate::Cut => state.counts.cut += 1,
            Fate::Lost => state.counts.lost += 1,
            Fate::Leaves(_, _) if self.waiting.len() >= MOST_WAITING => state.counts.lost += 1,
            Fate::Leaves(first, second) => {
                state.counts.doubled += u64::from(second.is_some());
                drop(ways);
                for after in [Some(first), second].into_iter().flatten() {
                    self.leave(place, number, after, datagram);
                }
            }
        }
    }

    fn leave(&mut self, place: usize, number: u64, after: Duration, datagram: &[u8]) {
        if after.is_zero() {
            return self.send(place, number, datagram);
        }
        self.shared.lock()[place].counts.delayed += 1;
        self.order += 1;
        let at = Instant::now() + after;
        let datagram = datagram.to_vec();
        self.waiting.push(Reverse(Waiting { at, order: self.order, place, number, datagram }));
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        while self.waiting.peek().is_some_and(|Reverse(first)| first.at <= now) {
            let Some(Reverse(first)) = self.waiting.pop() else { return };
            self.send(first.place, first.number, &first.datagram);
        }
    }

    /// Whatever keeps it from leaving is loss too.
    fn send(&self, place: usize, number: u64, datagram: &[u8]) {
        let (from, to) = (place / self.ends.len(), place % self.ends.len());
        let mut ways = self.shared.lock();
        let Some(state) = ways.get_mut(place) else { return };
        let facing = self.sockets[to * self.ends.len() + from].as_ref();
        let sent = facing.map(|socket| socket.send_to(datagram, self.ends[to]));
        if matches!(sent, Some(Ok(_))) {
            state.counts.forwarded += 1;
            state.counts.overtaken += u64::from(number < state.last);
            state.last = state.last.max(number);
        } else {
            state.counts.lost += 1;
        }
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

const WAKER: Token = Token(usize::MAX);
/// More than any node sends.
const MOST_BYTES: usize = 2048;
/// More than any test has on its way.
const MOST_WAITING: usize = 1 << 16;

#[cfg(test)]
mod tests;
