//! A disk in the hands of a script: it says how many writes are done, and how many survive.

use coracle::Receipt;

use crate::disk::Disk;

impl Disk {
    /// How many writes are not done yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.journal.len() as u64
    }

    /// So many more writes are done, in their order.
    pub(crate) fn sync_some(&mut self, count: u64) -> Vec<Receipt> {
        self.sync(self.synced + count)
    }

    /// So many more writes are done, of which nobody hears, and the others are lost.
    pub(crate) fn keep_only(&mut self, count: u64) {
        let _nobody_hears = self.sync_some(count);
        self.counts.lost += self.waiting();
        self.journal.clear();
        self.synced = self.submitted;
        self.habits.crash_in_write = false;
    }
}
