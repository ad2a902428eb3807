//! What must be on the medium before what may be said.

use rand_core::Rng;

use super::Raft;
use super::role::Role;
use crate::log::Memory;
use crate::seal::Seal;
use crate::status::count;
use crate::types::{EntryId, HardState, Index};

/// How much has been handed to the medium, and how much it has confirmed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Durability {
    /// Counts the changes of the hard state.
    hard: u32,
    hard_submitted: u32,
    hard_durable: u32,
    /// The last entry handed to the medium. Never below `durable`.
    pub(crate) submitted: Index,
    /// The last entry on the medium. Only `done` and `durable` raise it, only truncation lowers it.
    pub(crate) durable: Index,
    /// Counts truncations: a receipt from before one says nothing about entries.
    truncations: u32,
}

/// Something to be written, to be handed back when it is on the medium.
///
/// A receipt stands for everything submitted up to it: the medium must write in the order of
/// submission. One for entries that have been overwritten since raises nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "what is not confirmed with `durable` is never acknowledged"]
pub struct Receipt {
    hard: u32,
    last: EntryId,
    truncations: u32,
}

/// What must be made durable, in one step or in this order: hard state, then entries. The other way
/// round a crash may leave entries of a term that the stored hard state does not know; they were never
/// acknowledged, and must be cut before recovery.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The hard state, if it has changed.
    pub hard: Option<HardState>,
    /// The index of the first entry in `runs`. If there are any, they replace all that the medium
    /// has from here on.
    pub first: Index,
    /// Consecutive entries in their one encoding; two pieces where the log's ring wraps.
    pub runs: [&'a [u8]; 2],
    /// The last of the entries, or of those written before if there are none.
    pub last: EntryId,
}

impl Write<'_> {
    /// Whether there are entries to write.
    #[must_use]
    pub fn has_entries(&self) -> bool {
        self.first <= self.last.index
    }
}

impl Durability {
    /// Nothing is to be written any more: all of it is on the medium.
    #[inline]
    pub(crate) fn all_durable(&mut self, last: Index) {
        self.hard_submitted = self.hard;
        self.hard_durable = self.hard;
        self.submitted = last;
        self.durable = last;
    }

    /// The hard state has changed.
    pub(crate) fn hard_changed(&mut self) {
        self.hard = self.hard.wrapping_add(1);
    }

    /// The entries from `from` on are gone.
    pub(crate) fn truncated(&mut self, from: Index) {
        self.truncations = self.truncations.wrapping_add(1);
        self.durable = self.durable.min(from.previous());
        // Receipts from before say nothing any more: what they stood for is written again.
        self.submitted = self.durable;
    }

    /// A snapshot has taken the place of all entries up to `last`: it is on the medium, and receipts
    /// for entries from before say nothing any more.
    pub(crate) fn replaced(&mut self, last: Index) {
        self.truncations = self.truncations.wrapping_add(1);
        self.submitted = last;
        self.durable = last;
    }

    /// Whether the medium knows the term and the vote: before that nothing leaves.
    #[inline]
    pub(crate) fn is_hard_durable(&self) -> bool {
        self.hard_durable == self.hard
    }

    #[inline]
    pub(crate) fn has_work(&self, last: Index) -> bool {
        self.hard_submitted != self.hard || self.submitted < last
    }

    #[inline]
    pub(crate) fn is_hard_submitted(&self) -> bool {
        self.hard_submitted == self.hard
    }

    fn receipt(&self, last: EntryId) -> Receipt {
        Receipt { hard: self.hard, last, truncations: self.truncations }
    }

    #[inline]
    fn submit(&mut self, last: EntryId) -> Receipt {
        self.hard_submitted = self.hard;
        self.submitted = last.index;
        self.receipt(last)
    }

    /// Whether the receipt also speaks of the entries that are there now.
    fn confirm(&mut self, receipt: Receipt) -> bool {
        let behind = self.hard.wrapping_sub(receipt.hard);
        if behind < self.hard.wrapping_sub(self.hard_durable) {
            self.hard_durable = receipt.hard;
        }
        let is_current = receipt.truncations == self.truncations;
        if is_current {
            self.durable = self.durable.max(receipt.last.index.min(self.submitted));
        }
        is_current
    }
}

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// What a receipt stands for is on the medium now.
    ///
    /// Receipts come back in the order of submission; a later one stands for the earlier ones too.
    pub fn durable(&mut self, receipt: Receipt) {
        if self.is_poisoned() {
            return;
        }
        if !self.durability.confirm(receipt) {
            count(&mut self.counters.late_receipts);
        }
        self.on_durable();
    }

    /// How many bytes of commands are sure to find room on the medium, in one write, beside all that
    /// was submitted. Commands beyond that find the log full, at a leader and at a follower;
    /// other entries do not. `usize::MAX` is no bound, which is how a node begins.
    #[inline]
    pub fn set_room(&mut self, bytes: usize) {
        let waiting = match bytes {
            usize::MAX => 0,
            _ => self.log.bytes_between(self.durability.submitted, self.log.last().index),
        };
        self.log.set_headroom(bytes.saturating_sub(waiting));
    }

    /// All that there is to write is on the medium now.
    #[inline]
    pub(super) fn all_durable(&mut self) {
        self.durability.all_durable(self.log.last().index);
        self.on_durable();
    }

    /// A leader counts itself with what it has on the medium.
    #[inline]
    fn on_durable(&mut self) {
        if self.durability.durable > self.commit {
            self.maybe_commit();
        }
        if matches!(self.role, Role::Candidate(_)) {
            self.count_votes();
        }
        self.check_invariants();
    }

    #[inline]
    pub(super) fn pending_write(&self) -> Write<'_> {
        let first = self.durability.submitted.next();
        Write {
            hard: (!self.durability.is_hard_submitted()).then_some(self.hard),
            first,
            runs: self.log.slices(first),
            last: self.log.last(),
        }
    }

    pub(super) fn write_receipt(&self) -> Receipt {
        self.durability.receipt(self.log.last())
    }

    pub(super) fn submit_write(&mut self) -> Receipt {
        self.durability.submit(self.log.last())
    }
}
