//! A key-value store of fixed capacity, in memory that is handed in.

mod record;

use coracle::{BadSnapshot, Full, Sink, Source};

use record::{Header, compact, record, retire};

/// A key-value store: records in an arena of bytes, and an index of slots sorted by key.
///
/// The arena and the slots are arrays, boxed slices or borrowed ones, and their lengths are the
/// capacity: as many keys as slots, and [`KeyValue::capacity_bytes`] of records. The capacity
/// decides what is refused, so all nodes of a cluster must have the same.
///
/// `get` is a binary search. `set` and `delete` move up to all slots, four bytes each. The memory
/// of records that were replaced or deleted is reclaimed by compaction in place, at most once for
/// every eighth of the arena that is written: on average a `set` moves eight times its own bytes.
#[derive(Clone)]
pub struct KeyValue<B, S> {
    bytes: B,
    /// The first `keys` are in use, sorted by key.
    slots: S,
    keys: usize,
    /// Where the arena's unused part begins.
    tail: usize,
    /// The bytes of the records that can be found. Never above `tail`, nor above the capacity.
    live: usize,
}

/// Where a record stands in the arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slot(u32);

/// Why a key was not set: nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SetError {
    /// The key is longer than [`MAX_KEY_BYTES`].
    KeyTooLong,
    /// The value is longer than [`MAX_VALUE_BYTES`].
    ValueTooLong,
    /// Every slot holds another key.
    TooManyKeys,
    /// The records would take more than the capacity in bytes.
    OutOfSpace,
}

/// The longest key.
pub const MAX_KEY_BYTES: usize = 64;

/// The longest value: with its key it fits a datagram of 1200 bytes.
pub const MAX_VALUE_BYTES: usize = 960;

impl Slot {
    /// A slot that is not in use.
    pub const EMPTY: Self = Self(0);

    /// The slot of a key whose record is being replaced.
    const VACANT: Self = Self(u32::MAX);
}

impl<B, S> KeyValue<B, S> {
    /// An empty store in this memory, whatever the memory holds.
    #[must_use]
    pub const fn new(bytes: B, slots: S) -> Self {
        Self { bytes, slots, keys: 0, tail: 0, live: 0 }
    }

    /// How many keys there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys
    }

    /// Whether there is no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// The bytes that the records take, each four more than its key and value.
    #[must_use]
    pub const fn used_bytes(&self) -> usize {
        self.live
    }

    /// Forgets every key.
    pub const fn clear(&mut self) {
        self.keys = 0;
        self.tail = 0;
        self.live = 0;
    }
}

