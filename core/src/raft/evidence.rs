//! What a node that hears no leader learns of the others, and when nothing can come of its epoch.
//!
//! Where nothing is stored a restarted process is another life, and when too many members have lost
//! what they held, no majority of the configuration is left that could ever elect. Nobody can see that
//! from silence, which may be the network's. So who has waited in vain asks all others who they are,
//! in rounds under a nonce each: a life that answers for an id shows that any other life of that id
//! is gone. When two rounds have shown the same, that nobody has any hope left, the epoch is dead: who
//! holds nothing that a client was told of begins anew, and who does halts, and keeps it.

use rand_core::Rng;

use super::formation::REPEATS;
use super::link::Owed;
use super::role::Role;
use super::{Raft, nonzero};
use crate::configuration::Part;
use crate::log::{EntryKind, Memory};
use crate::message::{HelloReply, Standing};
use crate::seal::Seal;
use crate::status::{Condition, count};
use crate::types::{Epoch, Incarnation, Index, MemberId, Nonce};

/// The rounds of a node in an epoch. What was answered is at the links.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence {
    /// Only answers with this count; zero while none was asked for.
    nonce: Nonce,
    /// How often those of this round who are silent are asked again.
    repeats: u8,
    /// Whether the round before this one was answered by all.
    has_earlier: bool,
    /// Whether an answer of this round is another one than in the round before.
    has_changed: bool,
    /// Two rounds have shown that nobody has any hope.
    pub(crate) is_dead: bool,
}

impl Evidence {
    /// The content, for fingerprints.
    pub(crate) fn words(self) -> [u64; 2] {
        let flags = [self.has_earlier, self.has_changed, self.is_dead];
        let flags = flags.into_iter().fold(u64::from(self.repeats), |word, flag| {
            word.wrapping_mul(2).wrapping_add(u64::from(flag))
        });
        [self.nonce.0, flags]
    }
}

/// What the node of an id has answered last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Which life of it; zero while none has.
    pub(crate) incarnation: Incarnation,
    /// The epoch it is in; zero if it is blank, or would not say.
    epoch: Epoch,
    /// Whether nothing can come of it: it is blank, in another epoch, or sees no hope in ours.
    has_no_hope: bool,
    /// Whether it has answered in the current round.
    is_current: bool,
}

impl Seen {
    /// It has not answered.
    pub(crate) const NONE: Self = Self {
        incarnation: Incarnation(0),
        epoch: Epoch(0),
        has_no_hope: false,
        is_current: false,
    };

    /// The content, for fingerprints.
    pub(crate) fn words(self) -> [u64; 3] {
        let flags = 2 * u64::from(self.has_no_hope) + u64::from(self.is_current);
        [self.incarnation.0, self.epoch.0, flags]
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Asks all others who they are, when an election timeout has passed in vain: a leader that
    /// hears it may take us in, and the answers show whether any hope is left.
    pub(super) fn look_around(&mut self) {
        let is_named = self.configuration.find(self.member()).is_some();
        if self.is_removed() || self.options.is_joining && !is_named {
            return;
        }
        let Evidence { nonce, repeats, .. } = self.evidence;
        if nonce.0 == 0 || repeats == 0 || self.is_round_complete() {
            self.begin_questions();
        }
        self.evidence.repeats = self.evidence.repeats.saturating_sub(1);
        let nonce = self.evidence.nonce;
        for peer in 0..self.links.len() {
            let is_asked = self.links.get(peer).is_some_and(|link| !link.seen.is_current);
            if is_asked && self.is_first_of_id(peer) {
                self.owe(peer, Owed::Question { to: Incarnation(0), nonce });
            }
        }
    }

    fn begin_questions(&mut self) {
        let has_earlier = self.evidence.nonce.0 != 0 && self.is_round_complete();
        let nonce = Nonce(nonzero(&mut self.random));
        let is_dead = self.evidence.is_dead;
        self.evidence =
            Evidence { nonce, repeats: REPEATS, has_earlier, has_changed: false, is_dead };
        self.links.iter_mut().for_each(|link| link.seen.is_current = false);
    }

    fn is_round_complete(&self) -> bool {
        let mut links = self.links.iter().enumerate();
        links.all(|(peer, link)| link.seen.is_current || !self.is_first_of_id(peer))
    }

    /// Of two lives of an id the first link stands for what is known of its node.
    fn is_first_of_id(&self, peer: usize) -> bool {
        let mut before = self.links.iter().take(peer);
        self.links.get(peer).is_some_and(|link| before.all(|other| other.id != link.id))
    }

    /// Forgets what was learned: it was of another epoch or of other members, or a leader has none of
    /// it to act upon.
    pub(super) fn drop_evidence(&mut self) {
        self.evidence = Evidence::default();
        self.links.iter_mut().for_each(|link| link.seen = Seen::NONE);
    }

    /// Takes an answer of the current round; says whether it was one.
    pub(super) fn on_evidence(&mut self, from: MemberId, reply: &HelloReply) -> bool {
        let evidence = &mut self.evidence;
        if evidence.nonce.0 == 0 || reply.nonce != evidence.nonce {
            return false;
        }
        let ours = self.hard.epoch;
        let (epoch, has_no_hope) = match reply.standing {
            Standing::Blank | Standing::FirstStart => (Epoch(0), true),
            Standing::In { epoch, hopeless, leader: _ } => (epoch, hopeless || epoch != ours),
            Standing::OtherIds => (ours, false),
        };
        let Some(link) = self.links.iter_mut().find(|link| link.id == from.id) else { return true };
        let seen = Seen { incarnation: from.incarnation, epoch, has_no_hope, is_current: true };
        evidence.has_changed |= Seen { is_current: true, ..link.seen } != seen;
        link.seen = seen;
        self.judge();
        true
    }

    /// Whether two rounds have shown by now that the epoch is dead.
    fn judge(&mut self) {
        let Evidence { has_earlier, has_changed, .. } = self.evidence;
        let nobody_hopes = || {
            let mut links = self.links.iter().enumerate();
            links.all(|(peer, link)| link.seen.has_no_hope || !self.is_first_of_id(peer))
        };
        let is_dead = has_earlier
            && !has_changed
            && !self.links.is_empty()
            && self.is_round_complete()
            && nobody_hopes()
            && self.is_hopeless();
        if is_dead && !self.evidence.is_dead {
            count(&mut self.counters.epochs_lost);
        }
        if self.is_round_complete() {
            self.evidence.is_dead = is_dead;
        }
    }

    /// Whether it is known that this life is gone: another one has answered for its id, or it has
    /// answered from another epoch. Of our own id we are the one that runs.
    fn is_superseded(&self, member: MemberId) -> bool {
        if member.id == self.options.id {
            return member != self.member();
        }
        let seen = self.links.iter().find(|link| link.id == member.id).map(|link| link.seen);
        seen.filter(|seen| seen.incarnation.0 != 0).is_some_and(|seen| {
            let is_elsewhere = seen.epoch != Epoch(0) && seen.epoch != self.hard.epoch;
            seen.incarnation != member.incarnation || is_elsewhere
        })
    }

    /// Whether what we know gives us no hope: our log has no configuration or its latest does not
    /// name us, or in one of its halves those that may be alive are no majority. We may be merely
    /// behind, so we go on following, voting and acknowledging.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        !matches!(self.role, Role::Blank(_))
            && (self.configuration.find(self.member()).is_none() || self.has_lost_majority())
    }

