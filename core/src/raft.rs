//! The protocol: what a node makes of time, datagrams and proposals.
//!
//! Each chapter of the paper is an `impl Raft` block in a file of its own; they meet in the fields
//! below, not in calls. `receive` compares terms once and calls one `on_*`.

mod alone;
mod change;
mod election;
mod evidence;
mod fingerprint;
mod first_start;
mod follower;
mod formation;
mod image;
mod install;
mod invariant;
mod leader;
mod lease;
mod link;
mod membership;
mod output;
mod patience;
mod persistence;
mod progress;
mod propose;
mod read;
mod receive;
mod recover;
mod replace;
mod report;
mod role;
mod snapshot;
mod time;
mod transfer;
mod transmit;

pub use alone::FoundError;
pub(crate) use alone::Founding;
pub use change::{Change, ChangeError};
pub use image::ResumeError;
pub use install::Piece;
pub use invariant::Violation;
pub use output::{Apply, BufferTooSmall, Install, Output, Persist, Reads, SendChunk, Transmit};
pub use persistence::{Receipt, Write};
pub use propose::ProposeError;
pub use read::{ReadError, ReadId};
pub use receive::{ClientRequest, Dropped, Received};
pub use recover::{RecoverError, Saved};
pub use transfer::TransferError;

pub(crate) use image::Retained;

use heapless::Vec;
use rand_core::Rng;

use crate::configuration::{Address, Configuration, MEMBER_BYTES_MAX};
use crate::log::{ENTRY_OVERHEAD_MAX, Log, Memory};
use crate::options::{MIN_LOG_SLOTS, Options, SetupError};
use crate::seal::Seal;
use crate::snapshot::SnapshotName;
use crate::sort::sort;
use crate::status::Counters;
use crate::types::{HardState, Incarnation, Index, MemberId, NodeId, Nonce, Ticks};
use evidence::Evidence;
use install::Incoming;
use invariant::Fault;
use link::{Link, PeerSet};
use membership::Quorums;
use persistence::Durability;
use read::ReadQueue;
use role::Role;

/// One member of a cluster, without storage, state machine or clients: see
/// [`Node`](crate::Node) for all of them together.
///
/// `N` is how many members it has room for, itself included; at most
/// [`MAX_MEMBERS`](crate::MAX_MEMBERS).
#[derive(Clone, Debug)]
pub struct Raft<M, R, S, const N: usize> {
    // What never changes.
    options: Options,
    random: R,
    seal: S,
    /// Drawn once per process: an answer to an earlier process of the same incarnation is none.
    process: Nonce,
    /// A hash of the id list, which must be the same on every node.
    ids: Nonce,

    // Figure 2, persistent state, and how much of it is on the medium.
    hard: HardState,
    log: Log<M>,
    durability: Durability,

    // Figure 2, volatile state.
    /// Never falls, never above the last entry.
    commit: Index,
    /// Never above `commit`. Entries that are not commands pass by themselves.
    applied: Index,
    /// Every member holds the log up to here, as far as the leader has said. Never above `commit`.
    everywhere: Index,
    /// The members that count, derived from the log.
    configuration: Configuration<N>,
    /// Those that counted at the log's base.
    base_configuration: Configuration<N>,
    /// Who votes in it, and which links it names; both follow from it.
    quorums: Quorums,
    followers: PeerSet,
    /// Whether some configuration has named this life of this node.
    was_member: bool,
    /// Whether a leader takes in whoever it was started with and its configuration does not name.
    takes_back: bool,
    /// How many bytes an entry may take in the log's encoding.
    entry_limit: usize,
    role: Role<N>,
    reads: ReadQueue,

    // Snapshots (section 7).
    /// The one that the medium keeps and that can be sent.
    snapshot: Option<SnapshotName>,
    /// Whether a follower may wait for one that is not kept.
    is_snapshot_wanted: bool,
    /// None is taken before then, since there was no room for the last one.
    snapshot_retry_at: Ticks,
    /// The one that is being received.
    incoming: Option<Incoming>,

