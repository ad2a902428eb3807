//! Random walks: a wild phase in which anything may happen, then a fair one that must serve.

mod divided;
mod first_start;

use crate::invariants::Violation;
use crate::message::Body;
use crate::mistakes::Mistake;
use crate::rules::{Role, Rules};
use crate::world::{Step, World};

/// A small generator (splitmix64): the same seed, the same walk.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Begins with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..bound`.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a small bound");
        usize::try_from(self.next() % bound).expect("below a small bound")
    }
}

/// How a walk went.
#[derive(Debug)]
pub struct Walk {
    /// What it broke, if anything.
    pub violation: Option<Violation>,
    /// Its steps.
    pub trace: Vec<Step>,
    /// Where it ended.
    pub world: World,
    /// The rules, as the seed chose them.
    pub rules: Rules,
}

/// The wild phase takes up to as many steps.
const WILD: usize = 260;
/// The fair phase: so many turns of each process.
const TURNS: u8 = 160;
const RESTARTS_MAX: usize = 6;
const TERM_MAX: u8 = 20;

/// Walks from a seed.
#[must_use]
pub fn walk(seed: u64, mistake: Option<Mistake>) -> Walk {
    let mut chance = Chance::new(seed);
    let members = [3, 3, 3, 3, 2, 4, 5][chance.below(7)];
    let first_start = mistake.is_some_and(Mistake::is_of_first_start);
    let rules = Rules { members, mistake, reset: chance.below(4) == 0, first_start };
    if first_start {
        return first_start_walk(seed, mistake);
    }
    let mut walk = Walk { violation: None, trace: Vec::new(), world: World::new(&rules), rules };
    let outcome = match chance.below(2) {
        0 => walk.divided(&mut chance),
        _ => walk.wild(&mut chance),
    };
    let outcome = outcome.and_then(|()| walk.fair(&mut chance));
    walk.violation = outcome.err();
    walk
}

/// Walks from a seed through the first start of processes with disks, some of them late.
#[must_use]
pub fn first_start_walk(seed: u64, mistake: Option<Mistake>) -> Walk {
    let mut chance = Chance::new(seed);
    let members = [3, 3, 4, 5][chance.below(4)];
    let rules = Rules { members, mistake, reset: false, first_start: true };
    let mut walk = Walk { violation: None, trace: Vec::new(), world: World::new(&rules), rules };
    walk.violation = walk.first_start(&mut chance).err();
    walk
}

impl Walk {
    fn take(&mut self, step: Step) -> Result<bool, Violation> {
        self.trace.push(step);
        self.world.step(&self.rules, step)
    }

    fn wild(&mut self, chance: &mut Chance) -> Result<(), Violation> {
        let may_exceed = chance.below(3) == 0;
        let mut restarts = chance.below(RESTARTS_MAX + 1);
        if chance.below(4) > 0 {
            self.warm_up()?;
        }
        let burst = chance.below(70);
        for _ in 0..60 + chance.below(WILD - 60) {
            let number = chance.below(usize::from(self.rules.members));
            let id = u8::try_from(number).expect("ids are few");
            if chance.below(100) < burst {
                self.burst(id, chance)?;
                continue;
            }
            let step = match chance.below(100) {
                0..64 if !self.world.network.is_empty() => Step::Deliver(self.message(chance)),
                64..72 => Step::Round(id),
                72..75 if self.world.processes[number].term < TERM_MAX => Step::Campaign(id),
                75..86 => Step::Replicate(id),
                86..89 => Step::Propose(id),
                89..95 => Step::Manage(id),
                95..97 => Step::Decide(id),
                97..100 if restarts > 0 => {
                    let exceeds = self.world.recovering(Some(id)) > self.rules.tolerated();
                    if exceeds && !may_exceed {
                        continue;
                    }
                    restarts -= 1;
                    Step::Restart(id)
                }
                _ => continue,
            };
            self.take(step)?;
        }
        Ok(())
    }

    /// The first process forms an epoch, most of the time.
    fn warm_up(&mut self) -> Result<(), Violation> {
        self.take(Step::Round(0))?;
        self.deliver_from(0, |_| true)?;
        for _ in 0..2 {
            let next = self.world.network.len();
            self.take(Step::Replicate(0))?;
            self.deliver_from(next, |_| true)?;
        }
        Ok(())
    }

    /// One process acts as it would by its timers, and most of what follows arrives in order.
    fn burst(&mut self, id: u8, chance: &mut Chance) -> Result<(), Violation> {
        let leader = self.world.processes.iter().find(|process| process.role == Role::Leader);
        let id = match leader {
            Some(leader) if chance.below(2) == 0 => leader.me.id,
            Some(_) | None => id,
        };
        if chance.below(8) == 0 {
            return self.replace(id, chance);
        }
        let next = self.world.network.len();
        match chance.below(6) {
            2 => self.take(Step::Propose(id))?,
            0 => self.take(Step::Round(id))?,
            1 if self.world.processes[usize::from(id)].term < TERM_MAX => {
                self.take(Step::Campaign(id))?
            }
            _ => self.take(Step::Manage(id))?,
        };
        self.take(Step::Replicate(id))?;
        let reliable = 5 + chance.below(6);
        self.deliver_from(next, |_| chance.below(10) < reliable)
    }

