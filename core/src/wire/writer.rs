//! Writes into the caller's buffer, never past its end.

use crate::seal::Seal;
use crate::varint;

/// A place in a buffer. Each method returns `None` when the buffer is too small.
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    written: usize,
}

impl<'b> Writer<'b> {
    pub(crate) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, written: 0 }
    }

    /// How many bytes have been written.
    pub(crate) const fn written(&self) -> usize {
        self.written
    }

    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.written.checked_add(bytes.len())?;
        let to = self.buffer.get_mut(self.written..end)?;
        to.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.written = end;
        Some(())
    }

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) -> Option<()> {
        *self.buffer.get_mut(self.written)? = byte;
        self.written += 1;
        Some(())
    }

    #[inline]
    pub(crate) fn varint(&mut self, value: u64) -> Option<()> {
        // Terms, lengths and distances are nearly always a single byte.
        match u8::try_from(value) {
            Ok(byte) if byte < 0x80 => self.byte(byte),
            Ok(_) | Err(_) => self.long_varint(value),
        }
    }

    fn long_varint(&mut self, value: u64) -> Option<()> {
        let rest = self.buffer.get_mut(self.written..)?;
        self.written += varint::write_u64(value, rest)?;
        Some(())
    }

    /// Writes a value in its postcard form.
    pub(crate) fn postcard<T: serde::Serialize>(&mut self, value: &T) -> Option<()> {
        let rest = self.buffer.get_mut(self.written..)?;
        let used = postcard::to_slice(value, rest).ok()?.len();
        self.written += used;
        Some(())
    }

    /// Ends the datagram with its seal and returns its length.
    #[inline]
    pub(crate) fn seal<S: Seal>(self, seal: &S) -> Option<usize> {
        let (content, rest) = self.buffer.split_at_mut_checked(self.written)?;
        seal.seal(content, rest.get_mut(..S::BYTES)?);
        self.written.checked_add(S::BYTES)
    }
}
