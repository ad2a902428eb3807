//! Rules 4, 6 and 7: an abstract Raft inside an epoch.

use std::collections::BTreeSet;

use super::{Effects, Process, Role, Rules};
use crate::message::{Body, Configuration, Entry, Kind, Member, Members, Message, members_of};
use crate::mistakes::Mistake;

impl Process {
    /// The latest configuration in the log, and its index.
    #[must_use]
    pub fn configuration(&self) -> Option<(u8, Configuration)> {
        let at = |(index, entry): (u8, &Entry)| match entry.kind {
            Kind::Configuration(configuration) => Some((index, configuration)),
            Kind::Noop | Kind::Command(_) => None,
        };
        (1u8..).zip(&self.log).filter_map(at).last()
    }

    fn last_term(&self) -> u8 {
        self.log.last().map_or(0, |entry| entry.term)
    }

    /// Rule 6: by (id, incarnation), in both halves.
    fn is_majority(&self, rules: &Rules, by_id: bool, counts: impl Fn(Member) -> bool) -> bool {
        let Some((_, configuration)) = self.configuration() else { return false };
        let counted = |half: &Members| {
            let yes = members_of(half).filter(|member| {
                let any = |incarnation| counts(Member { id: member.id, incarnation });
                if by_id { (1..=64).any(any) } else { counts(*member) }
            });
            // In a first start the absent count, too.
            let of_all = rules.first_start && !rules.has(Mistake::QuorumOfThePresent);
            let voters = if of_all { usize::from(rules.members) } else { members_of(half).count() };
            yes.count() * 2 > voters
        };
        match configuration.new {
            Some(new) if rules.has(Mistake::NewHalfOnly) => counted(&new),
            _ => configuration.halves().all(counted),
        }
    }

    /// Asks for votes (section 5.2), if rule 4 lets it.
    pub fn campaign(&mut self, rules: &Rules, nonces: &mut u16, effects: &mut Effects) -> bool {
        let Some((_, configuration)) = self.configuration() else { return false };
        if self.is_blank() || self.role == Role::Leader || !configuration.names(self.me) {
            return false;
        }
        self.term += 1;
        self.role = Role::Candidate;
        self.vote = Some(self.me);
        self.votes = BTreeSet::from([self.me]);
        let (last_term, last) = (self.last_term(), length(&self.log));
        for member in everybody(&configuration) {
            self.say(member, Body::Vote { term: self.term, last_term, last }, effects);
        }
        self.count_votes(rules, nonces, effects);
        true
    }

    fn count_votes(&mut self, rules: &Rules, nonces: &mut u16, effects: &mut Effects) {
        let by_id = rules.has(Mistake::VotesById);
        if self.is_majority(rules, by_id, |member| self.votes.contains(&member)) {
            self.lead(nonces, effects);
            self.log.push(Entry { term: self.term, kind: Kind::Noop });
            self.advance(rules);
        }
    }

    pub(super) fn lead(&mut self, nonces: &mut u16, effects: &mut Effects) {
        self.role = Role::Leader;
        self.votes.clear();
        self.matched.clear();
        self.drop_evidence(nonces);
        effects.elected = true;
    }

    /// A leader sends what others lack, to members and to the learner.
    pub fn replicate(&self, effects: &mut Effects) -> bool {
        let Some((_, configuration)) = self.configuration() else { return false };
        if self.role != Role::Leader {
            return false;
        }
        let mut others = everybody(&configuration);
        others.extend(self.learner.map(|(learner, _)| learner));
        for member in others {
            let last = length(&self.log);
            // Under a planted mistake others may have more than the leader.
            let previous = self.matched.get(&member).copied().unwrap_or(last).min(last);
            let (before, entries) = self.log.split_at(usize::from(previous));
            let append = Body::Append {
                term: self.term,
                previous,
                previous_term: before.last().map_or(0, |entry| entry.term),
                entries: entries.to_vec(),
                commit: self.commit,
                mark: self.nonce,
            };
            self.say(member, append, effects);
        }
        true
    }

    /// Rule 7: a leader takes a command once its no-op is committed.
    pub fn propose(&mut self, rules: &Rules, command: u8) -> bool {
        let is_ready = self.commit > 0 && self.log[usize::from(self.commit) - 1].term == self.term;
        if self.role != Role::Leader || !is_ready || self.is_hopeless() {
            return false;
        }
        self.log.push(Entry { term: self.term, kind: Kind::Command(command) });
        self.advance(rules);
        true
    }

