//! Bytes in and out of flash, whatever its words are.

use embedded_storage::nor_flash::NorFlash;

use crate::error::FlashError;

pub(crate) type Result<T, F> =
    core::result::Result<T, FlashError<<F as embedded_storage::nor_flash::ErrorType>::Error>>;

/// Bytes as a `u32` counts them; more than that are never handed over.
pub(crate) fn bytes_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A word of this flash, in bytes.
pub(crate) fn word<F: NorFlash>() -> u32 {
    bytes_of(F::WRITE_SIZE)
}

/// As many bytes in whole words.
pub(crate) fn padded<F: NorFlash>(bytes: u32) -> u32 {
    bytes.checked_next_multiple_of(word::<F>()).unwrap_or(u32::MAX)
}

/// How many bytes a mark takes: words of its own.
pub(crate) fn mark_bytes<F: NorFlash>() -> u32 {
    padded::<F>(4)
}

/// Reads from any address.
pub(crate) fn read<F: NorFlash>(flash: &mut F, at: u32, into: &mut [u8]) -> Result<(), F> {
    let unit = bytes_of(F::READ_SIZE).max(1);
    let mut at = at;
    let mut rest = into;
    let mut buffer = [0; BLOCK];
    while !rest.is_empty() {
        let from = at - at % unit;
        let skip = usize::try_from(at - from).unwrap_or(0);
        let count = rest.len().min(BLOCK - skip);
        let length = (skip + count).next_multiple_of(F::READ_SIZE.max(1)).min(BLOCK);
        let block = buffer.get_mut(..length).unwrap_or_default();
        flash.read(from, block).map_err(FlashError::Driver)?;
        let (to, others) = rest.split_at_mut(count);
        to.iter_mut().zip(block.iter().skip(skip)).for_each(|(to, from)| *to = *from);
        at = at.saturating_add(bytes_of(count));
        rest = others;
    }
    Ok(())
}

/// Gives all bytes of an extent to `take`, a block at a time.
pub(crate) fn each_block<F: NorFlash>(
    flash: &mut F,
    at: u32,
    length: u32,
    mut take: impl FnMut(&mut F, &[u8]) -> Result<(), F>,
) -> Result<(), F> {
    let mut buffer = [0; BLOCK];
    let mut done = 0;
    while done < length {
        let count = usize::try_from(length - done).unwrap_or(BLOCK).min(BLOCK);
        let block = buffer.get_mut(..count).unwrap_or_default();
        read(flash, at.saturating_add(done), block)?;
        take(flash, block)?;
        done += bytes_of(count);
    }
    Ok(())
}

/// Whether all of an extent is as an erase leaves it.
pub(crate) fn is_blank<F: NorFlash>(flash: &mut F, at: u32, length: u32) -> Result<bool, F> {
    let mut is_blank = true;
    each_block(flash, at, length, |_, block| {
        is_blank &= block.iter().all(|byte| *byte == 0xff);
        Ok(())
    })?;
    Ok(is_blank)
}

/// What is to be seen of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// More of its bits are programmed than not: it was being written, at least.
    pub is_set: bool,
    /// It is all one or the other.
    pub is_whole: bool,
}

pub(crate) fn read_mark<F: NorFlash>(flash: &mut F, at: u32) -> Result<Mark, F> {
    let length = mark_bytes::<F>();
    let mut zeros = 0;
    each_block(flash, at, length, |_, block| {
        zeros += block.iter().map(|byte| byte.count_zeros()).sum::<u32>();
        Ok(())
    })?;
    let is_whole = zeros == 0 || zeros == length * 8;
    Ok(Mark { is_set: zeros > length * 4, is_whole })
}

pub(crate) fn write_mark<F: NorFlash>(flash: &mut F, at: u32) -> Result<(), F> {
    let zeros = [0; BLOCK];
    let length = usize::try_from(mark_bytes::<F>()).unwrap_or(BLOCK);
    flash.write(at, zeros.get(..length).unwrap_or_default()).map_err(FlashError::Driver)
}

/// Erases page by page, the first one first.
pub(crate) fn erase_pages<F: NorFlash>(flash: &mut F, at: u32, length: u32) -> Result<(), F> {
    let page = bytes_of(F::ERASE_SIZE);
    let end = at.saturating_add(length);
    let mut from = at;
    while from < end {
        let to = from.saturating_add(page);
        flash.erase(from, to).map_err(FlashError::Driver)?;
        from = to;
    }
    Ok(())
}

/// Writes bytes one behind the other, in whole words.
pub(crate) struct Writer {
    at: u32,
    buffer: [u8; BLOCK],
    used: usize,
}

impl Writer {
    pub(crate) const fn new(at: u32) -> Self {
        Self { at, buffer: [0xff; BLOCK], used: 0 }
    }

    pub(crate) fn put<F: NorFlash>(&mut self, flash: &mut F, bytes: &[u8]) -> Result<(), F> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.buffer.get_mut(self.used..).unwrap_or_default();
            let (taken, others) = rest.split_at(rest.len().min(room.len()));
            room.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
            self.used += taken.len();
            rest = others;
            if self.used == BLOCK {
                self.flush(flash)?;
            }
        }
        Ok(())
    }

    /// Fills the last word up, and gives the address behind it.
    pub(crate) fn finish<F: NorFlash>(mut self, flash: &mut F) -> Result<u32, F> {
        self.used = self.used.next_multiple_of(F::WRITE_SIZE.max(1)).min(BLOCK);
        self.flush(flash)?;
        Ok(self.at)
    }

    fn flush<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), F> {
        let bytes = self.buffer.get(..self.used).unwrap_or_default();
        if !bytes.is_empty() {
            flash.write(self.at, bytes).map_err(FlashError::Driver)?;
        }
        self.at = self.at.saturating_add(bytes_of(self.used));
        self.used = 0;
        self.buffer = [0xff; BLOCK];
        Ok(())
    }
}

/// How many bytes are read or written at a time at most: a multiple of every word.
pub(crate) const BLOCK: usize = 256;
