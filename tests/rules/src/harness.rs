//! What the rules are checked with: one node among forged peers, or a few nodes on a small network.
//! Nothing here allocates; a datagram is at most [`DATAGRAM`] bytes, and nearly every log has 640.

pub mod behind;
mod bench;
pub mod desk;
mod disk;
mod driver;
mod forged;
mod message;
mod network;
mod random;
mod room;
mod run;
mod sent;
mod shelf;

pub use bench::Bench;
pub use disk::{Disk, Persisting};
pub use driver::Driver;
pub use forged::Forged;
pub use message::{
    append, at, chunk_refused, chunk_taken, granted, handover_vote, heartbeat, matched, mismatch,
    pre_granted, pre_vote, refused, timeout_now, vote,
};
pub use network::Network;
pub use random::Random;
pub use room::{Large, Room, Small};
pub use run::{Run, command, configuration, entries, terms};
pub use sent::Sent;
pub use shelf::{SNAPSHOT_BYTES, Shelf, summary, write_state};

use coracle::Member;
use coracle::{ClusterId, Incarnation, MemberId, NodeId, Options, Ticks, Timing};

/// The cluster that everybody here is of.
pub const CLUSTER: ClusterId = ClusterId(0x0c0f_fee0_dead_beef);

/// The node with the lowest id.
pub const ONE: NodeId = NodeId(1);
/// The node that a [`Bench`] examines.
pub const TWO: NodeId = NodeId(2);
/// Another.
pub const THREE: NodeId = NodeId(3);
/// The fourth of five.
pub const FOUR: NodeId = NodeId(4);
/// The last of five.
pub const FIVE: NodeId = NodeId(5);

/// The most members that a cluster has here.
pub const MEMBERS: usize = 5;

/// The largest datagram here, in bytes.
pub const DATAGRAM: usize = 256;

/// The largest datagram here, as an option.
pub const DATAGRAM_BYTES: u16 = 256;

/// How often a leader is heard.
pub const HEARTBEAT: Ticks = Ticks(10);
/// Nobody campaigns before so much silence.
pub const ELECTION_MIN: Ticks = Ticks(30);
/// Everybody campaigns after so much silence.
pub const ELECTION_MAX: Ticks = Ticks(60);

/// The times that nearly every rule is checked with.
#[must_use]
pub fn timing() -> Timing {
    Timing {
        heartbeat: HEARTBEAT,
        election_min: ELECTION_MIN,
        election_max: ELECTION_MAX,
        retransmit_min: Ticks(1),
    }
}

/// How a node is set up here.
#[must_use]
pub fn options(id: NodeId) -> Options {
    let mut options = Options::new(CLUSTER, id, timing());
    options.datagram = DATAGRAM_BYTES;
    options.window_bytes = 256;
    options
}

/// The ids from 1 to `count` but for `id`.
#[must_use]
pub fn others(id: NodeId, count: u32) -> heapless::Vec<NodeId, 8> {
    (1..=count).map(NodeId).filter(|other| *other != id).collect()
}

/// The life of a node that a test makes up, or recovers from a disk.
#[must_use]
pub fn member(id: NodeId) -> MemberId {
    MemberId { id, incarnation: Incarnation(0xa000 + u64::from(id.0)) }
}

/// The members 1 to `count` as a configuration names them.
#[must_use]
pub fn voters(count: u32) -> heapless::Vec<Member, MEMBERS> {
    (1..=count).map(|id| Member::voter(member(NodeId(id)), DATAGRAM_BYTES)).collect()
}
