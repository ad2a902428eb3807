//! Nodes that are killed under load, with a ledger of what they have acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use num_bigint::BigUint;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::Cluster;
use crate::process::eventually;
use crate::trio::run;

/// What is known of each operation, by its number.
struct Ledger {
    servers: String,
    begun: AtomicUsize,
    /// How many may begin so far.
    allowed: AtomicUsize,
    acknowledged: AtomicUsize,
    outcomes: Mutex<Vec<(usize, Outcome)>>,
    is_over: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Acknowledged,
    /// It may have happened, once.
    Unknown,
    /// It has not happened.
    Refused,
}

impl Ledger {
    fn new(servers: String) -> Self {
        Self {
            servers,
            begun: AtomicUsize::new(0),
            allowed: AtomicUsize::new(0),
            acknowledged: AtomicUsize::new(0),
            outcomes: Mutex::new(Vec::with_capacity(MOST)),
            is_over: AtomicUsize::new(0),
        }
    }

    /// A client that begins one operation after another.
    fn keep(&self) {
        while self.is_over.load(Ordering::Relaxed) == 0 {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            while number >= self.allowed.load(Ordering::Relaxed) {
                if self.is_over.load(Ordering::Relaxed) != 0 {
                    return;
                }
                thread::sleep(Duration::from_millis(1));
            }
            let words = words(number);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let client = ["client", "--servers", &self.servers, "--timeout", "1s"];
            let ended = run(&[&client[..], &words].concat());
            let outcome = match ended.code {
                Some(0) => Outcome::Acknowledged,
                Some(3) => Outcome::Unknown,
                Some(1) => Outcome::Refused,
                _ => panic!("{ended:?}"),
            };
            let outcomes = self.outcomes.lock();
            outcomes.unwrap_or_else(PoisonError::into_inner).push((number, outcome));
            if outcome == Outcome::Acknowledged {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn outcomes(&self) -> Vec<(usize, Outcome)> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets clients begin more, and waits until some of them are acknowledged.
    #[track_caller]
    fn advance(&self) {
        self.allowed.fetch_add(MOST / (ROUNDS + 1), Ordering::Relaxed);
        let count = || self.acknowledged.load(Ordering::Relaxed);
        let wanted = count() + 10;
        assert!(eventually(|| count() >= wanted), "nothing is acknowledged any more");
    }
}

/// Most operations add a power of four: in the sum there is a digit for each, which counts how often
/// it took effect. The others set a key of their own.
fn words(number: usize) -> Vec<String> {
    if is_key(number) {
        return ["set", &key(number), &value(number)].map(str::to_owned).to_vec();
    }
    vec!["add".to_owned(), (BigUint::from(1u8) << (2 * number)).to_string()]
}

const fn is_key(number: usize) -> bool {
    number.is_multiple_of(8)
}

fn key(number: usize) -> String {
    format!("key{number}")
}

fn value(number: usize) -> String {
    format!("value {number}")
}

#[test]
fn what_was_acknowledged_outlives_every_kill_and_nothing_happens_twice() {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    // A short log, so that there are snapshots too.
    let mut nodes =
        Cluster::form_with::<3>("ledger", &["--log-entries", "256", "--log-bytes", "64KiB"]);
    let ledger = Ledger::new(nodes.servers());
    let mut kills = 0;
    let mut blackouts = 0;
    thread::scope(|scope| {
        let over = Over(&ledger);
        for _ in 0..CLIENTS {
            scope.spawn(|| ledger.keep());
        }
        for round in 0..ROUNDS {
            ledger.advance();
            if round % 5 == 4 {
                nodes.kill_all();
                (kills, blackouts) = (kills + 3, blackouts + 1);
            } else {
                nodes.kill(random.next_u32() as usize % 3);
                kills += 1;
            }
            thread::sleep(Duration::from_millis(u64::from(random.next_u32() % 50)));
            nodes.start_all();
        }
        ledger.advance();
        drop(over);
    });
    assert!(kills >= 20 && blackouts >= 3, "{kills} kills, {blackouts} of all");
    check(&mut nodes, &ledger.outcomes());
    nodes.kill_all();
    nodes.start_all();
    check(&mut nodes, &ledger.outcomes());
    for place in 0..3 {
        let first = nodes.status(place).unwrap()["log"]["first"].as_u64();
        assert!(first > Some(1), "node {} has made no snapshot", place + 1);
    }
}

/// Ends the clients, whatever becomes of the test.
struct Over<'a>(&'a Ledger);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(1, Ordering::Relaxed);
    }
}

/// Every node has all that was acknowledged, nothing that was refused, and nothing twice.
#[track_caller]
fn check(nodes: &mut Cluster, outcomes: &[(usize, Outcome)]) {
    nodes.settle();
    for place in 0..3 {
        let sum: BigUint = nodes.value(place).parse().unwrap();
        let mut counted = BigUint::from(0u8);
        for (number, outcome) in outcomes.iter().filter(|(number, _)| !is_key(*number)) {
            let at = 2 * *number as u64;
            let times = u8::from(sum.bit(at)) + 2 * u8::from(sum.bit(at + 1));
            let is_right = match outcome {
                Outcome::Acknowledged => times == 1,
                Outcome::Unknown => times <= 1,
                Outcome::Refused => times == 0,
            };
            let node = place + 1;
            assert!(is_right, "node {node}: {number} is {outcome:?}, {times} times (seed {SEED})");
            counted += BigUint::from(times) << at;
        }
        assert_eq!(counted, sum, "node {} has what nobody has asked for", place + 1);
        check_keys(nodes, place, outcomes);
    }
    let acknowledged = |keys: bool| {
        let of = |it: &&(usize, Outcome)| it.1 == Outcome::Acknowledged && is_key(it.0) == keys;
        outcomes.iter().filter(of).count()
    };
    assert!(acknowledged(true) >= 20 && acknowledged(false) >= 150, "{outcomes:?}");
}

/// Has a node lead, so that it is the one that answers.
#[track_caller]
fn check_keys(nodes: &Cluster, place: usize, outcomes: &[(usize, Outcome)]) {
    let id = (place + 1).to_string();
    if nodes.leader() != place {
        let ended = run(&["transfer", "--servers", &nodes.servers(), "--to", &id]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let server = format!("127.0.0.1:{}", nodes.ports[place]);
    for (number, outcome) in outcomes.iter().filter(|(number, _)| is_key(*number)) {
        let ended = run(&["client", "--servers", &server, "get", &key(*number)]);
        let said = ended.output.trim_end();
        let is_there = said == format!("{} = {}", key(*number), value(*number));
        let is_missing = said == format!("{} is not set", key(*number));
        let is_right = match outcome {
            Outcome::Acknowledged => is_there,
            Outcome::Unknown => is_there || is_missing,
            Outcome::Refused => is_missing,
        };
        assert!(is_right, "node {id}: {number} is {outcome:?}: {ended:?} (seed {SEED})");
    }
}

const SEED: u64 = 6;
const CLIENTS: usize = 4;
const ROUNDS: usize = 20;
/// The sum has at most 4096 bits.
const MOST: usize = 2000;
