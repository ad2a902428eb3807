//! The commands that are proposed: each differs from the one before in its number.

/// The fewest bytes that a command has.
pub const MIN_BYTES: usize = NUMBER_BYTES;

/// One command after the other, in one buffer.
pub struct Commands {
    bytes: Box<[u8]>,
    number: u64,
}

impl Commands {
    /// Commands of so many bytes, at least [`MIN_BYTES`].
    pub fn new(bytes: usize) -> Self {
        assert!(bytes >= MIN_BYTES, "a command has at least {MIN_BYTES} bytes");
        Self { bytes: vec![b'x'; bytes].into_boxed_slice(), number: 0 }
    }

    /// The next command.
    pub fn next(&mut self) -> &[u8] {
        self.number += 1;
        self.bytes[..NUMBER_BYTES].copy_from_slice(&self.number.to_le_bytes());
        &self.bytes
    }
}

/// A digest that costs next to nothing, so that it is the protocol that is measured. What it leaves
/// out is compared at the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    /// Takes the number of a command in.
    #[inline]
    pub fn add(&mut self, command: &[u8]) {
        let number = command.first_chunk().map_or(0, |number| u64::from_le_bytes(*number));
        self.0 = self.0.rotate_left(5) ^ number;
    }
}

const NUMBER_BYTES: usize = 8;
