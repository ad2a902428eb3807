//! What a directory holds: read and checked whole, and not changed.

use coracle::{EntryId, HardState, Index, Members, Saved, Term};

use crate::entry::walk;
use crate::error::{Damage, DiskError};
use crate::files::{File, Files};
use crate::format::{Identity, Origin, SEGMENT_HEAD_BYTES, SegmentHead, Slot, SnapshotHead};
use crate::log::{Tail, segment_name, segment_number};
use crate::scan::{End, Section, scan};
use crate::slots::{self, STATE};
use crate::snapshot::{self, SNAPSHOT};

/// What a node goes on with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Whose it is; nobody's yet without a hard state.
    pub identity: Option<Identity>,
    /// The hard state; none if nothing was ever confirmed here.
    pub hard: Option<HardState>,
    /// The snapshot, if there is one.
    pub snapshot: Option<Kept>,
    /// The entry before the first one in `run`.
    pub base: EntryId,
    /// The last entry.
    pub last: EntryId,
    /// The entries behind `base`, in their one encoding.
    pub run: Vec<u8>,
    /// How the log lies in its files.
    pub summary: Summary,
}

/// A snapshot that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The last entry that is applied in it.
    pub applied: EntryId,
    /// The entry that names the members.
    pub configuration: Index,
    /// The members, encoded.
    pub members: Vec<u8>,
    /// How many bytes the node wrote.
    pub length: u64,
}

/// How the log lies in its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The first segment that counts, and the last.
    pub segments: (u64, u64),
    /// How many records there are in them.
    pub records: u64,
    /// How many bytes behind them belong to a record that was never confirmed.
    pub torn: u64,
    /// Whether only one copy of the hard state is whole, or they differ.
    pub is_state_repaired: bool,
}

/// What is found, and what storage must know to go on.
pub(crate) struct Found {
    pub(crate) recovered: Recovered,
    pub(crate) slot: Option<Slot>,
    /// Where the log goes on; none if a new segment must be begun behind `base`.
    pub(crate) tail: Option<Tail>,
    /// The number of the first record of that new segment, and its own number.
    pub(crate) next: (u64, u64),
    /// Segments that count no more.
    pub(crate) void: Vec<u64>,
}

impl Recovered {
    /// Reads a directory and checks every byte that counts; nothing is changed.
    ///
    /// # Errors
    /// [`DiskError`]: something is missing, damaged or of another version.
    pub fn read<F: Files>(files: &F) -> Result<Self, DiskError> {
        find(files).map(|found| found.recovered)
    }

    /// The same as [`coracle::Raft::recover`] takes it; none without a hard state.
    #[must_use]
    pub fn saved(&self) -> Option<Saved<'_>> {
        let kept = self.snapshot.as_ref();
        Some(Saved {
            hard: self.hard?,
            applied: kept.map_or(Index::ZERO, |kept| kept.applied.index),
            base: self.base,
            configuration: kept.map_or(Index::ZERO, |kept| kept.configuration),
            members: kept.and_then(|kept| Members::parse(&kept.members)),
        })
    }
}

/// The entries as far as they were replayed.
#[derive(Default)]
struct Replay {
    start: Index,
    /// The entry at `start`, if that is known.
    previous: Option<EntryId>,
    run: Vec<u8>,
    /// Where each entry ends, and its term.
    ends: Vec<(usize, Term)>,
    /// No entry so far stood above.
    highest: Index,
}

pub(crate) fn find<F: Files>(files: &F) -> Result<Found, DiskError> {
    let names = files.list();
    let names = names.map_err(|error| DiskError::io(files.path(""), "listed", error))?;
    let has = |name: &str| names.iter().any(|other| other == name);
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    if !has(STATE) {
        return without_state(files, &numbers, has(SNAPSHOT));
    }
    let (mut slot, is_whole) = slots::read(files)?;
    let head = if has(SNAPSHOT) { Some(snapshot::read(files)?.0) } else { None };
    if let Some(head) = &head {
        // Where a new cluster was founded a crash may have kept the state from being written.
        if let Some(hard) = head.hard_after(slot.hard.incarnation) {
            slot.hard = hard;
        }
        check_owner(files, head, &slot)?;
    }
    let from = head.as_ref().map_or(1, |head| head.segment);
    let void: Vec<u64> = numbers.extract_if(.., |number| *number < from).collect();
    let may_begin = numbers.is_empty()
        && slot.segment < from
        && head.as_ref().is_some_and(|head| head.origin != Origin::Own);
    if !may_begin {
        check_numbers(files, &numbers, from, slot.segment)?;
    }
    let mut replay = Replay::default();
    let mut summary = Summary { is_state_repaired: !is_whole, ..Summary::default() };
    let mut tail = replay.read_segments(files, &numbers, &slot, &mut summary)?;
    let base = replay.rebase(files, head.as_ref(), may_begin, from)?;
    check_terms(files, &replay, slot.hard.term)?;
    let last = replay.last(base);
    if let Some(tail) = &mut tail {
        tail.last = last;
        summary.torn = tail.torn;
    }
    let recovered = Recovered {
        identity: Some(slot.identity),
        hard: Some(slot.hard),
        snapshot: head.map(Kept::from),
        base,
        last,
        run: replay.run,
        summary,
    };
    // Sequence numbers of segments that are void are never looked at again.
    Ok(Found { recovered, slot: Some(slot), tail, next: (from, 1), void })
}

