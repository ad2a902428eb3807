//! A client that waits for its answers: the core's client with a socket and a clock.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use coracle::message::Refusal;
use coracle::{ClientEvent, EntryId, Fate, Outcome, Server, StartError, Status, Ticks};
use coracle_machines::{Answer, Query, Response};
use log::debug;

use crate::commands::{Encoded, decode};
use crate::setup::{self, DATAGRAM_BYTES, HostClient};

/// A session with a cluster: one operation after the other, each within a bounded time.
pub struct Session {
    client: Box<HostClient>,
    socket: UdpSocket,
    started: Instant,
    /// The time that the client knows of.
    clock: Ticks,
    outgoing: Box<[u8]>,
    incoming: Box<[u8]>,
}

/// Why an operation failed. The two kinds are never mixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was not and will not be done.
    Refused(String),
    /// It was sent. Whether it took effect is not known.
    Unknown(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}; nothing happened"),
            Self::Unknown(why) => write!(f, "outcome unknown: {why}"),
        }
    }
}

impl Session {
    /// A session with these servers; nothing is sent yet.
    ///
    /// # Errors
    /// When there is no socket, or no server is named.
    pub fn new(servers: &[Server<SocketAddr>]) -> io::Result<Self> {
        let client = setup::client(servers)?;
        let buffer = || vec![0; usize::from(DATAGRAM_BYTES)].into_boxed_slice();
        Ok(Self {
            client,
            socket: UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?,
            started: Instant::now(),
            clock: Ticks(0),
            outgoing: buffer(),
            incoming: buffer(),
        })
    }

    /// Has a command committed and applied, once.
    ///
    /// # Errors
    /// Unless it is known to have been applied.
    pub fn change(&mut self, command: &Encoded) -> Result<(EntryId, Response), Failure> {
        self.client.command(&command.0).map_err(not_started)?;
        self.finish(WRITE_LIMIT, applied)
    }

    /// Asks again for the command whose outcome is unknown, in the same session: if it has taken
    /// effect, it does not take effect again.
    ///
    /// # Errors
    /// As [`Session::change`], and when there is no such command.
    pub fn retry(&mut self) -> Result<(EntryId, Response), Failure> {
        let nothing = |_| Failure::Refused("there is no command to retry".to_owned());
        self.client.retry().map_err(nothing)?;
        self.finish(WRITE_LIMIT, applied)
    }

    /// Reads the newest state, and takes what is needed from the answer.
    ///
    /// # Errors
    /// When nobody could answer; a read never has an effect.
    pub fn query<T>(
        &mut self,
        query: &Query,
        take: impl Fn(Answer<'_>) -> Option<T>,
    ) -> Result<T, Failure> {
        let mut buffer = [0; QUERY_BYTES];
        let bytes = postcard::to_slice(query, &mut buffer)
            .map_err(|error| Failure::Refused(format!("the query cannot be sent: {error}")))?;
        loop {
            self.client.query(bytes).map_err(not_started)?;
            let answer = self.finish(READ_LIMIT, |outcome| answered(outcome, &take))?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
    }

    /// Asks one node how it is, by its place among the ports.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&mut self, place: usize) -> Result<Status, Failure> {
        self.client.status(Some(place)).map_err(not_started)?;
        self.finish(STATUS_LIMIT, |outcome| match outcome {
            Outcome::Status(status) => Ok(status),
            other => Err(ended(&other)),
        })
    }

    /// Drives the operation under way to its end, or gives it up.
    fn finish<T>(
        &mut self,
        limit: Duration,
        take: impl FnOnce(Outcome<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + limit;
        loop {
            self.pass_time();
            match self.client.poll(&mut self.outgoing) {
                Some(ClientEvent::Send { to, datagram }) => {
                    if let Err(error) = self.socket.send_to(datagram, to) {
                        debug!("a datagram to {to} is lost: {error}");
                    }
                }
                Some(ClientEvent::Finished { outcome, .. }) => return take(outcome),
                None => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(given_up(self.client.cancel(), limit));
                    }
                    self.receive(left);
                }
            }
        }
    }

