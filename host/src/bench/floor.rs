//! The floor: the same datagrams with no Raft in them. Client, leader, followers, leader, client.
//!
//! A leader that counts nothing but the first answers to each datagram, and followers that only
//! answer. What arrives together travels on together, as in a cluster.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use super::FloorArguments;
use super::load::{Flow, Wire};
use crate::roster::loopback;
use crate::traffic::Traffic;

/// Runs one process of the floor until its input ends.
///
/// # Errors
/// When its socket or its console fails.
pub fn run(arguments: &FloorArguments) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut socket = UdpSocket::bind(loopback(arguments.port))?;
    poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
    // One that is gone wakes nobody, so it is kept until the end.
    let waker = Arc::new(Waker::new(poll.registry(), Token(1))?);
    let traffic = Traffic::default();
    let counted = traffic.clone();
    let is_over = Arc::new(AtomicBool::new(false));
    let (ends, wakes) = (Arc::clone(&is_over), Arc::clone(&waker));
    thread::Builder::new().name("console".to_owned()).spawn(move || {
        let result = counted.serve(io::stdin().lock(), io::stdout().lock());
        ends.store(true, Ordering::Release);
        result.and(wakes.wake())
    })?;
    let followers = arguments.followers.iter().copied().map(loopback).collect();
    let mut node = FloorNode {
        wire: CountedSocket { socket, traffic },
        sizes: arguments.sizes,
        followers,
        waiting: VecDeque::new(),
        batch: 0,
        fresh: 0,
        outgoing: vec![0; usize::from(u16::MAX)].into_boxed_slice(),
    };
    let mut incoming = vec![0; usize::from(u16::MAX)].into_boxed_slice();
    let mut events = Events::with_capacity(2);
    while !is_over.load(Ordering::Acquire) {
        node.turn(&mut incoming)?;
        node.wire.traffic.waited();
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// How long each datagram is, in bytes; all at least [`HEAD_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// From the client.
    pub request: usize,
    /// To the client.
    pub reply: usize,
    /// To a follower, without what it carries of requests.
    pub append: usize,
    /// What it carries of each.
    pub entry: usize,
    /// To the leader.
    pub answer: usize,
    /// The longest datagram to a follower.
    pub longest: usize,
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, reply, append, entry, answer, longest } = self;
        write!(f, "{request},{reply},{append},{entry},{answer},{longest}")
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[request, reply, append, entry, answer, longest]) => {
                Ok(Self { request, reply, append, entry, answer, longest })
            }
            _ => Err("six numbers of bytes are wanted".to_owned()),
        }
    }
}

/// What every datagram here begins with: whose it is, and its number.
const HEAD_BYTES: usize = 16;

struct FloorNode {
    wire: CountedSocket,
    sizes: Sizes,
    followers: Vec<SocketAddr>,
    waiting: VecDeque<Asked>,
    /// The number of the last datagram to the followers.
    batch: u64,
    /// How many requests are in none yet.
    fresh: usize,
    outgoing: Box<[u8]>,
}

struct Asked {
    from: SocketAddr,
    head: [u8; HEAD_BYTES],
    batch: u64,
    answers: usize,
}

struct CountedSocket {
    socket: UdpSocket,
    traffic: Traffic,
}

impl CountedSocket {
    fn receive(&self, incoming: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let received = self.socket.recv_from(incoming).ok()?;
        self.traffic.received(received.0);
        Some(received)
    }

    fn send(&self, to: SocketAddr, datagram: &[u8]) {
        self.traffic.sent(datagram.len());
        if let Err(error) = self.socket.send_to(datagram, to) {
            log::debug!("a datagram to {to} is lost: {error}");
        }
    }
}

