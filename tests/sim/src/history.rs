//! What clients asked for and were told, and whether it is linearizable.
//!
//! The judge is `todc_utils::WGLChecker`, the algorithm of Wing and Gong as improved by Lowe: it
//! remembers which partial orders it has tried. The other well-kept checker for Rust, stateright's
//! `LinearizabilityTester`, remembers nothing and clones the history at each step, which is meant
//! for histories of a dozen operations. A history is linearizable exactly when that of each key is,
//! so each key is judged alone.
//!
//! An operation whose outcome its client never learnt may have taken effect at any time after its
//! call, and each such operation doubles the judge's work. But the simulator knows more than clients
//! do: it saw the machines. An unanswered operation counts as answered when the first machine had
//! applied it. One that no machine ever applied did not take effect and is left out: were its effect
//! seen by anybody, the rest could not be explained without it.

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History as Actions};
use todc_utils::specifications::Specification;

use crate::chance::Chance;
use crate::machine::{Change, KEYS, OperationId};

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A number.
    Read,
    /// A change of it.
    Change(Change),
}

/// One operation, from its call to its response.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The number that it is about.
    pub key: u8,
    /// What was asked.
    pub wish: Wish,
    /// When, as a place in the order of all calls and responses.
    called: u32,
    /// When it was answered, and the number that the answer names.
    answered: Option<(u32, u64)>,
    /// When the first machine had applied it, and the number after it.
    applied: Option<(u32, u64)>,
}

/// Every operation of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
    moments: u32,
}

impl History {
    /// An operation begins.
    pub fn call(&mut self, key: u8, wish: Wish) -> OperationId {
        let id = OperationId(self.operations.len() as u32);
        let called = self.moment();
        self.operations.push(Operation { key, wish, called, answered: None, applied: None });
        id
    }

    /// An operation is answered: its number is now this one.
    pub fn answer(&mut self, id: OperationId, value: u64) {
        let moment = self.moment();
        self.operations[id.0 as usize].answered = Some((moment, value));
    }

    /// A machine has applied an operation: its number is now this one.
    pub fn apply(&mut self, id: OperationId, value: u64) {
        let moment = self.moment();
        if let Some(operation) = self.operations.get_mut(id.0 as usize) {
            operation.applied.get_or_insert((moment, value));
        }
    }

    /// An operation.
    #[must_use]
    pub fn operation(&self, id: OperationId) -> &Operation {
        &self.operations[id.0 as usize]
    }

    /// How many there are, and how many of them were answered.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let answered = self.operations.iter().filter(|operation| operation.answered.is_some());
        (self.operations.len(), answered.count())
    }

    /// Which key has no order of its operations that explains all answers, if any has none.
    #[must_use]
    pub fn unexplained_key(&self) -> Option<u8> {
        (0..KEYS as u8).find(|&key| !self.is_key_linearizable(key))
    }

    /// The same history with one lie in it, and the key that it is about: an answer that names a
    /// number which nobody wrote, or one that had been overwritten before the question was asked.
    /// `None` when nothing was answered.
    #[must_use]
    pub fn with_a_lie(&self, chance: &mut Chance) -> Option<(Self, u8)> {
        let answered = |operation: &&Operation| {
            operation.answered.is_some()
                && !matches!(operation.wish, Wish::Change(Change::Write(_)))
        };
        let count = self.operations.iter().filter(answered).count();
        let place = chance.place(count);
        let truth = self.operations.iter().filter(answered).nth(place)?;
        let lie = match self.overwritten_before(truth) {
            Some(stale) if chance.coin() => stale,
            Some(_) | None => NEVER_WRITTEN,
        };
        let called = truth.called;
        let key = truth.key;
        let mut lying = self.clone();
        for operation in &mut lying.operations {
            if operation.called == called {
                operation.answered = operation.answered.map(|(moment, _)| (moment, lie));
            }
        }
        Some((lying, key))
    }

    /// Whether one key's operations have an order that explains them.
    #[must_use]
    pub fn is_key_linearizable(&self, key: u8) -> bool {
        let mut actions: Vec<(u32, usize, Action<Known>)> = Vec::new();
        for (process, operation) in self.operations.iter().enumerate() {
            let Some((end, value)) = operation.answered.or(operation.applied) else { continue };
            if operation.key != key {
                continue;
            }
            let known = Known { wish: operation.wish, value };
            actions.push((operation.called, process, Action::Call(known)));
            actions.push((end, process, Action::Response(known)));
        }
        if actions.is_empty() {
            return true;
        }
        actions.sort_by_key(|(moment, process, _)| (*moment, *process));
        let actions = actions.into_iter().map(|(_, process, action)| (process, action)).collect();
        WGLChecker::<Register>::is_linearizable(Actions::from_actions(actions))
    }

    /// A number that was written, and then written over by a write that ended before `operation`
    /// was called. Nobody can have seen it since, as no number is written twice.
    fn overwritten_before(&self, operation: &Operation) -> Option<u64> {
        let writes = |before: u32| {
            self.operations.iter().filter(move |write| {
                let ended = write.answered.is_some_and(|(moment, _)| moment < before);
                write.key == operation.key
                    && ended
                    && matches!(write.wish, Wish::Change(Change::Write(_)))
            })
        };
        let later = writes(operation.called).max_by_key(|write| write.called)?;
        writes(later.called).next_back()?.answered.map(|(_, value)| value)
    }

    const fn moment(&mut self) -> u32 {
        self.moments += 1;
        self.moments
    }
}

