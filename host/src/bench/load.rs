//! A load: so many operations in flight, on one socket and in one loop, so that the client is not
//! what is measured.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::interrupt;

/// What is asked, in as many slots as operations are in flight.
pub trait Flow {
    /// How many slots there are.
    fn slots(&self) -> usize;

    /// Starts the next operation of an idle slot.
    ///
    /// # Errors
    /// When it cannot be started.
    fn start(&mut self, slot: usize, wire: &Wire) -> io::Result<()>;

    /// Takes a datagram; gives the slot whose operation has come to its good end with it.
    ///
    /// # Errors
    /// When an operation has come to a bad end.
    fn receive(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        wire: &Wire,
    ) -> io::Result<Option<usize>>;

    /// Repeats what was lost, as far as it is time.
    ///
    /// # Errors
    /// When an operation has come to a bad end.
    fn pass_time(&mut self, wire: &Wire) -> io::Result<()>;
}

/// The client's socket and its clock.
pub struct Wire {
    socket: UdpSocket,
    started: Instant,
}

/// A client that waits for nothing but its socket.
pub struct Load {
    wire: Wire,
    poll: Poll,
    events: Events,
    incoming: Box<[u8]>,
}

/// What came of a load for a while.
#[derive(Clone, Debug)]
pub struct Slice {
    /// From the first start to the last end.
    pub span: Duration,
    /// How many operations have come to their end.
    pub finished: u64,
    /// How long each took, in nanoseconds.
    pub latencies: Histogram<u64>,
}

impl Wire {
    /// Sends a datagram. Whatever keeps it from leaving is loss.
    pub fn send(&self, to: SocketAddr, datagram: &[u8]) {
        if let Err(error) = self.socket.send_to(datagram, to) {
            log::debug!("a datagram to {to} is lost: {error}");
        }
    }

    /// Microseconds since its creation.
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Load {
    /// A client with a socket of its own.
    ///
    /// # Errors
    /// When there is none.
    pub fn new() -> io::Result<Self> {
        let mut socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let poll = Poll::new()?;
        poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
        Ok(Self {
            wire: Wire { socket, started: Instant::now() },
            poll,
            events: Events::with_capacity(1),
            incoming: vec![0; usize::from(u16::MAX)].into_boxed_slice(),
        })
    }

    /// Keeps all slots busy for so long, and then waits for those that are under way.
    ///
    /// # Errors
    /// When an operation fails, none has come to an end for a long time, or a signal asks for the
    /// end.
    pub fn run(&mut self, flow: &mut impl Flow, span: Duration) -> io::Result<Slice> {
        let start = Instant::now();
        let mut slice = Slice { span, finished: 0, latencies: histogram()? };
        let mut begun = vec![start; flow.slots()];
        for slot in 0..flow.slots() {
            flow.start(slot, &self.wire)?;
        }
        let mut busy = flow.slots();
        let (mut heard, mut looked) = (start, start);
        while busy > 0 {
            while let Some((length, from)) = self.receive()? {
                let datagram = self.incoming.get(..length).unwrap_or_default();
                let Some(slot) = flow.receive(from, datagram, &self.wire)? else { continue };
                heard = Instant::now();
                slice.finished += 1;
                let Some(begun) = begun.get_mut(slot) else { continue };
                let took = u64::try_from((heard - *begun).as_nanos()).unwrap_or(u64::MAX);
                slice.latencies.saturating_record(took);
                if heard - start < span {
                    *begun = heard;
                    flow.start(slot, &self.wire)?;
                } else {
                    busy -= 1;
                }
            }
            interrupt::check()?;
            let now = Instant::now();
            if now - looked >= LOOK_INTERVAL {
                looked = now;
                flow.pass_time(&self.wire)?;
            }
            if now - heard > LONGEST_SILENCE {
                return Err(io::Error::other(format!(
                    "{busy} operations without an answer for {} s",
                    LONGEST_SILENCE.as_secs()
                )));
            }
            if busy > 0 {
                self.wait()?;
            }
        }
        slice.span = start.elapsed();
        Ok(slice)
    }

    fn receive(&mut self) -> io::Result<Option<(usize, SocketAddr)>> {
        loop {
            match self.wire.socket.recv_from(&mut self.incoming) {
                Ok(received) => return Ok(Some(received)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                // News that a node is gone.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(LOOK_INTERVAL)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Of nanoseconds, with three digits.
///
/// # Errors
/// Never, unless its bounds were wrong.
pub fn histogram() -> io::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 100_000_000_000, 3).map_err(io::Error::other)
}

/// How often what was lost is looked for: finer than any client repeats.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
