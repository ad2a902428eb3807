//! How blank nodes find each other and form an epoch, once, all together.
//!
//! Every blank node asks all others who they are, in rounds; only answers with the round's nonce
//! count. The lowest id coordinates: when all have answered blank it fixes the members, has each of
//! them accept, which binds nobody, and then forms the epoch: its log begins with the members. The
//! first append or vote request of an epoch takes a blank node into it. What a majority may do in a
//! first start: `first_start`.

use heapless::Vec;
use rand_core::Rng;

use super::election::Granted;
use super::evidence::Evidence;
use super::link::{Link, Owed, PeerSet};
use super::membership::Quorums;
use super::role::{Follower, Role};
use super::{Raft, nonzero};
use crate::configuration::{
    Configuration, MEMBER_BYTES_MAX, Member, Members, Part, encode_members,
};
use crate::log::{EntryKind, Memory};
use crate::message::{BootReply, HELLO_PADDING, Hello, HelloReply, Message, Standing, VoteRequest};
use crate::seal::Seal;
use crate::status::count;
use crate::types::{EntryId, Epoch, HardState, Incarnation, Index, MemberId, Nonce, Term, Ticks};
use crate::wire::Introduction;

/// A blank node's own state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Formation {
    /// The current round's.
    nonce: Nonce,
    /// Who answered it at all.
    pub(crate) answered: PeerSet,
    /// Who answered it blank, whether it is in a first start or not.
    pub(super) blank: PeerSet,
    /// Who of them said that it is in a first start.
    pub(super) starting: PeerSet,
    /// The epoch that the coordinator has proposed in this round.
    pub(super) booting: Option<Epoch>,
    /// Whom it names with their lives.
    named: PeerSet,
    accepted: PeerSet,
    /// When those who have not answered are asked again.
    pub(crate) resend_at: Ticks,
    /// When the round is over: what was learned in it is too old to act upon.
    pub(crate) round_ends: Ticks,
}

impl Formation {
    /// The content, for fingerprints.
    pub(crate) fn words(&self) -> [u64; 5] {
        let two = |one: PeerSet, other: PeerSet| {
            u64::from(one.bits()) | u64::from(other.bits()).rotate_left(32)
        };
        let accepted = u64::from(self.accepted.bits());
        let (answers, members) = (two(self.answered, self.starting), two(self.blank, self.named));
        [self.nonce.0, answers, members, accepted, self.booting.unwrap_or_default().0]
    }
}

