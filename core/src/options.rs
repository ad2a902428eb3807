//! What an embedder chooses, and what is refused.

use crate::configuration::{Address, MIN_DATAGRAM};
use crate::log::LogError;
use crate::types::{ClusterId, NodeId, Ticks};

/// The spans of time that drive the protocol, in the embedder's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Timing {
    /// How often a leader says that it is there.
    pub heartbeat: Ticks,
    /// The shortest silence after which a follower may campaign (section 5.2). Who heard a leader
    /// within it votes for nobody else.
    pub election_min: Ticks,
    /// The longest; each silence is drawn anew between the two, both included.
    pub election_max: Ticks,
    /// The floor of the retransmission timer.
    pub retransmit_min: Ticks,
}

impl Timing {
    /// The usual proportions: elections after three to six missed heartbeats, and a retransmission
    /// timer that may fall to one tick.
    #[must_use]
    pub const fn from_heartbeat(heartbeat: Ticks) -> Self {
        Self {
            heartbeat,
            election_min: Ticks(heartbeat.0.saturating_mul(3)),
            election_max: Ticks(heartbeat.0.saturating_mul(6)),
            retransmit_min: Ticks(1),
        }
    }
}

/// Lets a leader answer reads without asking anybody, for as long as nobody else can have been
/// elected. That hangs on clocks, so it must be asked for, and on **every** member alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lease {
    /// How far the clock of any member may run from true time, in thousandths. If one runs further,
    /// a read may be answered from a state that is no longer the newest.
    pub drift_permille: u16,
}

/// What a node is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Options {
    /// The cluster, the same on every node.
    pub cluster: ClusterId,
    /// This node.
    pub id: NodeId,
    /// The protocol's spans of time.
    pub timing: Timing,
    /// The largest datagram that this node takes and sends, in bytes.
    pub datagram: u16,
    /// How many bytes of entries may be on their way to one follower; not zero.
    pub window_bytes: usize,
    /// How many chunks of snapshots may leave between two heartbeats, to all followers together; not
    /// zero.
    pub snapshot_chunks: u16,
    /// Whether reads are answered under a lease.
    pub lease: Option<Lease>,
    /// How much this node is to lead rather than others: who has less than 100 waits up to one more
    /// shortest election timeout before it campaigns. Nothing else depends on it.
    pub priority: u8,
    /// How others reach this node, for those that learn of it from the log; it may be empty.
    pub address: Address,
    /// Whether the node waits until the leader of a cluster adds it, instead of forming a cluster
    /// with the others that it is started with.
    pub is_joining: bool,
    /// Whether the operator says that this cluster is started for the very first time: then a majority
    /// of the nodes that are told so forms it, and the others come in later.
    ///
    /// It must be true only of a node that never was in the cluster with anything stored, and must be
    /// taken away once the cluster is formed. A node that has lost its disk and says it together with
    /// others that are cut off makes a second cluster, beside the one that it has forgotten. It
    /// changes nothing for a node that has stored its epoch, and a [`Node`](crate::Node) whose storage
    /// is not durable does not say it.
    pub is_first_start: bool,
}

impl Options {
    /// A node with datagrams that cross any network whole and 64 KiB on their way to each follower.
    #[must_use]
    pub const fn new(cluster: ClusterId, id: NodeId, timing: Timing) -> Self {
        Self {
            cluster,
            id,
            timing,
            datagram: 1200,
            window_bytes: 64 * 1024,
            snapshot_chunks: 256,
            lease: None,
            priority: 100,
            address: Address::EMPTY,
            is_joining: false,
            is_first_start: false,
        }
    }

