//! Clients of a script: the core's own, with sessions, which ask what the script tells them to.

use coracle::{
    Checksum, Client, ClientEvent, ClientOptions, Fate, Outcome, Server, StartError, Ticks,
};
use rand_core::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::world::World;
use super::{Done, Loudness, Stop, text};
use crate::chance::mix;
use crate::clients::encode_command;
use crate::invariants::ensure;
use crate::machine::{Change, OperationId};
use crate::network::{Address, NODES};
use crate::plan::Plan;
use crate::queue::Micros;

/// One client.
#[derive(Debug)]
pub struct Asker {
    core: Client<Address, Checksum, Xoshiro256PlusPlus, NODES, 2048>,
    told: Micros,
    doing: Option<OperationId>,
    /// What it was told last.
    pub heard: Option<String>,
}

impl Asker {
    /// A client that knows every node.
    pub fn new(plan: &Plan, place: usize, now: Micros) -> Result<Self, Stop> {
        let patience = plan.timing.election_max;
        let options = ClientOptions {
            cluster: plan.cluster,
            retry_min: patience,
            retry_max: Ticks(patience.0.saturating_mul(4)),
            datagram: plan.datagrams.iter().copied().min().unwrap_or(1200),
        };
        let server = |(place, id)| Server { address: Address::Node(place), id: Some(id) };
        let servers: Vec<_> = plan.ids.iter().copied().enumerate().map(server).collect();
        let random = Xoshiro256PlusPlus::seed_from_u64(mix(plan.seed, 0x7363_0000 + place as u64));
        let core = Client::new(options, &servers, random, Checksum)
            .map_err(|error| Stop::Misused(format!("no client: {error:?}")))?;
        Ok(Self { core, told: now, doing: None, heard: None })
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn due(&self, now: Micros) -> Option<Micros> {
        let ticks = self.core.next_timeout()?;
        Some(self.told.plus(Micros(ticks.0)).max(now))
    }

    fn is_started(started: Result<(), StartError>) -> Done {
        started.map_err(|error| Stop::Failed(format!("the client does not begin: {error:?}")))
    }
}

impl World {
    /// A client begins to ask for a change.
    pub fn client_change(
        &mut self,
        client: usize,
        key: u8,
        change: Change,
        padding: usize,
    ) -> Done {
        let operation = self.next_operation();
        let command = encode_command(operation, key, change, &vec![0x55; padding]);
        let asker = self.asker(client)?;
        Asker::is_started(asker.core.command(&command))?;
        asker.doing = Some(operation);
        asker.heard = None;
        self.step_client(client)
    }

    /// A client begins to ask for a number.
    pub fn client_query(&mut self, client: usize, key: u8) -> Done {
        let asker = self.asker(client)?;
        Asker::is_started(asker.core.query(&[key]))?;
        asker.doing = None;
        asker.heard = None;
        self.step_client(client)
    }

    /// A client gives up what it asked for.
    pub fn client_cancel(&mut self, client: usize) -> Done {
        let fate = self.asker(client)?.core.cancel();
        let fate = match fate {
            Fate::NothingHappened => "nothing happened",
            Fate::Unknown => "its fate is unknown",
        };
        self.say(&format!("{} gives up: {fate}", text::end_name(Address::Client(client))));
        Ok(())
    }

    /// A client takes up again the command that it gave up.
    pub fn client_retry(&mut self, client: usize) -> Done {
        let retried = self.asker(client)?.core.retry();
        retried.map_err(|error| Stop::Failed(format!("the client does not retry: {error:?}")))?;
        self.step_client(client)
    }

    /// Everything that a client wants done.
    pub fn step_client(&mut self, client: usize) -> Done {
        let now = self.now;
        let asker = self.asker(client)?;
        asker.core.tick(Ticks(now.since(asker.told).0));
        asker.told = now;
        let mut buffer = [0; 2048];
        for _ in 0..MOST_POLLS {
            let asker = self.asker(client)?;
            let (heard, told) = match asker.core.poll(&mut buffer) {
                None => return Ok(()),
                Some(ClientEvent::Send { to, datagram }) => {
                    self.send(Address::Client(client), to, datagram);
                    continue;
                }
                Some(ClientEvent::Finished { outcome, .. }) => heard(&outcome),
            };
            let operation = asker.doing.take();
            asker.heard = Some(heard.clone());
            let name = text::end_name(Address::Client(client));
            self.tell(Loudness::Events, &format!("{name} is told: {heard}"));
            if let (Some(operation), Some((entry, value))) = (operation, told) {
                self.chronicle.told(operation, entry, value)?;
            }
        }
        ensure(13, false, || "a client is polled without end".to_owned()).map_err(Stop::from)
    }

    /// A client gets a datagram.
    pub fn answer(&mut self, client: usize, from: Address, datagram: &[u8]) -> Done {
        // What it drops it counts itself.
        let _dropped = self.asker(client)?.core.receive(from, datagram);
        self.step_client(client)
    }

    /// The number of a new command.
    pub const fn next_operation(&mut self) -> OperationId {
        self.operations += 1;
        OperationId(self.operations)
    }

    fn asker(&mut self, client: usize) -> Result<&mut Asker, Stop> {
        if self.hosts.is_empty() {
            return Err(Stop::Misused("there is no cluster yet".to_owned()));
        }
        let (plan, now) = (&self.plan, self.now);
        let slot = self.clients.get_mut(client);
        let slot = slot.ok_or_else(|| Stop::Misused("clients are a, b, c and d".to_owned()))?;
        match slot {
            Some(asker) => Ok(asker),
            None => Ok(slot.insert(Asker::new(plan, client, now)?)),
        }
    }
}

type Told = Option<(coracle::EntryId, u64)>;

/// What a client is told, in words, and what of it must agree with what machines did.
fn heard(outcome: &Outcome<'_>) -> (String, Told) {
    let number = |bytes: &[u8]| postcard::from_bytes::<u64>(bytes).unwrap_or(u64::MAX);
    match outcome {
        Outcome::Applied { entry, response } => {
            let value = number(response);
            (format!("{value}, from entry {}", text::entry(*entry)), Some((*entry, value)))
        }
        Outcome::Answered { answer, .. } => (format!("{}", number(answer)), None),
        Outcome::Refused { refusal, .. } => {
            (format!("refused, {}", text::refusal_text(refusal)), None)
        }
        Outcome::SessionExpired => ("the session has expired".to_owned(), None),
        Outcome::EpochEnded => ("the epoch of the session is over".to_owned(), None),
        Outcome::AnswerTooLong { bytes } => (format!("an answer of {bytes} bytes"), None),
        Outcome::Admin(answer) => (text::admin_answer_text(answer), None),
        Outcome::Peers { total, .. } => (format!("it has {total} peers"), None),
        Outcome::Status(status) => (format!("{:?}", status.role), None),
    }
}

/// A client has at most one datagram and one outcome to tell at a time.
const MOST_POLLS: usize = 8;
