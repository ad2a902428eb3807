//! The configuration that counts: derived from the log, and met by the links (thesis 4).
//!
//! The latest configuration of the log counts as soon as it is there, committed or not; when it is
//! truncated the one before it counts again. What the log has dropped is remembered as the base's.

use rand_core::Rng;

use super::Raft;
use super::link::{Link, PeerSet};
use super::progress::Progress;
use super::role::Role;
use crate::configuration::{Configuration, Members};
use crate::log::{EntryKind, Memory};
use crate::seal::Seal;
use crate::types::{Index, MemberId, NodeId, Ticks};

/// One half of a configuration, seen from one node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Half {
    /// The links of its voters.
    pub(crate) peers: PeerSet,
    /// Whether we are one of them.
    pub(crate) has_us: bool,
    /// How many voters it has.
    pub(crate) voters: usize,
}

/// Who votes. Both halves are the same unless the configuration is joint.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quorums {
    pub(crate) new: Half,
    pub(crate) old: Half,
    pub(crate) is_joint: bool,
}

impl Half {
    /// How many of the voters are more than half of them (section 5.2).
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) const fn quorum(self) -> usize {
        self.voters / 2 + 1
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn has_quorum(self, peers: PeerSet) -> bool {
        peers.both(self.peers).len() + usize::from(self.has_us) >= self.quorum()
    }
}