impl FloorNode {
    /// Takes what has arrived, and sends what follows from it.
    fn turn(&mut self, incoming: &mut [u8]) -> io::Result<()> {
        let mut newest = None;
        while let Some((length, from)) = self.wire.receive(incoming) {
            let head = incoming.get(..length).and_then(<[u8]>::first_chunk).copied();
            let head: [u8; HEAD_BYTES] = head.ok_or(ErrorKind::InvalidData)?;
            if self.followers.is_empty() {
                newest = Some((head, from));
            } else if self.followers.contains(&from) {
                self.on_answer(number(&head));
            } else {
                self.waiting.push_back(Asked { from, head, batch: 0, answers: 0 });
                self.fresh += 1;
            }
        }
        if let Some((head, from)) = newest {
            self.write(self.sizes.answer, &head, from);
        }
        self.send_fresh();
        Ok(())
    }

    /// A follower has all up to this datagram: a quorum is the leader and half of them.
    fn on_answer(&mut self, batch: u64) {
        let needed = self.followers.len().div_ceil(2);
        for asked in self.waiting.iter_mut().take_while(|asked| asked.batch <= batch) {
            asked.answers += usize::from(asked.batch > 0);
        }
        while self.waiting.front().is_some_and(|asked| asked.answers >= needed) {
            let Some(asked) = self.waiting.pop_front() else { return };
            self.write(self.sizes.reply, &asked.head, asked.from);
        }
    }

    fn send_fresh(&mut self) {
        let room = self.sizes.longest.saturating_sub(self.sizes.append);
        let most = room.checked_div(self.sizes.entry).unwrap_or(1).max(1);
        while self.fresh > 0 {
            let count = self.fresh.min(most);
            self.batch += 1;
            let start = self.waiting.len() - self.fresh;
            for asked in self.waiting.range_mut(start..start + count) {
                asked.batch = self.batch;
            }
            self.fresh -= count;
            let mut head = [0; HEAD_BYTES];
            if let Some(number) = head.last_chunk_mut() {
                *number = self.batch.to_le_bytes();
            }
            for place in 0..self.followers.len() {
                if let Some(to) = self.followers.get(place).copied() {
                    self.write(self.sizes.append + count * self.sizes.entry, &head, to);
                }
            }
        }
    }

    fn write(&mut self, length: usize, head: &[u8; HEAD_BYTES], to: SocketAddr) {
        let Some(datagram) = self.outgoing.get_mut(..length.max(HEAD_BYTES)) else { return };
        if let Some(start) = datagram.first_chunk_mut() {
            *start = *head;
        }
        self.wire.send(to, datagram);
    }
}

fn number(head: &[u8; HEAD_BYTES]) -> u64 {
    head.last_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// The load of the floor.
pub struct FloorFlow {
    leader: SocketAddr,
    /// The number of each slot's request.
    numbers: Vec<u64>,
    next: u64,
    request: Vec<u8>,
}

impl FloorFlow {
    /// So many requests of this length in flight to this leader.
    pub fn new(leader: SocketAddr, slots: usize, request_bytes: usize) -> Self {
        let request = vec![0; request_bytes.max(HEAD_BYTES)];
        Self { leader, numbers: vec![0; slots], next: 0, request }
    }
}

impl Flow for FloorFlow {
    fn slots(&self) -> usize {
        self.numbers.len()
    }

    fn start(&mut self, slot: usize, wire: &Wire) -> io::Result<()> {
        self.next += 1;
        let Some(number) = self.numbers.get_mut(slot) else { return Ok(()) };
        *number = self.next;
        let (Some((of, rest)), place) = (self.request.split_first_chunk_mut(), slot as u64) else {
            return Ok(());
        };
        *of = place.to_le_bytes();
        if let Some(at) = rest.first_chunk_mut() {
            *at = self.next.to_le_bytes();
        }
        wire.send(self.leader, &self.request);
        Ok(())
    }

    fn receive(&mut self, _: SocketAddr, datagram: &[u8], _: &Wire) -> io::Result<Option<usize>> {
        let Some(head) = datagram.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let slot = head.first_chunk().copied().map(u64::from_le_bytes);
        let Some(slot) = slot.and_then(|slot| usize::try_from(slot).ok()) else { return Ok(None) };
        Ok((self.numbers.get(slot) == Some(&number(head))).then_some(slot))
    }

    /// Nothing is lost here: a datagram that is makes the load fail.
    fn pass_time(&mut self, _: &Wire) -> io::Result<()> {
        Ok(())
    }
}