/// Without a state nothing was ever confirmed, or else the file is lost.
fn without_state<F: Files>(
    files: &F,
    numbers: &[u64],
    has_snapshot: bool,
) -> Result<Found, DiskError> {
    let is_begun = match numbers {
        [] => false,
        [1] => {
            let (head, bytes) = read_segment(files, 1)?;
            let path = files.path(&segment_name(1));
            let end = scan(&path, &bytes, &head, None, |_| Ok(()));
            end.map_err(DiskError::Damaged)?.sequence > head.first
        }
        [..] => true,
    };
    if is_begun || has_snapshot {
        let what = "the file is missing, but there are entries or a snapshot beside it".to_owned();
        return Err(DiskError::Damaged(Damage { file: files.path(STATE), offset: 0, what }));
    }
    let recovered = Recovered::default();
    Ok(Found { recovered, slot: None, tail: None, next: (1, 1), void: numbers.to_vec() })
}

fn check_owner<F: Files>(files: &F, head: &SnapshotHead, slot: &Slot) -> Result<(), DiskError> {
    if head.identity == slot.identity && head.incarnation == slot.hard.incarnation {
        return Ok(());
    }
    let what = format!(
        "this snapshot is of node {} in its life {}, not of node {} in its life {}",
        head.identity.id, head.incarnation, slot.identity.id, slot.hard.incarnation
    );
    Err(DiskError::Foreign { file: files.path(SNAPSHOT), what })
}

/// All segments must be there, from the first that counts to the last that was begun.
fn check_numbers<F: Files>(
    files: &F,
    numbers: &[u64],
    from: u64,
    upto: u64,
) -> Result<(), DiskError> {
    let last = numbers.last().copied().unwrap_or(0).max(upto);
    match (from..=last.max(from)).find(|number| !numbers.contains(number)) {
        None => Ok(()),
        Some(missing) => {
            let what = "the file is missing, with entries that were confirmed".to_owned();
            let file = files.path(&segment_name(missing));
            Err(DiskError::Damaged(Damage { file, offset: 0, what }))
        }
    }
}

/// Entries are written when the hard state of their term is durable.
fn check_terms<F: Files>(files: &F, replay: &Replay, known: Term) -> Result<(), DiskError> {
    let highest = replay.ends.iter().map(|(_, term)| *term).max().unwrap_or_default();
    if highest <= known {
        return Ok(());
    }
    let what = format!("its term is {known}, but there are entries of term {highest}");
    Err(DiskError::Damaged(Damage { file: files.path(STATE), offset: 0, what }))
}

/// A segment's file, whose head is right and whose length is that of its head.
fn open_segment<F: Files>(files: &F, number: u64) -> Result<(SegmentHead, F::File), DiskError> {
    let name = segment_name(number);
    let damage = |offset, what: &str| {
        DiskError::Damaged(Damage { file: files.path(&name), offset, what: what.to_owned() })
    };
    let fail = |doing| {
        let name = &name;
        move |error| DiskError::io(files.path(name), doing, error)
    };
    let file = files.open(&name).map_err(fail("opened"))?;
    let length = file.length().map_err(fail("read"))?;
    if length < SEGMENT_HEAD_BYTES as u64 {
        return Err(damage(length, "the head ends here"));
    }
    let mut bytes = [0; SEGMENT_HEAD_BYTES];
    file.read_at(0, &mut bytes).map_err(fail("read"))?;
    let head = match SegmentHead::decode(&bytes) {
        Ok(head) => head,
        Err(None) => return Err(damage(0, "the head is not as it was written")),
        Err(Some(version)) => {
            let what = format!("it has the format {version}, which this program does not know");
            return Err(DiskError::Foreign { file: files.path(&name), what });
        }
    };
    if head.number != number {
        return Err(damage(0, &format!("this is segment {}, not {number}", head.number)));
    }
    if head.size != length {
        let what = format!("the file ends here, and not at {}", head.size);
        return Err(damage(length.min(head.size), &what));
    }
    Ok((head, file))
}

/// The whole segment; only one whose head is right is as long as its file says.
fn read_segment<F: Files>(files: &F, number: u64) -> Result<(SegmentHead, Vec<u8>), DiskError> {
    let (head, file) = open_segment(files, number)?;
    let mut bytes = vec![0; usize::try_from(head.size).unwrap_or(usize::MAX)];
    let read = file.read_at(0, &mut bytes);
    read.map_err(|error| DiskError::io(files.path(&segment_name(number)), "read", error))?;
    Ok((head, bytes))
}

