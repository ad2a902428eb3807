//! What every node and client of this program is made of, and the figures it is made with.

use std::io;
use std::net::SocketAddr;

use coracle::{
    Buffers, Client, ClientOptions, ClusterId, Node, NodeId, Options, Platform, Raft, Server,
    SetupError, Slot, Ticks, Timing, VolatileSnapshots,
};
use coracle_machines::{LIMIT_BYTES, Machine, Slot as KeySlot};
use getrandom::SysRng;
use num_bigint::BigInt;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use crate::cli::MAX_NODES;
use crate::commands::{INIT_BYTES, to_number};
use crate::joining::JoiningArguments;
use crate::limits::LimitArguments;
use crate::roster::Roster;
use crate::seal::FastChecksum;

/// The types of a node on a host.
pub struct Host;

impl Platform for Host {
    type Memory = Buffers<Box<[u8]>, Box<[Slot]>>;
    type Random = ChaCha8Rng;
    type Seal = FastChecksum;
    type Storage = VolatileSnapshots<Box<[u8]>>;
    type Machine = HostMachine;
    type Address = SocketAddr;
}

/// A node on a host.
pub type HostNode = Node<Host, MAX_NODES, SESSIONS, PENDING>;

/// A client on a host.
pub type HostClient =
    Client<SocketAddr, FastChecksum, ChaCha8Rng, MAX_NODES, { DATAGRAM_BYTES as usize }>;

/// The machine of a host: its initial value may be larger than an operand.
pub type HostMachine = Machine<Box<[u8]>, Box<[KeySlot]>, LIMIT_BYTES, INIT_BYTES>;

/// A node that stores nothing.
///
/// # Errors
/// When the nodes make no cluster.
pub fn node(
    roster: &Roster,
    timing: Timing,
    limits: &LimitArguments,
    joining: &JoiningArguments,
    init: &BigInt,
) -> io::Result<Box<HostNode>> {
    let options = Options { datagram: DATAGRAM_BYTES, ..Options::new(CLUSTER, roster.id, timing) };
    let options = joining.state(limits.limit(options), roster)?;
    let others: Vec<NodeId> = roster.others.iter().map(|peer| peer.id).collect();
    let memory = Buffers::new(
        vec![0; limits.log_bytes].into_boxed_slice(),
        vec![Slot::ZERO; limits.log_entries].into_boxed_slice(),
    );
    let raft = Raft::new(&options, &others, memory, random()?, FastChecksum);
    let raft = raft.map_err(|error| io::Error::other(why(&error, others.len() + 1)))?;
    let machine = Machine::new(
        vec![0; STORE_BYTES].into_boxed_slice(),
        vec![KeySlot::EMPTY; STORE_KEYS].into_boxed_slice(),
        to_number(init).unwrap_or_default(),
    );
    // Memory is taken from the system only where a snapshot is written.
    let area = || vec![0; SNAPSHOT_BYTES].into_boxed_slice();
    Ok(Box::new(Node::new(raft, VolatileSnapshots::new(area(), area()), machine)))
}

/// Why there is no node of a cluster of so many.
fn why(error: &SetupError, members: usize) -> String {
    match error {
        SetupError::Datagram { least } if *least > DATAGRAM_BYTES => format!(
            "{members} members with addresses as long as this one's do not fit a datagram: their \
             list takes {least} bytes, and a node sends at most {DATAGRAM_BYTES}; there is no node"
        ),
        error => error.to_string(),
    }
}

/// A client of these servers, which asks the first one first.
///
/// # Errors
/// When there is none, or two are one.
pub fn client(servers: &[Server<SocketAddr>]) -> io::Result<Box<HostClient>> {
    patient_client(servers, Ticks(20_000), Ticks(200_000))
}

/// The same, with the waits before it asks again.
///
/// # Errors
/// As [`client`], and when the waits make no sense.
pub fn patient_client(
    servers: &[Server<SocketAddr>],
    retry_min: Ticks,
    retry_max: Ticks,
) -> io::Result<Box<HostClient>> {
    let options =
        ClientOptions { cluster: CLUSTER, retry_min, retry_max, datagram: DATAGRAM_BYTES };
    let client = Client::new(options, servers, random()?, FastChecksum);
    client.map(Box::new).map_err(|error| io::Error::other(format!("no client: {error:?}")))
}

/// The largest datagram that a node sends or takes.
pub const DATAGRAM_BYTES: u16 = 1200;

fn random() -> io::Result<ChaCha8Rng> {
    let random = ChaCha8Rng::try_from_rng(&mut SysRng);
    random.map_err(|error| io::Error::other(format!("no random numbers: {error}")))
}

/// The same for all: the lists of ids tell clusters apart.
const CLUSTER: ClusterId = ClusterId(u64::from_le_bytes(*b"coracle\0"));

const SESSIONS: usize = 1024;
const PENDING: usize = 256;
const STORE_BYTES: usize = 64 << 20;
const STORE_KEYS: usize = 1 << 16;
/// Every key and value, and every session with the largest response.
const SNAPSHOT_BYTES: usize = STORE_BYTES + (8 << 20);
