//! The clients of a run, each the real client of the core with operations to ask for.

use coracle::message::Refusal;
use coracle::{
    Checksum, Client as CoreClient, ClientEvent, ClientOptions, Fate, Outcome, Server, StartError,
    Ticks,
};
use rand_core::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::chance::{Chance, mix};
use crate::history::{History, Wish};
use crate::invariants::{Chronicle, Verdict, ensure};
use crate::machine::{Change, Command, OperationId, WRITE_STEP};
use crate::network::{Address, NODES};
use crate::plan::{ClientPlan, Plan};
use crate::queue::Micros;

/// What operations leave behind, whoever asked for them.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Calls and answers.
    pub history: History,
    /// Operations of which it was said that nothing came of them.
    pub denied: Vec<OperationId>,
    /// How many writes were asked for: no two write the same.
    writes: u64,
    /// What clients met.
    pub counts: ClientCounts,
}

/// What clients met.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientCounts {
    /// Operations begun.
    pub begun: u64,
    /// Commands that were answered.
    pub applied: u64,
    /// Reads that were answered.
    pub answered: u64,
    /// Operations given up.
    pub given_up: u64,
    /// Commands taken up again after that.
    pub retried: u64,
    /// Sessions that the cluster did not know any more.
    pub expired: u64,
    /// Operations of sessions whose epoch has ended.
    pub worlds_ended: u64,
    /// Commands that were too large.
    pub too_large: u64,
    /// Operations refused in another way.
    pub refused: u64,
}

impl Records {
    /// Draws an operation.
    pub fn draw(&mut self, plan: &ClientPlan, chance: &mut Chance) -> (u8, Wish) {
        let key = chance.below(plan.keys) as u8;
        let wish = match chance.below(100) {
            0..45 => Wish::Change(Change::Increment),
            45..65 => {
                self.writes += 1;
                Wish::Change(Change::Write(self.writes * WRITE_STEP))
            }
            _ => Wish::Read,
        };
        (key, wish)
    }

    /// An operation begins.
    pub fn call(&mut self, key: u8, wish: Wish) -> OperationId {
        self.counts.begun += 1;
        self.history.call(key, wish)
    }

    /// Nothing came of an operation, and nothing ever will.
    pub fn deny(&mut self, operation: OperationId) {
        self.denied.push(operation);
    }
}

/// A command in its encoding.
pub fn encode_command(operation: OperationId, key: u8, change: Change, padding: &[u8]) -> Vec<u8> {
    let command = Command { operation, key, change, padding };
    postcard::to_stdvec(&command).unwrap_or_default()
}

/// One client.
#[derive(Debug)]
pub struct Client {
    core: CoreClient<Address, Checksum, Xoshiro256PlusPlus, NODES, 2048>,
    chance: Chance,
    /// Up to when it knows of the time.
    told: Micros,
    /// What it waits for.
    under_way: Option<OperationId>,
    /// When it gives that up, or begins the next one.
    decides_at: Micros,
}

/// What a client wants done next.
#[derive(Debug, Default)]
pub struct Wants {
    /// Datagrams to be sent.
    pub datagrams: Vec<(Address, Box<[u8]>)>,
    /// When to wake it, at the latest.
    pub wake_at: Option<Micros>,
}

impl Client {
    /// A client of the cluster. It knows the servers, and not always their ids.
    ///
    /// # Panics
    /// When the plan makes no sense.
    #[must_use]
    pub fn new(plan: &Plan, place: usize) -> Self {
        let mut chance = Chance::new(plan.seed, 0x636c_0000 + place as u64);
        let options = ClientOptions {
            cluster: plan.cluster,
            retry_min: Ticks(plan.clients.patience.0.max(1)),
            retry_max: Ticks(plan.election().times(2).0.max(plan.clients.patience.0)),
            datagram: plan.datagrams.iter().copied().min().unwrap_or(1200),
        };
        let server =
            |(place, id)| Server { address: Address::Node(place), id: chance.coin().then_some(id) };
        let servers: Vec<_> = plan.ids.iter().copied().enumerate().map(server).collect();
        let random = Xoshiro256PlusPlus::seed_from_u64(mix(plan.seed, 0x6372_0000 + place as u64));
        let core = CoreClient::new(options, &servers, random, Checksum).expect("sound options");
        let decides_at = Micros(chance.below(plan.clients.think.0 + 1));
        Self { core, chance, told: Micros(0), under_way: None, decides_at }
    }

