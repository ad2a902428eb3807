//! postcard's variable-width integers, written by hand because deriving them per field costs more
//! than the rest of a message. Only the shortest form of a number is taken, so that a number has
//! one encoding and two runs of equal entries are equal bytes.

/// Reads one number, and gives what follows it.
///
/// `None` when the bytes end inside the number, when it does not fit 64 bits, or when a shorter
/// form of it exists.
#[cfg_attr(target_pointer_width = "64", inline)]
pub(crate) fn read_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < MORE {
        return Some((u64::from(first), rest));
    }
    let low = u64::from(first & !MORE);
    match rest.split_first() {
        // Two bytes reach 16,383; a second byte of zero would be one too many.
        Some((&second, rest)) if second < MORE && second != 0 => {
            Some((low | u64::from(second) << 7, rest))
        }
        Some(_) | None => read_long(low, rest),
    }
}

/// Writes `value` at the front of `out` and gives its length; `None` when it does not fit, and
/// then `out` may hold a part of it.
#[cfg_attr(target_pointer_width = "64", inline)]
pub(crate) fn write_u64(value: u64, out: &mut [u8]) -> Option<usize> {
    // Shifted by one, its bits from the eighth on are a byte of their own.
    let [low, high, ..] = (value << 1).to_le_bytes();
    if value < 1 << 7 {
        *out.first_mut()? = low >> 1;
        Some(1)
    } else if value < 1 << 14 {
        *out.first_chunk_mut()? = [low >> 1 | MORE, high];
        Some(2)
    } else {
        write_long(value, out)
    }
}

#[inline(never)]
fn write_long(value: u64, out: &mut [u8]) -> Option<usize> {
    let mut rest = value;
    let mut length = 0;
    for byte in out.iter_mut().take(MAX_BYTES) {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        length += 1;
        if rest == 0 {
            *byte = low;
            return Some(length);
        }
        *byte = low | MORE;
    }
    None
}

/// The longest form of a `u64`.
pub(crate) const MAX_BYTES: usize = 10;

/// Set in every byte but the last.
const MORE: u8 = 0x80;

/// Terms and lengths are nearly always below 128, so this stays out of the way of the fast path.
#[cold]
fn read_long(first: u64, bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = first;
    let mut rest = bytes;
    for shift in [7, 14, 21, 28, 35, 42, 49, 56, 63] {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        value |= u64::from(byte & !MORE) << shift;
        if byte < MORE {
            let has_shorter_form = byte == 0;
            let overflows = shift == 63 && byte > 1;
            return (!has_shorter_form && !overflows).then_some((value, rest));
        }
    }
    None
}
