//! Rule 9: what a process does whose epoch is dead.

use super::{Effects, Process, Role, Rules};
use crate::message::Kind;
use crate::mistakes::Mistake;

impl Process {
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
        let forgets = rules.has(Mistake::HaltForgets)
            || rules.has(Mistake::UnnamedForgets) && !is_named
            || rules.reset;
        if !has_command || forgets {
            effects.redraw = true;
        } else {
            self.halted = true;
            self.role = Role::Follower;
        }
        true
    }
}
