//! Which pages are for what.

use embedded_storage::nor_flash::NorFlash;

use crate::error::LayoutError;
use crate::format::{FIRST_BYTES, HARD_BYTES, HEAD_BYTES, KEPT_BYTES, RECORD_HEAD_BYTES};
use crate::medium::{BLOCK, bytes_of, mark_bytes, padded};

/// Which pages are for what: two logs, then two areas for snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layout {
    /// Where it begins.
    pub offset: u32,
    /// The bytes of one log. The more there are beyond `memory_bytes`, the fewer erases.
    pub log_bytes: u32,
    /// The bytes of one area: the longest snapshot, and 8 bytes and a word for each datagram that
    /// it may come in from a leader.
    pub snapshot_bytes: u32,
    /// The bytes of entries in the node's memory ([`coracle::Memory`]).
    pub memory_bytes: u32,
}

impl Layout {
    /// How many bytes of flash there are in it.
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        self.log_bytes.saturating_add(self.snapshot_bytes).saturating_mul(2)
    }

    pub(crate) const fn log(&self, log: u32) -> u32 {
        self.offset + self.log_bytes * log
    }

    pub(crate) const fn area(&self, area: u32) -> u32 {
        self.offset + self.log_bytes * 2 + self.snapshot_bytes * area
    }

    pub(crate) fn check<F: NorFlash>(&self, flash: &F) -> Result<(), LayoutError> {
        let (word, page, unit) = (F::WRITE_SIZE, F::ERASE_SIZE, F::READ_SIZE);
        let are_powers = word.is_power_of_two() && page.is_power_of_two() && unit.is_power_of_two();
        if !are_powers || word > BLOCK || unit > BLOCK || word > page || unit > page {
            return Err(LayoutError::Geometry);
        }
        let page = bytes_of(page);
        let lengths = [self.offset, self.log_bytes, self.snapshot_bytes];
        if lengths.iter().any(|length| !length.is_multiple_of(page)) {
            return Err(LayoutError::NotAligned);
        }
        let bytes = u64::from(self.log_bytes) * 2 + u64::from(self.snapshot_bytes) * 2;
        let end = u64::from(self.offset) + bytes;
        if end > u64::try_from(flash.capacity()).unwrap_or(u64::MAX) || end > u64::from(u32::MAX) {
            return Err(LayoutError::OutOfBounds);
        }
        let needed = overhead::<F>().saturating_add(MEMBERS_BYTES);
        let needed = needed.saturating_add(self.memory_bytes);
        if self.log_bytes < needed {
            return Err(LayoutError::LogTooSmall(needed));
        }
        if self.snapshot_bytes == 0 {
            return Err(LayoutError::SnapshotTooSmall);
        }
        Ok(())
    }
}

/// Where the first record of a log stands, from its beginning.
pub(crate) fn records_at<F: NorFlash>() -> u32 {
    mark_bytes::<F>() * 2 + padded::<F>(bytes_of(HEAD_BYTES))
}

/// What a log holds beside members and entries, when it has one record.
pub(crate) fn overhead<F: NorFlash>() -> u32 {
    let parts = RECORD_HEAD_BYTES + HARD_BYTES + KEPT_BYTES + FIRST_BYTES;
    records_at::<F>() + mark_bytes::<F>() + padded::<F>(bytes_of(parts)) + padded::<F>(1)
}

/// What is held free for the members in a snapshot, in bytes.
const MEMBERS_BYTES: u32 = 256;
