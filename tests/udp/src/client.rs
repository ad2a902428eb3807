//! A client of nodes, each of whose operations ends within a given time.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use coracle::{
    Checksum, ClientEvent, ClientOptions, ClusterId, Fate, Outcome, Server, Status, Ticks,
};
use coracle_machines::{Answer, Command, Integer, Key, Query, Response};
use num_bigint::{BigInt, Sign};
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// A session with some nodes, or with a single one: reads of a single node are its own.
pub struct Client {
    client: Box<Inner>,
    socket: UdpSocket,
    started: Instant,
    clock: Ticks,
    outgoing: Box<[u8]>,
    incoming: Box<[u8]>,
}

type Inner = coracle::Client<SocketAddr, Checksum, Xoshiro256PlusPlus, MOST_SERVERS, DATAGRAM>;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It has no effect, and never will.
    NothingHappened,
    /// It may have taken effect, or still may.
    Unknown,
}

impl Client {
    /// A client on this socket. Nothing is sent yet.
    ///
    /// # Errors
    /// When there is no server, or too many.
    pub fn new(socket: UdpSocket, servers: &[SocketAddr], seed: u64) -> io::Result<Self> {
        let options = ClientOptions {
            cluster: CLUSTER,
            retry_min: Ticks(20_000),
            retry_max: Ticks(100_000),
            datagram: u16::try_from(DATAGRAM).unwrap_or(u16::MAX),
        };
        let server = |address: &SocketAddr| Server { address: *address, id: None };
        let servers: Vec<Server<SocketAddr>> = servers.iter().map(server).collect();
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let client = coracle::Client::new(options, &servers, random, Checksum);
        let client = client.map_err(|error| io::Error::other(format!("no client: {error:?}")))?;
        Ok(Self {
            client: Box::new(client),
            socket,
            started: Instant::now(),
            clock: Ticks(0),
            outgoing: vec![0; DATAGRAM].into_boxed_slice(),
            incoming: vec![0; DATAGRAM].into_boxed_slice(),
        })
    }

    /// Adds to the replicated integer.
    ///
    /// # Errors
    /// `Failure`, after at most `limit`.
    pub fn add(&mut self, operand: &BigInt, limit: Duration) -> Result<(), Failure> {
        let (sign, magnitude) = operand.to_bytes_le();
        self.change(&Command::Add(Integer::new(sign == Sign::Minus, &magnitude)), limit)
    }

    /// Sets a key to a value.
    ///
    /// # Errors
    /// `Failure`, after at most `limit`.
    pub fn set(&mut self, key: &str, value: u64, limit: Duration) -> Result<(), Failure> {
        self.put(key.as_bytes(), &value.to_le_bytes(), limit)
    }

    /// Sets a key of any bytes to a value of any.
    ///
    /// # Errors
    /// `Failure`, after at most `limit`.
    pub fn put(&mut self, key: &[u8], value: &[u8], limit: Duration) -> Result<(), Failure> {
        self.change(&Command::Set { key, value }, limit)
    }

    /// The integer, as the node that answers sees it.
    ///
    /// # Errors
    /// `Failure`, after at most `limit`; a read never has an effect.
    pub fn integer(&mut self, limit: Duration) -> Result<BigInt, Failure> {
        self.query(&Query::Integer, limit, |answer| match answer {
            Answer::Integer { a, b, init } => Some(big(a) * big(init) + big(b)),
            Answer::Value(_) => None,
        })
    }

    /// The value of a key.
    ///
    /// # Errors
    /// `Failure`, after at most `limit`; a read never has an effect.
    pub fn get(&mut self, key: &str, limit: Duration) -> Result<Option<u64>, Failure> {
        let key = Key::from_slice(key.as_bytes()).map_err(|_| Failure::NothingHappened)?;
        self.query(&Query::Get(key), limit, |answer| match answer {
            Answer::Value(None) => Some(None),
            Answer::Value(Some(value)) => Some(Some(u64::from_le_bytes(value.try_into().ok()?))),
            Answer::Integer { .. } => None,
        })
    }

