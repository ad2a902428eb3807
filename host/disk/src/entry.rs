//! Entries in their one encoding, as far as storage must understand them.

use coracle::{Entry, EntryId, EntryKind, Index, Term};

/// An entry, and where its bytes end in the run that was walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// Which entry.
    pub id: EntryId,
    /// The tag of its kind.
    pub kind: u8,
    /// What it carries.
    pub data: &'a [u8],
    /// All of its bytes.
    pub bytes: &'a [u8],
}

impl<'a> Stored<'a> {
    /// The entry as the core knows it; `None` if its kind is not known.
    #[must_use]
    pub const fn entry(&self) -> Option<Entry<'a>> {
        let kind = match self.kind {
            0 => EntryKind::Noop,
            1 => EntryKind::Configuration,
            2 => EntryKind::Command,
            3.. => return None,
        };
        Some(Entry { id: self.id, kind, data: self.data })
    }
}

/// The entries of a run, the first of which stands at `first`; `None` in place of what is no entry,
/// and nothing behind that.
pub fn walk(run: &[u8], first: Index) -> impl Iterator<Item = Option<Stored<'_>>> {
    let mut rest = run;
    let mut index = first;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((stored, behind)) = read(rest, index) else {
            rest = &[];
            return Some(None);
        };
        rest = behind;
        index = index.next();
        Some(Some(stored))
    })
}

/// How many bytes of the whole entries at the front of a run fit `room`, and how many they are.
pub(crate) fn fitting(run: &[u8], room: usize) -> (usize, u64) {
    let (mut length, mut count) = (0, 0);
    while let Some(next) = run.get(length..).and_then(entry_length)
        && length + next <= room.min(run.len())
    {
        length += next;
        count += 1;
    }
    (length, count)
}

/// How many bytes the first entry of a run says it has.
pub(crate) fn entry_length(run: &[u8]) -> Option<usize> {
    let (length, _) = run.split_first_chunk::<LENGTH_BYTES>()?;
    Some(LENGTH_BYTES + usize::from(u16::from_le_bytes(*length)))
}

fn read(run: &[u8], index: Index) -> Option<(Stored<'_>, &[u8])> {
    let (bytes, rest) = run.split_at_checked(entry_length(run)?)?;
    let body = bytes.get(LENGTH_BYTES..)?;
    let mut term = 0_u64;
    let mut used = 0;
    loop {
        let byte = *body.get(used)?;
        let shift = u32::try_from(7 * used).ok()?;
        term |= u64::from(byte & 0x7f).checked_shl(shift)?;
        used += 1;
        if byte < 0x80 {
            break;
        }
    }
    let (&kind, data) = body.get(used..)?.split_first()?;
    let id = EntryId { term: Term(term), index };
    (term > 0).then_some((Stored { id, kind, data, bytes }, rest))
}

const LENGTH_BYTES: usize = 2;
