//! What a node's own console has under way: one operation at a time.

use std::net::SocketAddr;

use coracle::{
    ClientDropped, ClientEvent, Fate, Outcome as Ending, ReadId, Reads, StateMachine, Ticks,
};
use coracle_machines::{Query, Response};

use crate::client::FORMED_ANEW;
use crate::commands::{Encoded, decode, refusal, value};
use crate::console::{Outcome, Request};
use crate::setup::{HostClient, HostNode};

/// The console's client and its operation.
///
/// A command goes to the leader as that of any client does, in a session, so that it takes effect
/// once whatever happens to leaders on the way. A read goes through this node, since the value is
/// this node's own.
pub struct Local {
    client: Box<HostClient>,
    read: Read,
    /// The time that the client knows of.
    now: Ticks,
}

/// A read, if there is one.
enum Read {
    None,
    /// To be asked for, but not before then.
    Due(Ticks),
    Waiting(ReadId),
}

/// Whether a datagram was one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was read, be it of use or not.
    Read,
    /// It is for another client.
    Elsewhere,
    /// It is damaged, or none at all.
    Unreadable,
}

/// What comes out of the console's client.
pub enum Step<'b> {
    /// Send this datagram.
    Send(SocketAddr, &'b [u8]),
    /// The command has come to its end.
    Finished(Outcome),
}

impl Local {
    /// Nothing under way, and a client that has not spoken yet.
    pub const fn new(client: Box<HostClient>) -> Self {
        Self { client, read: Read::None, now: Ticks(0) }
    }

    /// Starts an operation; gives the outcome if it fails at once.
    pub fn start(&mut self, request: Request) -> Option<Outcome> {
        match request {
            Request::Change(Encoded(command)) => {
                let error = self.client.command(&command).err()?;
                Some(Outcome::Refused(format!("it cannot be started: {error:?}")))
            }
            Request::Get => {
                self.read = Read::Due(self.now);
                None
            }
        }
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Ticks) {
        self.client.tick(now.since(self.now));
        self.now = now;
    }

    /// When there is something to do next.
    pub fn deadline(&self) -> Option<Ticks> {
        let command = self.client.next_timeout().map(|span| self.now.plus(span));
        let read = match self.read {
            Read::Due(at) => Some(at),
            Read::None | Read::Waiting(_) => None,
        };
        command.into_iter().chain(read).min()
    }

    /// Takes a datagram for the client.
    pub fn receive(&mut self, from: SocketAddr, datagram: &[u8]) -> Taken {
        match self.client.receive(from, datagram) {
            Ok(()) => Taken::Read,
            Err(ClientDropped::Undecodable(_)) => Taken::Unreadable,
            Err(ClientDropped::Misdirected) => Taken::Elsewhere,
            Err(error) => {
                log::debug!("a datagram from {from} is of no use: {error:?}");
                Taken::Read
            }
        }
    }

    /// What the client has to send or to say, until there is nothing left.
    pub fn poll<'b>(&mut self, buffer: &'b mut [u8]) -> Option<Step<'b>> {
        Some(match self.client.poll(buffer)? {
            ClientEvent::Send { to, datagram } => Step::Send(to, datagram),
            ClientEvent::Finished { outcome, .. } => Step::Finished(finished(&outcome)),
        })
    }

    /// Asks the node for the read that is due.
    pub fn begin_read(&mut self, node: &mut HostNode) {
        if let Read::Due(at) = self.read
            && at <= self.now
        {
            // Without a leader there is nobody to ask; a node that has failed says so when polled.
            let again = Read::Due(self.now.plus(READ_PAUSE));
            self.read = node.read().map_or(again, Read::Waiting);
        }
    }

    /// Another node has taken the place of the one that was asked.
    pub const fn ask_again(&mut self) {
        if let Read::Waiting(_) = self.read {
            self.read = Read::Due(self.now);
        }
    }

    /// Some reads have come to an end: gives the value if ours is one of those that may be read.
    pub fn on_reads(&mut self, reads: Reads, node: &HostNode) -> Option<Outcome> {
        let Read::Waiting(id) = self.read else { return None };
        if id > reads.upto {
            return None;
        }
        if !reads.is_ready {
            self.read = Read::Due(self.now);
            return None;
        }
        self.read = Read::None;
        value(&node.machine().query(&Query::Integer)).map(Outcome::Value)
    }
}

fn finished(ending: &Ending<'_>) -> Outcome {
    match ending {
        Ending::Applied { response, .. } => match decode(response) {
            Some(Response::Refused(why)) => Outcome::Refused(refusal(why)),
            Some(Response::Done | Response::Sum(_) | Response::Deleted(_)) => Outcome::Committed,
            None => Outcome::Unknown("the answer is not understood".to_owned()),
        },
        Ending::Refused { refusal, fate: Fate::NothingHappened } => {
            Outcome::Refused(format!("the nodes do not take it ({refusal:?})"))
        }
        Ending::Refused { refusal, fate: Fate::Unknown } => {
            Outcome::Unknown(format!("the nodes did not take a copy of it ({refusal:?})"))
        }
        Ending::SessionExpired => {
            Outcome::Unknown("this node's session has expired; it may have taken effect".to_owned())
        }
        Ending::EpochEnded => Outcome::Unknown(FORMED_ANEW.to_owned()),
        Ending::Answered { .. }
        | Ending::Status(_)
        | Ending::Peers { .. }
        | Ending::Admin(_)
        | Ending::AnswerTooLong { .. } => {
            Outcome::Unknown("the answer is to another question".to_owned())
        }
    }
}

/// How long a read waits before it looks for a leader again.
const READ_PAUSE: Ticks = Ticks(5000);