/// No sum of writes and increments.
const NEVER_WRITTEN: u64 = u64::MAX / 3;

/// An operation as the checker sees it.
#[derive(Clone, Copy, Debug)]
struct Known {
    wish: Wish,
    value: u64,
}

/// The sequential specification of one number.
struct Register;

impl Specification for Register {
    type State = u64;
    type Operation = Known;

    fn init() -> u64 {
        0
    }

    fn apply(operation: &Known, state: &u64) -> (bool, u64) {
        let after = match operation.wish {
            Wish::Read => *state,
            Wish::Change(Change::Write(value)) => value,
            Wish::Change(Change::Increment) => state.wrapping_add(1),
        };
        let is_so = operation.value == after;
        (is_so, if is_so { after } else { *state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::WRITE_STEP;

    const WRITE: Wish = Wish::Change(Change::Write(WRITE_STEP));
    const INCREMENT: Wish = Wish::Change(Change::Increment);

    #[test]
    fn a_read_that_misses_a_finished_write_is_rejected() {
        let mut history = History::default();
        let write = history.call(0, WRITE);
        history.answer(write, WRITE_STEP);
        let read = history.call(0, Wish::Read);
        history.answer(read, 0);
        assert_eq!(history.unexplained_key(), Some(0));
    }

    #[test]
    fn two_reads_that_see_a_write_come_and_go_are_rejected() {
        let mut history = History::default();
        let _write = history.call(2, WRITE);
        for value in [WRITE_STEP, 0] {
            let read = history.call(2, Wish::Read);
            history.answer(read, value);
        }
        history.apply(OperationId(0), WRITE_STEP);
        assert_eq!(history.unexplained_key(), Some(2));
    }

    #[test]
    fn an_unanswered_increment_may_take_effect_late_but_only_once() {
        let mut history = History::default();
        let lost = history.call(0, INCREMENT);
        let read = history.call(0, Wish::Read);
        history.answer(read, 0);
        let read = history.call(0, Wish::Read);
        history.apply(lost, 1);
        history.answer(read, 1);
        assert_eq!(history.unexplained_key(), None);
        let read = history.call(0, Wish::Read);
        history.answer(read, 2);
        assert_eq!(history.unexplained_key(), Some(0));
    }

    #[test]
    fn what_no_machine_applied_explains_nothing() {
        let mut history = History::default();
        let _lost = history.call(0, INCREMENT);
        let read = history.call(0, Wish::Read);
        history.answer(read, 1);
        assert_eq!(history.unexplained_key(), Some(0));
    }

    #[test]
    fn every_lie_is_rejected() {
        let mut history = History::default();
        for round in 1..20 {
            let write = history.call(1, Wish::Change(Change::Write(round * WRITE_STEP)));
            let increment = history.call(1, INCREMENT);
            history.answer(write, round * WRITE_STEP);
            history.answer(increment, round * WRITE_STEP + 1);
            let read = history.call(1, Wish::Read);
            history.answer(read, round * WRITE_STEP + 1);
        }
        assert_eq!(history.unexplained_key(), None);
        for seed in 0..100 {
            let lie = history.with_a_lie(&mut Chance::new(seed, 0));
            let (lying, key) = lie.expect("there are answers to falsify");
            assert!(!lying.is_key_linearizable(key), "seed {seed}");
        }
    }
}
