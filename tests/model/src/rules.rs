//! One process: rules 1 to 10 of a cluster that stores nothing, over an abstract Raft.

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{
    Answer, BLANK, Body, Configuration, Entry, Epoch, Kind, MEMBERS_MAX, Member, Members, Message,
    members_of,
};
use crate::mistakes::Mistake;

/// What one step leaves behind for the network and for the invariants.
#[derive(Debug, Default)]
pub struct Effects {
    /// To be sent.
    pub sent: Vec<Message>,
    /// An epoch was formed.
    pub formed: bool,
    /// A blank process is in an epoch now.
    pub joined: bool,
    /// An election was won.
    pub elected: bool,
    /// Rule 9 took effect.
    pub declared_dead: bool,
    /// Rule 9: the process wants a new incarnation.
    pub redraw: bool,
}

/// What is the same for all processes.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How many ids there are.
    pub members: u8,
    /// What is broken on purpose.
    pub mistake: Option<Mistake>,
    /// Rule 9: Reset and not Halt.
    pub reset: bool,
}

impl Rules {
    /// Whether this is broken.
    #[must_use]
    pub fn has(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// Rule 12: how many may be down or recovering.
    #[must_use]
    pub fn tolerated(&self) -> usize {
        usize::from((self.members - 1) / 2)
    }
}

/// What Raft calls a role.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// Also of a blank process.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Won them.
    Leader,
}

/// One process, and all that it loses in a restart.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Process {
    /// Rule 1.
    pub me: Member,
    /// [`BLANK`], or the one that it joined.
    pub epoch: Epoch,
    pub term: u8,
    pub vote: Option<Member>,
    pub log: Vec<Entry>,
    pub commit: u8,
    pub role: Role,
    /// Who voted for this candidate.
    pub votes: BTreeSet<Member>,
    /// What a leader knows to be in the logs of others.
    pub matched: BTreeMap<Member, u8>,
    /// Rule 5: who is fed, and from which nonce on its acknowledgements count.
    pub learner: Option<(Member, u16)>,
    /// Rule 2: the current round's.
    pub nonce: u16,
    /// Rule 2: the answers to the current round.
    pub round: [Option<Answer>; MEMBERS_MAX],
    /// Rule 9: the answers to the round before.
    pub earlier: [Option<Answer>; MEMBERS_MAX],
    /// Rule 2: the last answer of each since evidence was dropped.
    pub seen: [Option<Answer>; MEMBERS_MAX],
    /// Rule 3: what the coordinator has fixed, and who accepts.
    pub boot: Option<(Members, BTreeSet<Member>)>,
    /// Rule 9.
    pub halted: bool,
}

fn length(log: &[Entry]) -> u8 {
    u8::try_from(log.len()).expect("a walk ends long before")
}

impl Process {
    /// Rule 1: a process at boot, BLANK.
    #[must_use]
    pub fn blank(me: Member, nonce: u16) -> Self {
        Self {
            me,
            epoch: BLANK,
            term: 0,
            vote: None,
            log: Vec::new(),
            commit: 0,
            role: Role::Follower,
            votes: BTreeSet::new(),
            matched: BTreeMap::new(),
            learner: None,
            nonce,
            round: [None; MEMBERS_MAX],
            earlier: [None; MEMBERS_MAX],
            seen: [None; MEMBERS_MAX],
            boot: None,
            halted: false,
        }
    }

