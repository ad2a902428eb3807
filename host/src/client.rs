//! A client that waits for its answers: the core's client with a socket and a clock.

mod admin;
mod command;
mod token;

pub use admin::{Roll, found_error};
pub use command::{ClientArguments, run};

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use coracle::message::Refusal;
use coracle::{
    ClientCounters, ClientEvent, EntryId, Epoch, Fate, NodeId, Outcome, PeerStatus, Server,
    StartError, Status, Ticket, Ticks,
};
use coracle_machines::{Answer, Query, Response};
use log::debug;

use crate::cli::MAX_NODES;
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
    limits: Limits,
    /// Who answered last.
    answered_by: Option<NodeId>,
    /// Whether anybody said anything about the last operation.
    has_heard: bool,
    /// How many requests the last operation has sent, and to how many of them the answer was that a
    /// node is busy or has no room.
    asked: (u32, u32),
    /// What it takes to go on with a command of a session before this one, if its outcome is unknown.
    inherited: Option<Vec<u8>>,
    /// The epoch of the last end of an operation, and the one in which the last query was answered.
    heard_in: Epoch,
    world: Option<Epoch>,
}

/// How long operations may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    read: Duration,
    write: Duration,
    status: Duration,
}

/// Why an operation failed. The two kinds are never mixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was not and will not be done.
    Refused(String),
    /// It was sent. Whether it took effect is not known.
    Unknown(String),
}

impl Failure {
    /// The same for what never has an effect, so that its outcome cannot be unknown.
    fn without_effect(self) -> Self {
        Self::Refused(self.why())
    }

