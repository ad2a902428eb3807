//! Rule 5: a leader replaces a member by a later life of it.

use super::{Process, Role, Rules};
use crate::message::{BLANK, Configuration, Entry, Kind, MEMBERS_MAX, Member, Members};
use crate::mistakes::Mistake;

impl Process {
    /// Rules 5 and 8: what a leader does about its members.
    pub fn manage(&mut self, rules: &Rules, nonces: &mut u16) -> bool {
        if self.role != Role::Leader {
            return false;
        }
        if self.is_hopeless() {
            self.role = Role::Follower;
            self.learner = None;
            return true;
        }
        let Some((at, configuration)) = self.configuration() else { return false };
        let is_committed = at <= self.commit;
        if let Some(new) = configuration.new {
            if is_committed || rules.has(Mistake::JointLeftEarly) {
                self.configure(rules, Configuration { old: new, new: None }, nonces);
                return true;
            }
            return false;
        }
        if !is_committed {
            return false;
        }
        if let Some((learner, _)) = self.learner {
            let has_all = self.matched.get(&learner).is_some_and(|last| *last >= self.commit);
            let is_there = !self.is_superseded(learner);
            if is_there && has_all {
                let mut new = configuration.old;
                new[usize::from(learner.id)] = learner.incarnation;
                let next = match rules.has(Mistake::OneEntrySwap) {
                    true => Configuration { old: new, new: None },
                    false => Configuration { old: configuration.old, new: Some(new) },
                };
                self.configure(rules, next, nonces);
                return true;
            }
        }
        self.choose_learner(&configuration.old)
    }

    /// Rule 5: the next after the present one of whom there is proof.
    fn choose_learner(&mut self, members: &Members) -> bool {
        let after = self.learner.map_or(0, |(learner, _)| usize::from(learner.id) + 1);
        let ids = (0..MEMBERS_MAX).map(|id| (id + after) % MEMBERS_MAX);
        for id in ids {
            let Some(answer) = self.round[id] else { continue };
            let is_free = answer.epoch == BLANK || answer.epoch == self.epoch;
            let id8 = u8::try_from(id).expect("ids are few");
            let learner = Member { id: id8, incarnation: answer.incarnation };
            let is_present = self.learner.is_some_and(|(present, _)| present == learner);
            if members[id] != learner.incarnation && is_free && !is_present {
                self.learner = Some((learner, self.nonce));
                self.matched.remove(&learner);
                return true;
            }
        }
        false
    }

    fn configure(&mut self, rules: &Rules, next: Configuration, nonces: &mut u16) {
        self.log.push(Entry { term: self.term, kind: Kind::Configuration(next) });
        self.drop_evidence(nonces);
        self.advance(rules);
    }
}