    /// How the server at this place is.
    ///
    /// # Errors
    /// `Failure`, after at most `limit`.
    pub fn status(&mut self, place: usize, limit: Duration) -> Result<Status, Failure> {
        self.client.status(Some(place)).map_err(|_| Failure::NothingHappened)?;
        self.finish(limit, |outcome| match outcome {
            Outcome::Status(status) => Some(status),
            _ => None,
        })
    }

    fn change(&mut self, command: &Command<'_>, limit: Duration) -> Result<(), Failure> {
        let mut buffer = [0; DATAGRAM];
        let bytes = postcard::to_slice(command, &mut buffer);
        let bytes = bytes.map_err(|_| Failure::NothingHappened)?;
        self.client.command(bytes).map_err(|_| Failure::NothingHappened)?;
        let response = self.finish(limit, |outcome| match outcome {
            Outcome::Applied { response, .. } => postcard::from_bytes::<Response>(response).ok(),
            _ => None,
        })?;
        match response {
            Response::Done => Ok(()),
            Response::Sum(_) | Response::Deleted(_) => Err(Failure::Unknown),
            Response::Refused(_) => Err(Failure::NothingHappened),
        }
    }

    fn query<T>(
        &mut self,
        query: &Query,
        limit: Duration,
        take: impl Fn(Answer<'_>) -> Option<T>,
    ) -> Result<T, Failure> {
        let mut buffer = [0; DATAGRAM];
        let bytes = postcard::to_slice(query, &mut buffer);
        let bytes = bytes.map_err(|_| Failure::NothingHappened)?;
        self.client.query(bytes).map_err(|_| Failure::NothingHappened)?;
        let answered = self.finish(limit, |outcome| match outcome {
            Outcome::Answered { answer, .. } => postcard::from_bytes(answer).ok().and_then(&take),
            _ => None,
        });
        answered.map_err(|_| Failure::NothingHappened)
    }

    fn finish<T>(
        &mut self,
        limit: Duration,
        take: impl FnOnce(Outcome<'_>) -> Option<T>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + limit;
        loop {
            self.pass_time();
            match self.client.poll(&mut self.outgoing) {
                // Whatever keeps it from leaving is loss.
                Some(ClientEvent::Send { to, datagram }) => {
                    drop(self.socket.send_to(datagram, to));
                }
                Some(ClientEvent::Finished { outcome, .. }) => {
                    let fate = fate_of(&outcome);
                    return take(outcome).ok_or(fate);
                }
                None => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(match self.client.cancel() {
                            Fate::NothingHappened => Failure::NothingHappened,
                            Fate::Unknown => Failure::Unknown,
                        });
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
        self.socket.set_read_timeout(Some(wait)).expect("a time-out that is not zero");
        match self.socket.recv_from(&mut self.incoming) {
            // What is of no use is counted by the client.
            Ok((length, from)) => drop(self.client.receive(from, &self.incoming[..length])),
            Err(error) => {
                let kinds =
                    [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::ConnectionRefused];
                assert!(kinds.contains(&error.kind()), "receiving: {error}");
            }
        }
    }
}

const fn fate_of(outcome: &Outcome<'_>) -> Failure {
    match outcome {
        Outcome::Refused { fate: Fate::NothingHappened, .. } => Failure::NothingHappened,
        _ => Failure::Unknown,
    }
}

fn big(integer: Integer<'_>) -> BigInt {
    let sign = if integer.is_negative() { Sign::Minus } else { Sign::Plus };
    BigInt::from_bytes_le(sign, integer.magnitude())
}

/// What `coracle` calls its clusters.
const CLUSTER: ClusterId = ClusterId(u64::from_le_bytes(*b"coracle\0"));
const DATAGRAM: usize = 1200;
const MOST_SERVERS: usize = 8;
/// Zero would mean for ever.
const SHORTEST_WAIT: Duration = Duration::from_micros(1);