    /// Commits what a majority has, of the own term only (section 5.4.2).
    pub(super) fn advance(&mut self, rules: &Rules) {
        let by_id = rules.has(Mistake::LearnersCounted);
        for index in (self.commit + 1..=length(&self.log)).rev() {
            if self.log[usize::from(index) - 1].term != self.term {
                break;
            }
            let has = |member: Member| {
                member == self.me || self.matched.get(&member).is_some_and(|last| *last >= index)
            };
            if self.is_majority(rules, by_id, has) {
                self.commit = index;
                break;
            }
        }
    }

    pub(super) fn receive_in_epoch(
        &mut self,
        rules: &Rules,
        message: &Message,
        nonces: &mut u16,
        effects: &mut Effects,
    ) {
        let (is_append, is_vote) = (
            matches!(message.body, Body::Append { .. }),
            matches!(message.body, Body::Vote { .. }),
        );
        if self.is_blank() && (is_append || is_vote && !rules.has(Mistake::BlankNeverVotes)) {
            // Rule 4.
            self.epoch = message.epoch;
            self.boot = None;
            effects.joined = true;
            if !rules.has(Mistake::EvidenceKept) {
                self.drop_evidence(nonces);
            }
        }
        if message.epoch != self.epoch {
            return;
        }
        let (Body::Vote { term, .. }
        | Body::VoteReply { term, .. }
        | Body::Append { term, .. }
        | Body::AppendReply { term, .. }) = message.body
        else {
            return;
        };
        if term > self.term {
            self.term = term;
            self.vote = None;
            self.role = Role::Follower;
            self.learner = None;
        }
        match &message.body {
            Body::Vote { last_term, last, .. } => {
                let is_current = (*last_term, *last) >= (self.last_term(), length(&self.log));
                let granted = term == self.term
                    && is_current
                    && self.vote.is_none_or(|vote| vote == message.from);
                if granted {
                    self.vote = Some(message.from);
                }
                self.say(message.from, Body::VoteReply { term: self.term, granted }, effects);
            }
            Body::VoteReply { granted, .. } => {
                if term == self.term && *granted && self.role == Role::Candidate {
                    self.votes.insert(message.from);
                    self.count_votes(rules, nonces, effects);
                }
            }
            Body::Append { previous, previous_term, entries, commit, mark, .. } => {
                if term < self.term {
                    // A deposed leader learns of it.
                    let reply = Body::AppendReply { term: self.term, matched: None, mark: *mark };
                    return self.say(message.from, reply, effects);
                }
                self.role = Role::Follower;
                let matched = self.append(*previous, *previous_term, entries, *commit, nonces);
                let reply = Body::AppendReply { term, matched, mark: *mark };
                self.say(message.from, reply, effects);
            }
            Body::AppendReply { matched, mark, .. } => {
                let is_learner = self.learner.is_some_and(|(learner, _)| learner == message.from);
                let is_early = is_learner && self.learner.is_some_and(|(_, since)| *mark < since);
                if term != self.term || self.role != Role::Leader || is_early {
                    return;
                }
                if let Some(matched) = matched {
                    let known = self.matched.entry(message.from).or_default();
                    *known = (*known).max(*matched);
                    self.advance(rules);
                } else {
                    // It is sent everything again: more than it needs, and never wrong.
                    self.matched.insert(message.from, 0);
                }
            }
            Body::Hello { .. }
            | Body::HelloReply { .. }
            | Body::Boot { .. }
            | Body::BootReply { .. } => {}
        }
    }

    /// Section 5.3: what matches now, if the entry before is there.
    fn append(
        &mut self,
        previous: u8,
        previous_term: u8,
        entries: &[Entry],
        commit: u8,
        nonces: &mut u16,
    ) -> Option<u8> {
        let before = usize::from(previous);
        if before > self.log.len() || before > 0 && self.log[before - 1].term != previous_term {
            return None;
        }
        let configuration = self.configuration();
        for (offset, entry) in entries.iter().enumerate() {
            let at = before + offset;
            if self.log.get(at).is_some_and(|present| present.term != entry.term) {
                self.log.truncate(at);
            }
            if at == self.log.len() {
                self.log.push(*entry);
            }
        }
        if self.configuration() != configuration {
            self.drop_evidence(nonces);
        }
        self.halted = false;
        let matched = previous + length(entries);
        self.commit = self.commit.max(commit.min(matched));
        Some(matched)
    }
}

fn length(log: &[Entry]) -> u8 {
    u8::try_from(log.len()).expect("a walk ends long before")
}

fn everybody(configuration: &Configuration) -> BTreeSet<Member> {
    configuration.halves().flat_map(members_of).collect()
}
