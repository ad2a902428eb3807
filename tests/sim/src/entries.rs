//! Encoded entries, taken apart without the help of the core, and how the simulator names them.

use coracle::{EntryId, Index, Term};

use crate::chance::mix_bytes;

/// One entry, as the simulator compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which entry.
    pub id: EntryId,
    /// A hash of its kind and its data.
    pub hash: u64,
}

/// A hash of what an entry says, apart from where it stands.
#[must_use]
pub fn hash_entry(kind: u8, data: &[u8]) -> u64 {
    mix_bytes(u64::from(kind) + 1, data)
}

/// The entries of a run of encoded ones: each with its bytes. `None` in place of what is no entry.
pub fn walk(run: &[u8], first: Index) -> impl Iterator<Item = Option<(Known, &[u8])>> {
    let mut rest = run;
    let mut index = first;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((term, hash, length)) = read(rest) else {
            rest = &[];
            return Some(None);
        };
        let (bytes, behind) = rest.split_at(length);
        let known = Known { id: EntryId { term, index }, hash };
        rest = behind;
        index = index.next();
        Some(Some((known, bytes)))
    })
}

/// The term, the hash and the length of the first entry.
fn read(run: &[u8]) -> Option<(Term, u64, usize)> {
    let (length, rest) = run.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_le_bytes(*length));
    let body = rest.get(..length)?;
    let mut term = 0_u64;
    let mut used = 0;
    loop {
        let byte = *body.get(used)?;
        term |= u64::from(byte & 0x7f) << (7 * used);
        used += 1;
        if byte < 0x80 {
            break;
        }
    }
    let (&kind, data) = body.get(used..)?.split_first()?;
    Some((Term(term), hash_entry(kind, data), 2 + length))
}