    fn has_lost_majority(&self) -> bool {
        let is_lost = |is_in_half: fn(Part) -> bool| {
            let members = self.configuration.members.iter();
            let voters = members.filter(|member| is_in_half(member.part));
            let (mut all, mut there) = (0_usize, 0_usize);
            for voter in voters {
                all += 1;
                there += usize::from(!self.is_superseded(voter.member));
            }
            all > 0 && there <= all / 2
        };
        is_lost(Part::is_in_new_half) || is_lost(Part::is_in_old_half)
    }

    /// How far the node is on its way from blank to ready, or that there is no way.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let is_alone = self.leader().is_none();
        let configuration = &self.configuration;
        let is_settled = configuration.index <= self.commit && configuration.index > Index::ZERO;
        // Until a recruit has its vote, the life that it replaces is the one that counts.
        let named = configuration.find(self.member());
        let is_what_it_will_be = named.is_some_and(|named| named.part != Part::Recruit);
        match &self.role {
            Role::Blank(_) => Condition::Blank,
            _ if self.evidence.is_dead && is_alone => Condition::Halted,
            _ if self.has_lost_majority() && is_alone => Condition::Hopeless,
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_)
                if is_settled && !self.quorums.is_joint && is_what_it_will_be =>
            {
                Condition::Ready
            }
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {
                Condition::CatchingUp
            }
        }
    }

    /// Whether a client may have been told of something that is here: a command, or a state that
    /// entries which are no longer kept have made.
    fn holds_something(&self) -> bool {
        let (mut index, last) = (self.log.base().index, self.log.last().index);
        if index > Index::ZERO || self.snapshot.is_some() {
            return true;
        }
        while index < last {
            index = index.next();
            if self.log.entry(index).is_none_or(|entry| entry.kind == EntryKind::Command) {
                return true;
            }
        }
        false
    }

    /// Begins anew as another life, blank, if the epoch is dead and this node holds nothing that a
    /// client may have been told of; gives the epoch that it has left. Whoever holds something stays as it is, for
    /// its operator to decide: an append may still end that, if the answers were of others.
    ///
    /// With a medium that keeps entries (`is_stored`) the log must be empty too.
    pub fn leave_dead_epoch(&mut self, is_stored: bool) -> Option<Epoch> {
        let is_over = self.evidence.is_dead && self.leader().is_none();
        let is_written = is_stored && self.log.last().index > Index::ZERO;
        if !is_over || is_written || self.is_poisoned() || self.holds_something() {
            return None;
        }
        let epoch = self.hard.epoch;
        let incarnation = Incarnation(nonzero(&mut self.random));
        self.begin_anew(incarnation);
        Some(epoch)
    }
}
