//! A client of the cluster: one operation at a time, since the commands of a session follow one
//! another (thesis 6.3). It knows no socket and no clock, and repeats what may have been lost.

mod answer;
mod event;
mod operation;
mod options;
mod request;
mod ticket;

pub use event::{ClientCounters, ClientDropped, ClientEvent, Fate, Outcome};
pub use options::{ClientOptions, ClientSetupError, RetryError, Server, StartError};
pub use ticket::Ticket;

use heapless::Vec;
use rand_core::Rng;

use crate::message::{Admin, AdminAnswer, Refusal};
use crate::seal::Seal;
use crate::status::{PeerPage, Status, count};
use crate::types::{ClientId, EntryId, Epoch, Index, NodeId, SessionId, Ticks};

/// A client, as a state machine without I/O.
///
/// Start an operation, then poll until `None` and send what it says; hand in what arrives with
/// `receive` and the time that passes with `tick`, and poll again after either. The first command
/// opens a session by itself, so that a command takes effect once however often it is sent.
///
/// An operation goes on until it is answered or cancelled: how long is long enough is for the user
/// to say. A command that was cancelled after it was sent leaves a gap in the sequence numbers.
///
/// `A` is the address of a server, `SERVERS` how many there may be, and `BYTES` the room for one
/// command, query, response or answer.
#[derive(Debug)]
pub struct Client<A, S, R, const SERVERS: usize, const BYTES: usize> {
    options: ClientOptions,
    id: ClientId,
    random: R,
    seal: S,
    /// At least one.
    servers: Vec<Server<A>, SERVERS>,
    /// Whom we ask: the leader, as far as we know.
    target: usize,
    /// Where the tour of the servers stands. It goes on where redirects run in a circle.
    tour: usize,
    /// The time since the start.
    now: Ticks,
    /// The number of the last datagram sent. It never falls, so that an answer names one request.
    number: u64,
    session: Option<Session>,
    phase: Phase,
    /// What is asked; once the operation is finished, what came back.
    bytes: [u8; BYTES],
    /// How many of `bytes` count; never above `BYTES`.
    length: usize,
    /// How long a request is at least, in bytes, to leave room for the answer.
    command_room: usize,
    /// The same for queries and status.
    query_room: usize,
    counters: ClientCounters,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    id: SessionId,
    epoch: Epoch,
    /// The sequence number of the command under way, or else of the next one.
    sequence: u64,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a status is kept until it is polled")]
enum Phase {
    Idle,
    /// A command was sent and then cancelled; `bytes` still holds it.
    Abandoned {
        first: u64,
    },
    Active(Active),
    Finished(Finish),
}

/// An operation under way.
#[derive(Clone, Copy, Debug)]
struct Active {
    kind: Kind,
    /// Answers to this number and later ones belong to what is asked now.
    first: u64,
    due: Due,
    /// How often no good answer has come; the back-off follows it.
    attempt: u32,
    /// How often another server was asked at once, since we last waited.
    redirects: usize,
    /// How long the last request was, in bytes.
    sent_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Command,
    Query,
    /// Of this server, or of any.
    Status(Option<usize>),
    /// Of this server, or of any: how it sees the others, but for the first so many.
    Peers(Option<usize>, u8),
    /// Of this server, or of the leader.
    Admin(Option<usize>, Admin),
}

/// What an operation waits for.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// Being polled: a request is to be sent.
    Send,
    /// An answer, until then.
    Answer(Ticks),
    /// The time to ask again.
    Pause(Ticks),
}

#[derive(Debug)]
struct Finish {
    kind: Kind,
    from: NodeId,
    epoch: Epoch,
    ending: Ending,
}

/// An outcome whose bytes are the client's.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Applied(EntryId),
    Answered(Index),
    Status,
    Peers {
        first: u8,
        total: u8,
    },
    Refused {
        refusal: Refusal,
        fate: Fate,
    },
    SessionExpired,
    EpochEnded,
    AnswerTooLong(usize),
    /// What has no bytes of its own.
    Admin(AdminAnswer<'static>),
    Members {
        version: Index,
        is_committed: bool,
    },
}

