//! The log (section 5.3): a ring of encoded entries, and a slot for each that says where it starts.
//!
//! An entry's bytes in the ring are its bytes on the wire and on the disk, and no entry straddles
//! the ring's end. So what is sent or stored is a slice of the ring, and what is received is
//! checked once and copied in.

mod entry;
mod extend;
mod memory;
mod ring;
mod run;

pub use entry::{Entry, EntryKind};
pub use memory::{Array, Buffers, Memory, Slot};

pub(crate) use entry::ENTRY_OVERHEAD_MAX;
pub(crate) use extend::BadRun;

use crate::bytes::copy;
use crate::types::{EntryId, Index, Term};
use ring::Ring;

/// The fewest bytes that a log may have.
pub const MIN_LOG_BYTES: usize = 256;

/// The fewest slots that the ring works with.
const FEWEST_SLOTS: usize = 4;

/// The entries `(base, last]`; their terms never fall.
///
/// The entries `(last.index - slots, last.index]` own the slots of their indices' low bits. Bytes
/// and slots behind `last` are free: only raising `last` makes entries of what is written there.
#[derive(Clone, Debug)]
pub(crate) struct Log<M> {
    memory: M,
    /// The entry before the first one kept; it is gone, but its term is still known. Never above
    /// the commit index.
    base: EntryId,
    /// The last entry; equal to `base` exactly when no entry is kept.
    last: EntryId,
    /// Which bytes the entries take; `EMPTY` when no entry is kept.
    ring: Ring,
    /// No entry behind this one is anything but a command; it may be above `last`.
    last_internal: Index,
    /// The last entry that names members; zero if none is kept, or below the base if it is gone.
    last_configuration: Index,
    reserve: Reserve,
    /// An entry found no room since the log was compacted last.
    is_pressed: bool,
    /// How many more bytes of entries the medium has room for.
    headroom: usize,
}

/// Room that commands leave to the entries with which new leaders begin: a log full of uncommitted
/// commands could never be committed without one of those (section 5.4.2).
#[derive(Clone, Copy, Debug, Default)]
struct Reserve {
    entries: usize,
    bytes: usize,
}

/// Why a log cannot be made of this memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LogError {
    /// The slots are fewer than four, or their number is not a power of two.
    BadSlotCount,
    /// The bytes are fewer than [`MIN_LOG_BYTES`].
    TooFewBytes,
    /// The bytes are more than a slot can address: `u32::MAX`.
    TooManyBytes,
}

impl core::fmt::Display for LogError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BadSlotCount => "the number of log slots is not a power of two of at least 4",
            Self::TooFewBytes => "the log has fewer than 256 bytes",
            Self::TooManyBytes => "the log has more than 4294967295 bytes",
        })
    }
}

impl core::error::Error for LogError {}

/// Why an entry was not appended. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendError {
    /// There is no room until entries are compacted.
    LogFull,
    /// The entry is above the largest one, or above the caller's limit: it will never fit.
    TooLarge,
}

impl<M: Memory> Log<M> {
    /// An empty log in this memory.
    ///
    /// # Errors
    /// `LogError` when the memory has an unfit size.
    pub(crate) fn new(memory: M) -> Result<Self, LogError> {
        let slots = memory.slots().len();
        if slots < FEWEST_SLOTS || !slots.is_power_of_two() {
            return Err(LogError::BadSlotCount);
        }
        let bytes = memory.bytes().len();
        if bytes < MIN_LOG_BYTES {
            return Err(LogError::TooFewBytes);
        }
        if u32::try_from(bytes).is_err() {
            return Err(LogError::TooManyBytes);
        }
        let base = EntryId::default();
        Ok(Self {
            memory,
            base,
            last: base,
            ring: Ring::EMPTY,
            last_internal: Index::ZERO,
            last_configuration: Index::ZERO,
            reserve: Reserve::default(),
            is_pressed: false,
            headroom: usize::MAX,
        })
    }

