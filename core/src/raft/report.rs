//! What can be seen of a node from outside, and what an embedder may drop.

use rand_core::Rng;

use super::Raft;
use super::leader::Leader;
use super::progress::Progress;
use super::role::Role;
use super::snapshot::CatchUp;
use crate::configuration::Configuration;
use crate::log::{Entry, Memory};
use crate::seal::Seal;
use crate::snapshot::SnapshotName;
use crate::status::{Counters, Gauge, Limits, PeerStatus, ProgressStatus, RoleName, Status, count};
use crate::types::{ClusterId, EntryId, HardState, Index, Term};

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// How the node is.
    #[must_use]
    pub fn status(&self) -> Status {
        let answered = match &self.role {
            Role::Blank(formation) => formation.answered.len(),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {
                self.links.iter().filter(|link| link.inside).count()
            }
        };
        Status {
            member: self.member(),
            epoch: self.hard.epoch,
            role: self.role(),
            condition: self.condition(),
            term: self.hard.term,
            leader: self.leader(),
            commit: self.commit,
            applied: self.applied,
            base: self.log.base(),
            last: self.log.last(),
            durable: self.durability.durable,
            log_bytes: u32::try_from(self.log.used_bytes()).unwrap_or(u32::MAX),
            log_capacity: u32::try_from(self.log.capacity_bytes()).unwrap_or(u32::MAX),
            limits: self.limits(),
            members: u8::try_from(self.configuration.members.len()).unwrap_or(u8::MAX),
            expected: u8::try_from(self.others.len() + 1).unwrap_or(u8::MAX),
            answered: u8::try_from(answered).unwrap_or(u8::MAX),
            counters: self.counters,
        }
    }

    fn limits(&self) -> Limits {
        let word = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (base, last) = (self.log.base().index, self.log.last().index);
        let entries = usize::try_from(last.since(base)).unwrap_or(usize::MAX);
        Limits {
            log_entries: Gauge::new(entries, self.log.slot_count()),
            uncommitted_bytes: word(self.log.bytes_between(self.commit.max(base), last)),
            window_bytes: word(self.options.window_bytes),
            members: Gauge::new(self.configuration.members.len(), N),
            sessions: Gauge::default(),
            pending: Gauge::default(),
        }
    }

    /// How the node sees the others, by ascending id.
    pub fn peers(&self) -> impl Iterator<Item = PeerStatus> + '_ {
        // Links stand in the order in which they came.
        let mut told = None;
        core::iter::from_fn(move || {
            let links = self.links.iter().enumerate();
            let members = links.map(|(peer, link)| (link.member(), peer));
            let next = members.filter(|next| told.is_none_or(|told| *next > told)).min()?;
            told = Some(next);
            self.peer(next.1)
        })
    }

    fn peer(&self, peer: usize) -> Option<PeerStatus> {
        let link = self.links.get(peer)?;
        let (has_answered, progress) = match &self.role {
            Role::Blank(formation) => (formation.answered.contains(peer), None),
            Role::Leader(leader) => (link.inside, leader.progress.get(peer)),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => (link.inside, None),
        };
        let progress = progress.map(|progress| {
            let (in_flight, in_flight_bytes) = self.in_flight(progress);
            ProgressStatus {
                matched: progress.matched,
                next: progress.next,
                in_flight,
                in_flight_bytes,
                round_trip: progress.timer.round_trip(),
                silent_for: self.now.since(progress.heard_at),
            }
        });
        Some(PeerStatus { member: link.member(), has_answered, progress })
    }

    /// How many entries, or chunks of a snapshot, are on their way to a follower, and their bytes.
    fn in_flight(&self, progress: &Progress) -> (u32, u32) {
        let (count, bytes) = match &progress.catch_up {
            CatchUp::Sending(transfer) => transfer.in_flight(),
            CatchUp::Log if progress.has_in_flight() => (
                progress.next.since(progress.oldest),
                self.log.bytes_between(progress.oldest.previous(), progress.next.previous()),
            ),
            CatchUp::Log | CatchUp::Wanting => (0, 0),
        };
        (u32::try_from(count).unwrap_or(u32::MAX), u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// What the node has counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) const fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// The node's role.
    #[must_use]
    pub const fn role(&self) -> RoleName {
        self.role.name()
    }

    /// The latest term that the node has seen.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.hard.term
    }

    /// What the node must never forget, as it is now; not all of it may be durable yet.
    #[must_use]
    pub const fn hard_state(&self) -> HardState {
        self.hard
    }

    /// The last entry known to be committed.
    #[must_use]
    pub const fn commit(&self) -> Index {
        self.commit
    }

    /// The last entry applied.
    #[must_use]
    pub const fn applied(&self) -> Index {
        self.applied
    }

    /// The last entry of the log.
    #[must_use]
    pub const fn last(&self) -> EntryId {
        self.log.last()
    }

    /// The entry before the first one kept.
    #[must_use]
    pub const fn base(&self) -> EntryId {
        self.log.base()
    }

    /// The last entry known to be durable.
    #[must_use]
    pub const fn durable_index(&self) -> Index {
        self.durability.durable
    }

    /// An entry that is kept.
    #[must_use]
    pub fn entry(&self, index: Index) -> Option<Entry<'_>> {
        self.log.entry(index)
    }

    /// The term of an entry that is kept, or of the one before them.
    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.log.term_at(index)
    }

    /// The members that count, as the log says.
    #[must_use]
    pub const fn configuration(&self) -> &Configuration<N> {
        &self.configuration
    }

    /// Whether the node is blank and says that this is the first start of its cluster.
    #[must_use]
    pub const fn is_first_start(&self) -> bool {
        matches!(self.role, Role::Blank(_)) && self.options.is_first_start
    }

    /// The cluster that the node was set up for.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.options.cluster
    }

    pub(crate) const fn seal_ref(&self) -> &S {
        &self.seal
    }

    /// The largest datagram that this node sends, in bytes: what a buffer for `poll` must hold.
    #[must_use]
    pub const fn datagram(&self) -> u16 {
        self.options.datagram
    }

    /// The last entry that may be dropped: it is applied and durable here, and every member has it.
    #[must_use]
    pub fn compactable(&self) -> Index {
        let everywhere = match &self.role {
            Role::Leader(leader) => self.held_everywhere(leader),
            Role::Blank(_) | Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {
                self.everywhere
            }
        };
        everywhere.min(self.applied).min(self.durability.durable)
    }

    /// Whether it is time to compact: an entry has found no room, or more than half of the log's
    /// bytes or slots are taken, and something may go.
    #[inline]
    #[must_use]
    pub fn needs_compaction(&self) -> bool {
        let is_half_full = self.has_less_room_than(4);
        if !is_half_full && !self.log.is_pressed() {
            return false;
        }
        self.has_enough_to_drop() || self.may_save_snapshot()
    }

    /// Whether fewer eighths than these of the log's bytes or slots are free.
    #[inline]
    fn has_less_room_than(&self, eighths: usize) -> bool {
        self.log.free_bytes() < self.log.capacity_bytes() / 8 * eighths
            || self.log.free_entries() < self.log.slot_count() / 8 * eighths
    }

    /// Whether dropping what every member holds is worth it: a quarter of the entries, or anything
    /// at all if an entry has found no room.
    #[must_use]
    pub fn has_enough_to_drop(&self) -> bool {
        self.is_worth_it(self.compactable())
    }

    /// Whether a snapshot of what is applied may be taken, and would help: it is durable, it makes
    /// room or somebody waits for it, and there was room for the last one. While one is being sent
    /// none takes its place until the log is nearly full, and then one waits for a transfer that
    /// was cut short before, for as long as `patience.rs` says.
    #[must_use]
    pub fn may_save_snapshot(&self) -> bool {
        let is_useful = self.wants_snapshot() || self.is_worth_it(self.base_behind_snapshot());
        let is_durable = self.applied <= self.durability.durable;
        is_useful && is_durable && self.now >= self.snapshot_retry_at && !self.is_disturbing()
    }

    /// Whether a new snapshot would do more harm than good now.
    fn is_disturbing(&self) -> bool {
        if self.is_nearly_full() {
            self.is_waiting_for_follower()
        } else {
            self.is_sending_snapshot()
        }
    }

    /// Where the log would begin behind a snapshot that is taken now: an eighth of the log stays,
    /// for those who are a little behind, unless an entry has found no room. A leader keeps what
    /// those lack that it hears, unless the log is nearly full: else who has just got a snapshot
    /// would need the next one.
    #[must_use]
    pub fn base_behind_snapshot(&self) -> Index {
        let most = self.applied.min(self.durability.durable);
        if self.log.is_pressed() {
            return most;
        }
        let tail = self.log.first_within(self.log.capacity_bytes() / 8).previous();
        let slots = u64::try_from(self.log.slot_count() / 8).unwrap_or(0);
        let tail = tail.max(Index(self.log.last().index.0.saturating_sub(slots)));
        let tail = match &self.role {
            Role::Leader(leader) if !self.is_nearly_full() => self.lacked_by_followers(leader),
            Role::Leader(_)
            | Role::Blank(_)
            | Role::Follower(_)
            | Role::PreCandidate(_)
            | Role::Candidate(_) => None,
        }
        .map_or(tail, |matched| matched.min(tail));
        tail.min(most).max(self.log.base().index)
    }

    /// Up to where all followers hold the log that were heard lately and need no snapshot.
    fn lacked_by_followers(&self, leader: &Leader<N>) -> Option<Index> {
        let peers = leader.progress.iter().enumerate();
        let heard = peers.filter(|(peer, progress)| {
            self.followers.contains(*peer)
                && matches!(progress.catch_up, CatchUp::Log)
                && self.now.since(progress.heard_at) < self.options.timing.election_min
        });
        heard.map(|(_, progress)| progress.matched).min()
    }

    /// Whether an entry has found no room, or less than three eighths of the log are free: commands
    /// have all but a quarter of the slots.
    fn is_nearly_full(&self) -> bool {
        self.log.is_pressed() || self.has_less_room_than(3)
    }

    #[inline]
    fn is_worth_it(&self, upto: Index) -> bool {
        let base = self.log.base().index;
        let held = self.log.last().index.since(base);
        upto.since(base) > if self.log.is_pressed() { 0 } else { held / 4 }
    }

    /// The configuration that counts where the last applied entry stands.
    #[must_use]
    pub fn applied_configuration(&self) -> Configuration<N> {
        self.configuration_at(self.applied)
    }

    /// The snapshot that is kept and can be sent.
    #[must_use]
    pub const fn kept_snapshot(&self) -> Option<SnapshotName> {
        self.snapshot
    }

    /// Drops entries up to `upto` from the log and returns the new base. It drops only what every
    /// member holds ([`compactable`](Self::compactable)) or what the kept snapshot covers, and only
    /// what is applied and durable. A node with a medium first stores a snapshot that covers it.
    pub fn compact(&mut self, upto: Index) -> Index {
        let covered = self.snapshot.map_or(Index::ZERO, |name| name.last.index);
        let covered = covered.min(self.applied).min(self.durability.durable);
        let upto = upto.min(self.compactable().max(covered));
        if upto > self.log.base().index {
            self.remember_base_configuration(upto);
            self.log.compact(upto);
            count(&mut self.counters.compactions);
            self.catch_up_stragglers();
            self.begin_term();
            self.tend_configuration();
        }
        self.log.base().index
    }
}
