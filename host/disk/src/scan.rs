//! A segment of the log, read back: what is whole, what is torn, and what is damaged.
//!
//! At most one record is ever on its way: the next is written when it is durable. So a record that is
//! not whole was either never confirmed, and then nothing stands behind it, or it is damaged. A
//! mark behind each record that was confirmed tells the same of the last one.

use coracle::Index;

use crate::error::Damage;
use crate::format::{
    MARK_BYTES, RECORD_HEAD_BYTES, RecordHead, SECTION_BYTES, SEGMENT_HEAD_BYTES, SegmentHead,
    marked, salted,
};

/// Where a segment ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// Behind the last whole record and its mark.
    pub(crate) offset: u64,
    /// The number of the record that would come next.
    pub(crate) sequence: u64,
    /// How many bytes from there on must be made zero again: a record that was never confirmed.
    pub(crate) torn: u64,
}

/// A run of entries, from this index on, at this offset of the file.
pub(crate) type Section<'a> = (Index, &'a [u8], u64);

/// Reads a segment. `following` is the number of the first record of the next segment, if there is
/// one: then all before must be there.
pub(crate) fn scan(
    file: &str,
    bytes: &[u8],
    head: &SegmentHead,
    following: Option<u64>,
    mut take: impl FnMut(Section<'_>) -> Result<(), Damage>,
) -> Result<End, Damage> {
    let damage = |offset: usize, what: &str| Damage {
        file: file.to_owned(),
        offset: to_u64(offset),
        what: what.to_owned(),
    };
    let mut at = SEGMENT_HEAD_BYTES;
    let mut sequence = head.first;
    while let Some((body, behind)) = record(bytes, at, head.salt, sequence) {
        let mut from = at + RECORD_HEAD_BYTES;
        let mut rest = body;
        while !rest.is_empty() {
            let section = section(rest).ok_or_else(|| damage(from, "no run of entries"))?;
            let (first, run, more) = section;
            take((first, run, to_u64(from + SECTION_BYTES)))?;
            from += rest.len() - more.len();
            rest = more;
        }
        (at, sequence) = (behind, sequence.saturating_add(1));
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let offset = to_u64(at);
    if let Some(next) = following {
        if next != sequence {
            return Err(damage(at, "a record is not as it was written"));
        }
        return Ok(End { offset, sequence, torn: 0 });
    }
    if was_confirmed(rest, head.salt, sequence) {
        return Err(damage(at, "a record that was confirmed is not as it was written"));
    }
    let zeros = rest.iter().rev().take_while(|byte| **byte == 0).count();
    Ok(End { offset, sequence, torn: to_u64(rest.len() - zeros) })
}

/// The body of the record of this number, and where the next one begins.
fn record(bytes: &[u8], at: usize, salt: u64, sequence: u64) -> Option<(&[u8], usize)> {
    let head = RecordHead::decode(bytes.get(at..)?, salt)?;
    let from = at + RECORD_HEAD_BYTES;
    let length = usize::try_from(head.length).ok()?;
    let body = bytes.get(from..from.checked_add(length)?)?;
    let is_whole = head.sequence == sequence && salted(salt, &[body]) == head.checksum;
    is_whole.then(|| (body, from + length.next_multiple_of(ALIGN) + MARK_BYTES))
}

fn section(body: &[u8]) -> Option<(Index, &[u8], &[u8])> {
    let (first, rest) = body.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (run, rest) = rest.split_at_checked(length)?;
    Some((Index(u64::from_le_bytes(*first)), run, rest))
}

/// Whether anything in these bytes could only be written after the record of this number, which
/// would stand at their front, had been confirmed.
fn was_confirmed(bytes: &[u8], salt: u64, sequence: u64) -> bool {
    (0..bytes.len()).step_by(ALIGN).filter_map(|at| bytes.get(at..)).any(|bytes| {
        marked(bytes, salt).is_some_and(|number| number >= sequence)
            || RecordHead::decode(bytes, salt).is_some_and(|head| head.sequence > sequence)
    })
}

fn to_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// Records and marks begin at multiples of this.
pub(crate) const ALIGN: usize = 8;
