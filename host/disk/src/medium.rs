//! A directory that is written to: one thing at a time, and what has returned is durable.

use coracle::{Contents, EntryId, HardState, Incarnation, Index, Snapshot};

use crate::error::DiskError;
use crate::files::{File, Files};
use crate::format::{Founding, Identity, Origin, SEGMENT_HEAD_BYTES, Slot, SnapshotHead};
use crate::log::{Log, RECORD_OVERHEAD, Reserve, SPARE, Tail, remove, segment_name};
use crate::recovered::{Found, Recovered, find};
use crate::slots::{STATE_NEW, Slots};
use crate::snapshot::{CONTENTS_AT, SNAPSHOT, SNAPSHOT_NEW, STAGED, Writing};

/// How a directory is used.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many bytes a segment of the log has, if there is room. One more is always held ready.
    pub segment_bytes: u64,
    /// The most bytes that an entry has.
    pub entry_bytes: u64,
    /// A random number, which no client knows.
    pub salt: u64,
}

/// What is to be durable together: the last hard state, then runs of entries in order, each of which
/// replaces all from its index on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The hard state, if it has changed.
    pub hard: Option<HardState>,
    /// Runs of entries, each with the index of its first one.
    pub runs: Vec<(Index, Vec<u8>)>,
}

/// A directory that is written to.
pub struct Medium<F: Files> {
    files: F,
    identity: Identity,
    reserve: Reserve<F>,
    /// None until the first hard state.
    written: Option<Written<F>>,
}

struct Written<F: Files> {
    slots: Slots<F>,
    log: Log<F>,
}

impl<F: Files> Medium<F> {
    /// Goes on with what a directory holds, or begins in an empty one. A record that was never
    /// confirmed is cut off; all else is durable when this returns.
    ///
    /// # Errors
    /// [`DiskError`]. Unless the system refused a write, nothing has changed.
    pub fn open(
        files: F,
        identity: Identity,
        options: Options,
    ) -> Result<(Self, Recovered), DiskError> {
        let found = find(&files)?;
        if let Some(other) = found.recovered.identity.filter(|other| *other != identity) {
            let what = format!(
                "it belongs to node {} of the cluster {}, not to node {} of the cluster {}",
                other.id, other.cluster, identity.id, identity.cluster
            );
            return Err(DiskError::Foreign { file: files.path(""), what });
        }
        let reserve = Reserve::new(files.clone(), options);
        let mut medium = Self { files, identity, reserve, written: None };
        medium.clear(&found.void)?;
        let Found { recovered, slot, tail, next, .. } = found;
        if let Some(slot) = slot {
            medium.resume(slot, tail, next, recovered.base)?;
        }
        medium.reserve.prepare()?;
        Ok((medium, recovered))
    }

    /// Takes away what a crash has left behind and nobody needs.
    fn clear(&self, void: &[u64]) -> Result<(), DiskError> {
        for name in [STATE_NEW, SNAPSHOT_NEW, STAGED, SPARE] {
            remove(&self.files, name)?;
        }
        void.iter().try_for_each(|number| remove(&self.files, &segment_name(*number)))?;
        self.sync_names()
    }

