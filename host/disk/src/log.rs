//! The log as it is written: records of entries, one behind the other, in segments whose room was
//! taken before.

use coracle::{EntryId, Incarnation, Index};

use crate::entry::{fitting, walk};
use crate::error::DiskError;
use crate::files::{File, Files};
use crate::format::{
    MARK_BYTES, RECORD_HEAD_BYTES, RecordHead, SECTION_BYTES, SEGMENT_HEAD_BYTES, SegmentHead,
    mark, salted,
};
use crate::medium::Options;
use crate::scan::ALIGN;
use crate::slots::Slots;

/// The segment that is written to, and those before it.
pub(crate) struct Log<F: Files> {
    files: F,
    file: F::File,
    head: SegmentHead,
    /// Where the next record begins, and its number.
    offset: u64,
    sequence: u64,
    /// The entry that was written last.
    last: EntryId,
    /// No entry of this segment or an earlier one stands above.
    highest: Index,
    /// Earlier segments, each with the highest entry in it or before it.
    older: Vec<(u64, Index)>,
    /// Whether the mark of the last record is durable.
    is_settled: bool,
}

/// Room for the next segment, taken before it is needed.
pub(crate) struct Reserve<F: Files> {
    files: F,
    pub(crate) options: Options,
    spare: Option<(F::File, u64)>,
}

/// Where a log goes on.
pub(crate) struct Tail {
    pub(crate) head: SegmentHead,
    pub(crate) offset: u64,
    pub(crate) sequence: u64,
    pub(crate) last: EntryId,
    pub(crate) highest: Index,
    pub(crate) older: Vec<(u64, Index)>,
    /// How many bytes behind the last record must be made zero.
    pub(crate) torn: u64,
}

impl<F: Files> Log<F> {
    /// Begins a log behind an entry, as the segment of this number.
    pub(crate) fn begin(
        reserve: &mut Reserve<F>,
        (number, first): (u64, u64),
        incarnation: Incarnation,
        previous: EntryId,
    ) -> Result<Self, DiskError> {
        let files = reserve.files.clone();
        let salt = reserve.options.salt ^ number;
        let head = SegmentHead { number, size: 0, first, incarnation, salt, previous };
        let (file, head) = reserve.begin(head)?;
        Ok(Self {
            files,
            file,
            head,
            offset: SEGMENT_HEAD_BYTES as u64,
            sequence: first,
            last: previous,
            highest: previous.index,
            older: Vec::with_capacity(2),
            is_settled: true,
        })
    }

    /// Goes on behind what was read, which is durable when this returns.
    pub(crate) fn reopen(files: &F, tail: Tail) -> Result<Self, DiskError> {
        let Tail { head, offset, sequence, last, highest, older, torn } = tail;
        let name = segment_name(head.number);
        let fail = |doing| {
            let name = &name;
            move |error| DiskError::io(files.path(name), doing, error)
        };
        let file = files.open(&name).map_err(fail("opened"))?;
        zero(&file, offset, torn).map_err(fail("written"))?;
        if sequence > head.first {
            let place = offset.saturating_sub(MARK_BYTES as u64);
            // What was read counts as confirmed from now on.
            file.sync().map_err(fail("synced"))?;
            file.write_at(place, &mark(sequence - 1, head.salt)).map_err(fail("written"))?;
        }
        file.sync().map_err(fail("synced"))?;
        let files = files.clone();
        let is_settled = true;
        Ok(Self { files, file, head, offset, sequence, last, highest, older, is_settled })
    }

    pub(crate) const fn last(&self) -> EntryId {
        self.last
    }

    pub(crate) const fn number(&self) -> u64 {
        self.head.number
    }

