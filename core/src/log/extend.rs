//! How a follower takes a run of entries from its leader (section 5.3), and any node its own log
//! back from the disk.

use super::entry::Encoded;
use super::{EntryKind, Log, Memory, Reserve, Slot, entry, position};
use crate::bytes::copy;
use crate::types::{EntryId, Index, Term};

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extended {
    /// Up to here our entries are known to equal the run's: `prev` and what was taken or skipped.
    pub(crate) verified: Index,
    /// The first of our entries that had to go, if any.
    pub(crate) truncated: Option<Index>,
}

/// Why a run was not taken. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadRun {
    /// It is not a run of entries whose terms never fall nor exceed the leader's, or it leaves a
    /// gap behind our last entry.
    Malformed,
    /// It contradicts an entry that is committed, which no correct leader does (section 5.4.3).
    ConflictsWithCommitted,
}

/// What a walk over entries that we have found out.
struct Overlap<'a> {
    /// The last entry of the run that we have, too.
    verified: Index,
    /// The last term of the run so far.
    term: Term,
    /// What of the run is left.
    rest: &'a [u8],
    /// Whether the next entry of the run contradicts ours.
    is_conflict: bool,
}

impl<M: Memory> Log<M> {
    /// Takes the entries of `run`, which follow `prev`; the caller has seen that `prev` matches.
    ///
    /// Skips what we have. Only an entry of another term than ours truncates, so that a duplicate
    /// or a shorter stale run removes nothing (section 5.3). When the log fills up, it takes as
    /// many whole entries as fit. What lies below the base counts as matching.
    ///
    /// # Errors
    /// `BadRun` when any part of the run is wrong; nothing has changed.
    pub(crate) fn extend(
        &mut self,
        prev: Index,
        run: &[u8],
        committed: Index,
        max_term: Term,
    ) -> Result<Extended, BadRun> {
        if prev > self.last.index {
            return Err(BadRun::Malformed);
        }
        let overlap = self.skip(prev, run, max_term)?;
        if overlap.rest.is_empty() {
            return Ok(Extended { verified: overlap.verified, truncated: None });
        }
        let mut truncated = None;
        if overlap.is_conflict {
            // A second walk, which is rare: nothing may be lost to a run that is bad further on.
            check(overlap.rest, overlap.term, max_term)?;
            if overlap.verified < committed.max(self.base.index) {
                return Err(BadRun::ConflictsWithCommitted);
            }
            let first = overlap.verified.next();
            self.truncate(first);
            truncated = Some(first);
        }
        self.take(overlap.rest, max_term)?;
        Ok(Extended { verified: self.last.index, truncated })
    }

    /// Passes over the entries of a run for as long as we have the same.
    #[inline]
    fn skip<'a>(&self, prev: Index, run: &'a [u8], max_term: Term) -> Result<Overlap<'a>, BadRun> {
        let mut verified = prev;
        let mut rest = run;
        if prev < self.last.index {
            // What equals our bytes equals our entries, and those were checked when they came.
            let (ours, last) = self.run(prev.next(), run.len());
            if let Some((_, after)) =
                run.split_at_checked(ours.len()).filter(|(theirs, _)| *theirs == ours)
            {
                (verified, rest) = (last, after);
            }
        }
        let mut term = self.term_at(verified).unwrap_or_default();
        if term > max_term && !run.is_empty() {
            return Err(BadRun::Malformed);
        }
        // The run gets shorter each time.
        while verified < self.last.index && !rest.is_empty() {
            let next = read_next(rest, term, max_term)?;
            let index = verified.next();
            // Below the base we know no terms, but all there is committed, and so matches.
            if self.term_at(index).is_some_and(|ours| ours != next.term) {
                return Ok(Overlap { verified, term, rest, is_conflict: true });
            }
            verified = index;
            term = next.term;
            rest = next.rest;
        }
        Ok(Overlap { verified, term, rest, is_conflict: false })
    }

    /// Checks a run that starts right behind the last entry, and copies it in, in one walk: nothing
    /// of it exists before `last` is raised.
    fn take(&mut self, run: &[u8], max_term: Term) -> Result<(), BadRun> {
        let mut free_entries = self.free_entries();
        let mut ring = self.ring;
        let EntryId { mut term, mut index } = self.last;
        let (bytes, slots) = self.memory.parts_mut();
        let (mut room, mut free_bytes) = (ring.room(bytes.len()), ring.free(bytes.len()));
        let mut last_internal = self.last_internal;
        let mut last_configuration = self.last_configuration;
        let reserve = self.reserve;
        let mut headroom = self.headroom;
        // What is found to fit is copied in one go, `from` to the offset `to`.
        let mut from = run;
        let mut to = ring.tail;
        let mut rest = run;
        // The run gets shorter each time.
        while !rest.is_empty() {
            let next = read_next(rest, term, max_term)?;
            let is_placed = room >= next.length;
            let wrapped = if is_placed { None } else { ring.wrapped(index.next()) };
            let wrapped = wrapped.filter(|ring| ring.room(bytes.len()) >= next.length);
            let is_command = next.kind == EntryKind::Command;
            let kept = if is_command { reserve } else { Reserve::default() };
            free_bytes = wrapped.map_or(free_bytes, |ring| ring.free(bytes.len()));
            let is_full = free_entries <= kept.entries
                || free_bytes < next.length.saturating_add(kept.bytes)
                || is_command && headroom < next.length;
            if is_full || !is_placed && wrapped.is_none() {
                // What follows does not fit, but it must be well-formed all the same.
                check(next.rest, next.term, max_term)?;
                self.is_pressed = true;
                break;
            }
            if let Some(wrapped) = wrapped {
                copy(bytes.get_mut(to..ring.tail).unwrap_or_default(), from);
                (from, to, ring) = (rest, 0, wrapped);
                room = ring.room(bytes.len());
            }
            index = index.next();
            if next.kind != EntryKind::Command {
                last_internal = index;
                if next.kind == EntryKind::Configuration {
                    last_configuration = index;
                }
            }
            if let Some(slot) = slots.get_mut(position(index, slots.len())) {
                *slot = Slot::at(ring.tail);
            }
            ring.tail += next.length;
            room -= next.length;
            free_bytes -= next.length;
            headroom = headroom.saturating_sub(next.length);
            free_entries -= 1;
            term = next.term;
            rest = next.rest;
        }
        copy(bytes.get_mut(to..ring.tail).unwrap_or_default(), from);
        self.ring = ring;
        self.headroom = headroom;
        self.last = EntryId { term, index };
        self.last_internal = last_internal;
        self.last_configuration = last_configuration;
        Ok(())
    }
}

/// The next entry of a run, whose term is not below the one before.
#[inline]
fn read_next(run: &[u8], floor: Term, max_term: Term) -> Result<Encoded<'_>, BadRun> {
    match entry::read(run) {
        Some(next) if floor <= next.term && next.term <= max_term => Ok(next),
        Some(_) | None => Err(BadRun::Malformed),
    }
}

/// Checks a run without taking it.
fn check(run: &[u8], floor: Term, max_term: Term) -> Result<(), BadRun> {
    let mut term = floor;
    let mut rest = run;
    // The run gets shorter each time.
    while !rest.is_empty() {
        let next = read_next(rest, term, max_term)?;
        term = next.term;
        rest = next.rest;
    }
    Ok(())
}
