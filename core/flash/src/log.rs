//! The two logs: which one counts, what is in it, and how one takes the place of the other.
//!
//! A log is begun by erasing its pages, writing one record with everything that counts, then its
//! head, then its mark. Then the other log's void mark is written, and only then anything is
//! acknowledged that is in the new log alone. So while the void mark of a log is not set the log
//! holds everything acknowledged, and if it is set the other log must be whole.

use coracle::{HardState, Index, Write};
use embedded_storage::nor_flash::NorFlash;

use crate::error::FlashError;
use crate::format::{
    self, CRC, ENTRIES, FIRST_BYTES, HARD, HARD_BYTES, HEAD_BYTES, Identity, KEPT, KEPT_BYTES,
    Kept, RECORD_HEAD_BYTES, RecordHead,
};
use crate::layout::{Layout, overhead, records_at};
use crate::medium::{
    Result, Writer, bytes_of, each_block, erase_pages, is_blank, mark_bytes, padded, read,
    read_mark, write_mark,
};

/// What is known of the log that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    pub layout: Layout,
    pub identity: Identity,
    /// Which of the two, if anything was ever written.
    current: Option<u32>,
    generation: u64,
    /// Where the next record goes.
    end: u32,
    pub hard: Option<HardState>,
    pub kept: Option<Kept>,
    /// Where the members in the snapshot are.
    members_at: u32,
    /// The last entry; the one before the first if there is none.
    pub last: Index,
    /// How many bytes of entries count.
    live: u32,
    /// Some record replaces entries of another.
    has_replaced: bool,
}

/// One record.
#[derive(Clone, Copy)]
struct Record {
    hard_at: Option<u32>,
    kept_at: Option<u32>,
    members_at: u32,
    first: Index,
    run_at: u32,
    run_bytes: u32,
    /// Where the next one is.
    next: u32,
}

/// Entries that count, in flash: so many bytes.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub at: u32,
    pub bytes: u32,
}

/// What a log is begun with.
pub(crate) struct Plan<'p> {
    pub hard: Option<HardState>,
    pub kept: Option<Kept>,
    /// The members, if they are not those that are in flash.
    pub members: Option<&'p [u8]>,
    /// None of the entries is taken along.
    pub is_empty: bool,
    /// What is written thereby.
    pub write: Option<&'p Write<'p>>,
}

/// What a log looks like from outside.
#[derive(Clone, Copy)]
struct Look {
    generation: Option<(u64, Identity)>,
    is_void: bool,
    is_marked: bool,
    is_clean: bool,
}

impl Log {
    /// Finds the log that counts and checks every byte of it; makes it such that it can be gone on
    /// with.
    pub(crate) fn open<F: NorFlash>(
        flash: &mut F,
        layout: Layout,
        identity: Identity,
    ) -> Result<Self, F> {
        let mut log = Self {
            layout,
            identity,
            current: None,
            generation: 0,
            end: 0,
            hard: None,
            kept: None,
            members_at: 0,
            last: Index::ZERO,
            live: 0,
            has_replaced: false,
        };
        let looks = [log.look(flash, 0)?, log.look(flash, 1)?];
        let generations = looks.map(|look| look.generation.map(|(generation, _)| generation));
        let current = u32::from(generations[1] > generations[0]);
        let [here, other] = if current == 0 { looks } else { [looks[1], looks[0]] };
        let Some((generation, found)) = here.generation else {
            // A log is never left before the other one is whole, so that one which is void, too, is
            // the rest of an erase.
            if let Some(which) = looks.iter().position(|look| look.is_marked && !look.is_void) {
                return Err(FlashError::Damaged(layout.log(bytes_of(which))));
            }
            return Ok(log);
        };
        if here.is_void {
            return Err(FlashError::Damaged(layout.log(1 - current)));
        }
        if found != identity {
            return Err(FlashError::Foreign);
        }
        log.current = Some(current);
        log.generation = generation;
        let is_whole = log.replay(flash)? && here.is_clean;
        log.check_end()?;
        log.live = log.measure(flash)?;
        // The other must not look as if it counted when this one can be read no more.
        let other_at = layout.log(1 - current);
        let is_older = other.is_void && other.is_clean && other.generation.is_some();
        if !is_older && !is_blank(flash, other_at, layout.log_bytes)? {
            erase_pages(flash, other_at, layout.log_bytes)?;
        }
        if !is_whole {
            let plan = log.plan();
            log.begin(flash, &plan)?;
        }
        Ok(log)
    }