    pub(crate) const fn next_sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) const fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// How many bytes of the segment are left.
    pub(crate) const fn left(&self) -> u64 {
        self.head.size.saturating_sub(self.offset)
    }

    /// The first segment that has entries behind this one.
    pub(crate) fn first_behind(&self, base: Index) -> u64 {
        let older = self.older.iter().find(|(_, highest)| *highest > base);
        older.map_or(self.head.number, |(number, _)| *number)
    }

    /// Writes runs of entries, each of which replaces all from its index on; they are durable when
    /// this returns.
    pub(crate) fn append<'a>(
        &mut self,
        runs: impl Iterator<Item = (Index, &'a [u8])>,
        reserve: &mut Reserve<F>,
        slots: &mut Slots<F>,
    ) -> Result<(), DiskError> {
        let mut record = Record::new();
        for (first, run) in runs {
            let (mut first, mut rest) = (first, run);
            while !rest.is_empty() {
                let (length, count) = fitting(rest, record.room(self.left()));
                let (now, later) = rest.split_at_checked(length).unwrap_or_default();
                if now.is_empty() && record.is_empty() {
                    self.roll(reserve, slots)?;
                    if fitting(rest, record.room(self.left())).1 == 0 {
                        return Err(self.no_room());
                    }
                    continue;
                }
                record.push(first, now);
                if let Some(last) = walk(now, first).last().flatten() {
                    self.last = last.id;
                    self.highest = self.highest.max(last.id.index);
                }
                first = first.plus(count);
                rest = later;
                if !rest.is_empty() {
                    self.write(std::mem::replace(&mut record, Record::new()))?;
                }
            }
        }
        if record.is_empty() { Ok(()) } else { self.write(record) }
    }

    fn write(&mut self, record: Record) -> Result<(), DiskError> {
        let bytes = record.finish(self.sequence, self.head.salt);
        self.file.write_at(self.offset, &bytes).map_err(|error| self.fail("written", error))?;
        self.file.sync().map_err(|error| self.fail("synced", error))?;
        self.offset += bytes.len() as u64;
        let mark = mark(self.sequence, self.head.salt);
        self.file.write_at(self.offset, &mark).map_err(|error| self.fail("written", error))?;
        self.is_settled = false;
        self.offset += MARK_BYTES as u64;
        self.sequence += 1;
        Ok(())
    }

    /// Makes the mark of the last record durable: the next record would do the same.
    pub(crate) fn settle(&mut self) -> Result<(), DiskError> {
        if !self.is_settled {
            self.file.sync().map_err(|error| self.fail("synced", error))?;
            self.is_settled = true;
        }
        Ok(())
    }

    fn roll(&mut self, reserve: &mut Reserve<F>, slots: &mut Slots<F>) -> Result<(), DiskError> {
        self.settle()?;
        let (number, incarnation) = (self.head.number + 1, self.head.incarnation);
        let next = Self::begin(reserve, (number, self.sequence), incarnation, self.last)?;
        slots.set_segment(number)?;
        let before = std::mem::replace(self, next);
        self.highest = before.highest;
        self.older = before.older;
        self.older.push((before.head.number, before.highest));
        Ok(())
    }

    /// Takes away the segments before this one. Those that a crash brings back do no harm.
    pub(crate) fn drop_before(&mut self, number: u64) -> Result<(), DiskError> {
        for (older, _) in self.older.extract_if(.., |(older, _)| *older < number) {
            remove(&self.files, &segment_name(older))?;
        }
        Ok(())
    }

    fn no_room(&self) -> DiskError {
        self.fail("written", std::io::ErrorKind::StorageFull.into())
    }

    fn fail(&self, doing: &'static str, error: std::io::Error) -> DiskError {
        DiskError::io(self.files.path(&segment_name(self.head.number)), doing, error)
    }
}

impl<F: Files> Reserve<F> {
    pub(crate) const fn new(files: F, options: Options) -> Self {
        Self { files, options, spare: None }
    }

    /// How many bytes of the next segment are sure.
    pub(crate) fn left(&self) -> u64 {
        self.spare.as_ref().map_or(0, |(_, size)| size.saturating_sub(SEGMENT_HEAD_BYTES as u64))
    }

    /// Whether the next segment is as large as it is to be.
    pub(crate) fn is_whole(&self) -> bool {
        self.spare.as_ref().is_some_and(|(_, size)| *size >= self.options.segment_bytes)
    }

