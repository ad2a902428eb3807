//! A log's memory, of which a rule may use less than there is: so that rules about small logs need
//! no code of their own on a microcontroller.

use coracle::{Memory, Slot};

/// Bytes and slots for a log.
#[derive(Clone, Debug)]
pub struct Room<const BYTES: usize, const SLOTS: usize> {
    bytes: [u8; BYTES],
    slots: [Slot; SLOTS],
    byte_count: usize,
    slot_count: usize,
}

/// What nearly every rule needs.
pub type Small = Room<640, 32>;

/// What a working member needs (encoding). It is lent to the node, since it is large.
pub type Large = Room<4096, 256>;

impl<const BYTES: usize, const SLOTS: usize> Room<BYTES, SLOTS> {
    /// All that there is, unused.
    #[must_use]
    pub const fn fresh() -> Self {
        Self { bytes: [0; BYTES], slots: [Slot::ZERO; SLOTS], byte_count: BYTES, slot_count: SLOTS }
    }

    /// Only so many bytes and slots of it.
    #[must_use]
    pub fn limited(byte_count: usize, slot_count: usize) -> Self {
        assert!(byte_count <= BYTES && slot_count <= SLOTS, "there is no such room");
        Self { byte_count, slot_count, ..Self::fresh() }
    }
}

impl<const BYTES: usize, const SLOTS: usize> Memory for Room<BYTES, SLOTS> {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.byte_count]
    }

    fn slots(&self) -> &[Slot] {
        &self.slots[..self.slot_count]
    }

    fn parts_mut(&mut self) -> (&mut [u8], &mut [Slot]) {
        (&mut self.bytes[..self.byte_count], &mut self.slots[..self.slot_count])
    }
}
