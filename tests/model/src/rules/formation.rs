//! Rule 3: the first formation, by all, or by a majority in a first start.

use std::collections::BTreeSet;

use super::{Effects, Process, Rules};
use crate::message::{BLANK, Body, Configuration, Entry, Kind, Members, members_of};
use crate::mistakes::Mistake;

impl Process {
    /// Rule 3: the lowest id fixes V when all others are freshly BLANK.
    pub(super) fn coordinate(&mut self, rules: &Rules, nonces: &mut u16, effects: &mut Effects) {
        if !self.is_blank() || self.boot.is_some() {
            return;
        }
        let mut members = BLANK;
        members[usize::from(self.me.id)] = self.me.incarnation;
        for (member, answer) in members.iter_mut().zip(&self.round) {
            if let Some(answer) = answer.filter(|answer| answer.epoch == BLANK) {
                *member = answer.incarnation;
            }
        }
        let count = members_of(&members).count();
        let lowest = members_of(&members).next() == Some(self.me);
        let is_enough = match rules.has(Mistake::MajorityFormation) || rules.first_start {
            true => count * 2 > usize::from(rules.members),
            false => count == usize::from(rules.members),
        };
        if !lowest || !is_enough {
            return;
        }
        if rules.has(Mistake::OneRoundFormation) {
            return self.form(members, rules, nonces, effects);
        }
        self.boot = Some((members, BTreeSet::new()));
        for member in members_of(&members) {
            self.say(member, Body::Boot { members }, effects);
        }
    }

    /// Rule 3: an epoch begins, its log [V].
    pub(super) fn form(
        &mut self,
        members: Members,
        rules: &Rules,
        nonces: &mut u16,
        effects: &mut Effects,
    ) {
        self.epoch = members;
        self.term = 1;
        self.vote = Some(self.me);
        self.boot = None;
        let configuration = Configuration { old: members, new: None };
        self.log.push(Entry { term: 1, kind: Kind::Configuration(configuration) });
        self.lead(nonces, effects);
        effects.formed = true;
        self.advance(rules);
    }
}