    /// Takes room for the next segment, or as much as there is; perhaps none. A smaller one that was
    /// taken when there was less grows.
    pub(crate) fn prepare(&mut self) -> Result<(), DiskError> {
        let had = self.spare.as_ref().map_or(0, |(_, size)| *size);
        let mut more = self.options.segment_bytes.saturating_sub(had);
        while more >= self.options.smallest() {
            match self.take(more) {
                Ok(()) => return Ok(()),
                Err(error) if error.is_full() => {
                    self.give_back()?;
                    more = (more / 2).next_multiple_of(ALIGN as u64);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes so many bytes, behind those that were taken before.
    fn take(&mut self, more: u64) -> Result<(), DiskError> {
        let path = self.files.path(SPARE);
        let fail = |doing| {
            let path = path.clone();
            move |error| DiskError::io(path, doing, error)
        };
        // Zeros that are written have their place, and writing over them moves nothing.
        if let Some((file, size)) = &mut self.spare {
            zero(file, *size, more).map_err(fail("written"))?;
            file.sync().map_err(fail("synced"))?;
            *size += more;
        } else {
            let file = self.files.create(SPARE).map_err(fail("made"))?;
            zero(&file, 0, more).map_err(fail("written"))?;
            file.sync().map_err(fail("synced"))?;
            self.spare = Some((file, more));
        }
        Ok(())
    }

    /// Keeps only what was all taken.
    fn give_back(&self) -> Result<(), DiskError> {
        let Some((file, size)) = &self.spare else { return remove(&self.files, SPARE) };
        let shortened = file.set_length(*size);
        shortened.map_err(|error| DiskError::io(self.files.path(SPARE), "shortened", error))
    }

    /// Makes the spare the segment that this head describes.
    fn begin(&mut self, mut head: SegmentHead) -> Result<(F::File, SegmentHead), DiskError> {
        if self.spare.is_none() {
            self.prepare()?;
        }
        let name = segment_name(head.number);
        let fail = |doing| {
            let path = self.files.path(&name);
            move |error| DiskError::io(path, doing, error)
        };
        let no_room = || fail("made")(std::io::ErrorKind::StorageFull.into());
        let (file, size) = self.spare.take().ok_or_else(no_room)?;
        head.size = size;
        file.write_at(0, &head.encode()).map_err(fail("written"))?;
        file.sync().map_err(fail("synced"))?;
        self.files.rename(SPARE, &name).map_err(fail("renamed"))?;
        self.files.sync_names().map_err(fail("synced"))?;
        Ok((file, head))
    }
}

/// A record that is being put together: its head is written when its body is known.
struct Record(Vec<u8>);

impl Record {
    fn new() -> Self {
        Self(vec![0; RECORD_HEAD_BYTES])
    }

    const fn is_empty(&self) -> bool {
        self.0.len() == RECORD_HEAD_BYTES
    }

    /// How many bytes of entries fit in one more run, if the segment has so many bytes left.
    fn room(&self, left: u64) -> usize {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let used = self.0.len() + SECTION_BYTES;
        let most = left.saturating_sub(MARK_BYTES) / ALIGN * ALIGN;
        most.min(RECORD_BYTES_MAX).saturating_sub(used)
    }

    fn push(&mut self, first: Index, run: &[u8]) {
        if !run.is_empty() {
            self.0.extend(first.0.to_le_bytes());
            self.0.extend((run.len() as u64).to_le_bytes());
            self.0.extend(run);
        }
    }

    fn finish(mut self, sequence: u64, salt: u64) -> Vec<u8> {
        let body = self.0.get(RECORD_HEAD_BYTES..).unwrap_or_default();
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let head = RecordHead { sequence, length, checksum: salted(salt, &[body]) };
        if let Some(place) = self.0.first_chunk_mut() {
            *place = head.encode(salt);
        }
        self.0.resize(self.0.len().next_multiple_of(ALIGN), 0);
        self.0
    }
}

/// What a record takes in the log beside the entries.
pub(crate) const RECORD_OVERHEAD: u64 =
    (RECORD_HEAD_BYTES + SECTION_BYTES + MARK_BYTES + ALIGN) as u64;

/// The name of a segment's file.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{SEGMENT_PREFIX}{number:08}")
}

/// The number of a segment, if this is the name of one.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix(SEGMENT_PREFIX)?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

/// Takes a file away, if there is one.
pub(crate) fn remove<F: Files>(files: &F, name: &str) -> Result<(), DiskError> {
    match files.remove(name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(DiskError::io(files.path(name), "removed", error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn zero(file: &impl File, from: u64, length: u64) -> std::io::Result<()> {
    let zeros = vec![0; ZEROS];
    let mut done = 0;
    while done < length {
        let left = usize::try_from(length - done).unwrap_or(ZEROS).min(ZEROS);
        file.write_at(from + done, zeros.get(..left).unwrap_or_default())?;
        done += left as u64;
    }
    Ok(())
}

pub(crate) const SPARE: &str = "spare";
const SEGMENT_PREFIX: &str = "log-";
const ZEROS: usize = 1 << 16;
/// More entries than this become several records, each synced for itself.
const RECORD_BYTES_MAX: usize = 1 << 20;
