//! What clients do, and the books that are kept of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use coracle_udp::{Client, Failure, History, Ledger};

use crate::cluster::Cluster;
use crate::process::PATIENCE;

/// How long a read may take, and a write.
pub const READ_LIMIT: Duration = Duration::from_secs(3);
/// See [`READ_LIMIT`].
pub const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// What was asked and answered.
#[derive(Default)]
pub struct Book {
    ledger: Mutex<Ledger>,
    history: Mutex<History>,
    /// How many commands were acknowledged.
    acknowledged: AtomicUsize,
    is_over: AtomicBool,
    /// How long a client waits between its rounds.
    pause: Duration,
}

/// When clients stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After so many rounds each.
    Rounds(usize),
    /// When they are told.
    Told,
}

impl Book {
    /// Books of clients that wait so long between their rounds.
    pub fn paced(pause: Duration) -> Self {
        Self { pause, ..Self::default() }
    }

    /// Has clients at work while `trouble` happens, and ends them with it if they are to be told.
    pub fn keep(&self, cluster: &Cluster, clients: usize, until: Until, trouble: impl FnOnce()) {
        self.keep_of((0..clients).map(|place| cluster.client(place)).collect(), until, trouble);
    }

    /// The same of these clients.
    pub fn keep_of(&self, clients: Vec<Client>, until: Until, trouble: impl FnOnce()) {
        thread::scope(|scope| {
            for (place, mut client) in clients.into_iter().enumerate() {
                scope.spawn(move || self.work(&mut client, place, until));
            }
            // The clients end even if the trouble panics.
            let _over = Over(matches!(until, Until::Told).then_some(&self.is_over));
            trouble();
        });
    }

    /// Waits until so many more commands were acknowledged.
    #[track_caller]
    pub fn wait_for(&self, more: usize) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + more;
        let deadline = Instant::now() + PATIENCE;
        while self.acknowledged.load(Ordering::Relaxed) < goal {
            assert!(Instant::now() < deadline, "the commands have come to a standstill");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What was asked and acknowledged so far.
    pub fn promised(&self) -> Ledger {
        self.ledger.lock().unwrap().clone()
    }

    /// How many additions were acknowledged.
    pub fn additions(&self) -> usize {
        self.ledger.lock().unwrap().acknowledged()
    }

    /// Every acknowledged addition counts once on each of these nodes, all of them agree, and there
    /// is an order that explains all answers.
    #[track_caller]
    pub fn check(&self, cluster: &Cluster, nodes: &[usize]) {
        let read = |node: &usize| cluster.client_of(*node).integer(PATIENCE).unwrap();
        let sums: Vec<_> = nodes.iter().map(read).collect();
        let ledger = self.ledger.lock().unwrap();
        for (sum, node) in sums.iter().zip(nodes) {
            assert_eq!(ledger.check(sum), Ok(()), "node {node}");
            assert_eq!(sum, &sums[0], "node {node} and node {}", nodes[0]);
        }
        let history = self.history.lock().unwrap();
        assert_eq!(history.check(), Ok(()));
        assert!(ledger.acknowledged() > 0 && history.answered() > 0, "nothing was tested");
    }

    fn work(&self, client: &mut Client, place: usize, until: Until) {
        for round in 0..MOST_ROUNDS {
            match until {
                Until::Rounds(rounds) if round >= rounds => return,
                Until::Told if self.is_over.load(Ordering::Relaxed) => return,
                Until::Rounds(_) | Until::Told => {}
            }
            self.add(client);
            let key = (round + place) % KEYS;
            self.write(client, key, (place * MOST_ROUNDS + round) as u64);
            self.read(client, key);
            thread::sleep(self.pause);
        }
        assert!(matches!(until, Until::Rounds(_)), "it took more rounds than there are books for");
    }

    fn add(&self, client: &mut Client) {
        let (place, operand) = self.ledger.lock().unwrap().begin();
        let result = client.add(&operand, WRITE_LIMIT);
        let mut ledger = self.ledger.lock().unwrap();
        match result {
            Ok(()) => ledger.acknowledge(place),
            Err(Failure::NothingHappened) => ledger.refuse(place),
            Err(Failure::Unknown) => return,
        }
        self.acknowledged.fetch_add(usize::from(result.is_ok()), Ordering::Relaxed);
    }

    fn write(&self, client: &mut Client, key: usize, value: u64) {
        let id = self.history.lock().unwrap().write(key, value);
        let result = client.set(NAMES[key], value, WRITE_LIMIT);
        let mut history = self.history.lock().unwrap();
        match result {
            Ok(()) => history.acknowledge(id),
            Err(Failure::NothingHappened) => history.refuse(id),
            Err(Failure::Unknown) => return,
        }
        self.acknowledged.fetch_add(usize::from(result.is_ok()), Ordering::Relaxed);
    }

    fn read(&self, client: &mut Client, key: usize) {
        let id = self.history.lock().unwrap().read(key);
        let result = client.get(NAMES[key], READ_LIMIT);
        let mut history = self.history.lock().unwrap();
        match result {
            Ok(value) => history.answer(id, value),
            Err(_) => history.refuse(id),
        }
    }
}

/// Tells the clients when it goes.
struct Over<'a>(Option<&'a AtomicBool>);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if let Some(is_over) = self.0 {
            is_over.store(true, Ordering::Relaxed);
        }
    }
}

const NAMES: [&str; 3] = ["a", "b", "c"];
const KEYS: usize = NAMES.len();
/// Three clients' additions fit the integer, which has 4096 bits.
const MOST_ROUNDS: usize = 450;
