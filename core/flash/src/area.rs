//! The two areas for snapshots. An area holds pieces, in the order in which they came.

use embedded_storage::nor_flash::NorFlash;

use crate::error::FlashError;
use crate::format::{CRC, PIECE_HEAD_BYTES, decode_piece, encode_piece};
use crate::layout::Layout;
use crate::medium::{BLOCK, Result, Writer, bytes_of, padded, read};

/// The address behind a piece, from its own.
pub(crate) fn piece_end<F: NorFlash>(at: u32, length: u32) -> u32 {
    at.saturating_add(padded::<F>(length.saturating_add(bytes_of(PIECE_HEAD_BYTES))))
}

/// Appends a piece at `at`, and gives the address behind it.
pub(crate) fn put_piece<F: NorFlash>(
    flash: &mut F,
    at: u32,
    offset: u32,
    bytes: &[u8],
) -> Result<u32, F> {
    let mut writer = Writer::new(at);
    writer.put(flash, &encode_piece(offset, bytes_of(bytes.len())))?;
    writer.put(flash, bytes)?;
    writer.finish(flash)
}

/// Whether this very piece is there.
pub(crate) fn has_piece<F: NorFlash>(
    flash: &mut F,
    (from, end): (u32, u32),
    piece: (u32, u32),
) -> Result<bool, F> {
    let mut at = from;
    while at < end {
        let mut head = [0; PIECE_HEAD_BYTES];
        read(flash, at, &mut head)?;
        let (offset, length) = decode_piece(head);
        if (offset, length) == piece {
            return Ok(true);
        }
        at = piece_end::<F>(at, length);
    }
    Ok(false)
}

/// Fills `into` from the pieces between two addresses. Whether they have all of it.
pub(crate) fn read_pieces<F: NorFlash>(
    flash: &mut F,
    (from, end): (u32, u32),
    offset: u32,
    into: &mut [u8],
) -> Result<bool, F> {
    let wanted = offset.saturating_add(bytes_of(into.len()));
    let mut done = offset;
    // Each round finds the piece that has the next byte; a round that finds none is the last.
    while done < wanted {
        let before = done;
        let mut at = from;
        while at < end && done < wanted {
            let mut head = [0; PIECE_HEAD_BYTES];
            read(flash, at, &mut head)?;
            let (start, length) = decode_piece(head);
            let next = piece_end::<F>(at, length);
            if next > end {
                return Ok(false);
            }
            if start <= done && done - start < length {
                let skip = done - start;
                let count = (length - skip).min(wanted - done);
                let place = usize::try_from(done - offset).unwrap_or(usize::MAX);
                let to = into.get_mut(place..).unwrap_or_default();
                let to = to.get_mut(..usize::try_from(count).unwrap_or(0)).unwrap_or_default();
                read(flash, at + bytes_of(PIECE_HEAD_BYTES) + skip, to)?;
                done += count;
            }
            at = next;
        }
        if done == before {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Checks that a snapshot is there as it was written.
pub(crate) fn check<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    kept: &crate::format::Kept,
) -> Result<(), F> {
    let from = layout.area(kept.area);
    let damage = FlashError::Damaged(from);
    let Ok(length) = u32::try_from(kept.length) else { return Err(damage) };
    if kept.end < from || kept.end - from > layout.snapshot_bytes || length > kept.end - from {
        return Err(damage);
    }
    let mut digest = CRC.digest();
    let mut buffer = [0; BLOCK];
    let mut done = 0;
    while done < length {
        let count = usize::try_from(length - done).unwrap_or(BLOCK).min(BLOCK);
        let block = buffer.get_mut(..count).unwrap_or_default();
        if !read_pieces(flash, (from, kept.end), done, block)? {
            return Err(damage);
        }
        digest.update(block);
        done += bytes_of(count);
    }
    if digest.finalize() == kept.checksum { Ok(()) } else { Err(damage) }
}