    /// Whether it is in no epoch.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.epoch == BLANK
    }

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

    /// Rule 2: all evidence is dropped.
    fn drop_evidence(&mut self, nonces: &mut u16) {
        *nonces += 1;
        self.nonce = *nonces;
        self.round = [None; MEMBERS_MAX];
        self.earlier = [None; MEMBERS_MAX];
        self.seen = [None; MEMBERS_MAX];
        self.learner = None;
    }

    fn say(&self, to: Member, body: Body, effects: &mut Effects) {
        if to != self.me {
            effects.sent.push(Message { from: self.me, to, epoch: self.epoch, body });
        }
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

    /// Rule 6: by (id, incarnation), in both halves.
    fn is_majority(&self, rules: &Rules, by_id: bool, counts: impl Fn(Member) -> bool) -> bool {
        let Some((_, configuration)) = self.configuration() else { return false };
        let counted = |half: &Members| {
            let yes = members_of(half).filter(|member| {
                let any = |incarnation| counts(Member { id: member.id, incarnation });
                if by_id { (1..=64).any(any) } else { counts(*member) }
            });
            yes.count() * 2 > members_of(half).count()
        };
        match configuration.new {
            Some(new) if rules.has(Mistake::NewHalfOnly) => counted(&new),
            _ => configuration.halves().all(counted),
        }
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

    fn lead(&mut self, nonces: &mut u16, effects: &mut Effects) {
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
            let previous = self.matched.get(&member).copied().unwrap_or(last);
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
    fn advance(&mut self, rules: &Rules) {
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

    /// Rule 9: is the epoch dead?
    pub fn decide(&mut self, rules: &Rules, effects: &mut Effects) -> bool {
        if self.halted || !self.is_hopeless() {
            return false;
        }
        let is_dead = (0..rules.members).filter(|id| *id != self.me.id).all(|id| {
            let id = usize::from(id);
            self.round[id].is_some_and(|answer| {
                self.earlier[id] == Some(answer) && (answer.epoch != self.epoch || answer.hopeless)
            })
        });
        if !is_dead {
            return false;
        }
        let has_command = self.log.iter().any(|entry| matches!(entry.kind, Kind::Command(_)));
        let is_named = self.log.iter().any(|entry| match entry.kind {
            Kind::Configuration(configuration) => configuration.names(self.me),
            Kind::Noop | Kind::Command(_) => false,
        });
        effects.declared_dead = true;
        if !has_command || !is_named || rules.reset {
            effects.redraw = true;
        } else {
            self.halted = true;
            self.role = Role::Follower;
        }
        true
    }

    /// Takes a message to this id, of whatever age.
    pub fn receive(
        &mut self,
        rules: &Rules,
        message: &Message,
        nonces: &mut u16,
        effects: &mut Effects,
    ) {
        let to = message.to.incarnation;
        let is_ours = to == 0 || to == self.me.incarnation;
        if !is_ours && !rules.has(Mistake::DestinationUnchecked) {
            return;
        }
        match &message.body {
            Body::Hello { nonce } => {
                let answer = Answer {
                    incarnation: self.me.incarnation,
                    epoch: self.epoch,
                    hopeless: self.is_hopeless(),
                };
                self.say(message.from, Body::HelloReply { nonce: *nonce, answer }, effects);
            }
            Body::HelloReply { nonce, answer } => {
                if *nonce == self.nonce || rules.has(Mistake::AnyNonce) {
                    self.round[usize::from(message.from.id)] = Some(*answer);
                    self.seen[usize::from(message.from.id)] = Some(*answer);
                    self.coordinate(rules, nonces, effects);
                }
            }
            Body::Boot { members } => {
                let is_named = members[usize::from(self.me.id)] == self.me.incarnation;
                if self.is_blank() && is_named {
                    self.say(message.from, Body::BootReply { members: *members }, effects);
                }
            }
            Body::BootReply { members } => {
                let Some((fixed, accepts)) = &mut self.boot else { return };
                if fixed == members && self.epoch == BLANK {
                    accepts.insert(message.from);
                    if members_of(members)
                        .all(|member| member == self.me || accepts.contains(&member))
                    {
                        self.form(*members, rules, nonces, effects);
                    }
                }
            }
            Body::Vote { .. }
            | Body::VoteReply { .. }
            | Body::Append { .. }
            | Body::AppendReply { .. } => {
                self.receive_in_epoch(rules, message, nonces, effects);
            }
        }
    }

    /// Rule 3: the lowest id fixes V when all others are freshly BLANK.
    fn coordinate(&mut self, rules: &Rules, nonces: &mut u16, effects: &mut Effects) {
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
        let is_enough = match rules.has(Mistake::MajorityFormation) {
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
    fn form(&mut self, members: Members, rules: &Rules, nonces: &mut u16, effects: &mut Effects) {
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

    fn receive_in_epoch(
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

fn everybody(configuration: &Configuration) -> BTreeSet<Member> {
    configuration.halves().flat_map(members_of).collect()
}
