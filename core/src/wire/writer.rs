//! Writes into the caller's buffer, never past its end.

use crate::bytes::copy;
use crate::encode::encode;
use crate::varint;

/// A place in a buffer. Each method returns `None` when the buffer is too small; nothing can be
/// written any more then.
pub(crate) struct Writer<'b> {
    /// What is not written yet.
    rest: &'b mut [u8],
    /// The bytes of the whole buffer.
    capacity: usize,
}

impl<'b> Writer<'b> {
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { capacity: buffer.len(), rest: buffer }
    }

    /// How many bytes have been written.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) const fn written(&self) -> usize {
        self.capacity.saturating_sub(self.rest.len())
    }

    /// Takes the next `bytes` bytes, to be written.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn room(&mut self, bytes: usize) -> Option<&'b mut [u8]> {
        let (room, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(bytes)?;
        self.rest = rest;
        Some(room)
    }

    /// As `room`, for as many bytes as the array has.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn array<const BYTES: usize>(&mut self) -> Option<&'b mut [u8; BYTES]> {
        let (room, rest) = core::mem::take(&mut self.rest).split_first_chunk_mut()?;
        self.rest = rest;
        Some(room)
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        copy(self.room(bytes.len())?, bytes);
        Some(())
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn byte(&mut self, byte: u8) -> Option<()> {
        *self.array()? = [byte];
        Some(())
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn varint(&mut self, value: u64) -> Option<()> {
        let length = varint::write_u64(value, self.rest)?;
        self.room(length).map(|_| ())
    }

    /// Writes a value in its postcard form.
    pub(crate) fn postcard<T: serde::Serialize>(&mut self, value: &T) -> Option<()> {
        self.with(|rest| encode(value, rest))
    }

    /// Has `write` write at the front of what is left, and give the length.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn with(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<()> {
        let length = write(self.rest)?;
        self.room(length).map(|_| ())
    }
}