    fn look<F: NorFlash>(&self, flash: &mut F, which: u32) -> Result<Look, F> {
        let at = self.layout.log(which);
        let mark = read_mark(flash, at)?;
        let void = read_mark(flash, at + mark_bytes::<F>())?;
        let mut head = [0; HEAD_BYTES];
        read(flash, at + mark_bytes::<F>() * 2, &mut head)?;
        Ok(Look {
            generation: format::decode_head(head).filter(|_| mark.is_set),
            is_void: void.is_set,
            is_marked: mark.is_set,
            is_clean: mark.is_whole && void.is_whole,
        })
    }

    fn base(&self) -> Index {
        self.kept.map_or(Index::ZERO, |kept| kept.base.index)
    }

    fn limit(&self) -> u32 {
        let log = self.current.unwrap_or(0);
        self.layout.log(log) + self.layout.log_bytes
    }

    /// Reads all records. Whether nothing stands behind the last of them.
    fn replay<F: NorFlash>(&mut self, flash: &mut F) -> Result<bool, F> {
        let mut at = self.layout.log(self.current.unwrap_or(0)) + records_at::<F>();
        let mut is_clean = true;
        self.end = at;
        while at < self.limit() {
            let mark = read_mark(flash, at)?;
            if !mark.is_set {
                let is_end = is_blank(flash, at, self.limit() - at)?;
                return Ok(is_clean && is_end && self.hard.is_some());
            }
            is_clean &= mark.is_whole;
            let record = self.check_record(flash, at)?;
            self.follow(flash, at, &record)?;
            at = record.next;
            self.end = at;
            if self.limit() - at < mark_bytes::<F>() {
                break;
            }
        }
        Ok(is_clean)
    }

    /// A record that is as it was written.
    fn check_record<F: NorFlash>(&self, flash: &mut F, at: u32) -> Result<Record, F> {
        let damage = || FlashError::Damaged(at);
        let mut head = [0; RECORD_HEAD_BYTES];
        let head_at = at + mark_bytes::<F>();
        let parts_at = head_at + bytes_of(RECORD_HEAD_BYTES);
        if self.limit().saturating_sub(parts_at) == 0 {
            return Err(damage());
        }
        read(flash, head_at, &mut head)?;
        let head = RecordHead::decode(head);
        if head.length > self.limit() - parts_at {
            return Err(damage());
        }
        let mut digest = CRC.digest();
        each_block(flash, parts_at, head.length, |_, block| {
            digest.update(block);
            Ok(())
        })?;
        if RecordHead::sum(digest, head.length, head.parts, self.generation) != head.checksum {
            return Err(damage());
        }
        self.record(flash, at)?.ok_or_else(damage)
    }

    /// A record, taken apart.
    fn record<F: NorFlash>(&self, flash: &mut F, at: u32) -> Result<Option<Record>, F> {
        let head_at = at + mark_bytes::<F>();
        let mut head = [0; RECORD_HEAD_BYTES];
        read(flash, head_at, &mut head)?;
        let head = RecordHead::decode(head);
        let parts_at = head_at + bytes_of(RECORD_HEAD_BYTES);
        let end = parts_at.saturating_add(head.length);
        let mut at = parts_at;
        let mut hard_at = None;
        if head.parts & HARD != 0 {
            hard_at = Some(at);
            at += bytes_of(HARD_BYTES);
        }
        let (mut kept_at, mut members_at) = (None, 0);
        if head.parts & KEPT != 0 {
            let mut bytes = [0; KEPT_BYTES];
            read(flash, at, &mut bytes)?;
            kept_at = Some(at);
            members_at = at + bytes_of(KEPT_BYTES);
            at = members_at.saturating_add(Kept::decode(bytes).members_bytes);
        }
        let (mut first, mut run_at) = (Index::ZERO, end);
        if head.parts & ENTRIES != 0 {
            let mut bytes = [0; FIRST_BYTES];
            read(flash, at, &mut bytes)?;
            first = Index(u64::from_le_bytes(bytes));
            run_at = at.saturating_add(bytes_of(FIRST_BYTES));
            at = run_at;
        }
        if at > end || end > self.limit() {
            return Ok(None);
        }
        let next = head_at + padded::<F>(end - head_at);
        Ok(Some(Record {
            hard_at,
            kept_at,
            members_at,
            first,
            run_at,
            run_bytes: end - run_at,
            next,
        }))
    }

