//! What a node says of itself, and what it counts.

use serde::{Deserialize, Serialize};

use crate::options::MAX_MEMBERS;
use crate::types::{EntryId, Epoch, Index, MemberId, NodeId, Term, Ticks};
use crate::wire::body::derived;

/// The role of a node (section 5.1; pre-candidates are of thesis 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RoleName {
    /// It has joined no epoch.
    Blank,
    /// It follows whoever leads.
    Follower,
    /// It asks whether it would be elected, without disturbing anybody.
    PreCandidate,
    /// It asks to be elected.
    Candidate,
    /// It leads.
    Leader,
}

impl core::fmt::Display for RoleName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Self::Blank => "blank",
            Self::Follower => "follower",
            Self::PreCandidate => "pre-candidate",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
        })
    }
}

/// How far a node is on its way from holding nothing to counting, or that there is no way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Condition {
    /// It holds nothing, and waits for the others or for a leader.
    Blank,
    /// It is in an epoch, but no committed configuration that it knows names it yet, or only as one
    /// that is to get a vote, or one is being replaced by another. Whoever restarts nodes one after
    /// the other waits until it is ready.
    CatchingUp,
    /// A committed configuration names it.
    Ready,
    /// So many members have lost what they held that no majority is left, as far as it knows; it may
    /// be merely behind.
    Hopeless,
    /// All others have confirmed that nothing can come of the epoch any more. It keeps what it holds.
    Halted,
}

impl core::fmt::Display for Condition {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Self::Blank => "blank",
            Self::CatchingUp => "catching up",
            Self::Ready => "ready",
            Self::Hopeless => "hopeless",
            Self::Halted => "halted",
        })
    }
}

/// How a node is, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status {
    /// Who it is.
    pub member: MemberId,
    /// The epoch it has joined; zero while it is blank.
    pub epoch: Epoch,
    /// Its role.
    pub role: RoleName,
    /// How far it is.
    pub condition: Condition,
    /// Its term.
    pub term: Term,
    /// The leader it knows in that term.
    pub leader: Option<NodeId>,
    /// The last entry known to be committed.
    pub commit: Index,
    /// The last entry applied.
    pub applied: Index,
    /// The entry before the first one kept.
    pub base: EntryId,
    /// The last entry of the log.
    pub last: EntryId,
    /// The last entry known to be durable.
    pub durable: Index,
    /// How many bytes of the log are taken.
    pub log_bytes: u32,
    /// How many there are.
    pub log_capacity: u32,
    /// What else is of fixed capacity.
    pub limits: Limits,
    /// How many members its configuration names; zero while it knows none.
    pub members: u8,
    /// How many it was started with, itself included.
    pub expected: u8,
    /// How many others have answered while it is blank.
    pub answered: u8,
    /// What it has counted.
    pub counters: Counters,
}

impl Status {
    /// Reads the bytes that a node sends of itself. `None` if they are not the one encoding of a
    /// status.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        derived(bytes)
    }
}

/// How full a node is, beside the bytes of its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// The entries of the log, and its slots.
    pub log_entries: Gauge,
    /// How many bytes of the log are not known to be committed; the log bounds them.
    pub uncommitted_bytes: u32,
    /// How many bytes of entries, or of a snapshot, may be on their way to one follower, to compare with
    /// [`ProgressStatus::in_flight_bytes`].
    pub window_bytes: u32,
    /// The members that the configuration names.
    pub members: Gauge,
    /// The sessions of clients that are open; zeros where only the protocol was asked.
    pub sessions: Gauge,
    /// The requests of clients, reads and answers that are not sent among them; zeros where only the
    /// protocol was asked.
    pub pending: Gauge,
}

/// How much of something is taken, and how much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gauge {
    /// So much is taken.
    pub used: u32,
    /// There is so much in all.
    pub bound: u32,
}

impl Gauge {
    pub(crate) fn new(used: usize, bound: usize) -> Self {
        let word = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self { used: word(used), bound: word(bound) }
    }
}

/// How a leader sees a follower, and any node another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PeerStatus {
    /// Who it is; the incarnation is zero while unknown.
    pub member: MemberId,
    /// Whether it has answered: from inside the epoch, or while blank in the current round.
    pub has_answered: bool,
    /// As a leader sees it.
    pub progress: Option<ProgressStatus>,
}

/// Some of what a node says of the others: several [`PeerStatus`], one encoded behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PeerPage<'a>(&'a [u8]);