impl Quorums {
    /// Whether these peers and we are a majority of each half. Who is no voter counts for nothing.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn has_quorum(&self, peers: PeerSet) -> bool {
        self.new.has_quorum(peers) && (!self.is_joint || self.old.has_quorum(peers))
    }

    /// Whether we vote in either half.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) const fn has_us(&self) -> bool {
        self.new.has_us || self.old.has_us
    }

    /// The links of the voters of both halves.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) const fn peers(&self) -> PeerSet {
        self.new.peers.with(self.old.peers)
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Takes the latest configuration of the log, if that is not the one that counts already.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn follow_configuration(&mut self) {
        let latest = self.log.last_configuration();
        if latest.unwrap_or(self.base_configuration.index) != self.configuration.index {
            self.adopt_configuration();
        }
    }

    /// Takes the latest configuration of the log, or the base's if the log has none.
    pub(super) fn adopt_configuration(&mut self) {
        let latest = self.log.last_configuration().and_then(|index| self.configuration_of(index));
        let latest = latest.unwrap_or_else(|| self.base_configuration.clone());
        if latest != self.configuration {
            self.configuration = latest;
            self.meet_configuration();
        }
    }

    /// The configuration that the entry at `index` holds. One with more members than there is room
    /// for is empty: this node cannot count them, so it never leads.
    fn configuration_of(&self, index: Index) -> Option<Configuration<N>> {
        let entry = self.log.entry(index)?;
        if entry.kind != EntryKind::Configuration {
            return None;
        }
        let members = Members::parse(entry.data)?;
        Some(
            Configuration::of(index, members)
                .unwrap_or_else(|| Configuration { index, members: heapless::Vec::new() }),
        )
    }

    /// The configuration that counts when the entry at `index`, which is kept, is the last one.
    pub(super) fn configuration_at(&self, index: Index) -> Configuration<N> {
        if self.configuration.index <= index {
            return self.configuration.clone();
        }
        let earlier = self.log.configuration_at(index).and_then(|at| self.configuration_of(at));
        earlier.unwrap_or_else(|| self.base_configuration.clone())
    }

    /// The log is about to be dropped up to `base`: what counts there must be remembered.
    pub(super) fn remember_base_configuration(&mut self, base: Index) {
        let at_base = self.configuration_at(base);
        if at_base.index != self.base_configuration.index {
            self.base_configuration = at_base;
        }
    }

    /// Addresses the links by what the configuration says of them, and counts its voters.
    pub(super) fn meet_configuration(&mut self) {
        self.drop_evidence();
        let us = self.member();
        let members = self.configuration.members.clone();
        let mut quorums = Quorums::default();
        let mut named = PeerSet::EMPTY;
        for link in &mut self.links {
            link.is_named = false;
        }
        // Those that have a link already keep it, before others look for a place.
        for member in members.iter().filter(|member| member.member.id != us.id) {
            if let Some(link) = self.links.iter_mut().find(|link| link.is(member.member)) {
                link.is_named = true;
            }
        }
        for member in &members {
            let (new, old) = (member.part.is_in_new_half(), member.part.is_in_old_half());
            quorums.new.voters += usize::from(new);
            quorums.old.voters += usize::from(old);
            quorums.is_joint |= member.part.is_joint();
            if member.member == us {
                quorums.new.has_us = new;
                quorums.old.has_us = old;
                self.was_member = true;
                continue;
            }
            // Another life of our own id is another process, or none: nobody can be sent there.
            if member.member.id == us.id {
                continue;
            }
            let Some(peer) = self.place_for(member.member) else { continue };
            self.meet_peer(peer, member.member);
            if let Some(link) = self.links.get_mut(peer) {
                link.is_named = true;
                link.datagram = member.datagram;
                link.address = member.address;
                link.leaves_at = Ticks::NEVER;
            }
            named.insert(peer);
            if new {
                quorums.new.peers.insert(peer);
            }
            if old {
                quorums.old.peers.insert(peer);
            }
        }
        (self.quorums, self.followers) = (quorums, named.with(self.leaving()));
        self.sends = self.sends.both(self.followers.with(self.strangers()));
        self.rest_others();
        let smallest = self.configuration.smallest_datagram().unwrap_or(self.options.datagram);
        let room = usize::from(smallest).saturating_sub(super::transmit::append_overhead::<S>());
        self.entry_limit = room.min(self.log.largest_entry());
    }

    /// Those who have just lost their place are told so, for a while.
    fn leaving(&mut self) -> PeerSet {
        let mut leaving = PeerSet::EMPTY;
        let leaves_at = self.now.plus(self.options.timing.election_max);
        for (peer, link) in self.links.iter_mut().enumerate().filter(|(_, link)| !link.is_named) {
            if link.leaves_at == Ticks::NEVER {
                link.leaves_at = leaves_at.plus(self.options.timing.election_max);
            }
            if link.leaves_at > self.now {
                leaving.insert(peer);
            }
        }
        leaving
    }

    /// Those who have lost their place long enough ago are told nothing any more, and nothing is
    /// waited for.
    pub(super) fn let_go(&mut self) {
        for (peer, link) in self.links.iter().enumerate() {
            if !link.is_named && link.leaves_at <= self.now {
                self.followers.remove(peer);
                self.sends.remove(peer);
            }
        }
        self.rest_others();
    }

    /// A leader waits for nothing from those whom it sends nothing, and begins anew with them if
    /// they come back.
    fn rest_others(&mut self) {
        self.chunks = self.chunks.both(self.followers);
        for peer in 0..self.links.len() {
            if !self.followers.contains(peer) {
                self.reset_progress(peer);
            }
        }
    }

    /// Whether our configuration gives us a vote; or does not, is not known to be committed, and the
    /// one before gave us one: then we may be the only one that can bring it to its end (thesis 4.2.2).
    pub(super) fn may_campaign(&self) -> bool {
        let index = self.configuration.index;
        if self.quorums.has_us() || index <= self.commit {
            return self.quorums.has_us();
        }
        let before = self.configuration_at(index.previous());
        let part = before.find(self.member()).map(|member| member.part);
        part.is_some_and(|part| part.is_in_new_half() || part.is_in_old_half())
    }

    /// The links that the configuration does not name.
    fn strangers(&self) -> PeerSet {
        let mut strangers = PeerSet::EMPTY;
        for (peer, link) in self.links.iter().enumerate() {
            if !link.is_named {
                strangers.insert(peer);
            }
        }
        strangers
    }

    /// A link for this life of a node: its own, one of its id that nobody else needs, a new one, or
    /// that of a stranger. `None` when all are needed.
    pub(super) fn place_for(&mut self, member: MemberId) -> Option<usize> {
        let position = |test: &dyn Fn(&Link) -> bool| self.links.iter().position(test);
        let found = position(&|link| link.is(member))
            .or_else(|| position(&|link| link.id == member.id && !link.is_named));
        if found.is_some() {
            return found;
        }
        let fresh = self.fresh_link(member.id);
        let Err(fresh) = self.links.push(fresh) else {
            let peer = self.links.len().checked_sub(1)?;
            self.reset_progress(peer);
            return Some(peer);
        };
        let leader = match &self.role {
            Role::Follower(follower) => follower.leader,
            Role::Blank(_) | Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => None,
        };
        let mut places = self.links.iter().enumerate();
        let (peer, _) = places.find(|(peer, link)| !link.is_named && leader != Some(*peer))?;
        *self.links.get_mut(peer)? = fresh;
        Some(peer)
    }

    /// A link whose datagrams are numbered behind all that this process has sent: an answer to an
    /// earlier one, which may be to the same life, must not pass for one to a later.
    fn fresh_link(&self, id: NodeId) -> Link {
        let mut fresh = Link::new(id);
        fresh.number = self.links.iter().map(|link| link.number).max().unwrap_or(0);
        fresh
    }

    /// From now on this link is that life of that node. What was known and owed of another is gone.
    pub(super) fn meet_peer(&mut self, peer: usize, member: MemberId) {
        let (us, cluster, epoch) = (self.member(), self.options.cluster, self.hard.epoch);
        let fresh = self.fresh_link(member.id);
        let Some(link) = self.links.get_mut(peer) else { return };
        let is_new = !link.is(member);
        if is_new && link.incarnation.0 != 0 {
            *link = fresh;
        }
        link.meet(cluster, epoch, us, member.incarnation);
        if is_new {
            self.sends.remove(peer);
            self.replies.remove(peer);
            link.reply = None;
            self.reset_progress(peer);
        }
    }

    /// A leader knows nothing of this follower.
    fn reset_progress(&mut self, peer: usize) {
        // The last entry is sent, so that it shows what this follower lacks.
        let next = self.log.last().index.max(self.log.first());
        let Role::Leader(leader) = &mut self.role else { return };
        let fresh = Progress::new(next, self.now);
        match leader.progress.get_mut(peer) {
            Some(progress) => *progress = fresh,
            None => {
                let _room = leader.progress.push(fresh);
            }
        }
    }
}
