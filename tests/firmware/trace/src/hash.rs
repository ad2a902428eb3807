//! The hash of a run.

use coracle::{Full, Sink};

/// FNV-1a, of 64 bits: every byte counts, and so does their order.
#[derive(Clone, Debug)]
pub struct Hash(u64);

impl Hash {
    /// Of nothing.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes, and how many there were.
    pub fn add(&mut self, bytes: &[u8]) {
        self.add_number(u64::try_from(bytes.len()).expect("a length is a number"));
        self.mix(bytes);
    }

    /// Adds a number.
    pub fn add_number(&mut self, number: u64) {
        self.mix(&number.to_le_bytes());
    }

    /// The hash of all that was added.
    pub const fn value(&self) -> u64 {
        self.0
    }

    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// So that a snapshot need not be stored to be compared.
impl Sink for Hash {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.mix(bytes);
        Ok(())
    }
}
