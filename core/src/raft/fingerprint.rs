//! One number for everything that decides what a node will do: two nodes with the same fingerprint
//! behave alike. Model checkers compare states by it.

use rand_core::Rng;

use super::Raft;
use super::invariant::Fault;
use super::link::Link;
use super::progress::Progress;
use super::role::Role;
use super::snapshot::CatchUp;
use crate::log::Memory;
use crate::seal::Seal;
use crate::types::{MemberId, Ticks};
use crate::wire::hash::Hash;

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// A hash of the protocol's state, the same on every machine.
    ///
    /// Times count relative to now, and a deadline that is past counts as now. Counters, round-trip
    /// estimates and the random generator are left out.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Hash::new(u64::from(self.options.id.0));
        hash.add(self.hard.incarnation.0);
        hash.add(self.hard.epoch.0);
        hash.add(self.hard.term.0);
        add_member(&mut hash, self.hard.vote.unwrap_or_default());
        for id in [self.log.base(), self.log.last()] {
            hash.add(id.term.0);
            hash.add(id.index.0);
        }
        for run in self.log.slices(self.log.first()) {
            hash.add_bytes(run);
        }
        for index in [self.commit, self.applied, self.everywhere, self.durability.durable] {
            hash.add(index.0);
        }
        hash.add(self.durability.submitted.0);
        hash.add(u64::from(self.durability.is_hard_submitted()));
        hash.add(u64::from(self.log.is_pressed()));
        hash.add(self.process.0);
        hash.add(u64::from(self.durability.is_hard_durable()));
        hash.add(self.configuration.index.0);
        hash.add(u64::from(self.sends.bits()));
        hash.add(u64::from(self.replies.bits()));
        hash.add(u64::from(self.chunks.bits()));
        self.add_time(&mut hash, self.loyal_until);
        hash.add(self.base_configuration.index.0);
        hash.add(self.snapshot.map_or(0, |name| name.last.index.0));
        let incoming = self.incoming.map_or([0; 4], |incoming| incoming.words());
        incoming.into_iter().for_each(|word| hash.add(word));
        self.links.iter().for_each(|link| self.add_link(&mut hash, link));
        self.reads.words().into_iter().for_each(|word| hash.add(word));
        self.add_time(&mut hash, self.reads.resend_at());
        self.evidence.words().into_iter().for_each(|word| hash.add(word));
        self.add_role(&mut hash);
        hash.add(match self.fault {
            Fault::None => 0,
            Fault::Found(_) => 1,
            Fault::Reported(_) => 2,
        });
        hash.value()
    }

    fn add_role(&self, hash: &mut Hash) {
        match &self.role {
            Role::Blank(formation) => {
                hash.add(1);
                formation.words().into_iter().for_each(|word| hash.add(word));
                self.add_time(hash, formation.resend_at);
                self.add_time(hash, formation.round_ends);
            }
            Role::Follower(follower) => {
                hash.add(2);
                add_place(hash, follower.leader);
                hash.add(follower.verified.0);
                hash.add(follower.newest);
                self.add_time(hash, follower.since.plus(self.timeout));
            }
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
                hash.add(if matches!(self.role, Role::Candidate(_)) { 4 } else { 3 });
                hash.add(u64::from(campaign.granted.bits()));
                hash.add(u64::from(campaign.answered.bits()));
                hash.add(u64::from(campaign.is_handover));
                self.add_time(hash, campaign.resend_at);
                self.add_time(hash, campaign.since.plus(self.timeout));
            }
            Role::Leader(leader) => {
                hash.add(5);
                hash.add(leader.first.0);
                hash.add(u64::from(leader.chunks_left));
                hash.add(u64::from(leader.may_lease));
                self.add_time(hash, leader.lease_until);
                if let Some(question) = leader.question {
                    question.words().into_iter().for_each(|word| hash.add(word));
                    self.add_time(hash, question.again_at);
                }
                let handover = leader.handover;
                add_place(hash, handover.map(|handover| handover.peer));
                self.add_time(hash, handover.map_or(Ticks::NEVER, |handover| handover.ends_at));
                self.add_time(hash, leader.heartbeat_at);
                self.add_time(hash, leader.quorum_at);
                let round = leader
                    .round
                    .map_or((0, 0), |round| (u64::from(round.confirmed.bits()) + 1, round.index.0));
                hash.add(round.0);
                hash.add(round.1);
                leader.progress.iter().for_each(|progress| self.add_progress(hash, progress));
            }
        }
    }

    fn add_progress(&self, hash: &mut Hash, progress: &Progress) {
        let Progress {
            matched,
            next,
            oldest,
            repeat_from,
            probe,
            resent_at,
            resent_from,
            beat,
            catch_up,
            ..
        } = progress;
        let numbers = [*resent_at, progress.round_number];
        let indices = [matched, next, oldest, repeat_from, resent_from].map(|index| index.0);
        for word in indices.into_iter().chain(numbers) {
            hash.add(word);
        }
        hash.add(match probe {
            super::progress::Probe::No => 0,
            super::progress::Probe::Ready => 1,
            super::progress::Probe::Sent => 2,
        });
        hash.add(u64::from(*beat));
        match catch_up {
            CatchUp::Log => hash.add(0),
            CatchUp::Wanting => hash.add(1),
            CatchUp::Sending(transfer) => {
                transfer.words().into_iter().for_each(|word| hash.add(word));
            }
        }
        for asked in [progress.asked, progress.asks] {
            hash.add(asked.map_or(0, |asked| asked.number + 1));
            hash.add(asked.map_or(0, |asked| asked.nonce.0));
        }
        for time in [progress.timer.at(), progress.lossy_until] {
            self.add_time(hash, time);
        }
        hash.add(self.now.since(progress.heard_at).0);
    }

    fn add_link(&self, hash: &mut Hash, link: &Link) {
        add_member(hash, MemberId { id: link.id, incarnation: link.incarnation });
        hash.add(link.blank.0);
        link.seen.words().into_iter().for_each(|word| hash.add(word));
        hash.add(link.number);
        hash.add(u64::from(link.inside));
        let words = link.reply.map_or([0; 4], super::link::Owed::words);
        words.into_iter().for_each(|word| hash.add(word));
    }

    /// How long until then.
    fn add_time(&self, hash: &mut Hash, at: Ticks) {
        hash.add(if at == Ticks::NEVER { u64::MAX } else { at.since(self.now).0 });
    }
}

fn add_member(hash: &mut Hash, member: MemberId) {
    hash.add(u64::from(member.id.0));
    hash.add(member.incarnation.0);
}

fn add_place(hash: &mut Hash, place: Option<usize>) {
    hash.add(place.map_or(0, |place| u64::try_from(place).unwrap_or(u64::MAX).wrapping_add(1)));
}