/// How many times the questions of a round are repeated before it is given up.
pub(super) const REPEATS: u8 = 8;

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Begins a round of hellos with a new nonce; all earlier answers are forgotten.
    pub(super) fn start_hello_round(&mut self) {
        let nonce = Nonce(nonzero(&mut self.random));
        let interval = self.options.timing.heartbeat;
        let round = Ticks(interval.0.saturating_mul(u64::from(REPEATS)));
        // Alone there is nobody to wait for; who is to be added asks nobody.
        let resend_at = match self.options.is_joining {
            true => Ticks::NEVER,
            false if self.links.is_empty() => self.now,
            false => self.now.plus(interval),
        };
        let round_ends = self.now.plus(round);
        if !matches!(self.role, Role::Blank(_)) {
            return;
        }
        self.role = Role::Blank(Formation { nonce, resend_at, round_ends, ..Formation::default() });
        let everybody = self.everybody();
        self.sends = if self.options.is_joining { PeerSet::EMPTY } else { everybody };
        self.arm(resend_at);
    }

    pub(super) fn everybody(&self) -> PeerSet {
        let mut everybody = PeerSet::EMPTY;
        (0..self.links.len()).for_each(|peer| everybody.insert(peer));
        everybody
    }

    /// Asks those again who have not answered, or begins a new round.
    pub(super) fn on_hello_time(&mut self) {
        if self.options.is_joining {
            return;
        }
        if self.links.is_empty() {
            return self.form();
        }
        let everybody = self.everybody();
        let next = self.now.plus(self.options.timing.heartbeat);
        let Role::Blank(formation) = &mut self.role else { return };
        if self.now >= formation.round_ends {
            return self.start_hello_round();
        }
        formation.resend_at = next;
        self.sends = match formation.booting {
            Some(_) => formation.named.without(formation.accepted),
            None => everybody.without(formation.answered),
        };
        if let Some(present) = self.first_start() {
            self.start_boot(present);
        }
    }

    /// Writes a hello, or the coordinator's proposal.
    pub(super) fn write_hello(&mut self, peer: usize, buffer: &mut [u8]) -> Option<usize> {
        self.sends.remove(peer);
        let Role::Blank(formation) = &self.role else { return None };
        let link = self.links.get(peer)?;
        if formation.booting.is_none() {
            let route = self.route_outside(link.id, Incarnation(0), Epoch(0));
            let hello = self.hello(formation.nonce);
            return self.seal_to(peer, route, &hello, buffer);
        }
        let route = self.route_outside(link.id, link.blank, Epoch(0));
        let mut space = [[0; MEMBER_BYTES_MAX]; N];
        let members = self.write_members(formation.named, &mut space)?;
        self.seal_to(peer, route, &Message::Boot(members), buffer)
    }

    /// A question under this nonce.
    pub(super) fn hello(&self, nonce: Nonce) -> Message<'static> {
        let (ids, datagram) = (self.ids, self.stated_datagram());
        Message::Hello(Hello { nonce, ids, datagram, padding: [0; HELLO_PADDING] })
    }

    /// We and all others, by ascending id: those that are `named` with the life that has answered
    /// this round blank, and those that are absent with none.
    fn candidates(&self, named: PeerSet) -> Vec<Member, N> {
        let us = Member {
            address: self.options.address,
            ..Member::voter(self.member(), self.stated_datagram())
        };
        let them = |(peer, link): (usize, &Link)| match named.contains(peer) {
            true => Member {
                address: link.address,
                ..Member::voter(MemberId { id: link.id, incarnation: link.blank }, link.datagram)
            },
            // How much it takes is not known: that it makes no difference is assumed.
            false => Member::voter(
                MemberId { id: link.id, incarnation: Incarnation(0) },
                self.stated_datagram(),
            ),
        };
        let links = || self.links.iter().enumerate();
        let below = links().filter(|(_, link)| link.id < self.options.id).map(them);
        let above = links().filter(|(_, link)| link.id > self.options.id).map(them);
        let mut candidates = Vec::new();
        for member in below.chain([us]).chain(above) {
            // There is room: that was checked when the node was set up.
            let _room = candidates.push(member);
        }
        candidates
    }

    fn write_members<'s>(
        &self,
        named: PeerSet,
        space: &'s mut [[u8; MEMBER_BYTES_MAX]; N],
    ) -> Option<Members<'s>> {
        let space = space.as_flattened_mut();
        let length = encode_members(&self.candidates(named), space)?;
        Members::parse(space.get(..length)?)
    }

    /// Answers who asks, blank or not; the answer is never longer than the question.
    pub(super) fn on_hello(&mut self, peer: usize, introduction: &Introduction, hello: &Hello) {
        let same_ids = hello.ids == self.ids;
        if !same_ids {
            count(&mut self.counters.other_ids);
        }
        if same_ids && self.question(peer, introduction.from) {
            return;
        }
        let to = introduction.from.incarnation;
        self.owe(peer, Owed::Hello { to, nonce: hello.nonce, same_ids });
    }

    /// Where we stand, for an answer.
    pub(super) fn standing(&self, same_ids: bool) -> Standing {
        match &self.role {
            _ if !same_ids => Standing::OtherIds,
            Role::Blank(_) if self.is_first_start() => Standing::FirstStart,
            Role::Blank(_) => Standing::Blank,
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {
                let (epoch, leader) = (self.hard.epoch, self.leader());
                Standing::In { epoch, hopeless: self.is_hopeless(), leader }
            }
        }
    }

    pub(super) fn on_hello_reply(
        &mut self,
        peer: usize,
        introduction: &Introduction,
        reply: &HelloReply,
    ) {
        let is_lowest = self.links.iter().all(|link| link.id > self.options.id);
        let everybody = self.everybody();
        let Role::Blank(formation) = &mut self.role else {
            if !self.on_evidence(introduction.from, reply) {
                self.on_question_answered(introduction.from, reply);
            }
            return;
        };
        let Some(link) = self.links.get_mut(peer) else { return };
        if reply.nonce != formation.nonce {
            return self.count_stale();
        }
        formation.answered.insert(peer);
        match reply.standing {
            Standing::Blank | Standing::FirstStart if formation.booting.is_none() => {
                link.blank = introduction.from.incarnation;
                link.datagram = reply.datagram;
                link.address = reply.address;
                formation.blank.insert(peer);
                match reply.standing {
                    Standing::FirstStart => formation.starting.insert(peer),
                    Standing::Blank | Standing::In { .. } | Standing::OtherIds => {
                        formation.starting.remove(peer);
                    }
                }
            }
            Standing::Blank | Standing::FirstStart
                if link.blank == introduction.from.incarnation => {}
            // A member was restarted, has joined another epoch, or was absent: choose anew.
            Standing::Blank | Standing::FirstStart | Standing::In { .. } => {
                if formation.booting.is_some() {
                    return self.start_hello_round();
                }
                formation.blank.remove(peer);
            }
            Standing::OtherIds => {
                formation.blank.remove(peer);
                count(&mut self.counters.other_ids);
            }
        }
        if is_lowest && formation.booting.is_none() && formation.blank == everybody {
            self.start_boot(everybody);
        }
    }

    /// Proposes us and these, who are there and blank, and the absent ones if that is not everybody,
    /// as the members of an epoch.
    fn start_boot(&mut self, named: PeerSet) {
        let mut space = [[0; MEMBER_BYTES_MAX]; N];
        let Some(members) = self.write_members(named, &mut space) else { return };
        let epoch = members.epoch(self.options.cluster);
        if let Role::Blank(formation) = &mut self.role {
            formation.booting = Some(epoch);
            formation.named = named;
            self.sends = named;
        }
    }

    /// Accepts a proposal that names us, if we are blank still. That binds us to nothing.
    pub(super) fn on_boot(
        &mut self,
        peer: usize,
        introduction: &Introduction,
        members: Members<'_>,
    ) {
        let mut present = members.iter().filter(|member| member.member.has_life());
        let coordinator = present.next().map(|first| first.member);
        let is_of_all = present.count() == self.links.len();
        let accepted = matches!(self.role, Role::Blank(_))
            && !self.options.is_joining
            && coordinator == Some(introduction.from)
            && members.count() == self.links.len() + 1
            && members.iter().all(|member| member.part == Part::Voter)
            && members.iter().any(|member| member.member == self.member())
            && (is_of_all || self.accepts_first_start(members));
        let epoch = members.epoch(self.options.cluster);
        if accepted && self.options.is_first_start {
            // It has half a round's time before we would propose anything ourselves.
            self.start_hello_round();
        }
        self.owe(peer, Owed::Boot { to: introduction.from.incarnation, epoch, accepted });
    }

    pub(super) fn on_boot_reply(
        &mut self,
        peer: usize,
        introduction: &Introduction,
        reply: &BootReply,
    ) {
        let Role::Blank(formation) = &mut self.role else { return self.count_stale() };
        let Some(link) = self.links.get(peer) else { return };
        let is_current = formation.booting == Some(reply.epoch)
            && formation.named.contains(peer)
            && link.blank == introduction.from.incarnation;
        if !is_current {
            return self.count_stale();
        }
        if !reply.accepted {
            return self.start_hello_round();
        }
        formation.accepted.insert(peer);
        if formation.accepted == formation.named {
            self.form();
        }
    }

    /// Forms the epoch: its first entry names the members, and we lead its first term.
    fn form(&mut self) {
        let Role::Blank(Formation { named, .. }) = self.role else { return };
        let mut space = [[0; MEMBER_BYTES_MAX]; N];
        let Some(members) = self.write_members(named, &mut space) else { return };
        let first = Term(1);
        // An empty log has room for it: that was checked when the node was set up.
        let Ok(entry) = self.log.append(first, EntryKind::Configuration, members.bytes()) else {
            return self.start_hello_round();
        };
        self.hard.epoch = members.epoch(self.options.cluster);
        self.hard.term = first;
        self.hard.vote = Some(self.member());
        self.durability.hard_changed();
        self.adopt_configuration();
        self.lead_from(entry.index, entry.index);
    }

    /// Whether a crash let the hard state of [`form`](Self::form) reach the medium, but not the entry
    /// that was written with it. Nobody else votes for itself without a log.
    pub(super) fn was_cut_off_forming(&self) -> bool {
        self.hard.vote == Some(self.member()) && self.log.last() == EntryId::default()
    }

    /// Goes back to being blank, in the same life. Nobody has heard of the epoch: its first append
    /// would have left when both were on the medium.
    pub(super) fn forget_epoch(&mut self) {
        self.begin_anew(self.hard.incarnation);
    }

    /// Is blank from now on, as this life, and knows nothing but with whom it was started.
    pub(super) fn begin_anew(&mut self, incarnation: Incarnation) {
        self.hard = HardState { incarnation, ..HardState::default() };
        self.durability.hard_changed();
        self.fail_reads();
        if self.log.last() != EntryId::default() {
            self.log.reset(EntryId::default());
            self.durability.replaced(Index::ZERO);
        }
        (self.commit, self.applied, self.everywhere) = (Index::ZERO, Index::ZERO, Index::ZERO);
        self.configuration = Configuration::default();
        self.base_configuration = Configuration::default();
        (self.quorums, self.followers) = (Quorums::default(), PeerSet::EMPTY);
        (self.was_member, self.entry_limit) = (false, self.log.largest_entry());
        (self.incoming, self.loyal_until) = (None, self.now);
        self.evidence = Evidence::default();
        self.links.clear();
        for id in &self.others {
            // There is room: there was at the start.
            let _room = self.links.push(Link::new(*id));
        }
        (self.replies, self.chunks) = (PeerSet::EMPTY, PeerSet::EMPTY);
        self.role = Role::Blank(Formation::default());
        self.start_hello_round();
    }

    /// A blank node's answer to a pre-vote of an epoch that it is not in: yes, and nothing changes.
    pub(super) fn on_blank_pre_vote(
        &mut self,
        peer: usize,
        introduction: &Introduction,
        request: VoteRequest,
    ) {
        let (to, epoch) = (introduction.from.incarnation, introduction.epoch);
        let request = Granted { asked: request.term, granted: true };
        self.owe(peer, Owed::BlankPreVote { to, epoch, request });
    }

    /// The first append or vote request takes a blank node into its epoch, with an empty log.
    pub(super) fn join(&mut self, epoch: Epoch) {
        self.hard.epoch = epoch;
        self.durability.hard_changed();
        self.forget_replies();
        self.drop_evidence();
        self.sends = PeerSet::EMPTY;
        self.role = Role::Follower(Follower::new(None, self.now, Index::ZERO));
        self.draw_timeout();
        self.arm(self.now.plus(self.timeout));
    }
}
