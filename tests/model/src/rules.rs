//! One process: rules 1 to 10 of a cluster that stores nothing, over an abstract Raft.

mod dead;
mod epoch;
mod evidence;
mod formation;
mod replacement;

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{
    Answer, BLANK, Body, Entry, Epoch, MEMBERS_MAX, Member, Members, Message, members_of,
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
    /// All have disks and are told that this is the first start: a majority forms the epoch.
    pub first_start: bool,
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

    /// A process that goes on from its disk: all but what figure 2 calls persistent is gone.
    #[must_use]
    pub fn recovered(&self, nonce: u16) -> Self {
        let Self { me, epoch, term, vote, log, .. } = self.clone();
        Self { epoch, term, vote, log, ..Self::blank(me, nonce) }
    }

    /// Whether it is in no epoch.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.epoch == BLANK
    }

    fn say(&self, to: Member, body: Body, effects: &mut Effects) {
        if to != self.me {
            effects.sent.push(Message { from: self.me, to, epoch: self.epoch, body });
        }
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
}