impl<A: Copy + PartialEq, S: Seal, R: Rng, const SERVERS: usize, const BYTES: usize>
    Client<A, S, R, SERVERS, BYTES>
{
    /// A client without a session; its id is drawn from `random`. The first server is asked first.
    ///
    /// # Errors
    /// `ClientSetupError` if the options or the servers make no sense.
    pub fn new(
        options: ClientOptions,
        servers: &[Server<A>],
        mut random: R,
        seal: S,
    ) -> Result<Self, ClientSetupError> {
        let command_room = request::command_room(S::BYTES);
        options.check(command_room)?;
        options::check_servers(servers)?;
        let servers = Vec::from_slice(servers)
            .map_err(|_| ClientSetupError::TooManyServers { limit: SERVERS })?;
        let id = ClientId(random.next_u64().max(1));
        Ok(Self {
            options,
            id,
            random,
            seal,
            servers,
            target: 0,
            tour: 0,
            now: Ticks(0),
            number: 0,
            session: None,
            phase: Phase::Idle,
            bytes: [0; BYTES],
            length: 0,
            command_room,
            query_room: request::QUERY_ROOM.min(usize::from(options.datagram)),
            counters: ClientCounters::default(),
        })
    }

    /// Lets time pass. An answer that has not come by then is asked for again, elsewhere.
    pub fn tick(&mut self, elapsed: Ticks) {
        self.now = self.now.plus(elapsed);
        let Phase::Active(active) = &self.phase else { return };
        let mut active = *active;
        match active.due {
            Due::Answer(deadline) if deadline <= self.now => {
                count(&mut self.counters.timeouts);
                active.attempt = active.attempt.saturating_add(1);
                if active.is_free_to_move() {
                    self.move_on();
                }
            }
            Due::Pause(deadline) if deadline <= self.now => {}
            Due::Send | Due::Answer(_) | Due::Pause(_) => return,
        }
        active.redirects = 0;
        active.due = Due::Send;
        self.phase = Phase::Active(active);
    }

    /// When `tick` has something to do next, counted from now: zero if `poll` has, `None` if only
    /// a datagram or a new operation can change anything.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Ticks> {
        match &self.phase {
            Phase::Idle | Phase::Abandoned { .. } => None,
            Phase::Finished(_) => Some(Ticks(0)),
            Phase::Active(active) => match active.due {
                Due::Send => Some(Ticks(0)),
                Due::Answer(Ticks::NEVER) => None,
                Due::Answer(deadline) | Due::Pause(deadline) => Some(deadline.since(self.now)),
            },
        }
    }

    /// Offers what is to be sent, or the end of the operation, until there is neither.
    ///
    /// `buffer` must have the bytes of a datagram as in the options: into a shorter one nothing may
    /// fit, and then what is to be sent is kept and counted.
    pub fn poll<'b>(&mut self, buffer: &'b mut [u8]) -> Option<ClientEvent<'b, A>> {
        match &self.phase {
            Phase::Idle | Phase::Abandoned { .. } => None,
            Phase::Active(active) => match active.due {
                Due::Send => self.poll_send(*active, buffer),
                Due::Answer(_) | Due::Pause(_) => None,
            },
            Phase::Finished(finish) => {
                let (from, epoch) = (finish.from, finish.epoch);
                let outcome = self.outcome(finish.ending, buffer);
                self.phase = Phase::Idle;
                Some(ClientEvent::Finished { from, epoch, outcome })
            }
        }
    }

    /// The id that this client has drawn.
    #[must_use]
    pub const fn id(&self) -> ClientId {
        self.id
    }

    /// Whether an operation can be started.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Abandoned { .. })
    }

    /// The servers, with the ids that are known by now.
    #[must_use]
    pub fn servers(&self) -> &[Server<A>] {
        &self.servers
    }

    /// What was dropped and what was repeated.
    #[must_use]
    pub const fn counters(&self) -> &ClientCounters {
        &self.counters
    }

    const fn spend_sequence(&mut self) {
        if let Some(session) = &mut self.session {
            session.sequence = session.sequence.saturating_add(1);
        }
    }

    /// Turns to the next server of the tour, which is another one if there is any.
    fn move_on(&mut self) {
        let target = self.target;
        let others = (1..=self.servers.len()).map(|step| self.tour.saturating_add(step));
        let next = others
            .filter_map(|at| at.checked_rem(self.servers.len()))
            .find(|at| *at != target)
            .unwrap_or(target);
        self.tour = next;
        self.target = next;
    }

    /// The span before the next attempt: it doubles from one to the next, and lies anywhere in the
    /// upper half, lest clients that failed together come back together.
    fn delay(&mut self, attempt: u32) -> Ticks {
        let (Ticks(least), Ticks(most)) = (self.options.retry_min, self.options.retry_max);
        let factor = 2_u64.saturating_pow(attempt.saturating_add(1));
        let high = least.saturating_mul(factor).min(most);
        let low = least.max(high / 2);
        let width = high.saturating_sub(low).saturating_add(1);
        let jitter = self.random.next_u64().checked_rem(width).unwrap_or(0);
        Ticks(low.saturating_add(jitter))
    }

    fn outcome<'b>(&self, ending: Ending, buffer: &'b mut [u8]) -> Outcome<'b> {
        match ending {
            Ending::Applied(entry) => match self.copy_out(buffer) {
                Some(response) => Outcome::Applied { entry, response },
                None => Outcome::AnswerTooLong { bytes: self.length },
            },
            Ending::Answered(index) => match self.copy_out(buffer) {
                Some(answer) => Outcome::Answered { index, answer },
                None => Outcome::AnswerTooLong { bytes: self.length },
            },
            Ending::Status => match self.bytes.get(..self.length).and_then(Status::decode) {
                Some(status) => Outcome::Status(status),
                None => Outcome::AnswerTooLong { bytes: self.length },
            },
            Ending::Peers { first, total } => {
                match self.copy_out(buffer).and_then(PeerPage::parse) {
                    Some(peers) => Outcome::Peers { first, total, peers },
                    None => Outcome::AnswerTooLong { bytes: self.length },
                }
            }
            Ending::Refused { refusal, fate } => Outcome::Refused { refusal, fate },
            Ending::SessionExpired => Outcome::SessionExpired,
            Ending::EpochEnded => Outcome::EpochEnded,
            Ending::Admin(answer) => Outcome::Admin(answer),
            Ending::Members { version, is_committed } => match self.copy_out(buffer) {
                Some(members) => {
                    Outcome::Admin(AdminAnswer::Members { version, is_committed, members })
                }
                None => Outcome::AnswerTooLong { bytes: self.length },
            },
            Ending::AnswerTooLong(bytes) => Outcome::AnswerTooLong { bytes },
        }
    }

    fn copy_out<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let content = self.bytes.get(..self.length)?;
        let to = buffer.get_mut(..self.length)?;
        to.iter_mut().zip(content).for_each(|(to, from)| *to = *from);
        Some(to)
    }
}

impl Active {
    const fn new(kind: Kind, first: u64) -> Self {
        Self { kind, first, due: Due::Send, attempt: 0, redirects: 0, sent_bytes: 0 }
    }

    const fn is_free_to_move(&self) -> bool {
        match self.kind {
            Kind::Command
            | Kind::Query
            | Kind::Status(None)
            | Kind::Peers(None, _)
            | Kind::Admin(None, _) => true,
            Kind::Status(Some(_)) | Kind::Peers(Some(_), _) | Kind::Admin(Some(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests;