    /// The entry before the first one kept.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) const fn base(&self) -> EntryId {
        self.base
    }

    /// Where the first entry stands, or would stand in an empty log.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) const fn first(&self) -> Index {
        self.base.index.next()
    }

    /// The last entry, or the base of an empty log.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) const fn last(&self) -> EntryId {
        self.last
    }

    /// Whether no entry is kept.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn is_empty(&self) -> bool {
        self.base.index == self.last.index
    }

    /// How many encoded bytes one entry may take. The ring holds four such entries, since its end
    /// may waste almost one.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn largest_entry(&self) -> usize {
        (self.capacity_bytes() / 4).min(ENTRY_BYTES_MAX)
    }

    /// The term of an entry, known for the base and for all that is kept.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.last.index {
            return Some(self.last.term);
        }
        if index == self.base.index {
            return Some(self.base.term);
        }
        entry::read_term(self.memory.bytes().get(self.offset(index)?..)?)
    }

    /// An entry that is kept.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn entry(&self, index: Index) -> Option<Entry<'_>> {
        let bytes = self.memory.bytes().get(self.offset(index)?..)?;
        Some(entry::read(bytes)?.at(index))
    }

    /// From now on commands leave a quarter of the slots and an eighth of the bytes to other entries.
    pub(crate) fn keep_reserve(&mut self) {
        self.reserve = Reserve { entries: self.slot_count() / 4, bytes: self.capacity_bytes() / 8 };
    }

    /// Whether more than half of that is left, so that a leader may begin its term though nobody has
    /// answered it yet. The rest is for leaders that a quorum follows, whose entry commits.
    pub(crate) fn has_room_for_terms(&self) -> bool {
        self.free_slots() > self.reserve.entries / 2 && self.free_bytes() > self.reserve.bytes / 2
    }

    /// How many bytes the next command may take.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn room_for_command(&self) -> usize {
        if self.free_entries() <= self.reserve.entries {
            return 0;
        }
        self.free_bytes().saturating_sub(self.reserve.bytes).min(self.headroom)
    }

    /// The medium has room for so many more bytes of entries: commands beyond find the log full.
    #[inline]
    pub(crate) fn set_headroom(&mut self, bytes: usize) {
        self.headroom = bytes;
    }

    /// Whether all entries behind `index` are commands, without looking at each.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn has_only_commands_behind(&self, index: Index) -> bool {
        self.last_internal <= index
    }

    /// The last entry that names members, if it is kept.
    #[inline]
    pub(crate) fn last_configuration(&self) -> Option<Index> {
        (self.last_configuration > self.base.index).then_some(self.last_configuration)
    }

    /// The last kept entry that names members and is not behind `index`. It looks at each entry.
    pub(crate) fn configuration_at(&self, index: Index) -> Option<Index> {
        let last = self.last_configuration()?;
        let mut at = index.min(last);
        // It gets less each time.
        while at > self.base.index {
            if self.entry(at).is_some_and(|entry| entry.kind == EntryKind::Configuration) {
                return Some(at);
            }
            at = at.previous();
        }
        None
    }

    /// Appends an entry with this data. The term is at least 1 and not below the last entry's.
    ///
    /// # Errors
    /// `AppendError` when there is no room; nothing has changed.
    pub(crate) fn append(
        &mut self,
        term: Term,
        kind: EntryKind,
        data: &[u8],
    ) -> Result<EntryId, AppendError> {
        self.append_with(term, kind, usize::MAX, |space| {
            copy(space.get_mut(..data.len())?, data);
            Some(data.len())
        })
    }

    /// Appends an entry of at most `limit` encoded bytes whose data `write` puts in place, giving
    /// its length or `None` when the space is too small. The term is as in `append`.
    ///
    /// `write` may be called twice: when the bytes at the ring's end are too few, the ring's start
    /// may have more.
    ///
    /// # Errors
    /// `AppendError` when there is no room; nothing has changed.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn append_with(
        &mut self,
        term: Term,
        kind: EntryKind,
        limit: usize,
        mut write: impl FnMut(&mut [u8]) -> Option<usize>,
    ) -> Result<EntryId, AppendError> {
        if self.free_entries() == 0 {
            return Err(AppendError::LogFull);
        }
        let most = self.largest_entry().min(limit);
        let id = EntryId { term, index: self.last.index.next() };
        let mut ring = self.ring;
        let (bytes, slots) = self.memory.parts_mut();
        // First at the tail, then at the ring's start.
        for _place in 0..2 {
            let room = ring.room(bytes.len()).min(most);
            let space = bytes.get_mut(ring.tail..).and_then(|free| free.get_mut(..room));
            let written = space.and_then(|space| entry::write(space, term, kind, &mut write));
            if let Some(length) = written {
                let position = position(id.index, slots.len());
                let slot = slots.get_mut(position).ok_or(AppendError::LogFull)?;
                *slot = Slot::at(ring.tail);
                ring.tail += length;
                self.headroom = self.headroom.saturating_sub(length);
                self.ring = ring;
                self.last = id;
                if kind != EntryKind::Command {
                    self.last_internal = id.index;
                }
                if kind == EntryKind::Configuration {
                    self.last_configuration = id.index;
                }
                return Ok(id);
            }
            if room == most {
                return Err(AppendError::TooLarge);
            }
            let Some(wrapped) = ring.wrapped(id.index) else { break };
            ring = wrapped;
        }
        Err(AppendError::LogFull)
    }

    /// Removes the entries from `from` to the last one; the base stays.
    pub(crate) fn truncate(&mut self, from: Index) {
        let from = from.max(self.first());
        let Some(offset) = self.offset(from) else {
            return;
        };
        let index = from.previous();
        let Some(term) = self.term_at(index) else {
            return;
        };
        self.last = EntryId { term, index };
        self.ring = if self.is_empty() { Ring::EMPTY } else { self.ring.cut_behind(from, offset) };
        if self.last_configuration > index {
            self.last_configuration = index;
            self.last_configuration = self.configuration_at(index).unwrap_or_default();
        }
    }

    /// Drops the entries up to and including `upto`, or all if it is behind the last one.
    pub(crate) fn compact(&mut self, upto: Index) {
        let index = upto.min(self.last.index);
        if index <= self.base.index {
            return;
        }
        let Some(term) = self.term_at(index) else {
            return;
        };
        let first = index.next();
        self.ring = match self.offset(first) {
            Some(offset) => self.ring.cut_before(first, offset),
            None => Ring::EMPTY,
        };
        self.base = EntryId { term, index };
        self.is_pressed = false;
    }

    /// Whether an entry found no room since the last compaction, although the log may be far from
    /// full: what is free may be in pieces.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn is_pressed(&self) -> bool {
        self.is_pressed
    }

    /// Notes that an entry found no room.
    pub(crate) fn press(&mut self) {
        self.is_pressed = true;
    }

    /// Empties the log behind a snapshot that ends with the entry `base` (section 7).
    pub(crate) fn reset(&mut self, base: EntryId) {
        self.base = base;
        self.last = base;
        self.ring = Ring::EMPTY;
        self.last_configuration = Index::ZERO;
        self.is_pressed = false;
    }

    /// How many bytes of the ring the entries take.
    pub(crate) fn used_bytes(&self) -> usize {
        self.bytes_between(self.base.index, self.last.index)
    }

    /// The size of the ring.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.memory.bytes().len()
    }

    /// How many bytes the tail may still take, in all its places together.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.ring.free(self.capacity_bytes())
    }

    /// How many slots there are.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn slot_count(&self) -> usize {
        self.memory.slots().len()
    }

    /// How many more entries there are indices for.
    pub(crate) fn free_indices(&self) -> u64 {
        LAST_INDEX.since(self.last.index)
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn free_slots(&self) -> usize {
        self.slot_count().saturating_sub(low(self.last.index.since(self.base.index)))
    }

    /// How many more entries there are slots and indices for.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn free_entries(&self) -> usize {
        self.free_slots().min(low(self.free_indices()))
    }

    /// The last entry that is neither behind `index` nor of a later term than `term`; the base if
    /// there is none. A leader backs `next` up by it (section 5.3).
    pub(crate) fn last_index_at_or_below(&self, index: Index, term: Term) -> EntryId {
        let mut found = self.base;
        let mut above = index.min(self.last.index).next();
        // Halving: terms never fall, and a log has fewer than 2^32 entries.
        for _step in 0..usize::BITS {
            let count = above.since(found.index);
            if count <= 1 {
                break;
            }
            let middle = found.index.plus(count / 2);
            match self.term_at(middle) {
                Some(at) if at <= term => found = EntryId { term: at, index: middle },
                Some(_) | None => above = middle,
            }
        }
        found
    }

    /// Where an entry starts; `None` when it is not kept.
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn offset(&self, index: Index) -> Option<usize> {
        if index <= self.base.index || index > self.last.index {
            return None;
        }
        let slots = self.memory.slots();
        slots.get(position(index, slots.len())).map(|slot| slot.offset())
    }
}

/// Which slot is an entry's. A mask, since a division of a `u64` is a library call on small
/// machines; `slots` is a power of two.
#[cfg_attr(target_pointer_width = "64", inline)]
fn position(index: Index, slots: usize) -> usize {
    let mask = u64::try_from(slots.wrapping_sub(1)).unwrap_or(u64::MAX);
    low(index.0 & mask)
}

#[cfg_attr(target_pointer_width = "64", inline)]
fn low(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The last index that an entry may have. There is one behind it, so that `Index::next` of an entry
/// is never the entry itself.
const LAST_INDEX: Index = Index(u64::MAX - 1);

/// What the length of an entry can say, or a little less.
const ENTRY_BYTES_MAX: usize = 65_535;

#[cfg(test)]
mod tests;
