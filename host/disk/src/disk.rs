//! Storage on a directory, with a thread that writes.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use coracle::{
    Contents, HardState, Persisted, Place, Receipt, Saving, Snapshot, SnapshotName, Source,
    Staging, Storage, Write,
};

use crate::error::DiskError;
use crate::files::{File, Files};
use crate::format::Identity;
use crate::medium::{Batch, Medium, Options};
use crate::recovered::{Kept, Recovered};
use crate::snapshot::{self, CONTENTS_AT, Reading, SNAPSHOT, STAGED};
use crate::writer::Shared;

/// Storage on a directory.
///
/// Writes are done on another thread: [`take_durable`](Self::take_durable) gives the receipt of what
/// has become durable. Only the replacement of a snapshot makes the node wait.
pub struct Disk<F: Files> {
    files: F,
    shared: Arc<Shared<F, Receipt>>,
    thread: Option<JoinHandle<()>>,
    /// The snapshot.
    kept: Option<F::File>,
    /// One that is being gathered.
    staged: Option<(SnapshotName, F::File)>,
}

impl<F: Files> Disk<F> {
    /// Goes on with what a directory holds, or begins in an empty one. `wake` is called from another
    /// thread whenever `take_durable` has news.
    ///
    /// # Errors
    /// [`DiskError`]. Unless the system refused a write, nothing has changed.
    pub fn open(
        files: F,
        identity: Identity,
        options: Options,
        wake: impl Fn() + Send + 'static,
    ) -> Result<(Self, Recovered), DiskError> {
        let (medium, recovered) = Medium::open(files.clone(), identity, options)?;
        let kept = match &recovered.snapshot {
            None => None,
            Some(_) => Some(snapshot::read(&files)?.1),
        };
        let shared = Shared::new(medium);
        let writer = Arc::clone(&shared);
        let thread = thread::Builder::new().name("disk".to_owned());
        let thread = thread.spawn(move || writer.run(&wake));
        let thread = thread.map_err(|error| DiskError::io(files.path(""), "written", error))?;
        Ok((Self { files, shared, thread: Some(thread), kept, staged: None }, recovered))
    }

    /// The last receipt for what has become durable since this was called last.
    ///
    /// # Errors
    /// [`DiskError`]: something could not be written, and the node must end.
    pub fn take_durable(&mut self) -> Result<Option<Receipt>, DiskError> {
        self.shared.take_durable()
    }

    /// What the node wrote into the snapshot that was found, for [`coracle::Node::restore`]. It stays
    /// readable when another snapshot takes its place.
    ///
    /// # Errors
    /// [`DiskError`]: it cannot be opened.
    pub fn contents(&self, kept: &Kept) -> Result<impl Source + use<F>, DiskError> {
        let file = self.files.open(SNAPSHOT);
        let fail = |error| DiskError::io(self.files.path(SNAPSHOT), "opened", error);
        Ok(Reading::new(Box::new(file.map_err(fail)?), kept.length))
    }

    fn stage_in(&mut self, name: SnapshotName) -> Result<&F::File, DiskError> {
        let fail = |doing| {
            let files = self.files.clone();
            move |error| DiskError::io(files.path(STAGED), doing, error)
        };
        if self.staged.as_ref().is_none_or(|(of, _)| *of != name) {
            let file = self.files.create(STAGED).map_err(fail("made"))?;
            file.set_length(CONTENTS_AT + name.length).map_err(fail("made"))?;
            self.staged = Some((name, file));
        }
        let staged = self.staged.as_ref().map(|(_, file)| file);
        staged.ok_or_else(|| fail("made")(std::io::ErrorKind::NotFound.into()))
    }
}

impl<F: Files> Storage for Disk<F> {
    type Error = DiskError;

    fn is_durable(&self) -> bool {
        true
    }

    fn room(&self) -> usize {
        usize::try_from(self.shared.room()).unwrap_or(usize::MAX)
    }

    fn persist(&mut self, write: &Write<'_>, receipt: Receipt) -> Result<Persisted, DiskError> {
        let [front, back] = write.runs;
        let mut runs = Vec::with_capacity(1);
        if write.has_entries() {
            let mut run = Vec::with_capacity(front.len() + back.len());
            run.extend(front);
            run.extend(back);
            runs.push((write.first, run));
        }
        self.shared.submit(Batch { hard: write.hard, runs }, receipt)?;
        Ok(Persisted::Submitted)
    }

    fn save_snapshot(
        &mut self,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Saving, DiskError> {
        let saved = self.shared.after_all(|medium| medium.save(snapshot, contents))?;
        let Some((file, summary)) = saved else { return Ok(Saving::NoRoom) };
        self.kept = Some(file);
        Ok(Saving::Kept(summary))
    }

    fn found(
        &mut self,
        hard: &HardState,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Saving, DiskError> {
        let saved = self.shared.after_all(|medium| medium.found(hard, snapshot, contents))?;
        let Some((file, summary)) = saved else { return Ok(Saving::NoRoom) };
        (self.kept, self.staged) = (Some(file), None);
        Ok(Saving::Kept(summary))
    }

    fn read_snapshot(
        &mut self,
        place: Place,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DiskError> {
        let (name, file) = match place {
            Place::Kept => (SNAPSHOT, self.kept.as_ref()),
            Place::Staged => (STAGED, self.staged.as_ref().map(|(_, file)| file)),
        };
        let fail = |error| DiskError::io(self.files.path(name), "read", error);
        let file = file.ok_or_else(|| fail(std::io::ErrorKind::NotFound.into()))?;
        file.read_at(CONTENTS_AT.saturating_add(offset), into).map_err(fail)
    }

    fn stage(
        &mut self,
        name: SnapshotName,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Staging, DiskError> {
        let path = self.files.path(STAGED);
        let staged = self.stage_in(name).and_then(|file| {
            let written = file.write_at(CONTENTS_AT.saturating_add(offset), bytes);
            written.map_err(|error| DiskError::io(path, "written", error))
        });
        match staged {
            Ok(()) => Ok(Staging::Kept),
            Err(error) if error.is_full() => {
                self.staged = None;
                crate::log::remove(&self.files, STAGED)?;
                Ok(Staging::NoRoom)
            }
            Err(error) => Err(error),
        }
    }

    fn install(&mut self, snapshot: &Snapshot<'_>) -> Result<(), DiskError> {
        let Some((name, file)) = self.staged.take() else {
            let error = std::io::ErrorKind::NotFound.into();
            return Err(DiskError::io(self.files.path(STAGED), "renamed", error));
        };
        let extent = (name.length, name.checksum);
        self.shared.after_all(|medium| medium.install(&file, snapshot, extent))?;
        self.kept = Some(file);
        Ok(())
    }
}

impl<F: Files> Drop for Disk<F> {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            // A thread that has panicked has told so itself.
            let _ended = thread.join();
        }
    }
}
