//! Walks through a first start by a majority: processes with disks, a minority of them late.

use super::{Chance, TERM_MAX, Walk};
use crate::invariants::Violation;
use crate::world::Step;

/// A walk takes up to as many steps.
const STEPS: usize = 320;
const RESTARTS_MAX: usize = 6;

impl Walk {
    /// Anything may happen to those that are there. However it goes, one epoch at most serves.
    pub(super) fn first_start(&mut self, chance: &mut Chance) -> Result<(), Violation> {
        let members = usize::from(self.rules.members);
        let late = chance.below(members.div_ceil(2));
        let first_late = chance.below(members);
        let comes_at = chance.below(STEPS);
        let mut restarts = chance.below(RESTARTS_MAX + 1);
        let burst = chance.below(70);
        for at in 0..100 + chance.below(STEPS - 100) {
            let is_there =
                |id: usize| at >= comes_at || (id + members - first_late) % members >= late;
            let number = chance.below(members);
            let id = u8::try_from(number).expect("ids are few");
            if !is_there(number) {
                continue;
            }
            if chance.below(100) < burst {
                self.start_together(id, is_there, chance)?;
                continue;
            }
            let step = match chance.below(100) {
                0..64 if !self.world.network.is_empty() => Step::Deliver(self.message(chance)),
                64..74 => Step::Round(id),
                74..77 if self.world.processes[number].term < TERM_MAX => Step::Campaign(id),
                77..86 => Step::Replicate(id),
                86..90 => Step::Propose(id),
                90..96 => Step::Manage(id),
                96..100 if restarts > 0 => {
                    restarts -= 1;
                    Step::Restart(id)
                }
                _ => continue,
            };
            if let Step::Deliver(place) = step
                && !is_there(usize::from(self.world.network[place].to.id))
            {
                continue;
            }
            self.take_alone(step)?;
        }
        Ok(())
    }

    /// A process asks or says something, and much of what comes of it arrives.
    fn start_together(
        &mut self,
        id: u8,
        is_there: impl Fn(usize) -> bool,
        chance: &mut Chance,
    ) -> Result<(), Violation> {
        let reliable = 5 + chance.below(6);
        for step in [
            Step::Round(id),
            Step::Manage(id),
            Step::Replicate(id),
            Step::Propose(id),
            Step::Replicate(id),
        ] {
            let mut next = self.world.network.len();
            self.take_alone(step)?;
            while let Some(message) = self.world.network.get(next) {
                let arrives = is_there(usize::from(message.to.id)) && chance.below(10) < reliable;
                if arrives {
                    self.take_alone(Step::Deliver(next))?;
                }
                next += 1;
            }
        }
        Ok(())
    }

    fn take_alone(&mut self, step: Step) -> Result<(), Violation> {
        self.take(step)?;
        match self.world.ledger.served() {
            0 | 1 => Ok(()),
            _ => Err(Violation::TwoLiveClusters),
        }
    }
}