    // Time.
    now: Ticks,
    /// Nothing is due before; it may be earlier than the next deadline, never later.
    wake: Ticks,
    /// The election timeout drawn last.
    timeout: Ticks,
    /// Until then a leader may be alive that we have heard: nobody is elected by us (thesis 4.2.3).
    loyal_until: Ticks,

    /// With whom it was started.
    others: Vec<NodeId, N>,
    /// What is learned of them while no leader is heard.
    evidence: Evidence,

    // What is owed to whom.
    links: Vec<Link, N>,
    /// To whom a datagram is owed that acknowledges nothing.
    sends: PeerSet,
    /// To whom a reply is owed; it may have to wait for the medium.
    replies: PeerSet,
    /// To whom a chunk of a snapshot may be due.
    chunks: PeerSet,

    counters: Counters,
    fault: Fault,
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// A node that holds nothing. It draws a new incarnation, and is blank until it forms or joins
    /// an epoch with the others.
    ///
    /// # Errors
    /// [`SetupError`] says what is wrong with the options, the ids or the memory.
    pub fn new(
        options: &Options,
        others: &[NodeId],
        memory: M,
        mut random: R,
        seal: S,
    ) -> Result<Self, SetupError> {
        let incarnation = Incarnation(nonzero(&mut random));
        let hard = HardState { incarnation, ..HardState::default() };
        // Whoever heard of this life would count on it: it must be on the medium before.
        let mut durability = Durability::default();
        durability.hard_changed();
        Self::with_hard_state(options, others, memory, random, seal, (hard, durability))
    }

    fn with_hard_state(
        options: &Options,
        others: &[NodeId],
        memory: M,
        mut random: R,
        seal: S,
        (hard, durability): (HardState, Durability),
    ) -> Result<Self, SetupError> {
        options.check(others, N)?;
        let mut log = Log::new(memory).map_err(SetupError::Log)?;
        let each = MEMBER_BYTES_MAX - Address::MAX_BYTES + options.address.as_bytes().len();
        // Beside those of the start there is, for a while, the new life of one.
        let most = N.min(others.len() + 2);
        let members = each * most + ENTRY_OVERHEAD_MAX;
        if log.largest_entry() < members || log.slot_count() < MIN_LOG_SLOTS {
            return Err(SetupError::LogTooSmall);
        }
        log.keep_reserve();
        let mut ids = Vec::<NodeId, N>::new();
        let room = ids.extend_from_slice(others);
        room.map_err(|_| SetupError::TooManyMembers { capacity: N })?;
        sort(&mut ids);
        let mut links = Vec::new();
        for id in &ids {
            let room = links.push(Link::new(*id));
            room.map_err(|_| SetupError::TooManyMembers { capacity: N })?;
        }
        let process = Nonce(nonzero(&mut random));
        let mut raft = Self {
            ids: link::ids_hash(options.id, &links),
            entry_limit: log.largest_entry(),
            options: *options,
            random,
            seal,
            process,
            hard,
            log,
            durability,
            commit: Index::ZERO,
            applied: Index::ZERO,
            everywhere: Index::ZERO,
            configuration: Configuration::default(),
            base_configuration: Configuration::default(),
            quorums: Quorums::default(),
            followers: PeerSet::EMPTY,
            was_member: false,
            takes_back: false,
            role: Role::Blank(formation::Formation::default()),
            reads: ReadQueue::default(),
            snapshot: None,
            is_snapshot_wanted: false,
            snapshot_retry_at: Ticks(0),
            incoming: None,
            now: Ticks(0),
            wake: Ticks(0),
            timeout: Ticks(0),
            loyal_until: Ticks(0),
            others: ids,
            links,
            evidence: Evidence::default(),
            sends: PeerSet::EMPTY,
            replies: PeerSet::EMPTY,
            chunks: PeerSet::EMPTY,
            counters: Counters::default(),
            fault: Fault::None,
        };
        raft.draw_timeout();
        raft.start_hello_round();
        Ok(raft)
    }

    /// This life of this node.
    #[must_use]
    pub const fn member(&self) -> MemberId {
        MemberId { id: self.options.id, incarnation: self.hard.incarnation }
    }
}

/// A random number other than zero, which everywhere means none.
fn nonzero<R: Rng>(random: &mut R) -> u64 {
    random.next_u64().max(1)
}