    pub(crate) fn check(&self, others: &[NodeId], capacity: usize) -> Result<(), SetupError> {
        let Timing { heartbeat, election_min, election_max, retransmit_min } = self.timing;
        let twice =
            |(at, id): (usize, &NodeId)| others.iter().skip(at + 1).any(|other| other == id);
        if others.contains(&self.id) || others.iter().enumerate().any(twice) {
            return Err(SetupError::DuplicateId);
        }
        if others.len() >= capacity || capacity > MAX_MEMBERS {
            return Err(SetupError::TooManyMembers { capacity });
        }
        if heartbeat.0 == 0 || retransmit_min.0 == 0 || retransmit_min > heartbeat {
            return Err(SetupError::Heartbeat);
        }
        if election_min <= heartbeat || election_max < election_min {
            return Err(SetupError::ElectionTimeout);
        }
        if self.lease.is_some_and(|lease| lease.span(election_min) <= heartbeat) {
            return Err(SetupError::Lease);
        }
        if self.is_joining && self.is_first_start {
            return Err(SetupError::FirstStart);
        }
        if self.window_bytes == 0 {
            return Err(SetupError::Window);
        }
        if self.snapshot_chunks == 0 {
            return Err(SetupError::SnapshotChunks);
        }
        // The members travel in one entry; each takes 16 bytes and its address, and the rest 128.
        let members = u16::try_from(others.len()).unwrap_or(u16::MAX).saturating_add(1);
        let each = u16::try_from(self.address.as_bytes().len()).unwrap_or(u16::MAX) + 16;
        let least = members.saturating_mul(each).saturating_add(128).max(MIN_DATAGRAM);
        if self.datagram < least {
            return Err(SetupError::Datagram { least });
        }
        Ok(())
    }
}

/// The fewest slots that a member's log may have. A quarter of them is kept for the entries with
/// which leaders begin, and there may be several before one of them commits anything.
pub const MIN_LOG_SLOTS: usize = 16;

/// No capacity may be larger: a set of members is one machine word on a microcontroller.
pub const MAX_MEMBERS: usize = 32;

/// Why a node cannot be set up. Nothing has been created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SetupError {
    /// Two members have the same id.
    DuplicateId,
    /// There are more members than the capacity in the type, or that is above [`MAX_MEMBERS`].
    TooManyMembers {
        /// The capacity, this node included.
        capacity: usize,
    },
    /// The heartbeat or the retransmission floor is zero, or the floor is above the heartbeat.
    Heartbeat,
    /// The shortest election timeout is not above the heartbeat, or the longest is below it.
    ElectionTimeout,
    /// What the clocks' drift leaves of the shortest election timeout is not above the heartbeat, by
    /// which a lease is renewed.
    Lease,
    /// No bytes may be on their way to a follower, so that none would get an entry.
    Window,
    /// No chunks may leave between two heartbeats, so that nobody would get a snapshot.
    SnapshotChunks,
    /// Datagrams are too small.
    Datagram {
        /// The least that works, in bytes.
        least: u16,
    },
    /// The log's memory is of no use.
    Log(LogError),
    /// The log has fewer than [`MIN_LOG_SLOTS`] slots, or the entry that names the members takes
    /// more than a quarter of its bytes.
    LogTooSmall,
    /// What was stored names no incarnation, or is not of one piece.
    Stored,
    /// The node is to join a cluster and to start one.
    FirstStart,
}

impl core::fmt::Display for SetupError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::DuplicateId => f.write_str("two members have the same id"),
            Self::TooManyMembers { capacity } => {
                write!(f, "there are more than {capacity} members")
            }
            Self::Heartbeat => f.write_str(
                "the heartbeat must be positive and not below the retransmission floor",
            ),
            Self::ElectionTimeout => f.write_str(
                "the election timeout must be longer than the heartbeat, its maximum not below its minimum",
            ),
            Self::Lease => f.write_str(
                "the drift of the clocks leaves less than a heartbeat of the election timeout for a lease",
            ),
            Self::Window => f.write_str(
                "with no bytes on their way to a follower, the window, none would get an entry",
            ),
            Self::SnapshotChunks => f.write_str(
                "with no chunks of snapshots between two heartbeats nobody would get a snapshot",
            ),
            Self::Datagram { least } => write!(f, "datagrams must have at least {least} bytes"),
            Self::Log(error) => write!(f, "the log's memory is of no use: {error:?}"),
            Self::LogTooSmall => write!(
                f,
                "the log has fewer than {MIN_LOG_SLOTS} slots, or too few bytes for the members"
            ),
            Self::Stored => f.write_str("the stored state is not of one piece"),
            Self::FirstStart => {
                f.write_str("a node either joins a cluster or starts one for the first time")
            }
        }
    }
}

impl core::error::Error for SetupError {}