    /// Takes notice of a record behind those before.
    fn follow<F: NorFlash>(&mut self, flash: &mut F, at: u32, record: &Record) -> Result<(), F> {
        if let Some(at) = record.hard_at {
            let mut bytes = [0; HARD_BYTES];
            read(flash, at, &mut bytes)?;
            self.hard = Some(format::decode_hard(bytes).ok_or(FlashError::Damaged(at))?);
        }
        if let Some(at) = record.kept_at {
            let mut bytes = [0; KEPT_BYTES];
            read(flash, at, &mut bytes)?;
            let kept = Kept::decode(bytes);
            self.members_at = record.members_at;
            self.kept = Some(kept);
            self.last = kept.base.index;
        }
        if record.run_bytes > 0 {
            let before = record.first.previous();
            if record.first == Index::ZERO || before > self.last || before < self.base() {
                return Err(FlashError::Damaged(at));
            }
            self.has_replaced |= before < self.last;
            self.last = before;
            let mut offset = 0;
            while offset < record.run_bytes {
                offset += entry_bytes(flash, record.run_at + offset)?;
                self.last = self.last.next();
            }
            if offset != record.run_bytes {
                return Err(FlashError::Damaged(at));
            }
        }
        Ok(())
    }

    /// What is applied in the snapshot is in the log too, beyond its base.
    fn check_end<E>(&self) -> core::result::Result<(), FlashError<E>> {
        let applied = self.kept.map_or(Index::ZERO, |kept| kept.applied.index);
        if self.last < applied { Err(FlashError::Damaged(self.end)) } else { Ok(()) }
    }

    /// Gives the entries that count, behind `above` and before `below`, to `take`.
    pub(crate) fn each_extent<F: NorFlash>(
        &self,
        flash: &mut F,
        (above, below): (Index, Index),
        mut take: impl FnMut(&mut F, Extent) -> Result<(), F>,
    ) -> Result<(), F> {
        let Some(current) = self.current else { return Ok(()) };
        let mut at = self.layout.log(current) + records_at::<F>();
        while at < self.end {
            let record = self.record(flash, at)?.ok_or(FlashError::Damaged(at))?;
            at = record.next;
            if record.run_bytes == 0 {
                continue;
            }
            let below = self.replaced_from(flash, at, below)?;
            let (mut index, mut offset) = (record.first, 0);
            let mut from = None;
            while offset < record.run_bytes && index < below {
                if index > above && from.is_none() {
                    from = Some(offset);
                }
                offset += entry_bytes(flash, record.run_at + offset)?;
                index = index.next();
            }
            if let Some(from) = from {
                take(flash, Extent { at: record.run_at + from, bytes: offset - from })?;
            }
        }
        Ok(())
    }

    /// The first entry that records from `at` on replace, if that is before `below`.
    fn replaced_from<F: NorFlash>(&self, flash: &mut F, at: u32, below: Index) -> Result<Index, F> {
        let (mut at, mut below) = (at, below);
        while self.has_replaced && at < self.end {
            let record = self.record(flash, at)?.ok_or(FlashError::Damaged(at))?;
            if record.run_bytes > 0 {
                below = below.min(record.first);
            }
            at = record.next;
        }
        Ok(below)
    }