    fn pass_time(&mut self) {
        let micros = self.started.elapsed().as_micros();
        let now = Ticks(u64::try_from(micros).unwrap_or(u64::MAX));
        self.client.tick(now.since(self.clock));
        self.clock = now;
    }

    /// Waits for a datagram, but not past the client's next deadline nor longer than `longest`.
    fn receive(&mut self, longest: Duration) {
        let next = self.client.next_timeout().map(|ticks| Duration::from_micros(ticks.0));
        let wait = next.map_or(longest, |next| next.min(longest)).max(SHORTEST_WAIT);
        let received = (self.socket.set_read_timeout(Some(wait)))
            .and_then(|()| self.socket.recv_from(&mut self.incoming));
        match received {
            Ok((length, from)) => {
                let datagram = self.incoming.get(..length).unwrap_or_default();
                if let Err(error) = self.client.receive(from, datagram) {
                    debug!("a datagram from {from} is of no use: {error:?}");
                }
            }
            Err(error) if is_timeout(&error) => {}
            Err(error) => debug!("receiving: {error}"),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn applied(outcome: Outcome<'_>) -> Result<(EntryId, Response), Failure> {
    match outcome {
        Outcome::Applied { entry, response } => match decode(response) {
            Some(response) => Ok((entry, response)),
            None => Err(Failure::Unknown("the answer is not understood".to_owned())),
        },
        other => Err(ended(&other)),
    }
}

/// None when the session is gone, in which case another query goes without it.
fn answered<T>(
    outcome: Outcome<'_>,
    take: impl Fn(Answer<'_>) -> Option<T>,
) -> Result<Option<T>, Failure> {
    match outcome {
        Outcome::Answered { answer, .. } => match decode(answer).and_then(take) {
            Some(answer) => Ok(Some(answer)),
            None => Err(Failure::Refused("the answer is not understood".to_owned())),
        },
        Outcome::SessionExpired => Ok(None),
        other => Err(ended(&other)),
    }
}

fn not_started(error: StartError) -> Failure {
    Failure::Refused(match error {
        StartError::TooLarge { limit } => format!("it has more than {limit} bytes"),
        error => format!("it cannot be started: {error:?}"),
    })
}

/// An outcome that is no answer.
fn ended(outcome: &Outcome<'_>) -> Failure {
    match outcome {
        Outcome::Refused { refusal, fate } => by_fate(*fate, refused(*refusal)),
        Outcome::SessionExpired => Failure::Unknown(
            "the cluster no longer knows this session; it may have taken effect".to_owned(),
        ),
        Outcome::AnswerTooLong { bytes } => {
            Failure::Unknown(format!("its answer of {bytes} bytes is too long to be sent"))
        }
        Outcome::Applied { .. } | Outcome::Answered { .. } | Outcome::Status(_) => {
            Failure::Unknown("the answer is to another question".to_owned())
        }
    }
}

fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::Malformed => "the nodes do not understand it".to_owned(),
        Refusal::TooLarge(limit) => format!("it has more than {limit} bytes"),
        Refusal::AnswerLongerThanRequest(bytes) => format!("its answer has {bytes} bytes"),
    }
}

fn given_up(fate: Fate, limit: Duration) -> Failure {
    by_fate(fate, format!("no answer within {} s", limit.as_secs_f32()))
}

fn by_fate(fate: Fate, why: String) -> Failure {
    match fate {
        Fate::NothingHappened => Failure::Refused(why),
        Fate::Unknown => Failure::Unknown(format!(
            "{why}; it may still take effect; retrying in the same session is safe"
        )),
    }
}

const READ_LIMIT: Duration = Duration::from_secs(3);
const WRITE_LIMIT: Duration = Duration::from_secs(5);
const STATUS_LIMIT: Duration = Duration::from_millis(500);
/// Zero would mean for ever.
const SHORTEST_WAIT: Duration = Duration::from_micros(1);
/// A key and what frames it.
const QUERY_BYTES: usize = 128;