    fn resume(
        &mut self,
        slot: Slot,
        tail: Option<Tail>,
        next: (u64, u64),
        base: EntryId,
    ) -> Result<(), DiskError> {
        let mut slots = Slots::reopen(&self.files, slot)?;
        let log = match tail {
            Some(tail) => Log::reopen(&self.files, tail)?,
            None => Log::begin(&mut self.reserve, next, slot.hard.incarnation, base)?,
        };
        if log.number() != slot.segment {
            slots.set_segment(log.number())?;
        }
        self.written = Some(Written { slots, log });
        Ok(())
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// [`DiskError`]: nothing of it is confirmed, and the medium must not be used any more.
    pub fn write(&mut self, batch: &Batch) -> Result<(), DiskError> {
        let runs = batch.runs.iter().map(|(first, run)| (*first, run.as_slice()));
        match (&mut self.written, batch.hard) {
            (Some(written), hard) => {
                if let Some(hard) = hard.filter(|hard| *hard != written.slots.slot.hard) {
                    written.slots.set_hard(hard)?;
                }
                written.log.append(runs, &mut self.reserve, &mut written.slots)
            }
            (None, Some(hard)) => {
                let mut written = self.begin(hard)?;
                let done = written.log.append(runs, &mut self.reserve, &mut written.slots);
                self.written = Some(written);
                done
            }
            (None, None) => Ok(()),
        }
    }

    /// The log is there before the state that counts on it.
    fn begin(&mut self, hard: HardState) -> Result<Written<F>, DiskError> {
        let first = (1, 1);
        let log = Log::begin(&mut self.reserve, first, hard.incarnation, EntryId::default())?;
        let slot = Slot { sequence: 1, identity: self.identity, hard, segment: 1 };
        Ok(Written { slots: Slots::create(&self.files, slot)?, log })
    }

    /// Replaces the snapshot by one that `contents` writes, and drops segments of which it covers
    /// all. Gives its file and what was written; none if there is no room, and then nothing has
    /// changed.
    ///
    /// # Errors
    /// [`DiskError`]: the old snapshot is intact, and the medium must not be used any more.
    pub fn save(
        &mut self,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Option<(F::File, coracle::Summary)>, DiskError> {
        let Some(written) = &mut self.written else { return Ok(None) };
        written.log.settle()?;
        let segment = written.log.first_behind(snapshot.base.index);
        let incarnation = written.slots.slot.hard.incarnation;
        let saved = self.write_if_room(snapshot, contents, (segment, incarnation, Origin::Own))?;
        if saved.is_some() {
            self.replace(SNAPSHOT_NEW)?;
            if let Some(written) = &mut self.written {
                written.log.drop_before(segment)?;
            }
        }
        Ok(saved)
    }

    /// Puts a hard state of a new incarnation, and a snapshot that `contents` writes, in the place of
    /// all that is kept, and begins the log anew behind it. Gives the snapshot's file and what was
    /// written; none if there is no room, and then nothing has changed.
    ///
    /// # Errors
    /// [`DiskError`]: all is as it was, or as it is to be; the medium must not be used any more.
    pub fn found(
        &mut self,
        hard: &HardState,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Option<(F::File, coracle::Summary)>, DiskError> {
        let Some(written) = &mut self.written else { return Ok(None) };
        written.log.settle()?;
        let number = written.log.number() + 1;
        let HardState { incarnation, epoch, term, .. } = *hard;
        let former = written.slots.slot.hard.incarnation;
        let origin = Origin::Founding(Founding { former, epoch, term });
        let saved = self.write_if_room(snapshot, contents, (number, incarnation, origin))?;
        if saved.is_some() {
            self.reserve.prepare()?;
            if self.reserve.left() == 0 {
                remove(&self.files, SNAPSHOT_NEW)?;
                return Ok(None);
            }
            // With this name everything is done that the next start could not do.
            self.replace(SNAPSHOT_NEW)?;
            if let Some(written) = &mut self.written {
                written.slots.set_hard(*hard)?;
            }
            self.begin_behind(snapshot.base)?;
        }
        Ok(saved)
    }

    /// Begins the log anew behind a snapshot that is there, and drops what it stands for.
    fn begin_behind(&mut self, base: EntryId) -> Result<(), DiskError> {
        let Some(written) = &mut self.written else { return Ok(()) };
        let number = written.log.number() + 1;
        let next = (number, written.log.next_sequence());
        let incarnation = written.slots.slot.hard.incarnation;
        let log = Log::begin(&mut self.reserve, next, incarnation, base)?;
        written.slots.set_segment(number)?;
        let mut before = std::mem::replace(&mut written.log, log);
        before.drop_before(number)?;
        remove(&self.files, &segment_name(number - 1))
    }

    /// Writes a snapshot beside the one that there is; none without room, and nothing is left of it.
    fn write_if_room(
        &self,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
        place: (u64, Incarnation, Origin),
    ) -> Result<Option<(F::File, coracle::Summary)>, DiskError> {
        match self.write_snapshot(snapshot, contents, place) {
            Ok(None) => {}
            Ok(saved) => return Ok(saved),
            Err(error) if error.is_full() => {}
            Err(error) => return Err(error),
        }
        remove(&self.files, SNAPSHOT_NEW)?;
        Ok(None)
    }

    fn write_snapshot(
        &self,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
        place: (u64, Incarnation, Origin),
    ) -> Result<Option<(F::File, coracle::Summary)>, DiskError> {
        let fail = |doing| move |error| DiskError::io(self.files.path(SNAPSHOT_NEW), doing, error);
        let file = self.files.create(SNAPSHOT_NEW).map_err(fail("made"))?;
        let mut writing = Writing::new(&file);
        let summary = contents(&mut writing).and_then(|summary| writing.flush().map(|()| summary));
        if let Some(error) = writing.error.take() {
            return Err(fail("written")(error));
        }
        let Ok(summary) = summary else { return Ok(None) };
        let (length, checksum) = (summary.length, summary.checksum);
        let head = self.head(snapshot, (length, checksum), place);
        let Some(head) = head else { return Ok(None) };
        file.write_at(0, &head).map_err(fail("written"))?;
        file.sync().map_err(fail("synced"))?;
        Ok(Some((file, summary)))
    }

    /// Makes the staged file, whose contents are there, the snapshot, and begins the log anew behind
    /// it.
    ///
    /// # Errors
    /// [`DiskError`]: the old snapshot and the entries are intact, or the new one is there; the
    /// medium must not be used any more.
    pub fn install(
        &mut self,
        file: &F::File,
        snapshot: &Snapshot<'_>,
        (length, checksum): (u64, u32),
    ) -> Result<(), DiskError> {
        let fail = |doing| {
            let files = self.files.clone();
            move |error| DiskError::io(files.path(STAGED), doing, error)
        };
        let Some(written) = &mut self.written else { return Ok(()) };
        written.log.settle()?;
        let number = written.log.number() + 1;
        let incarnation = written.slots.slot.hard.incarnation;
        let place = (number, incarnation, Origin::Leader);
        let head = self.head(snapshot, (length, checksum), place);
        let head = head.ok_or_else(|| fail("written")(std::io::ErrorKind::InvalidData.into()))?;
        file.write_at(0, &head).map_err(fail("written"))?;
        file.set_length(CONTENTS_AT + length).map_err(fail("written"))?;
        file.sync().map_err(fail("synced"))?;
        // What the log needs is there before the old entries are given up.
        self.reserve.prepare()?;
        self.replace(STAGED)?;
        self.begin_behind(snapshot.base)
    }

    fn head(
        &self,
        snapshot: &Snapshot<'_>,
        (length, checksum): (u64, u32),
        (segment, incarnation, origin): (u64, Incarnation, Origin),
    ) -> Option<Vec<u8>> {
        let head = SnapshotHead {
            identity: self.identity,
            incarnation,
            applied: snapshot.applied,
            base: snapshot.base,
            configuration: snapshot.configuration,
            length,
            checksum,
            segment,
            origin,
            members: snapshot.members.bytes().to_vec(),
        };
        head.encode()
    }

    fn replace(&self, name: &str) -> Result<(), DiskError> {
        let renamed = self.files.rename(name, SNAPSHOT);
        renamed.map_err(|error| DiskError::io(self.files.path(name), "renamed", error))?;
        self.sync_names()
    }

    fn sync_names(&self) -> Result<(), DiskError> {
        let synced = self.files.sync_names();
        synced.map_err(|error| DiskError::io(self.files.path(""), "synced", error))
    }

    /// Makes durable that the last batch was confirmed: then damage to it is never taken for a write
    /// that a crash cut short.
    ///
    /// # Errors
    /// [`DiskError`]: the medium must not be used any more.
    pub fn settle(&mut self) -> Result<(), DiskError> {
        self.written.as_mut().map_or(Ok(()), |written| written.log.settle())
    }

    /// Whether there is nothing to settle.
    pub fn is_settled(&self) -> bool {
        self.written.as_ref().is_none_or(|written| written.log.is_settled())
    }

    /// Takes room for the next segment, or more of it, if there is any.
    ///
    /// # Errors
    /// [`DiskError`]: the medium must not be used any more.
    pub fn prepare(&mut self) -> Result<(), DiskError> {
        self.reserve.prepare()
    }

    /// Whether room for the next segment is taken: all of it, or enough for now.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.reserve.is_whole() || self.room() >= self.reserve.options.margin()
    }

    /// How many bytes of commands are sure to find room, if they come in one batch. A margin beside
    /// that is for what a cluster needs to go on without commands.
    #[must_use]
    pub fn room(&self) -> u64 {
        let here = self.written.as_ref().map_or(0, |written| written.log.left());
        let waste = RECORD_OVERHEAD + self.reserve.options.entry_bytes;
        let usable = here.saturating_sub(waste) + self.reserve.left().saturating_sub(waste);
        usable.saturating_sub(self.reserve.options.margin())
    }

    /// The last entry that was written.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.written.as_ref().map_or_else(EntryId::default, |written| written.log.last())
    }
}

impl Options {
    /// No segment is smaller: it holds a few of the largest entries.
    pub(crate) const fn smallest(&self) -> u64 {
        SEGMENT_HEAD_BYTES as u64 + 4 * (RECORD_OVERHEAD + self.entry_bytes)
    }

    /// What is left for entries that are no commands.
    const fn margin(&self) -> u64 {
        self.segment_bytes / 64
    }
}
