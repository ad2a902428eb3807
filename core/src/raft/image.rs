//! What a node that ends on purpose leaves of the protocol, and how a blank one takes it up.

use rand_core::Rng;

use super::Raft;
use super::role::Role;
use crate::configuration::{Configuration, MEMBER_BYTES_MAX, Members, encode_members};
use crate::log::Memory;
use crate::machine::{Full, Sink};
use crate::seal::Seal;
use crate::types::{EntryId, Epoch, HardState, Incarnation, Index, MemberId, NodeId, Term};

/// Everything of the protocol that must outlive a process but for members and entries, as words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retained {
    cluster: u64,
    id: u64,
    /// The hash of the ids that the node was started with.
    ids: u64,
    /// The largest datagram that others were told of.
    datagram: u64,
    hard: HardState,
    base: EntryId,
    last: EntryId,
    commit: Index,
    applied: Index,
    /// The entry that names the members at the base; zero where the log begins.
    configuration: Index,
    pub(crate) members_bytes: u64,
    pub(crate) log_bytes: u64,
}

/// Why a node does not go on as the life that left an image. The image is void. The node is as blank
/// as it was, in the new life that it has drawn, but for [`State`](Self::State).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResumeError {
    /// There is none, or it was looked at before.
    NoImage,
    /// It is of another form than this version's.
    Version,
    /// A byte of it is not as it was written, or bytes are missing.
    Damaged,
    /// It is of another cluster or node, or of one that was started with other ids or took larger
    /// datagrams.
    Other,
    /// It has more members or entries than there is room for.
    TooSmall,
    /// Its sessions or its state are none of this state machine's, or there is no room for them. The
    /// node is dead, since its state machine may have been touched: make another one.
    State,
    /// The storage is durable: a node is recovered from that.
    Durable,
    /// The node has run already.
    Running,
}

impl core::fmt::Display for ResumeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoImage => "there is no image",
            Self::Version => "the image is of another version",
            Self::Damaged => "the image is damaged",
            Self::Other => "the image is of another node or another set-up",
            Self::TooSmall => "there is no room for the image's members or entries",
            Self::State => "the image's state is none of this state machine",
            Self::Durable => "a node with a durable storage is recovered from that",
            Self::Running => "the node has run already",
        })
    }
}

impl core::error::Error for ResumeError {}

impl Retained {
    const WORDS: usize = 18;
    /// How many bytes it takes.
    pub(crate) const BYTES: usize = Self::WORDS * 8;

    fn write(&self, sink: &mut impl Sink) -> Result<(), Full> {
        let HardState { incarnation, epoch, term, vote } = self.hard;
        // No life is zero, so a vote of zero is none.
        let vote = vote.unwrap_or_default();
        let words: [u64; Self::WORDS] = [
            self.cluster,
            self.id,
            self.ids,
            self.datagram,
            incarnation.0,
            epoch.0,
            term.0,
            u64::from(vote.id.0),
            vote.incarnation.0,
            self.base.term.0,
            self.base.index.0,
            self.last.term.0,
            self.last.index.0,
            self.commit.0,
            self.applied.0,
            self.configuration.0,
            self.members_bytes,
            self.log_bytes,
        ];
        words.iter().try_for_each(|word| sink.write(&word.to_le_bytes()))
    }