impl<B, S> KeyValue<B, S>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    /// How many keys there can be.
    #[must_use]
    pub fn capacity_keys(&self) -> usize {
        self.slots.as_ref().len()
    }

    /// How many bytes the records can take, each four more than its key and value: seven eighths of
    /// the arena. The last eighth keeps compaction rare.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        let room = self.room();
        room.saturating_sub(room.div_ceil(8))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.find(key).ok().map(|position| self.record(self.slot(position)).1)
    }

    /// All keys and their values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.slots.as_ref().iter().take(self.keys).map(|slot| self.record(*slot))
    }

    /// Sets a key to a value, whether or not it has one.
    ///
    /// # Errors
    /// Why it was not set; nothing has changed.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), SetError> {
        let header = Header { key: key.len(), value: value.len() }.checked()?;
        let slot = match self.find(key) {
            Ok(position) => self.replace(position, header)?,
            Err(position) => self.insert(position, header)?,
        };
        let body = header.body_mut(self.bytes.as_mut(), slot).unwrap_or_default();
        // In two pieces: each is a block copy then, a chain of both would go byte by byte.
        let (key_room, value_room) = body.split_at_mut_checked(key.len()).unwrap_or_default();
        copy(key_room, key);
        copy(value_room, value);
        Ok(())
    }

    /// Deletes a key, and says whether there was one.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        let Ok(position) = self.find(key) else { return false };
        self.retire(position);
        let behind = self.slots.as_mut().get_mut(position..self.keys).unwrap_or_default();
        let mut moved = Slot::EMPTY;
        behind.iter_mut().rev().for_each(|slot| core::mem::swap(slot, &mut moved));
        self.keys = self.keys.saturating_sub(1);
        true
    }

    /// Writes the keys and values, sorted by key: the same bytes for the same pairs, however they
    /// came about.
    ///
    /// # Errors
    /// `Full` when the sink takes no more.
    pub fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
        sink.write(&u32::try_from(self.keys).map_err(|_| Full)?.to_le_bytes())?;
        for (key, value) in self.iter() {
            let key_bytes = u8::try_from(key.len()).map_err(|_| Full)?;
            let value_bytes = u16::try_from(value.len()).map_err(|_| Full)?;
            sink.write(&[key_bytes])?;
            sink.write(&value_bytes.to_le_bytes())?;
            sink.write(key)?;
            sink.write(value)?;
        }
        Ok(())
    }

    /// Replaces the keys and values by those of a snapshot.
    ///
    /// # Errors
    /// `BadSnapshot` when the bytes are no snapshot of a store of this capacity; the store is then
    /// empty.
    pub fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        self.clear();
        let restored = self.restore_records(source);
        if restored.is_err() {
            self.clear();
        }
        restored
    }

    fn restore_records<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        let mut count = [0; 4];
        source.read(&mut count)?;
        let count = usize::try_from(u32::from_le_bytes(count)).map_err(|_| BadSnapshot)?;
        if count > self.capacity_keys() {
            return Err(BadSnapshot);
        }
        (0..count).try_for_each(|_| self.restore_record(source))
    }

    /// Reads one record straight into the arena. Its key must be above all keys before it.
    fn restore_record<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        let mut head = [0; 3];
        source.read(&mut head)?;
        let [key, low, high] = head;
        let value = usize::from(u16::from_le_bytes([low, high]));
        let header = Header { key: usize::from(key), value };
        let header = header.checked().map_err(|_| BadSnapshot)?;
        let slot = self.reserve(header).ok_or(BadSnapshot)?;
        source.read(header.body_mut(self.bytes.as_mut(), slot).ok_or(BadSnapshot)?)?;
        let last = self.keys.checked_sub(1).map(|last| self.record(self.slot(last)).0);
        if last.is_some_and(|last| last >= self.record(slot).0) {
            return Err(BadSnapshot);
        }
        *self.slots.as_mut().get_mut(self.keys).ok_or(BadSnapshot)? = slot;
        self.keys = self.keys.saturating_add(1);
        Ok(())
    }

    /// Makes room for another value of a key that is there; the old record's if it fits exactly.
    fn replace(&mut self, position: usize, header: Header) -> Result<Slot, SetError> {
        let slot = self.slot(position);
        let old = Header::read(self.bytes.as_ref(), slot);
        if old == header {
            return Ok(slot);
        }
        let others = self.live.saturating_sub(old.record_bytes());
        if others.saturating_add(header.record_bytes()) > self.capacity_bytes() {
            return Err(SetError::OutOfSpace);
        }
        self.retire(position);
        let slot = self.reserve(header).ok_or(SetError::OutOfSpace)?;
        if let Some(place) = self.slots.as_mut().get_mut(position) {
            *place = slot;
        }
        Ok(slot)
    }

    /// Makes room for a new key, before the one at `position`.
    fn insert(&mut self, position: usize, header: Header) -> Result<Slot, SetError> {
        let keys = self.keys.saturating_add(1);
        if keys > self.capacity_keys() {
            return Err(SetError::TooManyKeys);
        }
        let slot = self.reserve(header).ok_or(SetError::OutOfSpace)?;
        let behind = self.slots.as_mut().get_mut(position..keys).unwrap_or_default();
        let mut moved = slot;
        behind.iter_mut().for_each(|slot| core::mem::swap(slot, &mut moved));
        self.keys = keys;
        Ok(slot)
    }

    /// Gives the record at `position` up: its bytes wait for the next compaction.
    fn retire(&mut self, position: usize) {
        let Some(slot) = self.slots.as_mut().get_mut(position) else { return };
        let old = retire(self.bytes.as_mut(), *slot);
        self.live = self.live.saturating_sub(old.record_bytes());
        *slot = Slot::VACANT;
    }

    /// Takes a record's bytes from the arena's unused part, after a compaction if that is too
    /// small; none when the capacity does not allow it, and then nothing has changed.
    fn reserve(&mut self, header: Header) -> Option<Slot> {
        let live = self.live.saturating_add(header.record_bytes());
        if live > self.capacity_bytes() {
            return None;
        }
        if self.tail.saturating_add(header.record_bytes()) > self.room() {
            let slots = self.slots.as_mut().get_mut(..self.keys).unwrap_or_default();
            self.tail = compact(self.bytes.as_mut(), slots, self.tail);
        }
        let slot = Slot(u32::try_from(self.tail).ok()?);
        header.write(self.bytes.as_mut(), slot);
        self.tail = self.tail.saturating_add(header.record_bytes());
        self.live = live;
        Some(slot)
    }

    /// Where a key stands among the slots, or where it would.
    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let slots = self.slots.as_ref().get(..self.keys).unwrap_or_default();
        let arena = self.bytes.as_ref();
        slots.binary_search_by(|slot| record::key(arena, *slot).unwrap_or_default().cmp(key))
    }

    fn slot(&self, position: usize) -> Slot {
        self.slots.as_ref().get(position).copied().unwrap_or(Slot::VACANT)
    }

    fn record(&self, slot: Slot) -> (&[u8], &[u8]) {
        record(self.bytes.as_ref(), slot).unwrap_or_default()
    }

    /// The part of the arena that is used, so that a slot's top bit is free for compaction.
    fn room(&self) -> usize {
        self.bytes.as_ref().len().min(MAX_ARENA_BYTES)
    }
}

/// Unlike `copy_from_slice` it has no panic, even unoptimised.
fn copy(into: &mut [u8], from: &[u8]) {
    into.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

const MAX_ARENA_BYTES: usize = 0x7FFF_FFFF;

#[cfg(test)]
mod tests;
