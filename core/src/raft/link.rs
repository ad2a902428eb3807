//! The other nodes: how they are addressed, and what is owed to each.

use heapless::Vec;
use rand_core::Rng;

use super::Raft;
use super::election::Granted;
use super::evidence::Seen;
use crate::configuration::{Address, MIN_STATED_DATAGRAM};
use crate::log::Memory;
use crate::seal::Seal;
use crate::types::{ClusterId, EntryId, Epoch, Incarnation, Index, MemberId, NodeId, Nonce, Ticks};
use crate::wire::hash::Hash;
use crate::wire::{Introduction, Route};

/// What we know of another node, and what we owe it.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) id: NodeId,
    /// Which life of it belongs to our epoch; zero while unknown.
    pub(crate) incarnation: Incarnation,
    /// Whether the configuration names that life.
    pub(crate) is_named: bool,
    /// Until when it is told of the configuration without it. `NEVER` while it is named.
    pub(crate) leaves_at: Ticks,
    /// Whether it has spoken from inside the epoch, so that it knows our tag.
    pub(crate) inside: bool,
    tag_out: u64,
    pub(crate) tag_in: u64,
    /// The number of the last datagram sent to it.
    pub(crate) number: u64,
    /// The largest datagram it takes, in bytes.
    pub(crate) datagram: u16,
    /// How it is reached, if it or the configuration has said.
    pub(crate) address: Address,
    /// Which life answered the current hello round, blank.
    pub(crate) blank: Incarnation,
    /// What the node has answered when we heard no leader.
    pub(crate) seen: Seen,
    /// A newer reply replaces an unsent one: to Raft that is one lost datagram.
    pub(crate) reply: Option<Owed>,
}

/// A reply that has not been sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owed {
    Hello {
        to: Incarnation,
        nonce: Nonce,
        same_ids: bool,
    },
    /// Whether a life that says hello is there now.
    Question {
        to: Incarnation,
        nonce: Nonce,
    },
    Boot {
        to: Incarnation,
        epoch: Epoch,
        accepted: bool,
    },
    /// A blank node's answer to a pre-vote of an epoch it is not in.
    BlankPreVote {
        to: Incarnation,
        epoch: Epoch,
        request: Granted,
    },
    PreVote(Granted),
    Vote(Granted),
    /// Up to where we match is read off when it is sent, and never exceeds what is durable. It is
    /// sent when `ready_at` is durable, which is at once for a heartbeat.
    Matched {
        echo: u64,
        ready_at: Index,
    },
    Mismatch {
        echo: u64,
        hint: EntryId,
    },
    Stale {
        echo: u64,
    },
    Read {
        echo: u64,
        nonce: Nonce,
        index: Index,
    },
    /// How far a snapshot is here.
    Chunk {
        echo: u64,
        last: Index,
        upto: u32,
        taken: u64,
    },
    /// There is no room for a snapshot.
    ChunkRefused {
        echo: u64,
        last: Index,
    },
}

impl Owed {
    /// The reply's content, for fingerprints.
    pub(crate) fn words(self) -> [u64; 4] {
        let vote = |granted: Granted| granted.asked.0.wrapping_mul(2) + u64::from(granted.granted);
        match self {
            Self::Hello { to, nonce, same_ids } => [1, to.0, nonce.0, u64::from(same_ids)],
            Self::Boot { to, epoch, accepted } => [2, to.0, epoch.0, u64::from(accepted)],
            Self::BlankPreVote { to, epoch, request } => [3, to.0, epoch.0, vote(request)],
            Self::PreVote(request) => [4, vote(request), 0, 0],
            Self::Vote(request) => [5, vote(request), 0, 0],
            Self::Matched { echo, ready_at } => [6, echo, ready_at.0, 0],
            Self::Mismatch { echo, hint } => [7, echo, hint.term.0, hint.index.0],
            Self::Stale { echo } => [8, echo, 0, 0],
            Self::Read { echo, nonce, index } => [9, echo, nonce.0, index.0],
            Self::Chunk { echo, last, upto, taken } => {
                [10, echo ^ last.0.rotate_left(32), u64::from(upto), taken]
            }
            Self::ChunkRefused { echo, last } => [11, echo, last.0, 0],
            Self::Question { to, nonce } => [12, to.0, nonce.0, 0],
        }
    }
}