    /// What a command ends with that failed so: 1, or 3 if nobody knows whether it takes effect.
    pub const fn status(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Unknown(_) => 3,
        }
    }

    /// The reason alone.
    pub fn why(self) -> String {
        match self {
            Self::Refused(why) | Self::Unknown(why) => why,
        }
    }
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
            socket: UdpSocket::bind(source(servers))?,
            started: Instant::now(),
            clock: Ticks(0),
            outgoing: buffer(),
            incoming: buffer(),
            limits: Limits { read: READ_LIMIT, write: WRITE_LIMIT, status: STATUS_LIMIT },
            answered_by: None,
            has_heard: false,
            asked: (0, 0),
            inherited: None,
            heard_in: Epoch(0),
            world: None,
        })
    }

    /// A session with other servers, for the same commands: one whose outcome is unknown can be
    /// asked for again in it.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn with_servers(&self, servers: &[Server<SocketAddr>]) -> io::Result<Self> {
        let mut buffer = [0; TICKET_BYTES];
        let ticket = self.client.ticket().and_then(|ticket| ticket.encode(&mut buffer));
        let ticket = ticket.and_then(|length| buffer.get(..length)).map(<[u8]>::to_vec);
        let inherited = ticket.or_else(|| self.inherited.clone());
        let world = self.world;
        Ok(Self { limits: self.limits, inherited, world, ..Self::new(servers)? })
    }

    /// Lets every operation take so long.
    pub const fn limit(&mut self, limit: Duration) {
        self.limits = Limits { read: limit, write: limit, status: limit };
    }

    /// Has a command committed and applied, once.
    ///
    /// # Errors
    /// Unless it is known to have been applied.
    pub fn change(&mut self, command: &Encoded) -> Result<(EntryId, Response), Failure> {
        self.inherited = None;
        self.client.command(&command.0).map_err(not_started)?;
        self.finish(self.limits.write, applied)
    }

    /// Asks again for the command whose outcome is unknown, in the same session: if it has taken
    /// effect, it does not take effect again.
    ///
    /// # Errors
    /// As [`Session::change`], and when there is no such command.
    pub fn retry(&mut self) -> Result<(EntryId, Response), Failure> {
        if let Some(ticket) = self.inherited.take() {
            return self.resume(&ticket).map(|(_, applied)| applied);
        }
        let nothing = |_| Failure::Refused("there is no command to retry".to_owned());
        self.client.retry().map_err(nothing)?;
        self.finish(self.limits.write, applied)
    }

    /// Goes on with the command of a ticket, in the session that it names, and gives the command
    /// back. If it has taken effect, it does not take effect again.
    ///
    /// # Errors
    /// As [`Session::change`].
    pub fn resume(&mut self, ticket: &[u8]) -> Result<(Vec<u8>, (EntryId, Response)), Failure> {
        let none = || Failure::Refused("this is no token".to_owned());
        let ticket = Ticket::decode(ticket).ok_or_else(none)?;
        self.client.resume(&ticket).map_err(not_started)?;
        let applied = self.finish(self.limits.write, applied)?;
        Ok((ticket.command().to_vec(), applied))
    }

    /// What another process needs to go on with the command whose outcome is unknown, if there is
    /// one.
    pub fn token(&self) -> Option<String> {
        self.client.ticket().and_then(|ticket| token::encode(&ticket))
    }

    /// Who answered last.
    pub const fn answered_by(&self) -> Option<NodeId> {
        self.answered_by
    }

    /// Who leads now, if anybody knows: whoever answered last is asked first.
    pub fn leader(&mut self) -> Option<NodeId> {
        let servers = self.client.servers();
        let answered = servers.iter().position(|server| server.id == self.answered_by);
        let places = (0..servers.len()).filter(|place| Some(*place) != answered);
        let places: Vec<usize> = answered.into_iter().chain(places).collect();
        let limits = self.limits;
        self.limits.status = STATUS_LIMIT;
        let leader = places.into_iter().find_map(|place| self.status(place).ok()?.leader);
        self.limits = limits;
        leader
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
            let answer = self.finish(self.limits.read, |outcome| answered(outcome, &take));
            let answer = answer.map_err(Failure::without_effect)?;
            let Some(answer) = answer else { continue };
            // What was asked before was answered by a world that is gone.
            return match self.world.replace(self.heard_in) {
                Some(before) if before != self.heard_in => Err(anew()),
                Some(_) | None => Ok(answer),
            };
        }
    }

    /// Asks one node how it is, by its place among the ports.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&mut self, place: usize) -> Result<Status, Failure> {
        self.status_of(Some(place))
    }

    /// Asks whichever node answers how it is.
    ///
    /// # Errors
    /// When none does.
    pub fn status_of_any(&mut self) -> Result<Status, Failure> {
        self.status_of(None)
    }

    /// Asks the node that answered last how it sees the others.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn peers(&mut self) -> Result<Vec<PeerStatus>, Failure> {
        let servers = self.client.servers();
        let place = servers.iter().position(|server| server.id == self.answered_by);
        let mut known = Vec::with_capacity(MAX_NODES);
        // Each page has one at least, so there is an end even if nodes come and go.
        for _ in 0..MAX_NODES {
            let first = u8::try_from(known.len()).unwrap_or(u8::MAX);
            self.client.peers(place, first).map_err(not_started)?;
            let total = self.finish(self.limits.status, |outcome| match outcome {
                Outcome::Peers { total, peers, .. } => {
                    known.extend(peers.iter());
                    Ok(total)
                }
                other => Err(ended(&other)),
            })?;
            if known.len() >= usize::from(total) {
                break;
            }
        }
        Ok(known)
    }

    fn status_of(&mut self, place: Option<usize>) -> Result<Status, Failure> {
        self.client.status(place).map_err(not_started)?;
        self.finish(self.limits.status, |outcome| match outcome {
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
        self.has_heard = false;
        let ClientCounters { sent, busy, .. } = *self.client.counters();
        loop {
            self.pass_time();
            match self.client.poll(&mut self.outgoing) {
                Some(ClientEvent::Send { to, datagram }) => {
                    if let Err(error) = self.socket.send_to(datagram, to) {
                        debug!("a datagram to {to} is lost: {error}");
                    }
                }
                Some(ClientEvent::Finished { from, epoch, outcome }) => {
                    self.answered_by = Some(from);
                    self.heard_in = epoch;
                    return take(outcome);
                }
                None => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        let now = self.client.counters();
                        self.asked = (now.sent.saturating_sub(sent), now.busy.saturating_sub(busy));
                        let why = self.silence(limit);
                        return Err(match self.client.cancel() {
                            Fate::Unknown if self.is_turned_away() => Failure::Unknown(format!(
                                "{why}; nothing has come of it, unless the network has kept a copy of \
                                 the request; retrying in the same session is safe"
                            )),
                            fate => by_fate(fate, why),
                        });
                    }
                    self.has_heard |= self.receive(left);
                }
            }
        }
    }

    /// Whether each request of the last operation was answered, and with that there is no room for it.
    const fn is_turned_away(&self) -> bool {
        let (sent, busy) = self.asked;
        busy > 0 && busy >= sent
    }

    fn pass_time(&mut self) {
        let micros = self.started.elapsed().as_micros();
        let now = Ticks(u64::try_from(micros).unwrap_or(u64::MAX));
        self.client.tick(now.since(self.clock));
        self.clock = now;
    }

    /// Why an operation was given up, in words.
    fn silence(&self, limit: Duration) -> String {
        let seconds = limit.as_secs_f32();
        let busy = "the cluster is busy or out of room";
        match self.asked {
            (_, 0) => {}
            (1, _) => return format!("{busy}: it took nothing for {seconds} s"),
            (sent, _) if self.is_turned_away() => {
                return format!(
                    "{busy}, as it said all {sent} times that it was asked within {seconds} s"
                );
            }
            (sent, count) => {
                return format!("{busy}, as it said {count} of {sent} times within {seconds} s");
            }
        }
        if self.has_heard {
            return format!("no answer within {seconds} s");
        }
        let servers = self.client.servers().iter().map(|server| server.address.to_string());
        let servers: Vec<String> = servers.collect();
        format!("no server has said anything within {seconds} s ({})", servers.join(", "))
    }

    /// Waits for a datagram, but not past the client's next deadline nor longer than `longest`.
    /// Whether one came that was of use.
    fn receive(&mut self, longest: Duration) -> bool {
        let next = self.client.next_timeout().map(|ticks| Duration::from_micros(ticks.0));
        let wait = next.map_or(longest, |next| next.min(longest)).max(SHORTEST_WAIT);
        let received = (self.socket.set_read_timeout(Some(wait)))
            .and_then(|()| self.socket.recv_from(&mut self.incoming));
        match received {
            Ok((length, from)) => {
                let datagram = self.incoming.get(..length).unwrap_or_default();
                let taken = self.client.receive(from, datagram);
                if let Err(error) = taken {
                    debug!("a datagram from {from} is of no use: {error:?}");
                }
                return taken.is_ok();
            }
            Err(error) if is_timeout(&error) => {}
            Err(error) => debug!("receiving: {error}"),
        }
        false
    }
}