impl Replay {
    /// Reads all segments, of which only one is in memory at a time, and checks all records.
    fn read_segments<F: Files>(
        &mut self,
        files: &F,
        numbers: &[u64],
        slot: &Slot,
        summary: &mut Summary,
    ) -> Result<Option<Tail>, DiskError> {
        let mut older = Vec::with_capacity(numbers.len());
        let mut tail = None;
        for (place, number) in numbers.iter().enumerate() {
            let (head, bytes) = read_segment(files, *number)?;
            let path = files.path(&segment_name(*number));
            if head.incarnation != slot.hard.incarnation {
                let life = head.incarnation;
                let what = format!("this segment is of another life of a node ({life})");
                return Err(DiskError::Foreign { file: path, what });
            }
            let following = match numbers.get(place + 1) {
                Some(next) => Some(read_segment_head(files, *next)?),
                None => None,
            };
            if place == 0 {
                self.start = head.previous.index;
                self.previous = Some(head.previous);
                self.highest = head.previous.index;
                summary.segments.0 = *number;
            }
            let end = scan(&path, &bytes, &head, following, |section| self.take(&path, section));
            let End { offset, sequence, torn } = end.map_err(DiskError::Damaged)?;
            summary.segments.1 = *number;
            summary.records += sequence - head.first;
            let (last, highest) = (EntryId::default(), self.highest);
            let next = Tail { head, offset, sequence, last, highest, older: Vec::new(), torn };
            if place + 1 == numbers.len() {
                tail = Some(next);
            } else {
                older.push((*number, highest));
            }
        }
        Ok(tail.map(|tail| Tail { older, ..tail }))
    }

    /// Takes a run, which replaces all from its first index on.
    fn take(&mut self, file: &str, (first, run, offset): Section<'_>) -> Result<(), Damage> {
        let damage = |offset, what: String| Damage { file: file.to_owned(), offset, what };
        if first == Index::ZERO || first > self.end().next() {
            let what = format!("entries from {first} on stand behind entry {}", self.end());
            return Err(damage(offset, what));
        }
        if first <= self.start {
            (self.start, self.previous) = (first.previous(), None);
        }
        let kept = usize::try_from(first.previous().since(self.start)).unwrap_or(usize::MAX);
        self.ends.truncate(kept);
        self.run.truncate(self.ends.last().map_or(0, |(end, _)| *end));
        for entry in walk(run, first) {
            let Some(entry) = entry else {
                return Err(damage(offset, "these are no entries".to_owned()));
            };
            self.run.extend(entry.bytes);
            self.ends.push((self.run.len(), entry.id.term));
        }
        self.highest = self.highest.max(self.end());
        Ok(())
    }

    /// Leaves only what stands behind the snapshot's base, which must be there.
    fn rebase<F: Files>(
        &mut self,
        files: &F,
        head: Option<&SnapshotHead>,
        may_begin: bool,
        first_segment: u64,
    ) -> Result<EntryId, DiskError> {
        let (base, applied) =
            head.map_or_else(Default::default, |head| (head.base, head.applied.index));
        if may_begin {
            return Ok(base);
        }
        let damage = |what: String| {
            let file = files.path(&segment_name(first_segment));
            Err(DiskError::Damaged(Damage { file, offset: 0, what }))
        };
        if self.start > base.index {
            return damage(format!("the log begins behind {}, not {}", self.start, base.index));
        }
        let is_same = match self.place(base.index) {
            None => self.previous.is_none_or(|previous| previous == base),
            Some(place) => self.ends.get(place).is_some_and(|(_, term)| *term == base.term),
        };
        if !is_same {
            let EntryId { term, index } = base;
            return damage(format!("entry {index} is not of term {term}, as in the snapshot"));
        }
        if self.end() < applied {
            return damage(format!("the log ends at {}, before {applied}", self.end()));
        }
        let covered = usize::try_from(base.index.since(self.start)).unwrap_or(usize::MAX);
        let bytes = self.place(base.index).and_then(|place| self.ends.get(place));
        let bytes = bytes.map_or(0, |(end, _)| *end);
        self.run.drain(..bytes);
        self.ends.drain(..covered);
        self.ends.iter_mut().for_each(|(end, _)| *end -= bytes);
        self.start = base.index;
        Ok(base)
    }

    fn place(&self, index: Index) -> Option<usize> {
        usize::try_from(index.since(self.start)).ok()?.checked_sub(1)
    }

    fn end(&self) -> Index {
        self.start.plus(self.ends.len() as u64)
    }

    fn last(&self, base: EntryId) -> EntryId {
        let last = self.ends.last();
        last.map_or(base, |(_, term)| EntryId { term: *term, index: self.end() })
    }
}

fn read_segment_head<F: Files>(files: &F, number: u64) -> Result<u64, DiskError> {
    open_segment(files, number).map(|(head, _)| head.first)
}

impl From<SnapshotHead> for Kept {
    fn from(head: SnapshotHead) -> Self {
        let SnapshotHead { applied, configuration, members, length, .. } = head;
        Self { applied, configuration, members, length }
    }
}
