//! Invariants 2 and 11, as far as the machines show them.

use coracle::{EntryId, Index};

use super::{Annals, Chronicle, Verdict, View, ensure};
use crate::machine::{OperationId, Taken};

/// Where an operation took effect, and with what result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Application {
    /// The entry that it was applied from.
    pub index: Index,
    /// The number after it.
    pub value: u64,
}

impl Annals {
    /// Invariant 2: after the same entries all machines are the same. A machine that left one out,
    /// took one twice or took two in another order has another digest for ever.
    pub(super) fn on_applied(&mut self, view: &View, digest: u64) -> Verdict {
        let first = *self.states.entry(view.applied).or_insert(digest);
        ensure(2, first == digest, || {
            format!(
                "the machine of {} after entry {} is another than elsewhere",
                view.member.id, view.applied
            )
        })
    }
}

impl Chronicle {
    /// Invariant 11: a machine applied an operation, which no machine ever applies from another
    /// entry or with another result.
    ///
    /// # Errors
    /// The operation that took effect twice.
    pub fn take(&mut self, taken: Taken, index: Index) -> Verdict {
        let application = Application { index, value: taken.value };
        let first = *self.taken.entry(taken.operation).or_insert(application);
        ensure(11, first == application, || {
            format!(
                "operation {} took effect at entry {} as {} and at entry {index} as {}",
                taken.operation.0, first.index, first.value, taken.value
            )
        })
    }

    /// Invariant 11: a client was told where its operation took effect, and with what result.
    ///
    /// # Errors
    /// An answer that no machine has given.
    pub fn told(&self, operation: OperationId, entry: EntryId, value: u64) -> Verdict {
        let told = Application { index: entry.index, value };
        let taken = self.application(operation);
        ensure(11, taken == Some(told), || {
            format!("a client was told {told:?} of operation {}, which is {taken:?}", operation.0)
        })
    }

    /// Where an operation took effect.
    #[must_use]
    pub fn application(&self, operation: OperationId) -> Option<Application> {
        self.taken.get(&operation).copied()
    }
}