/// Where to send from: outside this machine only if a server is.
fn source(servers: &[Server<SocketAddr>]) -> SocketAddr {
    let is_local = servers.iter().all(|server| server.address.ip().is_loopback());
    let is_old = servers.iter().all(|server| server.address.is_ipv4());
    match (is_old, is_local) {
        (true, true) => (Ipv4Addr::LOCALHOST, 0).into(),
        (true, false) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        (false, true) => (Ipv6Addr::LOCALHOST, 0).into(),
        (false, false) => (Ipv6Addr::UNSPECIFIED, 0).into(),
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
        Outcome::EpochEnded => Err(anew()),
        other => Err(ended(&other)),
    }
}

/// What a query is told when the answers to those before it are of a world that is gone.
fn anew() -> Failure {
    Failure::Refused(format!("{FORMED_ANEW}; ask again for what it holds now"))
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
        Outcome::EpochEnded => Failure::Unknown(format!(
            "{FORMED_ANEW}, and knows nothing of this session: it takes no effect any more, but may \
             have had one before"
        )),
        Outcome::AnswerTooLong { bytes } => {
            Failure::Unknown(format!("its answer of {bytes} bytes is too long to be sent"))
        }
        Outcome::Applied { .. }
        | Outcome::Answered { .. }
        | Outcome::Status(_)
        | Outcome::Peers { .. }
        | Outcome::Admin(_) => Failure::Unknown("the answer is to another question".to_owned()),
    }
}

fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::Malformed => "the nodes do not understand it".to_owned(),
        Refusal::TooLarge(limit) => format!("it has more than {limit} bytes"),
        Refusal::AnswerLongerThanRequest(bytes) => format!("its answer has {bytes} bytes"),
    }
}

fn by_fate(fate: Fate, why: String) -> Failure {
    match fate {
        Fate::NothingHappened => Failure::Refused(why),
        Fate::Unknown => Failure::Unknown(format!(
            "{why}; it may still take effect; retrying in the same session is safe"
        )),
    }
}

/// What became of the cluster that was asked.
pub const FORMED_ANEW: &str = "the cluster was formed anew, without what it held";

const READ_LIMIT: Duration = Duration::from_secs(3);
const WRITE_LIMIT: Duration = Duration::from_secs(5);
const STATUS_LIMIT: Duration = Duration::from_millis(500);
/// Zero would mean for ever.
const SHORTEST_WAIT: Duration = Duration::from_micros(1);
/// The largest command and what a ticket says beside it.
const TICKET_BYTES: usize = 2 * DATAGRAM_BYTES as usize;
/// A key and what frames it.
const QUERY_BYTES: usize = 128;
