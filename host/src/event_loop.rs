//! The one place where a node waits: a UDP socket, a timer and a waker behind one `mio::Poll`.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use coracle::Ticks;
use log::{debug, warn};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::faults::{Faults, Held, Way};
use crate::timer::Timer;
use crate::traffic::Traffic;

/// What a node's thread waits for. A tick is a microsecond since its creation.
pub struct EventLoop {
    poll: Poll,
    events: Events,
    socket: UdpSocket,
    timer: Timer,
    waker: Arc<Waker>,
    started: Instant,
    /// Whether the socket may hold datagrams: its events come only when that begins.
    readable: bool,
    /// What keeps datagrams from passing here, if anything is to.
    pub faults: Option<Box<Faults>>,
    /// What has passed here.
    pub traffic: Traffic,
}

impl EventLoop {
    /// Waits on this socket.
    pub fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let mut socket = UdpSocket::from_std(socket);
        let poll = Poll::new()?;
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let events = Events::with_capacity(SOURCES);
        let (started, readable, faults) = (Instant::now(), true, None);
        let traffic = Traffic::default();
        Ok(Self { poll, events, socket, timer, waker, started, readable, faults, traffic })
    }

    /// Ends a wait from another thread.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// The time.
    pub fn now(&self) -> Ticks {
        ticks_since(self.started)
    }

    /// Takes the next datagram that has arrived; none when the socket is empty.
    ///
    /// On a UDP socket an error is news about a datagram sent earlier (nobody listened there), so
    /// it ends nothing.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        if let Some(held) = self.next_due(Way::In) {
            let length = held.datagram.len().min(buffer.len());
            buffer.iter_mut().zip(&held.datagram).for_each(|(to, from)| *to = *from);
            return Some((length, held.other));
        }
        let mut dropped = 0;
        while self.readable && dropped < MOST_DROPPED {
            match self.socket.recv_from(buffer) {
                Ok((length, from)) => {
                    self.traffic.received(length);
                    let datagram = buffer.get(..length).unwrap_or_default();
                    if self.admits(Way::In, from, datagram) {
                        return Some((length, from));
                    }
                    dropped += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) => {
                    debug!("receiving: {error}");
                    return None;
                }
            }
        }
        None
    }

    /// Sends a datagram. Whatever keeps it from leaving is loss, and loss is normal.
    pub fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.traffic.sent(datagram.len());
        if self.admits(Way::Out, to, datagram) {
            self.transmit(to, datagram);
        }
    }

    fn transmit(&self, to: SocketAddr, datagram: &[u8]) {
        if let Err(error) = self.socket.send_to(datagram, to) {
            debug!("a datagram to {to} is lost: {error}");
        }
    }

    /// Waits for a datagram, a wake-up or the deadline; not at all while datagrams are left.
    pub fn wait(&mut self, deadline: Option<Ticks>) -> io::Result<()> {
        while let Some(held) = self.next_due(Way::Out) {
            self.transmit(held.other, &held.datagram);
        }
        let faults = self.faults.as_ref().and_then(|faults| faults.deadline());
        let deadline = deadline.into_iter().chain(faults).min();
        let now = self.now();
        let mut timeout = self.readable.then_some(Duration::ZERO);
        match deadline {
            Some(deadline) if deadline <= now => timeout = Some(Duration::ZERO),
            Some(deadline) => timeout = timeout.or(self.timer.arm(deadline, now)?),
            None => {}
        }
        self.traffic.waited();
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        self.readable |= self.events.iter().any(|event| event.token() == SOCKET);
        Ok(())
    }

    fn admits(&mut self, way: Way, other: SocketAddr, datagram: &[u8]) -> bool {
        let Some(faults) = &mut self.faults else { return true };
        faults.admits(way, other, datagram, ticks_since(self.started))
    }

    fn next_due(&mut self, way: Way) -> Option<Held> {
        self.faults.as_mut()?.next_due(way, ticks_since(self.started))
    }
}

fn ticks_since(start: Instant) -> Ticks {
    Ticks(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX))
}

/// Takes an address of this machine, and waits `patience` for one that is still in use.
///
/// # Errors
/// Says which address it is, and what is wrong with it.
pub fn bind(address: SocketAddr, patience: Duration) -> io::Result<std::net::UdpSocket> {
    let deadline = Instant::now() + patience;
    let mut is_told = false;
    loop {
        let error = match std::net::UdpSocket::bind(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => error,
        };
        if error.kind() != ErrorKind::AddrInUse || Instant::now() >= deadline {
            let (ip, port) = (address.ip(), address.port());
            return Err(io::Error::new(error.kind(), format!("port {port} of {ip}: {error}")));
        }
        if !is_told {
            warn!("port {} is in use; trying for {} s", address.port(), patience.as_secs());
            is_told = true;
        }
        thread::sleep(BIND_INTERVAL);
    }
}

const SOCKET: Token = Token(0);
const TIMER: Token = Token(1);
const WAKER: Token = Token(2);
const SOURCES: usize = 3;
/// In one go, so that a flood from somebody who is cut off does not hold the loop.
const MOST_DROPPED: usize = 1024;
const BIND_INTERVAL: Duration = Duration::from_millis(100);

/// Has a loop look what there is for it.
pub fn wake(waker: &Waker) {
    if let Err(error) = waker.wake() {
        warn!("the loop cannot be woken: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::loopback;

    fn event_loop() -> (EventLoop, SocketAddr) {
        let socket = bind(loopback(0), Duration::ZERO).unwrap();
        let address = socket.local_addr().unwrap();
        (EventLoop::new(socket).unwrap(), address)
    }

    #[test]
    fn every_datagram_that_arrived_is_received_before_the_next_wait() {
        let (mut event_loop, own) = event_loop();
        for number in 0..5u8 {
            event_loop.send(own, &[number]);
        }
        event_loop.wait(None).unwrap();
        let mut buffer = [0; 16];
        let mut numbers = Vec::new();
        while let Some((length, from)) = event_loop.receive(&mut buffer) {
            assert_eq!((length, from), (1, own));
            numbers.push(buffer[0]);
        }
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let (mut event_loop, _) = event_loop();
        let mut buffer = [0; 16];
        assert!(event_loop.receive(&mut buffer).is_none());
        let deadline = event_loop.now().plus(Ticks(2500));
        while event_loop.now() < deadline {
            event_loop.wait(Some(deadline)).unwrap();
        }
    }

    #[test]
    fn another_thread_ends_a_wait() {
        let (mut event_loop, _) = event_loop();
        let mut buffer = [0; 16];
        assert!(event_loop.receive(&mut buffer).is_none());
        let waker = event_loop.waker();
        thread::spawn(move || waker.wake().unwrap());
        event_loop.wait(None).unwrap();
    }

    #[test]
    fn a_datagram_to_nobody_is_only_lost() {
        let (mut event_loop, own) = event_loop();
        let nobody = bind(loopback(0), Duration::ZERO).unwrap().local_addr().unwrap();
        event_loop.send(nobody, b"lost");
        event_loop.send(nobody, b"lost too");
        event_loop.send(own, b"kept");
        event_loop.wait(None).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(event_loop.receive(&mut buffer), Some((4, own)));
    }

    #[test]
    fn a_port_in_use_is_an_error_in_the_end() {
        let taken = bind(loopback(0), Duration::ZERO).unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(address, Duration::from_millis(150)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }
}