    /// Reads what was written. `None` if no node has written it.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut words = [0; Self::WORDS];
        for (word, eight) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(eight.try_into().ok()?);
        }
        let [cluster, id, ids, datagram, incarnation, epoch, term, voted, vote, rest @ ..] = words;
        let [base_term, base, last_term, last, commit, applied, rest @ ..] = rest;
        let [configuration, members_bytes, log_bytes] = rest;
        let voted = NodeId(u32::try_from(voted).ok()?);
        let vote = MemberId { id: voted, incarnation: Incarnation(vote) };
        let vote = (vote.incarnation.0 != 0).then_some(vote);
        let hard = HardState {
            incarnation: Incarnation(incarnation),
            epoch: Epoch(epoch),
            term: Term(term),
            vote,
        };
        let retained = Self {
            cluster,
            id,
            ids,
            datagram,
            hard,
            base: EntryId { term: Term(base_term), index: Index(base) },
            last: EntryId { term: Term(last_term), index: Index(last) },
            commit: Index(commit),
            applied: Index(applied),
            configuration: Index(configuration),
            members_bytes,
            log_bytes,
        };
        retained.is_sound().then_some(retained)
    }

    /// Whether a node can be in such a state.
    fn is_sound(&self) -> bool {
        let Self { hard, base, last, commit, applied, configuration, .. } = *self;
        let is_blank = hard.epoch.0 == 0;
        let has_base = base.index > Index::ZERO;
        let is_ordered = base.index <= applied && applied <= commit && commit <= last.index;
        let has_members = self.members_bytes > 0;
        hard.incarnation.0 != 0
            && is_ordered
            && base.term <= last.term
            && last.term <= hard.term
            && (base.term.0 > 0) == has_base
            && (configuration > Index::ZERO) == has_base
            && has_members == has_base
            && configuration <= applied
            && (last.index > base.index) == (self.log_bytes > 0)
            && !(is_blank && (hard.term.0 > 0 || hard.vote.is_some() || last.index > Index::ZERO))
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Writes what must outlive the process: words, the members at the log's base, and the entries.
    pub(crate) fn retain(&self, sink: &mut impl Sink) -> Result<(), Full> {
        let base = self.log.base();
        let mut space = [[0; MEMBER_BYTES_MAX]; N];
        let space = space.as_flattened_mut();
        let length = encode_members(&self.base_configuration.members, space).ok_or(Full)?;
        let members = space.get(..length).ok_or(Full)?;
        let runs = self.log.slices(base.index.next());
        let log_bytes = runs.iter().map(|run| run.len()).sum::<usize>();
        Retained {
            cluster: self.options.cluster.0,
            id: u64::from(self.options.id.0),
            ids: self.ids.0,
            datagram: u64::from(self.stated_datagram()),
            hard: self.hard,
            base,
            last: self.log.last(),
            commit: self.commit,
            applied: self.applied,
            configuration: self.base_configuration.index,
            members_bytes: u64::try_from(members.len()).map_err(|_| Full)?,
            log_bytes: u64::try_from(log_bytes).map_err(|_| Full)?,
        }
        .write(sink)?;
        sink.write(members)?;
        runs.iter().try_for_each(|run| sink.write(run))
    }

    /// Takes the entries of what another process of this node has left into the log, and gives the
    /// members at its base. Nothing else changes; [`drop_retained`](Self::drop_retained) undoes it.
    pub(crate) fn take_retained(
        &mut self,
        retained: &Retained,
        members: &[u8],
        run: &[u8],
    ) -> Result<Configuration<N>, ResumeError> {
        let is_new = matches!(self.role, Role::Blank(_)) && self.now.0 == 0;
        if !is_new || self.is_poisoned() || self.log.last() != EntryId::default() {
            return Err(ResumeError::Running);
        }
        let is_ours = retained.cluster == self.options.cluster.0
            && retained.id == u64::from(self.options.id.0)
            && retained.ids == self.ids.0
            && retained.datagram <= u64::from(self.stated_datagram());
        if !is_ours {
            return Err(ResumeError::Other);
        }
        let mut configuration = Configuration::default();
        if !members.is_empty() {
            let members = Members::parse(members).ok_or(ResumeError::Damaged)?;
            let named = Configuration::of(retained.configuration, members);
            configuration = named.ok_or(ResumeError::TooSmall)?;
        }
        self.log.reset(retained.base);
        let taken = self.log.extend(retained.base.index, run, Index::ZERO, retained.hard.term);
        let outcome = match taken {
            Ok(_) if self.log.last() == retained.last => Ok(configuration),
            Ok(_) if self.log.used_bytes() < run.len() => Err(ResumeError::TooSmall),
            Ok(_) | Err(_) => Err(ResumeError::Damaged),
        };
        if outcome.is_err() {
            self.drop_retained();
        }
        outcome
    }

    /// The log is empty again.
    pub(crate) fn drop_retained(&mut self) {
        self.log.reset(EntryId::default());
    }

    /// Goes on as the life that has left this, whose entries were taken.
    pub(crate) fn resume(&mut self, retained: &Retained, configuration: Configuration<N>) {
        self.hard = retained.hard;
        self.commit = retained.commit;
        self.applied = retained.applied;
        self.everywhere = retained.base.index;
        self.base_configuration = configuration;
        // There is no medium: what is in the log is all that there is.
        self.durability.all_durable(self.log.last().index);
        self.adopt_configuration();
        if self.hard.epoch.0 != 0 {
            self.follow_again();
        }
        self.check_invariants();
    }
}