    fn measure<F: NorFlash>(&self, flash: &mut F) -> Result<u32, F> {
        let mut bytes = 0;
        self.each_extent(flash, (self.base(), Index(u64::MAX)), |_, extent| {
            bytes += extent.bytes;
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Writes the members of the snapshot into `into`; none if it is too short.
    pub(crate) fn read_members<'m, F: NorFlash>(
        &self,
        flash: &mut F,
        into: &'m mut [u8],
    ) -> Result<Option<&'m [u8]>, F> {
        let Some(kept) = &self.kept else { return Ok(None) };
        let length = usize::try_from(kept.members_bytes).unwrap_or(usize::MAX);
        let Some(into) = into.get_mut(..length) else { return Ok(None) };
        read(flash, self.members_at, into)?;
        Ok(Some(into))
    }

    /// How many bytes of entries are sure to find room in one write.
    pub(crate) fn room<F: NorFlash>(&self) -> u32 {
        let members = self.kept.map_or(0, |kept| kept.members_bytes);
        let space = self.layout.log_bytes.saturating_sub(overhead::<F>() + members);
        // What others than commands need has an eighth.
        (space - space / 8).saturating_sub(self.live)
    }

    /// What there is, to be taken along as it is.
    pub(crate) fn plan(&self) -> Plan<'static> {
        Plan { hard: self.hard, kept: self.kept, members: None, is_empty: false, write: None }
    }

    /// Makes a write durable.
    pub(crate) fn write<F: NorFlash>(&mut self, flash: &mut F, write: &Write<'_>) -> Result<(), F> {
        if !write.has_entries() && write.hard.is_none() {
            return Ok(());
        }
        let [front, back] = write.runs;
        let run_bytes = bytes_of(front.len()).saturating_add(bytes_of(back.len()));
        let hard = write.hard.map(format::encode_hard);
        let hard = hard.as_ref().map_or(&[][..], |hard| hard);
        let first = write.first.0.to_le_bytes();
        let mut parts = if write.hard.is_some() { HARD } else { 0 };
        let mut pieces: [&[u8]; 4] = [hard, &[], &[], &[]];
        if write.has_entries() {
            parts |= ENTRIES;
            pieces = [hard, &first, front, back];
        }
        let mut digest = CRC.digest();
        pieces.iter().for_each(|piece| digest.update(piece));
        let length = pieces.iter().fold(0, |sum: u32, it| sum.saturating_add(bytes_of(it.len())));
        let head = bytes_of(RECORD_HEAD_BYTES);
        let needed = mark_bytes::<F>().saturating_add(padded::<F>(head.saturating_add(length)));
        if self.current.is_none() || needed > self.limit() - self.end {
            let hard = write.hard.or(self.hard);
            return self.begin(flash, &Plan { hard, write: Some(write), ..self.plan() });
        }
        let checksum = RecordHead::sum(digest, length, parts, self.generation);
        let head = RecordHead { checksum, length, parts };
        let mut writer = Writer::new(self.end + mark_bytes::<F>());
        writer.put(flash, &head.encode())?;
        for piece in pieces {
            writer.put(flash, piece)?;
        }
        let end = writer.finish(flash)?;
        write_mark(flash, self.end)?;
        self.end = end;
        self.hard = write.hard.or(self.hard);
        if write.has_entries() {
            let has_replaced = write.first <= self.last;
            self.has_replaced |= has_replaced;
            self.last = write.last.index;
            self.live = if has_replaced { self.measure(flash)? } else { self.live + run_bytes };
        }
        Ok(())
    }

    /// Whether a log can be begun so.
    pub(crate) fn has_room_for<F: NorFlash>(
        &self,
        flash: &mut F,
        plan: &Plan<'_>,
    ) -> Result<bool, F> {
        let mut length = 0_u32;
        self.compose(flash, plan, |_, bytes| {
            length = length.saturating_add(bytes_of(bytes.len()));
            Ok(())
        })?;
        Ok(self.fits::<F>(length))
    }

    fn fits<F: NorFlash>(&self, length: u32) -> bool {
        let record = padded::<F>(length.saturating_add(bytes_of(RECORD_HEAD_BYTES)));
        let needed = (records_at::<F>() + mark_bytes::<F>()).saturating_add(record);
        needed <= self.layout.log_bytes
    }

