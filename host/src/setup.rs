//! What every node and client of this program is made of, and the figures it is made with.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use coracle::{
    Address, Buffers, Client, ClientOptions, ClusterId, Node, NodeId, Options, Platform, Raft,
    Server, SetupError, Slot, Ticks, Timing,
};
use coracle_disk::{Identity, Recovered};
use coracle_machines::{LIMIT_BYTES, Machine, Number, Slot as KeySlot};
use getrandom::SysRng;
use log::info;
use mio::Waker;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use crate::cli::MAX_NODES;
use crate::commands::{INIT_BYTES, to_number};
use crate::event_loop::wake;
use crate::node::NodeArguments;
use crate::roster::Roster;
use crate::seal::FastChecksum;
use crate::storage::HostStorage;
use crate::traffic::Traffic;

/// The types of a node on a host.
pub struct Host;

impl Platform for Host {
    type Memory = Memory;
    type Random = ChaCha8Rng;
    type Seal = FastChecksum;
    type Storage = HostStorage;
    type Machine = HostMachine;
    type Address = SocketAddr;
}

/// The log of a node on a host.
type Memory = Buffers<Box<[u8]>, Box<[Slot]>>;

type HostRaft = Raft<Memory, ChaCha8Rng, FastChecksum, MAX_NODES>;

/// A node on a host.
pub type HostNode = Node<Host, MAX_NODES, { SESSIONS as usize }, { PENDING as usize }>;

/// A client on a host.
pub type HostClient =
    Client<SocketAddr, FastChecksum, ChaCha8Rng, MAX_NODES, { DATAGRAM_BYTES as usize }>;

/// The machine of a host: its initial value may be larger than an operand.
pub type HostMachine = Machine<Box<[u8]>, Box<[KeySlot]>, LIMIT_BYTES, INIT_BYTES>;

/// A node: one that begins, or one that goes on from its directory. The waker ends a wait of its loop
/// when something that was written has become durable; what it syncs is counted.
///
/// # Errors
/// When the nodes make no cluster, or the directory cannot be used.
pub fn node(
    roster: &Roster,
    timing: Timing,
    arguments: &NodeArguments,
    (waker, traffic): (Arc<Waker>, Traffic),
) -> io::Result<Box<HostNode>> {
    let limits = &arguments.limits;
    let options = Options { datagram: DATAGRAM_BYTES, ..Options::new(CLUSTER, roster.id, timing) };
    let options = arguments.joining.state(limits.limit(options), roster)?;
    let options = Options { is_first_start: arguments.storage.first_start, ..options };
    let mut random = random()?;
    let (storage, recovered) = match &arguments.storage.data_dir {
        None => (HostStorage::memory(SNAPSHOT_BYTES), Recovered::default()),
        Some(path) => {
            let identity = Identity { cluster: CLUSTER, id: roster.id };
            let opened =
                HostStorage::open(path, identity, &mut random, move || wake(&waker), traffic);
            opened.map_err(io::Error::other)?
        }
    };
    let others: Vec<NodeId> = roster.others.iter().map(|peer| peer.id).collect();
    let memory = memory(limits.log_bytes, limits.log_entries);
    arguments.storage.tell(roster.id, recovered.hard.as_ref());
    let raft = raft(&options, &others, memory, random, &recovered)?;
    let mut node = assemble(raft, storage, to_number(&arguments.init).unwrap_or_default());
    node.limit(limits.tables());
    restore(&mut node, &recovered)?;
    node.allow_founding();
    Ok(node)
}

/// The node of a directory whose cluster is to be given up. It is alone in the world: it speaks to
/// nobody, and nobody knows it. Whoever joins it later reaches it at this address.
///
/// # Errors
/// When the directory cannot be used, or its state not be taken by this program.
pub fn survivor(
    path: &Path,
    identity: Identity,
    address: Address,
) -> io::Result<(Box<HostNode>, Recovered)> {
    let mut random = random()?;
    let opened = HostStorage::open(path, identity, &mut random, || (), Traffic::default());
    let (storage, recovered) = opened.map_err(io::Error::other)?;
    let Identity { cluster, id } = identity;
    let timing = Timing::from_heartbeat(Ticks(1));
    let options =
        Options { datagram: DATAGRAM_BYTES, address, ..Options::new(cluster, id, timing) };
    // Twice what is there: a ring's end may waste room.
    let bytes = recovered.run.len().saturating_mul(2).max(SURVIVOR_LOG_BYTES);
    let entries = recovered.last.index.since(recovered.base.index).max(SURVIVOR_LOG_ENTRIES);
    let entries = usize::try_from(entries).unwrap_or(usize::MAX / 4).next_power_of_two();
    let raft = raft(&options, &[], memory(bytes, entries), random, &recovered)?;
    let mut node = assemble(raft, storage, Number::default());
    restore(&mut node, &recovered)?;
    Ok((node, recovered))
}

fn memory(bytes: usize, entries: usize) -> Memory {
    let slots = vec![Slot::ZERO; entries];
    Buffers::new(vec![0; bytes].into_boxed_slice(), slots.into_boxed_slice())
}

fn assemble(raft: HostRaft, storage: HostStorage, init: Number<INIT_BYTES>) -> Box<HostNode> {
    let machine = Machine::new(
        vec![0; STORE_BYTES].into_boxed_slice(),
        vec![KeySlot::EMPTY; STORE_KEYS].into_boxed_slice(),
        init,
    );
    Box::new(Node::new(raft, storage, machine))
}

/// Takes the state of the snapshot that a directory holds, if there is one.
fn restore(node: &mut HostNode, recovered: &Recovered) -> io::Result<()> {
    if let (HostStorage::Disk(disk), Some(kept)) = (node.storage(), &recovered.snapshot) {
        let mut contents = disk.contents(kept).map_err(io::Error::other)?;
        let restored = node.restore(&mut contents);
        restored
            .map_err(|_| io::Error::other("no node runs: its snapshot is not of this program"))?;
    }
    Ok(())
}

/// The protocol's part, which begins or goes on.
fn raft(
    options: &Options,
    others: &[NodeId],
    memory: Memory,
    random: ChaCha8Rng,
    recovered: &Recovered,
) -> io::Result<HostRaft> {
    let Some(saved) = recovered.saved() else {
        let raft = Raft::new(options, others, memory, random, FastChecksum);
        return raft.map_err(|error| io::Error::other(why(&error, others.len() + 1)));
    };
    let raft = Raft::recover(options, others, memory, random, FastChecksum, &saved);
    let mut raft = raft.map_err(|error| io::Error::other(why(&error, others.len() + 1)))?;
    let taken = raft.recover_run(&recovered.run);
    taken.map_err(|error| io::Error::other(format!("no node runs: {error}")))?;
    info!(
        "Node {} goes on from its directory, in term {} with entries up to index {}",
        options.id, saved.hard.term, recovered.last.index
    );
    Ok(raft)
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

/// What the log of a node has at least whose cluster is given up.
const SURVIVOR_LOG_BYTES: usize = 1 << 20;
const SURVIVOR_LOG_ENTRIES: u64 = 1 << 10;
/// The most sessions of clients that a node may be told to have: the same for all, since a node with
/// room for fewer could not follow the log.
pub const SESSIONS: u16 = 2048;
/// The most requests of clients that may wait at a node.
pub const PENDING: u16 = 1024;
const STORE_BYTES: usize = 64 << 20;
const STORE_KEYS: usize = 1 << 16;
/// Every key and value, and every session with the largest response.
const SNAPSHOT_BYTES: usize = STORE_BYTES + (8 << 20);