impl<'a> PeerPage<'a> {
    /// Reads a page. `None` if its bytes are not the one encoding of at most [`MAX_MEMBERS`] peers.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        for _ in 0..MAX_MEMBERS {
            if rest.is_empty() {
                break;
            }
            let (_, behind) = postcard::take_from_bytes::<PeerStatus>(rest).ok()?;
            let length = rest.len().checked_sub(behind.len())?;
            let _peer: PeerStatus = derived(rest.get(..length)?)?;
            rest = behind;
        }
        rest.is_empty().then_some(Self(bytes))
    }

    /// The peers, by ascending id.
    pub fn iter(self) -> impl Iterator<Item = PeerStatus> + 'a {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (peer, behind) = postcard::take_from_bytes(rest).ok()?;
            rest = behind;
            Some(peer)
        })
    }
}

/// How far a leader knows a follower to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ProgressStatus {
    /// Its log equals ours up to here, durably.
    pub matched: Index,
    /// The next entry to send.
    pub next: Index,
    /// How many entries were sent and are not acknowledged; while it is sent a snapshot, how many
    /// chunks of that.
    pub in_flight: u32,
    /// How many bytes they have; at most one datagram above [`Limits::window_bytes`].
    pub in_flight_bytes: u32,
    /// The smoothed round trip, if one was measured.
    pub round_trip: Option<Ticks>,
    /// When it was last heard, as the span until now.
    pub silent_for: Ticks,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What happened how often since the start; each stops at its largest value.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct Counters { $($(#[$doc])* pub $name: u32),* }

        impl Counters {
            /// Every counter with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u32)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }
    };
}

counters! {
    /// Datagrams dropped: not of this format, version or seal, or not one whole message.
    undecodable,
    /// Datagrams dropped: the sender is not one that we know, or claims to be us.
    unknown_sender,
    /// Datagrams dropped: meant for another cluster, node, incarnation or epoch.
    misdirected,
    /// Messages dropped: of an earlier term, round or request than the one that counts.
    stale,
    /// Messages dropped: well-formed, but none that a correct node sends.
    impossible,
    /// Nodes that answered with another list of ids.
    other_ids,
    /// Pre-votes that we asked for.
    pre_elections,
    /// Elections that we stood for.
    elections,
    /// Elections that we won.
    leaderships,
    /// Times that all others confirmed that the epoch is dead.
    epochs_lost,
    /// Leaderships given up because no quorum answered (thesis 6.2).
    quorums_lost,
    /// Votes that we granted.
    votes_granted,
    /// Rounds of heartbeats sent.
    heartbeats,
    /// Appends sent again because a timer ran out.
    retransmissions,
    /// Appends that also repeated the run before theirs.
    repeats,
    /// Appends refused because the entry before was not there.
    mismatches,
    /// Conflicting suffixes removed (section 5.3).
    truncations,
    /// Entries refused because the log was full.
    log_full,
    /// Commands refused because they fit no datagram.
    too_large,
    /// Times that the log's applied front was dropped.
    compactions,
    /// Times that a follower needed entries which are no longer kept.
    too_far_behind,
    /// Snapshots of our own state that the medium keeps.
    snapshots_saved,
    /// Snapshots of our own state that the medium has no room for.
    snapshots_refused,
    /// Transfers of snapshots begun.
    snapshots_sent,
    /// Times that our next snapshot took away what a follower was being sent: the one before, or
    /// entries.
    transfers_cut_short,
    /// Transfers that our next snapshot waits for, since the one before was cut short.
    transfers_awaited,
    /// Refusals of a follower that has no room for our snapshot.
    snapshots_unwanted,
    /// Chunks of snapshots sent.
    chunks_sent,
    /// Chunks of snapshots that the medium gathers.
    chunks_taken,
    /// Snapshots of a leader that have taken the place of our state.
    snapshots_installed,
    /// Snapshots of a leader that did not have the sum of their name.
    snapshots_damaged,
    /// Chunks of a leader's snapshot refused: the medium has no room for it, or it names more members
    /// than we have room for.
    snapshots_too_large,
    /// Changes of the members begun.
    changes,
    /// Transfers of leadership begun.
    transfers,
    /// Transfers of leadership that took too long.
    transfers_failed,
    /// Reads, or batches of them, that a lease spared a round.
    lease_reads,
    /// Rounds that confirmed a leader for reads (thesis 6.4).
    read_rounds,
    /// Reads that failed because the leader was lost.
    reads_failed,
    /// Receipts for entries since overwritten.
    late_receipts,
    /// Client requests refused because a table was full.
    busy,
    /// Sessions closed to make room.
    sessions_evicted,
    /// Requests of sessions that are no longer known.
    sessions_expired,
    /// Commands that had already taken effect.
    duplicates,
}

/// Adds one, stopping at the top.
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}
