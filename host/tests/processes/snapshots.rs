//! A large state on its way to a new node, while commands go on.

use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use coracle::Status;
use coracle_machines::MAX_VALUE_BYTES;
use coracle_udp::Client;
use num_bigint::BigInt;

use crate::process::{Process, eventually, free_ports};
use crate::trio::Trio;

#[test]
fn ten_megabytes_reach_a_new_node_while_commands_are_committed() {
    let transfer = transfer(&Case { state_bytes: 10_000_000, loss: None, more: &[] });
    transfer.keeps_to(256);
}

#[test]
fn ten_megabytes_reach_a_new_node_though_every_fifth_datagram_is_lost_each_way() {
    let transfer = transfer(&Case { state_bytes: 10_000_000, loss: Some("20%"), more: &[] });
    transfer.keeps_to(256);
    // Of what is sent every fifth is lost, and so is the answer to every fifth of the others.
    let (sent, taken) = (transfer.sent(), transfer.taken());
    assert!(sent * 100 > taken * 115, "{sent} chunks were sent for {taken}: nothing was lost");
}

#[test]
fn no_more_chunks_leave_between_two_heartbeats_than_are_stated() {
    let more = ["--snapshot-chunks", "16", "--heartbeat", "10ms"];
    let transfer = transfer(&Case { state_bytes: 3_000_000, loss: None, more: &more });
    transfer.keeps_to(16);
}

/// A state, and how it travels.
struct Case<'a> {
    /// The values alone have so many bytes.
    state_bytes: usize,
    /// What is lost of all datagrams to and from the new node.
    loss: Option<&'a str>,
    /// What the voters are started with.
    more: &'a [&'a str],
}

/// What was seen of a transfer.
struct Transfer {
    /// How the leader was, from before the new node was there until it had the snapshot.
    looks: Vec<Status>,
    /// How the new node is with all of it.
    learner: Status,
}

impl Transfer {
    fn sent(&self) -> u32 {
        self.looks.last().map_or(0, |last| last.counters.chunks_sent)
    }

    fn taken(&self) -> u32 {
        self.learner.counters.chunks_taken
    }

    /// No more than so many chunks have left between two heartbeats, from any look to the next and
    /// in all.
    fn keeps_to(&self, bound: u32) {
        let (first, last) = (&self.looks[0], &self.looks[self.looks.len() - 1]);
        let pairs = self.looks.windows(2).map(|pair| (&pair[0], &pair[1]));
        for (before, after) in pairs.chain([(first, last)]) {
            let (before, after) = (&before.counters, &after.counters);
            let sent = after.chunks_sent - before.chunks_sent;
            // Both looks lie between two heartbeats: one more span than there were heartbeats.
            let spans = after.heartbeats - before.heartbeats + 1;
            assert!(sent <= bound * spans, "{sent} chunks between {spans} pairs of heartbeats");
        }
        assert!(last.counters.chunks_sent - first.counters.chunks_sent > 10 * bound);
    }
}

/// Has a cluster hold a state, and a new node join it while one client adds 1 again and again.
fn transfer(case: &Case<'_>) -> Transfer {
    // A log that is full long before the state is there: its front is gone, so that nobody gets the
    // state from it. An election would end the counts, and a machine without time to spare may have
    // the leader at its snapshot for seconds.
    let patient = ["--log-bytes", "2MiB", "--election", "20s..30s"];
    let trio = Trio::start(&[&patient[..], case.more].concat());
    let servers = trio.ports.map(loopback);
    fill(&servers, case.state_bytes);
    let mut leader = client(&[loopback(trio.ports[trio.leader()])], 1);
    let first = look(&mut leader);
    assert!(first.base.index.0 > 0, "the log has all of it");
    let (done, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let transfer = thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = client(&servers, 2);
            while !is_over.load(Ordering::Relaxed) {
                client.add(&BigInt::from(1), LIMIT).expect("a command is committed");
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
        // It must end the load, whatever becomes of it.
        let result = catch_unwind(AssertUnwindSafe(|| join(&trio, case, first, &done)));
        is_over.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|why| resume_unwind(why))
    });
    assert_eq!(trio.done(&["get"]), done.into_inner().to_string());
    transfer
}

fn join(trio: &Trio, case: &Case<'_>, first: Status, done: &AtomicU64) -> Transfer {
    let mut leader = client(&[loopback(trio.ports[trio.leader()])], 3);
    let [port] = free_ports();
    let (listen, servers) = (format!("127.0.0.1:{port}"), trio.servers());
    let joining = ["node", "--id", "4", "--listen", &listen, "--join", &servers, "--learner"];
    let mut node = Process::start(&[&joining[..], &["--controlled"]].concat());
    node.expect(&format!("listening on {listen}"));
    if let Some(loss) = case.loss {
        // It was started with no peers: to it everybody is a client.
        let order = format!("loss {loss} clients");
        node.send(&order);
        node.expect(&format!("ok {order}"));
    }
    let mut learner = client(&[loopback(port)], 4);
    let mut looks = vec![first];
    let mut seen = look(&mut learner);
    let mut growths = 0;
    let is_installed = eventually(|| {
        let before = done.load(Ordering::Relaxed);
        assert!(eventually(|| done.load(Ordering::Relaxed) > before), "no command is committed");
        let now = look(&mut leader);
        growths +=
            u32::from(now.counters.chunks_sent > looks[looks.len() - 1].counters.chunks_sent);
        looks.push(now);
        seen = look(&mut learner);
        seen.counters.snapshots_installed > 0
    });
    assert!(is_installed, "{seen:?}");
    // Between any two of these looks a command was committed.
    assert!(growths > 3, "the transfer was over after {growths} looks");
    let caught_up = eventually(|| {
        seen = look(&mut learner);
        seen.applied >= looks[looks.len() - 1].commit
    });
    assert!(caught_up, "{seen:?}");
    let counters = &seen.counters;
    assert_eq!((counters.snapshots_installed, counters.snapshots_damaged), (1, 0), "{seen:?}");
    let taken = usize::try_from(counters.chunks_taken).unwrap();
    assert!(taken * DATAGRAM > case.state_bytes, "{seen:?}");
    assert!(looks.iter().all(|look| look.term == first.term), "another leader was elected");
    looks.push(look(&mut leader));
    assert_eq!(looks[looks.len() - 1].counters.snapshots_sent, 1);
    Transfer { looks, learner: seen }
}

/// Sets keys to the longest values until these have so many bytes, by several clients at once.
fn fill(servers: &[SocketAddr], bytes: usize) {
    let next = AtomicU64::new(0);
    let count = bytes.div_ceil(MAX_VALUE_BYTES) as u64;
    thread::scope(|scope| {
        for seed in 0..FILLERS {
            let next = &next;
            scope.spawn(move || {
                let mut client = client(servers, 100 + seed);
                loop {
                    let key = next.fetch_add(1, Ordering::Relaxed);
                    if key >= count {
                        return;
                    }
                    let value = [key.to_le_bytes()[0]; MAX_VALUE_BYTES];
                    client.put(&key.to_le_bytes(), &value, LIMIT).expect("a key is set");
                }
            });
        }
    });
}

fn look(client: &mut Client) -> Status {
    client.status(0, LIMIT).expect("a status")
}

fn client(servers: &[SocketAddr], seed: u64) -> Client {
    Client::new(UdpSocket::bind("127.0.0.1:0").unwrap(), servers, seed).unwrap()
}

fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// How long one operation may take.
const LIMIT: Duration = Duration::from_secs(10);
const FILLERS: u64 = 32;
/// A chunk fits one.
const DATAGRAM: usize = 1200;
