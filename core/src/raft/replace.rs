//! How a member that comes back with nothing is replaced by the new life of itself.
//!
//! A life that has lost what it stored is another member: it must not count as the one that voted and
//! acknowledged. Its hellos reach the leader, which asks back under a nonce of its own, since a hello
//! may be as old as the network is slow. When the answer shows that a blank life runs where the
//! configuration names another, which is silent, the leader takes the new one in as a learner, and
//! gives it the vote of the old one by a joint configuration once it has the log. A life that was
//! taken into the epoch by a leader which then lost the entry that named it says hello again.
//!
//! A member that was absent from a first start is named without a life, which is silent for ever: its
//! first life comes in the same way.

use rand_core::Rng;

use super::change::Change;
use super::link::Owed;
use super::role::Role;
use super::{Raft, nonzero};
use crate::configuration::Part;
use crate::log::Memory;
use crate::message::{HelloReply, Standing};
use crate::seal::Seal;
use crate::types::{Index, MemberId, Nonce, Ticks};

/// What a leader has asked a life that is not the one of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    member: MemberId,
    /// Only an answer with this is of now.
    nonce: Nonce,
    /// When it, or another one, may be asked again.
    pub(crate) again_at: Ticks,
    /// The configuration then; what was asked under another says nothing of this one.
    configuration: Index,
}

impl Question {
    /// The content, for fingerprints.
    pub(crate) fn words(&self) -> [u64; 4] {
        let Self { member, nonce, again_at: _, configuration } = self;
        [u64::from(member.id.0), member.incarnation.0, nonce.0, configuration.0]
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Asks a life that says hello whether it is there, if it might replace a member. It is told
    /// where we stand the next time that it asks.
    pub(super) fn question(&mut self, peer: usize, from: MemberId) -> bool {
        if self.part_to_replace(from).is_none() {
            return false;
        }
        let nonce = Nonce(nonzero(&mut self.random));
        let (now, configuration) = (self.now, self.configuration.index);
        let again_at = now.plus(self.options.timing.heartbeat).plus(self.options.timing.heartbeat);
        let Role::Leader(leader) = &mut self.role else { return false };
        // Of two lives that say hello in turn each would void the question to the other.
        if leader.question.is_some_and(|asked| now < asked.again_at) {
            return false;
        }
        leader.question = Some(Question { member: from, nonce, again_at, configuration });
        self.owe(peer, Owed::Question { to: from.incarnation, nonce });
        true
    }

    /// Takes a life in that has answered our question: one that is blank, or that was taken into our
    /// epoch already.
    pub(super) fn on_question_answered(&mut self, from: MemberId, reply: &HelloReply) {
        let Role::Leader(leader) = &mut self.role else { return };
        let asked = leader.question.filter(|it| it.member == from && it.nonce == reply.nonce);
        let Some(asked) = asked.filter(|it| it.configuration == self.configuration.index) else {
            return self.count_stale();
        };
        leader.question = None;
        let may_enter = match reply.standing {
            Standing::Blank | Standing::FirstStart => true,
            Standing::In { epoch, .. } => epoch == self.hard.epoch,
            Standing::OtherIds => false,
        };
        let part = self.part_to_replace(asked.member).filter(|_| may_enter);
        let Some(part) = part else { return };
        let change = Change::Add {
            member: from,
            datagram: reply.datagram,
            address: reply.address,
            is_voter: part != Part::Learner,
        };
        // Where that is not possible now, it is tried again when it says hello again.
        let _entry = self.change(&[change]);
    }

    /// Which part the silent life has that this one would take the place of, if we lead and the
    /// configuration is settled.
    fn part_to_replace(&self, from: MemberId) -> Option<Part> {
        let Role::Leader(leader) = &self.role else { return None };
        let is_ready = self.commit >= leader.first && leader.handover.is_none();
        if !is_ready || self.is_changing() || self.configuration.find(from).is_some() {
            return None;
        }
        let mut parts = None;
        for named in self.configuration.members.iter().filter(|it| it.member.id == from.id) {
            let peer = self.links.iter().position(|link| link.is(named.member))?;
            let silence = self.now.since(leader.progress.get(peer)?.heard_at);
            if silence < self.options.timing.election_min {
                return None;
            }
            // Of two lives the one that votes is meant.
            parts = parts.max(Some(named.part));
        }
        let is_missed = parts.is_none() && self.takes_back && self.others.contains(&from.id);
        if is_missed { Some(Part::Voter) } else { parts }
    }
}
