//! The one encoding of an entry: in the log, on the wire and on the disk.
//!
//! ```text
//! length: u16 little-endian, of all that follows it | term: varint | kind: u8 | data: the rest
//! ```
//!
//! The length has a fixed width, so that a command is encoded straight into its place before its
//! length is known.

use crate::types::{EntryId, Index, Term};
use crate::varint;

/// One entry of the log (section 5.3), borrowed from where its bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Entry<'a> {
    /// Which entry it is.
    pub id: EntryId,
    /// What it is for.
    pub kind: EntryKind,
    /// What it carries: nothing, a configuration or a command.
    pub data: &'a [u8],
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EntryKind {
    /// A leader's first entry, which lets it commit what earlier terms left (section 5.4.2).
    Noop,
    /// The members from here on (thesis 4.3).
    Configuration,
    /// A command for the state machine.
    Command,
}

impl EntryKind {
    #[inline]
    const fn tag(self) -> u8 {
        match self {
            Self::Noop => 0,
            Self::Configuration => 1,
            Self::Command => 2,
        }
    }

    #[inline]
    const fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            0 => Some(Self::Noop),
            1 => Some(Self::Configuration),
            2 => Some(Self::Command),
            3.. => None,
        }
    }
}

/// What an entry takes at most beside its data.
pub(crate) const ENTRY_OVERHEAD_MAX: usize = LENGTH_BYTES + varint::MAX_BYTES + KIND_BYTES;

/// The fewest bytes that an entry takes.
pub(super) const ENTRY_BYTES_MIN: usize = LENGTH_BYTES + 1 + KIND_BYTES;

const LENGTH_BYTES: usize = 2;
const KIND_BYTES: usize = 1;

/// An encoded entry, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Encoded<'a> {
    pub(super) term: Term,
    pub(super) kind: EntryKind,
    pub(super) data: &'a [u8],
    /// Of the whole entry.
    pub(super) length: usize,
    /// What follows the entry.
    pub(super) rest: &'a [u8],
}

impl<'a> Encoded<'a> {
    #[inline]
    pub(super) const fn at(self, index: Index) -> Entry<'a> {
        let id = EntryId { term: self.term, index };
        Entry { id, kind: self.kind, data: self.data }
    }
}

/// Takes the first entry of a run apart; `None` when it is not one.
#[inline]
pub(super) fn read(run: &[u8]) -> Option<Encoded<'_>> {
    let [low, high, rest @ ..] = run else {
        return None;
    };
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let (body, rest) = rest.split_at_checked(length)?;
    let (term, body) = varint::read_u64(body)?;
    let (&tag, data) = body.split_first()?;
    let kind = EntryKind::from_tag(tag)?;
    let length = LENGTH_BYTES + length;
    (term != 0).then_some(Encoded { term: Term(term), kind, data, length, rest })
}

/// The term of an entry already known to be one.
#[inline]
pub(super) fn read_term(entry: &[u8]) -> Option<Term> {
    let [_, _, body @ ..] = entry else {
        return None;
    };
    varint::read_u64(body).map(|(term, _)| Term(term))
}

/// Encodes an entry at the front of `space`, its data by `write`, and gives its length.
///
/// `None` when it does not fit; `space` may then hold a part of it.
#[inline]
pub(super) fn write(
    space: &mut [u8],
    term: Term,
    kind: EntryKind,
    write: impl FnOnce(&mut [u8]) -> Option<usize>,
) -> Option<usize> {
    let [low, high, body @ ..] = space else {
        return None;
    };
    let term_bytes = varint::write_u64(term.0, body)?;
    let (tag, data) = body.get_mut(term_bytes..)?.split_first_mut()?;
    let data_bytes = write(data).filter(|&bytes| bytes <= data.len())?;
    let body_bytes = term_bytes + KIND_BYTES + data_bytes;
    *tag = kind.tag();
    [*low, *high] = u16::try_from(body_bytes).ok()?.to_le_bytes();
    Some(LENGTH_BYTES + body_bytes)
}
