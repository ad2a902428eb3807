//! The load of a cluster: a session for each operation in flight.
//!
//! All of them set one key, since what is measured is the way to the state machine and not the
//! machine.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use coracle::wire::HEADER_BYTES;
use coracle::{ClientEvent, Outcome, Ticks};
use coracle_machines::{Command, Response};

use super::load::{Flow, Wire};
use crate::commands::decode;
use crate::setup::{DATAGRAM_BYTES, HostClient};

/// Sessions that each have one command, again and again.
pub struct Sessions {
    sessions: Vec<Session>,
    /// By the client's id.
    slots: HashMap<u64, usize>,
    outgoing: Box<[u8]>,
    /// How long the last request and the last answer were.
    pub request_bytes: usize,
    /// See `request_bytes`.
    pub reply_bytes: usize,
}

struct Session {
    client: Box<HostClient>,
    /// The time that the client knows of.
    clock: Ticks,
    command: Vec<u8>,
}

impl Sessions {
    /// Sessions of these clients, with commands of `size` bytes.
    ///
    /// # Errors
    /// When there is no such command.
    #[allow(clippy::vec_box, reason = "a client is too large to be moved about")]
    pub fn new(clients: Vec<Box<HostClient>>, size: usize) -> io::Result<Self> {
        let slots = clients.iter().enumerate().map(|(slot, client)| (client.id().0, slot));
        let slots = slots.collect();
        let command = command(size)?;
        let session = |client| Session { client, clock: Ticks(0), command: command.clone() };
        Ok(Self {
            sessions: clients.into_iter().map(session).collect(),
            slots,
            outgoing: vec![0; usize::from(DATAGRAM_BYTES)].into_boxed_slice(),
            request_bytes: 0,
            reply_bytes: 0,
        })
    }

    /// From its next start on, a session has this command.
    pub fn set_command(&mut self, slot: usize, command: &[u8]) {
        if let Some(session) = self.sessions.get_mut(slot) {
            command.clone_into(&mut session.command);
        }
    }

    /// How many requests were repeated, because nobody answered or somebody was busy.
    pub fn repeated(&self) -> u64 {
        let repeated = self.sessions.iter().map(|session| {
            let counters = session.client.counters();
            u64::from(counters.timeouts) + u64::from(counters.deferrals)
        });
        repeated.sum()
    }

    /// Sends what a session has to send. True when its operation has come to its good end.
    fn poll(&mut self, slot: usize, wire: &Wire) -> io::Result<bool> {
        let Some(session) = self.sessions.get_mut(slot) else { return Ok(false) };
        loop {
            match session.client.poll(&mut self.outgoing) {
                Some(ClientEvent::Send { to, datagram }) => {
                    self.request_bytes = datagram.len();
                    wire.send(to, datagram);
                }
                Some(ClientEvent::Finished { outcome, .. }) => {
                    return match outcome {
                        Outcome::Applied { response, .. }
                            if decode(response) == Some(Response::Done) =>
                        {
                            Ok(true)
                        }
                        other => Err(io::Error::other(format!("a command failed: {other:?}"))),
                    };
                }
                None => return Ok(false),
            }
        }
    }
}

impl Flow for Sessions {
    fn slots(&self) -> usize {
        self.sessions.len()
    }

    fn start(&mut self, slot: usize, wire: &Wire) -> io::Result<()> {
        let Some(session) = self.sessions.get_mut(slot) else { return Ok(()) };
        session.pass_time(wire);
        let started = session.client.command(&session.command);
        started.map_err(|error| io::Error::other(format!("not started: {error:?}")))?;
        self.poll(slot, wire).map(drop)
    }

    fn receive(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        wire: &Wire,
    ) -> io::Result<Option<usize>> {
        let slot = client_of(datagram).and_then(|id| self.slots.get(&id).copied());
        let Some((slot, session)) =
            slot.and_then(|slot| Some((slot, self.sessions.get_mut(slot)?)))
        else {
            return Ok(None);
        };
        if let Err(error) = session.client.receive(from, datagram) {
            log::debug!("a datagram from {from} is of no use: {error:?}");
            return Ok(None);
        }
        self.reply_bytes = datagram.len();
        let has_ended = self.poll(slot, wire)?;
        Ok(has_ended.then_some(slot))
    }

    fn pass_time(&mut self, wire: &Wire) -> io::Result<()> {
        for slot in 0..self.sessions.len() {
            if let Some(session) = self.sessions.get_mut(slot) {
                session.pass_time(wire);
            }
            self.poll(slot, wire)?;
        }
        Ok(())
    }
}

impl Session {
    fn pass_time(&mut self, wire: &Wire) {
        let now = Ticks(wire.now());
        self.client.tick(now.since(self.clock));
        self.clock = now;
    }
}

/// The client that a reply names. Whether the reply is genuine is for that client to say.
fn client_of(reply: &[u8]) -> Option<u64> {
    let (_, route) = reply.split_at_checked(HEADER_BYTES)?;
    let (_, client) = route.split_at_checked(16)?;
    client.first_chunk().copied().map(u64::from_le_bytes)
}

/// A command of exactly `size` bytes.
fn command(size: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; usize::from(DATAGRAM_BYTES)];
    let value = vec![b'v'; size];
    for length in (0..size).rev() {
        let value = value.get(..length).unwrap_or_default();
        let command = Command::Set { key: KEY, value };
        if let Ok(bytes) = postcard::to_slice(&command, &mut buffer)
            && bytes.len() == size
        {
            return Ok(bytes.to_vec());
        }
    }
    Err(io::Error::other(format!("no command has {size} bytes: try 8 or more")))
}

const KEY: &[u8] = b"key";

#[cfg(test)]
mod tests {
    use coracle::message::{Answer, Message, Reply};
    use coracle::wire::{ClientRoute, Header, Route, encode};
    use coracle::{ClientId, ClusterId, Epoch, NodeId};

    use super::*;
    use crate::seal::FastChecksum;

    #[test]
    fn a_command_has_the_size_that_was_asked_for() {
        for size in [8, 16, 100, 256, 1000] {
            let command = command(size).unwrap();
            assert_eq!(command.len(), size);
            assert!(matches!(decode(&command), Some(Command::Set { key: b"key", .. })));
        }
        assert!(command(4).is_err());
    }

    #[test]
    fn a_reply_names_its_client() {
        let route = ClientRoute { cluster: ClusterId(1), epoch: Epoch(2), client: ClientId(3) };
        let header = Header { number: 7, route: Route::Client(route) };
        let reply = Message::Reply(Reply { echo: 5, from: NodeId(1), answer: Answer::Busy });
        let mut buffer = [0; 1200];
        let length = encode(&header, &reply, &FastChecksum, &mut buffer).unwrap();
        assert_eq!(client_of(&buffer[..length]), Some(3));
        assert_eq!(client_of(&buffer[..40]), None);
    }
}
