//! A wild phase of episodes: some processes hear each other, and the rest is silent.

use super::{Chance, RESTARTS_MAX, TERM_MAX, Walk};
use crate::invariants::Violation;
use crate::message::Body;
use crate::rules::Role;
use crate::world::Step;

/// How many may restart, and whether more at once than is tolerated.
struct Restarts {
    left: usize,
    may_exceed: bool,
}

const EPISODES_MAX: usize = 14;

impl Walk {
    /// Forms, and then lets groups of the processes go on without the others.
    pub(super) fn divided(&mut self, chance: &mut Chance) -> Result<(), Violation> {
        let mut restarts =
            Restarts { left: 1 + chance.below(RESTARTS_MAX), may_exceed: chance.below(4) == 0 };
        // Evidence from before the formation.
        for id in 1..self.rules.members {
            if chance.below(3) == 0 {
                self.ask(id, self.all())?;
            }
        }
        self.begin(&mut restarts, chance)?;
        for _ in 0..3 + chance.below(EPISODES_MAX - 2) {
            let group = self.group(chance);
            let head = self.head(group, chance);
            match chance.below(12) {
                0..2 => self.take_over(head, group, chance)?,
                2..5 => self.look_after(head, group, chance)?,
                5..7 => self.overtake(&mut restarts, chance)?,
                7 => self.serve(head, group, chance)?,
                8..10 => {
                    let id = self.head(self.all(), chance);
                    self.restart(id, &mut restarts)?;
                }
                10 => self.suspect(head, group, chance)?,
                _ if !self.world.network.is_empty() => {
                    let number = self.message(chance);
                    self.take(Step::Deliver(number))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn restart(&mut self, id: u8, restarts: &mut Restarts) -> Result<(), Violation> {
        let exceeds = self.world.recovering(Some(id)) > self.rules.tolerated();
        if restarts.left > 0 && (restarts.may_exceed || !exceeds) {
            restarts.left -= 1;
            self.take(Step::Restart(id))?;
        }
        Ok(())
    }

    /// A leader does not hear of the next one, which forgets, and takes that one in again.
    fn overtake(&mut self, restarts: &mut Restarts, chance: &mut Chance) -> Result<(), Violation> {
        let members = self.rules.members;
        let leader = self.world.processes.iter().find(|it| it.role == Role::Leader);
        let Some(old) = leader.map(|leader| leader.me.id) else { return Ok(()) };
        let other = |chance: &mut Chance| {
            let step = 1 + u8::try_from(chance.below(usize::from(members) - 1)).expect("few");
            (old + step) % members
        };
        let (next, forgets) = (other(chance), other(chance));
        let rest = self.all() & !(1 << old);
        self.take_over(next, rest, chance)?;
        self.restart(forgets, restarts)?;
        let pair = (1 << old) | (1 << forgets);
        self.look_after(old, pair, chance)?;
        match chance.below(3) {
            0 => self.take_over(forgets, pair, chance),
            1 => self.take_over(forgets, self.all(), chance),
            _ => self.look_after(next, rest, chance),
        }
    }

    /// Asks itself whether its epoch is dead; old answers may come in too.
    fn suspect(&mut self, id: u8, group: u8, chance: &mut Chance) -> Result<(), Violation> {
        let has_late = chance.below(2) == 0;
        for _ in 0..2 {
            self.act(Step::Round(id), group)?;
            for number in 0..self.world.network.len() {
                let message = &self.world.network[number];
                let is_answer = matches!(message.body, Body::HelloReply { .. });
                if has_late && message.to.id == id && is_answer {
                    self.take(Step::Deliver(number))?;
                }
            }
        }
        self.take(Step::Decide(id))?;
        Ok(())
    }

    /// The first process forms an epoch, and some take part in its first commits.
    fn begin(&mut self, restarts: &mut Restarts, chance: &mut Chance) -> Result<(), Violation> {
        let is_calm = chance.below(3) > 0;
        let mut next = self.world.network.len();
        self.take(Step::Round(0))?;
        while next < self.world.network.len() {
            if !is_calm && chance.below(4) == 0 {
                let id = self.head(self.all(), chance);
                self.restart(id, restarts)?;
            }
            self.take(Step::Deliver(next))?;
            next += 1;
        }
        let same = (chance.below(2) == 0).then(|| self.group(chance));
        for _ in 0..2 + chance.below(2) {
            let group = same.unwrap_or_else(|| self.group(chance)) | 1;
            self.act(Step::Replicate(0), group)?;
            if chance.below(4) == 0 {
                let id = self.head(self.all(), chance);
                self.suspect(id, 0, chance)?;
            } else {
                let id = self.head(group, chance);
                self.take(Step::Decide(id))?;
            }
        }
        self.serve(0, same.unwrap_or(self.all()) | 1, chance)
    }

    /// One stands for election, and serves if it wins.
    fn take_over(&mut self, id: u8, group: u8, chance: &mut Chance) -> Result<(), Violation> {
        if self.world.processes[usize::from(id)].term >= TERM_MAX {
            return Ok(());
        }
        self.act(Step::Campaign(id), group)?;
        for _ in 0..chance.below(4) {
            self.act(Step::Replicate(id), group)?;
        }
        self.serve(id, group, chance)
    }

    fn serve(&mut self, id: u8, group: u8, chance: &mut Chance) -> Result<(), Violation> {
        for _ in 0..chance.below(3) {
            self.take(Step::Propose(id))?;
            self.act(Step::Replicate(id), group)?;
        }
        Ok(())
    }

    /// A leader goes some way of a replacement.
    fn look_after(&mut self, id: u8, group: u8, chance: &mut Chance) -> Result<(), Violation> {
        self.ask(id, group)?;
        for _ in 0..1 + chance.below(7) {
            self.take(Step::Manage(id))?;
            if chance.below(4) == 0 {
                self.take(Step::Propose(id))?;
            }
            self.act(Step::Replicate(id), group)?;
        }
        Ok(())
    }

    fn ask(&mut self, id: u8, group: u8) -> Result<(), Violation> {
        for _ in 0..2 {
            self.act(Step::Round(id), group)?;
        }
        Ok(())
    }

    /// Takes a step; all that follows arrives between these.
    fn act(&mut self, step: Step, group: u8) -> Result<(), Violation> {
        let mut next = self.world.network.len();
        self.take(step)?;
        while let Some(message) = self.world.network.get(next) {
            if group & (1 << message.from.id) != 0 && group & (1 << message.to.id) != 0 {
                self.take(Step::Deliver(next))?;
            }
            next += 1;
        }
        Ok(())
    }

    /// All ids, one bit each.
    fn all(&self) -> u8 {
        (1 << self.rules.members) - 1
    }

    /// One id or more: half of the time two at random.
    fn group(&self, chance: &mut Chance) -> u8 {
        let one = |chance: &mut Chance| self.head(self.all(), chance);
        match chance.below(4) {
            0 => self.all(),
            1 => (1 << one(chance)) | (1 << one(chance)) | (1 << one(chance)),
            _ => (1 << one(chance)) | (1 << one(chance)),
        }
    }

    /// One of the group, a leader if it has one, mostly.
    fn head(&self, group: u8, chance: &mut Chance) -> u8 {
        let ids: Vec<u8> = (0..self.rules.members).filter(|id| group & (1 << id) != 0).collect();
        let leads = |id: &&u8| self.world.processes[usize::from(**id)].role == Role::Leader;
        match ids.iter().find(leads) {
            Some(leader) if group != self.all() && chance.below(3) > 0 => *leader,
            Some(_) | None => ids[chance.below(ids.len())],
        }
    }
}