impl Link {
    pub(crate) const fn new(id: NodeId) -> Self {
        Self {
            id,
            incarnation: Incarnation(0),
            is_named: false,
            leaves_at: Ticks(0),
            inside: false,
            tag_out: 0,
            tag_in: 0,
            number: 0,
            datagram: MIN_STATED_DATAGRAM,
            address: Address::EMPTY,
            blank: Incarnation(0),
            seen: Seen::NONE,
            reply: None,
        }
    }

    /// Which life of which node it is, as far as that is known.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) const fn member(&self) -> MemberId {
        MemberId { id: self.id, incarnation: self.incarnation }
    }

    /// Whether it is this life of this node.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn is(&self, member: MemberId) -> bool {
        self.id == member.id && self.incarnation == member.incarnation
    }

    /// Learns which life of it belongs to the epoch.
    pub(crate) fn meet(
        &mut self,
        cluster: ClusterId,
        epoch: Epoch,
        us: MemberId,
        incarnation: Incarnation,
    ) {
        let them = MemberId { id: self.id, incarnation };
        self.inside &= self.incarnation == incarnation;
        self.incarnation = incarnation;
        self.tag_out = Introduction { cluster, epoch, from: us, to: them }.tag();
        self.tag_in = Introduction { cluster, epoch, from: them, to: us }.tag();
    }

    /// Whether it has this tag and is known at all.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn has_tag(&self, tag: u64) -> bool {
        self.tag_in == tag && self.incarnation.0 != 0
    }
}

/// A hash of the whole id list, the same on every node that was started with the same ids.
pub(crate) fn ids_hash<const N: usize>(own: NodeId, links: &Vec<Link, N>) -> Nonce {
    let mut hash = Hash::new(0);
    let below = links.iter().filter(|link| link.id < own).map(|link| link.id);
    let above = links.iter().filter(|link| link.id > own).map(|link| link.id);
    for id in below.chain([own]).chain(above) {
        hash.add(u64::from(id.0));
    }
    Nonce(hash.nonzero())
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// How to address a message of the epoch: by tag once the peer has spoken from inside.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn route(&self, link: &Link) -> Route {
        if link.inside {
            Route::Tagged(link.tag_out)
        } else {
            self.route_outside(link.id, link.incarnation, self.hard.epoch)
        }
    }

    /// How to address a message to a node that may not be in the epoch.
    pub(super) fn route_outside(&self, id: NodeId, to: Incarnation, epoch: Epoch) -> Route {
        Route::Full(Introduction {
            cluster: self.options.cluster,
            epoch,
            from: self.member(),
            to: MemberId { id, incarnation: to },
        })
    }

    /// Owes a peer a reply, in place of any that it has not got yet.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn owe(&mut self, peer: usize, owed: Owed) {
        if let Some(link) = self.links.get_mut(peer) {
            link.reply = Some(owed);
            self.replies.insert(peer);
        }
    }

    /// Forgets the replies that belong to the term that ends.
    pub(super) fn forget_replies(&mut self) {
        for link in &mut self.links {
            link.reply = None;
        }
        self.replies = PeerSet::EMPTY;
    }
}

/// A set of links, by their place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeerSet(u32);

impl PeerSet {
    pub(crate) const EMPTY: Self = Self(0);

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn bit(peer: usize) -> u32 {
        // A place beyond the capacity has no bit; there is none, by `MAX_MEMBERS`.
        match u32::try_from(peer) {
            Ok(peer) => 1_u32.checked_shl(peer).unwrap_or(0),
            Err(_) => 0,
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn insert(&mut self, peer: usize) {
        self.0 |= Self::bit(peer);
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn remove(&mut self, peer: usize) {
        self.0 &= !Self::bit(peer);
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn contains(self, peer: usize) -> bool {
        self.0 & Self::bit(peer) != 0
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn len(self) -> usize {
        usize::try_from(self.0.count_ones()).unwrap_or(0)
    }

    /// What is in either set.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    pub(crate) const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in the other.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The first place in the set.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| usize::try_from(self.0.trailing_zeros()).unwrap_or(0))
    }

    /// The set's content as a number, for fingerprints.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }
}
