//! Records in the arena: a header of four bytes, the key, the value.

use core::cell::Cell;

use super::{MAX_KEY_BYTES, MAX_VALUE_BYTES, SetError, Slot};

/// The lengths of a record's key and value. In the arena it is one word: the value's length in the
/// lowest two bytes, the key's in the highest one, below [`DEAD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) key: usize,
    pub(super) value: usize,
}

impl Header {
    /// These lengths if they are within the limits.
    pub(super) const fn checked(self) -> Result<Self, SetError> {
        if self.key > MAX_KEY_BYTES {
            return Err(SetError::KeyTooLong);
        }
        if self.value > MAX_VALUE_BYTES {
            return Err(SetError::ValueTooLong);
        }
        Ok(self)
    }

    pub(super) const fn record_bytes(self) -> usize {
        WORD_BYTES.saturating_add(self.key).saturating_add(self.value)
    }

    #[inline]
    pub(super) fn read(arena: &[u8], slot: Slot) -> Self {
        Self::from_word(read_word(arena, slot))
    }

    pub(super) fn write(self, arena: &mut [u8], slot: Slot) {
        write_word(arena, slot, self.to_word());
    }

    /// The key's and the value's bytes, one behind the other.
    pub(super) fn body_mut(self, arena: &mut [u8], slot: Slot) -> Option<&mut [u8]> {
        arena.get_mut(slot.offset()..)?.get_mut(WORD_BYTES..self.record_bytes())
    }

    const fn to_word(self) -> u32 {
        let [low, high, ..] = self.value.to_le_bytes();
        let [key, ..] = self.key.to_le_bytes();
        u32::from_le_bytes([low, high, 0, key])
    }

    fn from_word(word: u32) -> Self {
        let [low, high, _, key] = (word & !DEAD).to_le_bytes();
        Self { key: usize::from(key), value: usize::from(u16::from_le_bytes([low, high])) }
    }
}

impl Slot {
    /// An offset that does not fit an address lies behind every arena.
    fn offset(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Where the record behind one with this header stands.
    fn behind(self, header: Header) -> Self {
        let bytes = u32::try_from(header.record_bytes()).unwrap_or(u32::MAX);
        Self(self.0.saturating_add(bytes))
    }
}

/// The key of a record: a search looks at no more of it.
#[inline]
pub(super) fn key(arena: &[u8], slot: Slot) -> Option<&[u8]> {
    let (word, body) = arena.get(slot.offset()..)?.split_first_chunk()?;
    body.get(..Header::from_word(u32::from_le_bytes(*word)).key)
}

/// The key and the value of a record.
#[inline]
pub(super) fn record(arena: &[u8], slot: Slot) -> Option<(&[u8], &[u8])> {
    let header = Header::read(arena, slot);
    let body = arena.get(slot.offset()..)?.get(WORD_BYTES..header.record_bytes())?;
    body.split_at_checked(header.key)
}

/// Marks a record as dead and gives its header back.
pub(super) fn retire(arena: &mut [u8], slot: Slot) -> Header {
    let word = read_word(arena, slot);
    write_word(arena, slot, word | DEAD);
    Header::from_word(word)
}

/// Moves the live records of `arena[..tail]` together, keeping their order there, and gives the new
/// tail.
///
/// The walk through the arena must know which slot to change for each record, without a search and
/// without memory. So each live record first swaps its header against the number of its slot, and
/// gets it back when the walk has come to it. A dead record's header is above every such number,
/// and a vacant slot points behind the arena and stays so.
pub(super) fn compact(arena: &mut [u8], slots: &mut [Slot], tail: usize) -> usize {
    for (position, slot) in (0..DEAD).zip(slots.iter_mut()) {
        let header = read_word(arena, *slot);
        write_word(arena, *slot, position);
        *slot = Slot(header);
    }
    let (mut from, mut to) = (Slot(0), Slot(0));
    while from.offset() < tail {
        let word = read_word(arena, from);
        let owner = usize::try_from(word).ok().and_then(|position| slots.get_mut(position));
        let header = Header::from_word(owner.as_ref().map_or(word, |slot| slot.0));
        if let Some(slot) = owner {
            header.write(arena, from);
            move_down(arena, from, to, header.record_bytes());
            *slot = to;
            to = to.behind(header);
        }
        from = from.behind(header);
    }
    to.offset()
}

/// Moves bytes towards the arena's beginning; the two ranges may overlap.
fn move_down(arena: &mut [u8], from: Slot, to: Slot, length: usize) {
    if from == to {
        return;
    }
    let cells = Cell::from_mut(arena).as_slice_of_cells();
    let source = cells.get(from.offset()..).unwrap_or_default().iter().take(length);
    let target = cells.get(to.offset()..).unwrap_or_default();
    target.iter().zip(source).for_each(|(to, from)| to.set(from.get()));
}

#[inline]
fn read_word(arena: &[u8], slot: Slot) -> u32 {
    let word = arena.get(slot.offset()..).and_then(<[u8]>::first_chunk);
    word.map_or(DEAD, |word| u32::from_le_bytes(*word))
}

fn write_word(arena: &mut [u8], slot: Slot, word: u32) {
    let place = arena.get_mut(slot.offset()..).and_then(<[u8]>::first_chunk_mut);
    if let Some(place) = place {
        *place = word.to_le_bytes();
    }
}

/// Marks a record whose key is gone or has another record. No length and no slot number has it.
const DEAD: u32 = 1 << 31;

const WORD_BYTES: usize = 4;
