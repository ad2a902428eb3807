//! Rules 2 and 8: what a process knows of the others, and when nothing can come of its epoch.

use super::{Effects, Process, Rules};
use crate::message::{BLANK, Body, MEMBERS_MAX, Member, members_of};

impl Process {
    /// Rule 2: all evidence is dropped.
    pub(super) fn drop_evidence(&mut self, nonces: &mut u16) {
        *nonces += 1;
        self.nonce = *nonces;
        self.round = [None; MEMBERS_MAX];
        self.earlier = [None; MEMBERS_MAX];
        self.seen = [None; MEMBERS_MAX];
        self.learner = None;
    }

    /// Rule 2: is it known that this member is gone? Of its own id a process needs no answer.
    #[must_use]
    pub fn is_superseded(&self, member: Member) -> bool {
        if member.id == self.me.id {
            return member != self.me;
        }
        self.seen[usize::from(member.id)].is_some_and(|answer| {
            answer.incarnation != member.incarnation
                || (answer.epoch != BLANK && answer.epoch != self.epoch)
        })
    }

    /// Rule 2: asks all others who they are.
    pub fn start_round(&mut self, rules: &Rules, nonces: &mut u16, effects: &mut Effects) {
        *nonces += 1;
        self.nonce = *nonces;
        if (0..rules.members).all(|id| id == self.me.id || self.round[usize::from(id)].is_some()) {
            self.earlier = self.round;
        }
        self.round = [None; MEMBERS_MAX];
        self.boot = None;
        for id in 0..rules.members {
            if id != self.me.id {
                self.say(Member { id, incarnation: 0 }, Body::Hello { nonce: self.nonce }, effects);
            }
        }
    }

    /// Rule 8.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        if self.is_blank() {
            return false;
        }
        let Some((_, configuration)) = self.configuration() else { return true };
        !configuration.names(self.me)
            || configuration.halves().any(|half| {
                let there = members_of(half).filter(|member| !self.is_superseded(*member)).count();
                there * 2 <= members_of(half).count()
            })
    }
}