    /// A process asks, and if it leads goes some way of a replacement; a vote may cut in.
    fn replace(&mut self, id: u8, chance: &mut Chance) -> Result<(), Violation> {
        let reliable = 3 + chance.below(8);
        for part in 0..1 + chance.below(5) {
            let next = self.world.network.len();
            if part == 0 {
                self.take(Step::Round(id))?;
                self.deliver_from(next, |_| true)?;
            }
            self.take(Step::Manage(id))?;
            self.take(Step::Replicate(id))?;
            self.deliver_from(next, |_| chance.below(10) < reliable)?;
        }
        if chance.below(2) == 0 {
            let other = chance.below(usize::from(self.rules.members));
            if self.world.processes[other].term < TERM_MAX {
                let next = self.world.network.len();
                self.take(Step::Campaign(u8::try_from(other).expect("ids are few")))?;
                self.deliver_from(next, |_| chance.below(10) < reliable)?;
            }
        }
        Ok(())
    }

    fn deliver_from(
        &mut self,
        first: usize,
        mut arrives: impl FnMut(usize) -> bool,
    ) -> Result<(), Violation> {
        let mut next = first;
        while next < self.world.network.len() {
            if arrives(next) {
                self.take(Step::Deliver(next))?;
            }
            next += 1;
        }
        Ok(())
    }

    /// A recent one, mostly.
    fn message(&self, chance: &mut Chance) -> usize {
        let count = self.world.network.len();
        match chance.below(4) {
            0 => chance.below(count),
            _ => count - 1 - chance.below(count.min(10)),
        }
    }

    /// No restarts any more; all that is on its way arrives, once and in order. Rule 12:
    /// service returns.
    fn fair(&mut self, chance: &mut Chance) -> Result<(), Violation> {
        let members = self.rules.members;
        let id = u8::try_from(chance.below(usize::from(members))).expect("ids are few");
        let is_tolerated = self.world.recovering(Some(id)) <= self.rules.tolerated();
        let has_begun = self.world.ledger.current().is_some();
        let down = (chance.below(3) == 0 && is_tolerated && has_begun && !self.world.is_beyond)
            .then_some(id);
        for _ in 0..TURNS {
            let acknowledged = self.world.ledger.acknowledged();
            let mut heard = self.deliver_new(down)?;
            let up = (0..members).filter(|id| Some(*id) != down);
            for id in up.clone() {
                self.take(Step::Round(id))?;
                heard |= self.deliver_new(down)?;
            }
            for id in up.clone() {
                self.take(Step::Manage(id))?;
                self.take(Step::Decide(id))?;
                self.take(Step::Propose(id))?;
                self.take(Step::Replicate(id))?;
                heard |= self.deliver_new(down)?;
                self.take(Step::Replicate(id))?;
                heard |= self.deliver_new(down)?;
            }
            let whole = self.world.is_whole(down);
            if whole && self.world.ledger.acknowledged() > acknowledged {
                return Ok(());
            }
            // An election time-out, whose length is random: nobody has heard a leader.
            let next = u8::try_from(chance.below(usize::from(members))).expect("ids are few");
            let leads = self.world.processes[usize::from(next)].role == Role::Leader;
            if Some(next) != down && !leads && heard & (1 << next) == 0 {
                self.take(Step::Campaign(next))?;
            }
        }
        match self.world.is_beyond && (self.world.has_halted() || self.world.has_hopeless()) {
            true => Ok(()),
            false => Err(Violation::Stuck),
        }
    }

    /// Delivers all that is there, in order, and empties the network. Returns who took an append of
    /// its term, one bit each.
    fn deliver_new(&mut self, down: Option<u8>) -> Result<u8, Violation> {
        let mut heard = 0;
        let mut next = 0;
        while let Some(message) = self.world.network.get(next) {
            let (from, to) = (message.from, message.to);
            let term = match message.body {
                Body::Append { term, .. } => Some(term),
                _ => None,
            };
            if Some(to.id) != down && Some(from.id) != down {
                self.take(Step::Deliver(next))?;
                let process = &self.world.processes[usize::from(to.id)];
                let is_current =
                    term == Some(process.term) && to.incarnation == process.me.incarnation;
                heard |= u8::from(is_current) << to.id;
            }
            next += 1;
        }
        self.take(Step::Forget)?;
        Ok(heard)
    }
}
