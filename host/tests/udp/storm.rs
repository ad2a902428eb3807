//! Restart storms: nodes that store nothing are killed and started again with the same arguments, on
//! a network that loses, while clients are at work. At most as many are down or recovering at one time
//! as the others can do without.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use coracle_udp::{Client, Faults};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;

use crate::book::{Book, Until};
use crate::cluster::Cluster;
use crate::process::{Process, eventually};

/// How soon a node that was started again must have the value.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn three_nodes_are_restarted_one_at_a_time_on_a_good_network() {
    storm(1, 3, Faults::default());
}

#[test]
fn three_nodes_are_restarted_one_at_a_time_while_a_tenth_is_lost() {
    storm(2, 3, losing(100));
}

#[test]
fn three_nodes_are_restarted_one_at_a_time_while_a_fifth_is_lost() {
    storm(3, 3, losing(200));
}

#[test]
fn five_nodes_are_restarted_up_to_two_at_a_time_while_a_tenth_is_lost() {
    storm(4, 5, losing(100));
}

/// So many of a thousand are lost, and others are doubled and overtaken.
fn losing(lost: u32) -> Faults {
    Faults { lost, doubled: 50, held: 50, hold: Duration::from_millis(20), ..Faults::default() }
}

fn storm(seed: u64, count: usize, faults: Faults) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut cluster = Cluster::start(seed, &vec!["0"; count], CLIENTS, faults);
    (0..count).for_each(|place| is_voter(&cluster, place));
    let book = Book::paced(PAUSE);
    let clients: Vec<Client> = (0..CLIENTS).map(|place| cluster.client(place)).collect();
    let mut restarts = 0;
    book.keep_of(clients, Until::Told, || {
        while restarts < RESTARTS {
            book.wait_for(10);
            let victims = victims(&mut random, count);
            cluster.kill(&victims);
            thread::sleep(Duration::from_millis(u64::from(random.next_u32() % 100)));
            let started = Instant::now();
            victims.iter().for_each(|place| cluster.start_again(*place));
            for place in &victims {
                let promised = book.promised();
                let left = SOON.saturating_sub(started.elapsed());
                let told = cluster.client_of(*place).integer(left);
                let sum = told.unwrap_or_else(|_| panic!("node {place} has no value in {SOON:?}"));
                assert_eq!(promised.holds(&sum), Ok(()), "node {place}, seed {seed}");
            }
            // They count again before others fall.
            victims.iter().for_each(|place| is_voter(&cluster, *place));
            restarts += victims.len();
        }
        book.wait_for(10);
    });
    let counts = cluster.relay.counts();
    assert!(faults.lost == 0 || counts.lost > 100 && counts.overtaken > 10, "{counts:?}");
    cluster.heal();
    book.check(&cluster, &(0..count).collect::<Vec<_>>());
}

/// At most as many nodes as the others can do without.
fn victims(random: &mut ChaCha8Rng, count: usize) -> Vec<usize> {
    let most = (count - 1) / 2;
    let mut places: Vec<usize> = (0..count).collect();
    let falling = 1 + random.next_u32() as usize % most;
    (0..falling).map(|_| places.swap_remove(random.next_u32() as usize % places.len())).collect()
}

/// Waits until the members have agreed upon as many voters as there are nodes, and this life is one.
#[track_caller]
fn is_voter(cluster: &Cluster, place: usize) {
    let count = cluster.addresses.len();
    let all: Vec<String> = cluster.addresses.iter().map(SocketAddr::to_string).collect();
    let ready = eventually(|| {
        let told = ask(&["status", "--server", &all[place]]);
        let Some(status) = told else { return false };
        let Some(roll) = ask(&["member", "list", "--servers", &all.join(",")]) else {
            return false;
        };
        let members = roll["members"].as_array().expect("members");
        let voters = members.iter().filter(|member| member["part"] == "voter");
        let is_it = |member: &Value| member["incarnation"] == status["incarnation"];
        roll["committed"] == true
            && members.len() == count
            && voters.clone().any(is_it)
            && voters.count() == count
    });
    assert!(ready, "node {place} does not get its vote");
}

/// What `coracle` says, not through the relay, if it has an answer.
fn ask(arguments: &[&str]) -> Option<Value> {
    let mut process = Process::start(&[arguments, &["--json", "--timeout", "1s"]].concat());
    let is_answered = process.status().success();
    let output = process.rest();
    is_answered.then(|| serde_json::from_str(&output).expect("JSON"))
}

const CLIENTS: usize = 3;
/// The books have room for a minute and a half.
const PAUSE: Duration = Duration::from_millis(200);
const RESTARTS: usize = 10;
