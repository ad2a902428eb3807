//! The quantities of the protocol, each a type of its own.

use postcard::fixint;
use serde::{Deserialize, Serialize};

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

/// The same for values drawn at random: their encoding has a fixed width, and people read hex.
macro_rules! random_quantity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "fixint::le")] pub u64);

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }
    };
}

quantity! {
    /// A term of office (section 5.1). Term 0 precedes every election.
    Term(u64)
}

quantity! {
    /// A position in the log. The first entry is at 1; 0 stands before it.
    Index(u64)
}

quantity! {
    /// A span or point of time, in a unit that the embedder chooses (a host uses microseconds).
    Ticks(u64)
}

quantity! {
    /// Which member of the cluster, as its operator names it: any number.
    NodeId(u32)
}

quantity! {
    /// A client's session: the index of the log entry that opened it (thesis 6.3). Zero is none.
    SessionId(u64)
}

random_quantity! {
    /// One life of a node's stored state, drawn at random when that state is created. Zero is none.
    Incarnation
}

random_quantity! {
    /// One formation of the cluster: a hash of the members that formed it. Zero is none.
    Epoch
}

random_quantity! {
    /// Which cluster a datagram belongs to, so that neighbours on one network do not mix.
    ClusterId
}

random_quantity! {
    /// A client, drawn at random by itself; it is not a member and has no vote.
    ClientId
}

random_quantity! {
    /// A random number that an answer must repeat to count.
    Nonce
}

impl Term {
    /// The term after this one; the last term is followed by itself.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Index {
    /// The position before the first entry.
    pub const ZERO: Self = Self(0);

    /// The position after this one; the last position is followed by itself.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The position before this one; zero is preceded by itself.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The position `count` entries further on, saturating.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// How many entries lie in `(base, self]`, zero if `base` is not below.
    #[must_use]
    pub const fn since(self, base: Self) -> u64 {
        self.0.saturating_sub(base.0)
    }
}

impl Ticks {
    /// A time that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// This time and `span` more, saturating.
    #[must_use]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub const fn plus(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long ago `earlier` was, zero if it is still to come.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

/// Names one entry of one epoch: no two different entries share it (section 5.3).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EntryId {
    /// The term of the leader that created the entry. Compared first: section 5.4.1's order.
    pub term: Term,
    /// Where the entry stands.
    pub index: Index,
}

/// One life of one node: what votes and acknowledgements are counted by.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MemberId {
    /// The operator's name for the node.
    pub id: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
}

impl MemberId {
    /// Whether this life is known. It is not of a member that was absent when its cluster was started
    /// by a majority, until its first life takes its place.
    #[must_use]
    pub const fn has_life(self) -> bool {
        self.incarnation.0 != 0
    }
}

/// What a node must never forget (figure 2, "persistent state"), beside its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HardState {
    /// This life of the node; zero only before the first draw.
    pub incarnation: Incarnation,
    /// The epoch it has joined; zero while it is blank.
    pub epoch: Epoch,
    /// The latest term it has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<MemberId>,
}