    /// Whether it waits for an answer.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.under_way.is_some()
    }

    /// When it first wants to be woken.
    #[must_use]
    pub const fn begins_at(&self) -> Micros {
        self.decides_at
    }

    /// A datagram arrived.
    pub fn receive(&mut self, from: Address, datagram: &[u8]) {
        // What it drops it counts itself.
        let _dropped = self.core.receive(from, datagram);
    }

    /// Lets it do what is due.
    ///
    /// # Errors
    /// An answer that cannot be.
    pub fn step(
        &mut self,
        now: Micros,
        plan: &ClientPlan,
        may_begin: bool,
        records: &mut Records,
        chronicle: &Chronicle,
    ) -> Result<Wants, crate::invariants::Violation> {
        self.core.tick(Ticks(now.since(self.told).0));
        self.told = now;
        let mut wants = Wants::default();
        // An operation that ends may be followed by one more, and no further.
        for _ in 0..4 {
            self.decide(now, plan, may_begin, records);
            if !self.poll(now, plan, records, chronicle, &mut wants)? {
                break;
            }
        }
        let retry = self.core.next_timeout().map(|ticks| now.plus(Micros(ticks.0)));
        let idle = may_begin || self.under_way.is_some();
        let decision = (idle && self.decides_at > now).then_some(self.decides_at);
        wants.wake_at = match (retry, decision) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Ok(wants)
    }

    /// Begins an operation, or gives one up.
    fn decide(&mut self, now: Micros, plan: &ClientPlan, may_begin: bool, records: &mut Records) {
        if now < self.decides_at {
            return;
        }
        if let Some(operation) = self.under_way {
            self.give_up(now, plan, operation, records);
        } else if may_begin && records.counts.begun < plan.operations {
            self.begin(now, plan, records);
        } else {
            self.decides_at = NEVER;
        }
    }

    fn begin(&mut self, now: Micros, plan: &ClientPlan, records: &mut Records) {
        let (key, wish) = records.draw(plan, &mut self.chance);
        let operation = records.call(key, wish);
        let started = match wish {
            Wish::Read => self.core.query(&[key]),
            Wish::Change(change) => {
                let padding = vec![0x55; self.chance.below(plan.padding + 1) as usize];
                self.core.command(&encode_command(operation, key, change, &padding))
            }
        };
        match started {
            Ok(()) => {
                self.under_way = Some(operation);
                let gives_up = self.chance.permille(plan.quitting);
                let patience = plan.patience.times(self.chance.below(8));
                self.decides_at = if gives_up { now.plus(patience) } else { NEVER };
            }
            Err(error) => {
                records.counts.too_large += u64::from(matches!(error, StartError::TooLarge { .. }));
                records.deny(operation);
                self.think(now, plan);
            }
        }
    }

    /// Half of the commands that are given up are taken up again at once.
    fn give_up(
        &mut self,
        now: Micros,
        plan: &ClientPlan,
        operation: OperationId,
        records: &mut Records,
    ) {
        records.counts.given_up += 1;
        let fate = self.core.cancel();
        if fate == Fate::Unknown && self.chance.coin() && self.core.retry().is_ok() {
            records.counts.retried += 1;
            self.decides_at = NEVER;
            return;
        }
        if fate == Fate::NothingHappened {
            records.deny(operation);
        }
        self.under_way = None;
        self.think(now, plan);
    }

    fn think(&mut self, now: Micros, plan: &ClientPlan) {
        self.decides_at = now.plus(Micros(1 + self.chance.below(plan.think.0 + 1)));
    }

    /// Polls until nothing is left; whether an operation ended.
    fn poll(
        &mut self,
        now: Micros,
        plan: &ClientPlan,
        records: &mut Records,
        chronicle: &Chronicle,
        wants: &mut Wants,
    ) -> Result<bool, crate::invariants::Violation> {
        let mut buffer = [0; 2048];
        let mut has_ended = false;
        for _ in 0..MOST_POLLS {
            match self.core.poll(&mut buffer) {
                None => return Ok(has_ended),
                Some(ClientEvent::Send { to, datagram }) => {
                    wants.datagrams.push((to, datagram.into()));
                }
                Some(ClientEvent::Finished { outcome, .. }) => {
                    has_ended = true;
                    if let Some(operation) = self.under_way.take() {
                        end(operation, &outcome, records, chronicle)?;
                    }
                    self.think(now, plan);
                }
            }
        }
        ensure(13, false, || "a client is polled without end".to_owned())?;
        Ok(has_ended)
    }
}

/// An operation ended: what it was told must be so.
fn end(
    operation: OperationId,
    outcome: &Outcome<'_>,
    records: &mut Records,
    chronicle: &Chronicle,
) -> Verdict {
    match outcome {
        Outcome::Applied { entry, response } => {
            records.counts.applied += 1;
            let value = number(response)?;
            records.history.answer(operation, value);
            chronicle.told(operation, *entry, value)
        }
        Outcome::Answered { answer, .. } => {
            records.counts.answered += 1;
            records.history.answer(operation, number(answer)?);
            Ok(())
        }
        Outcome::Refused { refusal, fate } => {
            match refusal {
                Refusal::TooLarge(_) => records.counts.too_large += 1,
                Refusal::Malformed | Refusal::AnswerLongerThanRequest(_) => {
                    records.counts.refused += 1;
                }
            }
            if *fate == Fate::NothingHappened {
                records.deny(operation);
            }
            Ok(())
        }
        Outcome::SessionExpired => {
            records.counts.expired += 1;
            Ok(())
        }
        Outcome::EpochEnded => {
            records.counts.worlds_ended += 1;
            ensure(11, chronicle.worlds() > 1, || {
                "a client was told that its world has ended, and there is no other".to_owned()
            })
        }
        Outcome::Status(_)
        | Outcome::Peers { .. }
        | Outcome::Admin(_)
        | Outcome::AnswerTooLong { .. } => {
            ensure(11, false, || format!("an operation ended with {outcome:?}"))
        }
    }
}

/// A response or an answer.
fn number(bytes: &[u8]) -> Result<u64, crate::invariants::Violation> {
    postcard::from_bytes(bytes).map_err(|_| crate::invariants::Violation {
        invariant: 15,
        seen: format!("{bytes:?} is no number"),
    })
}

const NEVER: Micros = Micros(u64::MAX);

/// A client has at most one datagram and one outcome to tell at a time.
const MOST_POLLS: usize = 8;
