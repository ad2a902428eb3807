//! The files of one directory, as storage uses them: small enough to be imitated by a test that
//! loses whatever a power cut can lose.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::DiskError;

/// A directory. Its names are those of files, without a path.
pub trait Files: Clone + Send + 'static {
    /// A file in it.
    type File: File;

    /// The names that there are.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// An empty file of this name. If there was one it is gone.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// The file of this name.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name. A file that had it is gone.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a file away.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes durable which names there are, and of which files.
    ///
    /// # Errors
    /// What the system says. It is not known what is durable.
    fn sync_names(&self) -> io::Result<()>;

    /// How a person calls a file of this name.
    fn path(&self, name: &str) -> String;
}

/// A file that is open.
pub trait File: Send + 'static {
    /// How many bytes it has.
    ///
    /// # Errors
    /// What the system says.
    fn length(&self) -> io::Result<u64>;

    /// Reads as many bytes as there is space for.
    ///
    /// # Errors
    /// What the system says, or that there are not as many.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// Writes all of these bytes.
    ///
    /// # Errors
    /// What the system says. Some may be written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes it this long.
    ///
    /// # Errors
    /// What the system says.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Makes durable what was written, and how long the file is.
    ///
    /// # Errors
    /// What the system says. It is not known what is durable, and asking again would not tell.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of this machine, which no other process uses for storage as long as this lives.
#[derive(Clone, Debug)]
pub struct Directory {
    path: Arc<PathBuf>,
    /// The directory itself, to be synced.
    names: Arc<fs::File>,
    /// Locked while this or a clone lives.
    _lock: Arc<fs::File>,
}

impl Directory {
    /// Takes a directory, which is made if there is none.
    ///
    /// # Errors
    /// When it cannot be made or used, or another process uses it. Nothing in it has changed.
    pub fn take(path: &Path) -> Result<Self, DiskError> {
        let named = || path.display().to_string();
        fs::create_dir_all(path).map_err(|error| DiskError::unusable(named(), "made", error))?;
        // The name of a new directory must be as durable as what is in it.
        let full =
            path.canonicalize().map_err(|error| DiskError::unusable(named(), "found", error))?;
        if let Some(parent) = full.parent() {
            let synced = fs::File::open(parent).and_then(|parent| parent.sync_all());
            synced.map_err(|error| DiskError::unusable(named(), "synced", error))?;
        }
        Self::lock(full)
    }

    /// Takes a directory that is there.
    ///
    /// # Errors
    /// When it is not there or cannot be used, or another process uses it.
    pub fn take_existing(path: &Path) -> Result<Self, DiskError> {
        let full = path.canonicalize();
        Self::lock(
            full.map_err(|error| DiskError::unusable(path.display().to_string(), "found", error))?,
        )
    }

    fn lock(path: PathBuf) -> Result<Self, DiskError> {
        let named = path.display().to_string();
        let fail = |doing| {
            let named = named.clone();
            move |error| DiskError::unusable(named, doing, error)
        };
        let names = fs::File::open(&path).map_err(fail("opened"))?;
        let mut how = fs::OpenOptions::new();
        let lock = how.create(true).truncate(false).write(true).open(path.join(LOCK));
        let lock = lock.map_err(fail("locked"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(DiskError::InUse(named)),
            Err(fs::TryLockError::Error(error)) => return Err(fail("locked")(error)),
        }
        Ok(Self { path: Arc::new(path), names: Arc::new(names), _lock: Arc::new(lock) })
    }
}

impl Files for Directory {
    type File = fs::File;

    fn list(&self) -> io::Result<Vec<String>> {
        list(&self.path)
    }

    fn create(&self, name: &str) -> io::Result<fs::File> {
        let mut how = fs::OpenOptions::new();
        how.create(true).truncate(true).read(true).write(true).open(self.path.join(name))
    }

    fn open(&self, name: &str) -> io::Result<fs::File> {
        fs::OpenOptions::new().read(true).write(true).open(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.names.sync_all()
    }

    fn path(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

/// A directory of this machine that is only read: nothing in it is written, made or taken away, not
/// even its lock.
#[derive(Clone, Debug)]
pub struct ReadOnly {
    path: Arc<PathBuf>,
    /// Locked, beside other readers, while this or a clone lives; none where nobody ever took the
    /// directory.
    _lock: Option<Arc<fs::File>>,
}

impl ReadOnly {
    /// Looks into a directory that is there. As long as this or a clone lives, [`Directory::take`]
    /// is refused.
    ///
    /// # Errors
    /// When it is not there or cannot be read, or another process writes to it.
    pub fn look(path: &Path) -> Result<Self, DiskError> {
        let named = || path.display().to_string();
        let full =
            path.canonicalize().map_err(|error| DiskError::unusable(named(), "found", error))?;
        // What is no directory is said to be none, and not to be empty.
        fs::read_dir(&full).map_err(|error| DiskError::unusable(named(), "listed", error))?;
        let lock = match fs::File::open(full.join(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(DiskError::unusable(
                    full.join(LOCK).display().to_string(),
                    "read",
                    error,
                ));
            }
            Ok(lock) => match lock.try_lock_shared() {
                Ok(()) => Some(Arc::new(lock)),
                Err(fs::TryLockError::WouldBlock) => return Err(DiskError::InUse(named())),
                Err(fs::TryLockError::Error(error)) => {
                    return Err(DiskError::unusable(named(), "locked", error));
                }
            },
        };
        Ok(Self { path: Arc::new(full), _lock: lock })
    }
}

/// Whatever would change the directory is refused.
impl Files for ReadOnly {
    type File = fs::File;

    fn list(&self) -> io::Result<Vec<String>> {
        list(&self.path)
    }

    fn create(&self, _name: &str) -> io::Result<fs::File> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    /// Writing to it is refused by the system.
    fn open(&self, name: &str) -> io::Result<fs::File> {
        fs::File::open(self.path.join(name))
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn path(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

fn list(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::with_capacity(8);
    for entry in fs::read_dir(path)? {
        // What is no text is none of our names.
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

impl File for fs::File {
    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(into, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The file whose lock says that the directory is in use.
const LOCK: &str = "lock";
