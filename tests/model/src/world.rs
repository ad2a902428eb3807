//! All processes, and a network that loses nothing, forgets nothing and keeps no order.

use std::collections::BTreeMap;

use crate::invariants::{Ledger, Violation};
use crate::message::{BLANK, Member, Message, members_of};
use crate::mistakes::Mistake;
use crate::rules::{Effects, Process, Rules};

/// What can happen next.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Step {
    /// The message of this number arrives, not for the last time.
    Deliver(usize),
    /// A process begins a round of hellos.
    Round(u8),
    /// A process stands for election.
    Campaign(u8),
    /// A leader sends appends.
    Replicate(u8),
    /// A client's command reaches a process.
    Propose(u8),
    /// A leader looks after its members.
    Manage(u8),
    /// A process asks itself whether its epoch is dead.
    Decide(u8),
    /// A process loses everything.
    Restart(u8),
    /// All that is on its way is lost.
    Forget,
}

/// One state of the whole.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct World {
    /// By id.
    pub processes: Vec<Process>,
    /// All that was ever sent, each once.
    pub network: Vec<Message>,
    /// What the invariants remember.
    pub ledger: Ledger,
    /// More than rule 12 tolerates have been down or recovering at once.
    pub is_beyond: bool,
    incarnations: u8,
    nonces: u16,
    commands: u8,
}

impl World {
    /// All processes at their first boot.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let first = |id| Process::blank(Member { id, incarnation: id + 1 }, u16::from(id) + 1);
        let processes: Vec<Process> = (0..rules.members).map(first).collect();
        let mut ledger = Ledger::default();
        processes.iter().for_each(|process| ledger.born(process.me));
        Self {
            processes,
            network: Vec::new(),
            ledger,
            is_beyond: false,
            incarnations: rules.members,
            nonces: u16::from(rules.members),
            commands: 0,
        }
    }

    /// How many are down or recovering if this one goes down (rule 12); 0 before any commit.
    #[must_use]
    pub fn recovering(&self, down: Option<u8>) -> usize {
        let Some(configuration) = self.ledger.current() else { return 0 };
        let is_ready = |process: &&Process| {
            let me = process.me;
            Some(me.id) != down
                // One that a late datagram took elsewhere is lost to this epoch.
                && (process.is_blank() || self.ledger.is_latest(process.epoch))
                && configuration.halves().all(|half| half[usize::from(me.id)] == me.incarnation)
        };
        self.processes.len() - self.processes.iter().filter(is_ready).count()
    }

    /// Takes a step.
    ///
    /// Returns whether anything could happen.
    ///
    /// # Errors
    /// The invariant that the step broke.
    pub fn step(&mut self, rules: &Rules, step: Step) -> Result<bool, Violation> {
        let mut effects = Effects::default();
        self.ledger.now += 1;
        let (id, happened) = match step {
            Step::Deliver(number) => {
                let Some(message) = self.network.get(number).cloned() else { return Ok(false) };
                let process = &mut self.processes[usize::from(message.to.id)];
                process.receive(rules, &message, &mut self.nonces, &mut effects);
                (message.to.id, true)
            }
            Step::Round(id) => {
                self.of(id).start_round(rules, &mut effects);
                (id, true)
            }
            Step::Campaign(id) => (id, self.of(id).campaign(rules, &mut effects)),
            Step::Replicate(id) => (id, self.of(id).0.replicate(&mut effects)),
            Step::Propose(id) => {
                let command = self.commands + 1;
                let taken = self.of(id).0.propose(rules, command);
                self.commands += u8::from(taken);
                (id, taken)
            }
            Step::Manage(id) => (id, self.of(id).manage(rules)),
            Step::Decide(id) => (id, self.of(id).0.decide(rules, &mut effects)),
            Step::Forget => {
                self.network.clear();
                return Ok(true);
            }
            Step::Restart(id) if rules.first_start => {
                self.recover(rules, id);
                (id, true)
            }
            Step::Restart(id) => {
                let same = rules.has(Mistake::SameIdentity);
                self.restart(id, same);
                (id, true)
            }
        };
        for message in effects.sent.drain(..) {
            if !self.network.contains(&message) {
                self.network.push(message);
            }
        }
        let process = &self.processes[usize::from(id)];
        self.ledger.judge(rules, process, &effects, self.is_beyond)?;
        self.is_beyond |= self.recovering(None) > rules.tolerated();
        let erases = effects.redraw.then_some(id);
        self.ledger.judge_copies(rules, &self.processes, erases, self.is_beyond)?;
        if effects.redraw {
            self.restart(id, rules.has(Mistake::ResetWithoutRedraw));
        }
        Ok(happened)
    }

    fn restart(&mut self, id: u8, same: bool) {
        self.nonces += 1;
        let process = &mut self.processes[usize::from(id)];
        let mut me = process.me;
        self.ledger.ended(me);
        if !same {
            self.incarnations += 1;
            me.incarnation = self.incarnations;
        }
        *process = Process::blank(me, self.nonces);
        self.ledger.born(me);
    }

    /// A process with a disk is started again.
    fn recover(&mut self, rules: &Rules, id: u8) {
        if rules.has(Mistake::LostDiskStarts) {
            return self.restart(id, false);
        }
        self.nonces += 1;
        let process = &mut self.processes[usize::from(id)];
        *process = match rules.has(Mistake::BindingForgotten) {
            true => Process::blank(process.me, self.nonces),
            false => process.recovered(self.nonces),
        };
    }

    fn of(&mut self, id: u8) -> Acting<'_> {
        Acting(&mut self.processes[usize::from(id)], &mut self.nonces)
    }

    /// Whether anybody serves clients, and everybody who is up is READY (rules 7 and 12).
    #[must_use]
    pub fn is_whole(&self, down: Option<u8>) -> bool {
        let Some(configuration) = self.ledger.current() else { return false };
        let up = self.processes.iter().filter(|process| Some(process.me.id) != down);
        configuration.new.is_none()
            && up.clone().all(|process| configuration.names(process.me))
            && up.clone().all(|process| process.epoch != BLANK)
    }

    /// Whether one has halted (rule 9).
    #[must_use]
    pub fn has_halted(&self) -> bool {
        self.processes.iter().any(|process| process.halted)
    }

    /// Whether one knows that nothing can come of its epoch (rule 8).
    #[must_use]
    pub fn has_hopeless(&self) -> bool {
        self.processes.iter().any(Process::is_hopeless)
    }

    /// A name for each member, for traces.
    #[must_use]
    pub fn summary(&self) -> String {
        let one = |process: &Process| {
            let epoch: BTreeMap<u8, u8> =
                members_of(&process.epoch).map(|member| (member.id, member.incarnation)).collect();
            format!(
                "{}.{} {:?} in {epoch:?} term {} commit {} of {}{}",
                process.me.id,
                process.me.incarnation,
                process.role,
                process.term,
                process.commit,
                process.log.len(),
                if process.halted { ", halted" } else { "" }
            )
        };
        self.processes.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}

/// A process, and the source of its nonces.
struct Acting<'w>(&'w mut Process, &'w mut u16);

impl Acting<'_> {
    fn start_round(self, rules: &Rules, effects: &mut Effects) {
        self.0.start_round(rules, self.1, effects);
    }

    fn campaign(self, rules: &Rules, effects: &mut Effects) -> bool {
        self.0.campaign(rules, self.1, effects)
    }

    fn manage(self, rules: &Rules) -> bool {
        self.0.manage(rules, self.1)
    }
}