    /// Begins the other log with all that counts, and leaves this one.
    pub(crate) fn begin<F: NorFlash>(&mut self, flash: &mut F, plan: &Plan<'_>) -> Result<(), F> {
        let (mut length, mut digest) = (0_u32, CRC.digest());
        let parts = self.compose(flash, plan, |_, bytes| {
            length = length.saturating_add(bytes_of(bytes.len()));
            digest.update(bytes);
            Ok(())
        })?;
        if !self.fits::<F>(length) {
            return Err(FlashError::Full);
        }
        let generation = self.generation + 1;
        let log = match self.current {
            Some(current) => 1 - current,
            None => u32::from(!self.is_log_blank(flash, 0)?),
        };
        let at = self.layout.log(log);
        // Nothing tells an erase that was broken off before the first record from damage.
        if self.current.is_some() || !self.is_log_blank(flash, log)? {
            erase_pages(flash, at, self.layout.log_bytes)?;
        }
        let record_at = at + records_at::<F>();
        let checksum = RecordHead::sum(digest, length, parts, generation);
        let mut writer = Writer::new(record_at + mark_bytes::<F>());
        writer.put(flash, &RecordHead { checksum, length, parts }.encode())?;
        self.compose(flash, plan, |flash, bytes| writer.put(flash, bytes))?;
        let end = writer.finish(flash)?;
        write_mark(flash, record_at)?;
        let mut writer = Writer::new(at + mark_bytes::<F>() * 2);
        writer.put(flash, &format::encode_head(generation, self.identity))?;
        writer.finish(flash)?;
        write_mark(flash, at)?;
        if let Some(current) = self.current {
            self.leave(flash, self.layout.log(current))?;
        }
        self.current = Some(log);
        self.generation = generation;
        self.end = end;
        self.has_replaced = false;
        self.last = Index::ZERO;
        let record = self.record(flash, record_at)?.ok_or(FlashError::Damaged(record_at))?;
        self.follow(flash, record_at, &record)?;
        self.live = record.run_bytes;
        Ok(())
    }

    /// Makes a log void. A mark that has lost a bit before it was written cannot be relied on.
    fn leave<F: NorFlash>(&self, flash: &mut F, at: u32) -> Result<(), F> {
        let void_at = at + mark_bytes::<F>();
        if is_blank(flash, void_at, mark_bytes::<F>())? {
            return write_mark(flash, void_at);
        }
        erase_pages(flash, at, self.layout.log_bytes)
    }

    fn is_log_blank<F: NorFlash>(&self, flash: &mut F, log: u32) -> Result<bool, F> {
        is_blank(flash, self.layout.log(log), self.layout.log_bytes)
    }

    /// Gives the parts of a log's first record, the same bytes each time, and says which they are.
    fn compose<F: NorFlash>(
        &self,
        flash: &mut F,
        plan: &Plan<'_>,
        mut put: impl FnMut(&mut F, &[u8]) -> Result<(), F>,
    ) -> Result<u32, F> {
        let mut parts = 0;
        if let Some(hard) = plan.hard {
            parts |= HARD;
            put(flash, &format::encode_hard(hard))?;
        }
        if let Some(kept) = plan.kept {
            parts |= KEPT;
            put(flash, &kept.encode())?;
            match plan.members {
                Some(members) => put(flash, members)?,
                None => each_block(flash, self.members_at, kept.members_bytes, &mut put)?,
            }
        }
        let base = plan.kept.map_or(Index::ZERO, |kept| kept.base.index);
        let write = plan.write.filter(|write| write.has_entries());
        let below = match write {
            _ if plan.is_empty => Index::ZERO,
            Some(write) => write.first,
            None => Index(u64::MAX),
        };
        parts |= ENTRIES;
        put(flash, &base.next().0.to_le_bytes())?;
        self.each_extent(flash, (base, below), |flash, extent| {
            each_block(flash, extent.at, extent.bytes, &mut put)
        })?;
        if let Some(write) = write {
            for run in write.runs {
                put(flash, run)?;
            }
        }
        Ok(parts)
    }
}

/// How many bytes the entry there has: its length stands at its front.
pub(crate) fn entry_bytes<F: NorFlash>(flash: &mut F, at: u32) -> Result<u32, F> {
    let mut length = [0; 2];
    read(flash, at, &mut length)?;
    Ok(u32::from(u16::from_le_bytes(length)) + 2)
}
