//! What concurrent clients asked for and were told, and whether it is linearizable.
//!
//! The judge is `todc_utils::WGLChecker`, as in the simulator. Each key is judged alone.

use std::fmt::Write;

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History as Actions};
use todc_utils::specifications::Specification;

/// Names an operation of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationId(usize);

/// Operations on keys, in the order of their calls.
#[derive(Clone, Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
    moments: u64,
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    key: usize,
    called: u64,
    what: What,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// No value is written twice.
    Write(u64),
    /// What it saw, once it is answered.
    Read(Option<u64>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It may take effect at any time from its call on, or never.
    Open,
    At(u64),
    /// It has no effect.
    Never,
}

impl History {
    /// A write begins, of a value that no other write writes.
    pub fn write(&mut self, key: usize, value: u64) -> OperationId {
        self.call(key, What::Write(value))
    }

    /// A read begins.
    pub fn read(&mut self, key: usize) -> OperationId {
        self.call(key, What::Read(None))
    }

    /// A write was acknowledged.
    pub fn acknowledge(&mut self, id: OperationId) {
        let moment = self.moment();
        self.operations[id.0].end = End::At(moment);
    }

    /// A read has seen this value, or none.
    pub fn answer(&mut self, id: OperationId, value: Option<u64>) {
        self.operations[id.0].what = What::Read(value);
        self.acknowledge(id);
    }

    /// An operation has no effect.
    pub fn refuse(&mut self, id: OperationId) {
        self.operations[id.0].end = End::Never;
    }

    /// How many operations were answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.operations.iter().filter(|operation| matches!(operation.end, End::At(_))).count()
    }

    /// Whether there is an order of each key's operations that explains all answers.
    ///
    /// # Errors
    /// The history of a key that has none.
    pub fn check(&self) -> Result<(), String> {
        let keys = self.operations.iter().map(|operation| operation.key + 1).max().unwrap_or(0);
        match (0..keys).find(|&key| !self.is_key_linearizable(key)) {
            None => Ok(()),
            Some(key) => Err(self.describe(key)),
        }
    }

    fn call(&mut self, key: usize, what: What) -> OperationId {
        let called = self.moment();
        self.operations.push(Operation { key, called, what, end: End::Open });
        OperationId(self.operations.len() - 1)
    }

    const fn moment(&mut self) -> u64 {
        self.moments += 1;
        self.moments
    }

    /// An open write counts as one that ends after all others: there it explains what was seen of
    /// it, and disturbs nobody if nothing was. An open read explains nothing.
    fn is_key_linearizable(&self, key: usize) -> bool {
        let mut actions = Vec::new();
        for (process, operation) in self.operations.iter().enumerate() {
            let end = match (operation.end, operation.what) {
                (End::At(end), _) => end,
                (End::Open, What::Write(_)) => u64::MAX,
                (End::Open, What::Read(_)) | (End::Never, _) => continue,
            };
            if operation.key == key {
                actions.push((operation.called, process, Action::Call(operation.what)));
                actions.push((end, process, Action::Response(operation.what)));
            }
        }
        if actions.is_empty() {
            return true;
        }
        actions.sort_by_key(|(moment, process, _)| (*moment, *process));
        let actions = actions.into_iter().map(|(_, process, action)| (process, action)).collect();
        WGLChecker::<Register>::is_linearizable(Actions::from_actions(actions))
    }

    fn describe(&self, key: usize) -> String {
        let mut text = format!("no order explains what was seen of key {key}:");
        for operation in self.operations.iter().filter(|operation| operation.key == key) {
            let Operation { called, what, end, .. } = operation;
            write!(text, "\n  from {called}: {what:?}, {end:?}").expect("a string takes all");
        }
        text
    }
}

/// The sequential specification of one key.
struct Register;

impl Specification for Register {
    type State = Option<u64>;
    type Operation = What;

    fn init() -> Option<u64> {
        None
    }

    fn apply(operation: &What, state: &Option<u64>) -> (bool, Option<u64>) {
        match operation {
            What::Write(value) => (true, Some(*value)),
            What::Read(value) => (value == state, *state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_misses_a_finished_write_is_rejected() {
        let mut history = History::default();
        let write = history.write(0, 5);
        history.acknowledge(write);
        let read = history.read(0);
        history.answer(read, None);
        let why = history.check().unwrap_err();
        assert!(why.contains("key 0"), "{why}");
        assert_eq!(history.answered(), 2);
    }

    #[test]
    fn a_write_that_was_seen_does_not_go_away_again() {
        let mut history = History::default();
        let _open = history.write(1, 5);
        for seen in [None, Some(5), None] {
            assert_eq!(history.check(), Ok(()));
            let read = history.read(1);
            history.answer(read, seen);
        }
        assert!(history.check().is_err());
    }

    #[test]
    fn concurrent_writes_have_either_order_but_one_for_all() {
        let mut history = History::default();
        let both = [history.write(0, 1), history.write(0, 2)];
        for write in both {
            history.acknowledge(write);
        }
        for order in [[1, 1], [2, 2]] {
            let mut fine = history.clone();
            for seen in order {
                let read = fine.read(0);
                fine.answer(read, Some(seen));
            }
            assert_eq!(fine.check(), Ok(()));
        }
        for seen in [1, 2] {
            let read = history.read(0);
            history.answer(read, Some(seen));
        }
        assert!(history.check().is_err());
    }

    #[test]
    fn what_was_refused_explains_nothing() {
        let mut history = History::default();
        let refused = history.write(0, 7);
        history.refuse(refused);
        let _open = history.read(0);
        assert_eq!(history.check(), Ok(()));
        let read = history.read(0);
        history.answer(read, Some(7));
        assert!(history.check().is_err());
    }
}
