//! What it costs to store: where the nodes of a bench keep themselves, and a floor of syncs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Error};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::interrupt;
use super::load::histogram;
use super::subject::{median, per_second};
use crate::cli::MAX_NODES;
use crate::print::complain;

/// A directory for all nodes, which is empty again, or gone, when this has ended.
pub struct Folder {
    path: PathBuf,
    is_made: bool,
    is_cleared: bool,
}

/// A loop that appends the same bytes and syncs them, in a file whose room was taken before.
pub struct SyncFloor {
    file: File,
    bytes: Vec<u8>,
    offset: u64,
    /// How many syncs there were per second, in each turn.
    pub rates: Vec<f64>,
    /// How long each write with its sync took, in nanoseconds.
    pub latencies: Histogram<u64>,
}

impl Folder {
    /// Takes an empty directory, or makes it.
    ///
    /// # Errors
    /// When it holds something, or can be neither read nor made. Nothing in it has changed.
    pub fn take(path: &Path) -> io::Result<Self> {
        let fail = |what: &str, error: &Error| {
            let why = format!("nothing was measured: {} cannot be {what}: {error}", path.display());
            Error::new(error.kind(), why)
        };
        let is_made = match fs::read_dir(path) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(Error::other(format!(
                        "nothing was measured: {} holds something, which was not touched; name an \
                         empty directory, or one that is not there",
                        path.display()
                    )));
                }
                false
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(path).map_err(|error| fail("made", &error))?;
                true
            }
            Err(error) => return Err(fail("read", &error)),
        };
        Ok(Self { path: path.to_owned(), is_made, is_cleared: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of one node.
    pub fn of(&self, place: usize) -> PathBuf {
        self.path.join(format!("node-{}", place + 1))
    }

    /// Takes away what was made. No node may run any more.
    ///
    /// # Errors
    /// When something is left.
    pub fn clear(mut self) -> io::Result<()> {
        self.is_cleared = true;
        self.remove()
    }

    fn remove(&self) -> io::Result<()> {
        let remove_one = |place| match fs::remove_dir_all(self.of(place)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
        let removed = (0..MAX_NODES).try_for_each(remove_one);
        let removed =
            removed.and_then(|()| if self.is_made { fs::remove_dir(&self.path) } else { Ok(()) });
        removed.map_err(|error| {
            let path = self.path.display();
            Error::new(error.kind(), format!("something is left in {path}: {error}"))
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_cleared
            && let Err(error) = self.remove()
        {
            complain(error);
        }
    }
}

impl SyncFloor {
    /// A file in this directory, which has no name any more. Each sync is for so many bytes.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(directory: &Path, bytes: usize) -> io::Result<Self> {
        let path = directory.join("floor");
        let mut how = OpenOptions::new();
        let file = how.create_new(true).read(true).write(true).open(&path)?;
        fs::remove_file(&path)?;
        let zeros = vec![0; 1 << 16];
        for offset in (0..FILE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, offset)?;
        }
        file.sync_all()?;
        let (rates, latencies) = (Vec::new(), histogram()?);
        Ok(Self { file, bytes: vec![b'v'; bytes], offset: 0, rates, latencies })
    }

    /// Appends and syncs for a while.
    ///
    /// # Errors
    /// When the system refuses, or a signal asks for the end.
    pub fn turn(&mut self, span: Duration) -> io::Result<()> {
        let start = Instant::now();
        let (mut begun, mut count) = (start, 0);
        while begun - start < span {
            interrupt::check()?;
            self.file.write_all_at(&self.bytes, self.offset)?;
            self.file.sync_data()?;
            let ended = Instant::now();
            let took = u64::try_from((ended - begun).as_nanos()).unwrap_or(u64::MAX);
            self.latencies.saturating_record(took);
            begun = ended;
            count += 1;
            // At its end it begins anew: the room stays the same.
            self.offset += self.bytes.len() as u64;
            if self.offset + self.bytes.len() as u64 > FILE_BYTES {
                self.offset = 0;
            }
        }
        self.rates.push(per_second(count, begun - start));
        Ok(())
    }

    /// The median of the turns' rates.
    pub fn rate(&self) -> f64 {
        median(&self.rates)
    }
}

/// As long as a segment of a node's log.
const FILE_BYTES: u64 = 4 << 20;
