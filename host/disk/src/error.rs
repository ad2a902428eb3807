//! What can be wrong with a directory, said so that something can be done about it.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Why storage cannot go on, or cannot begin.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DiskError {
    /// The system refused. What was under way is not confirmed, and nothing is written after it.
    Io {
        /// Which file.
        file: String,
        /// What could not be done with it.
        doing: &'static str,
        /// What the system said.
        error: Arc<io::Error>,
    },
    /// The directory cannot be used. Nothing in it has changed.
    Unusable {
        /// Which directory.
        directory: String,
        /// What could not be done with it.
        doing: &'static str,
        /// What the system said.
        error: Arc<io::Error>,
    },
    /// Another process uses this directory. Nothing in it has changed.
    InUse(String),
    /// What was confirmed once is not all there. Nothing has changed.
    Damaged(Damage),
    /// The directory belongs to another node, another cluster or another version. Nothing has
    /// changed.
    Foreign {
        /// Which file says so.
        file: String,
        /// What it says.
        what: String,
    },
}

/// Where what was confirmed is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// The first byte that is not as it must be.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

impl DiskError {
    pub(crate) fn io(file: String, doing: &'static str, error: io::Error) -> Self {
        Self::Io { file, doing, error: Arc::new(error) }
    }

    pub(crate) fn unusable(directory: String, doing: &'static str, error: io::Error) -> Self {
        Self::Unusable { directory, doing, error: Arc::new(error) }
    }

    /// Whether there was no room: then more may be written once there is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { error, .. } => {
                matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Unusable { .. } | Self::InUse(_) | Self::Damaged(_) | Self::Foreign { .. } => {
                false
            }
        }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { file, doing, error } => {
                write!(f, "{file} cannot be {doing} ({error}); what was not confirmed may be lost")
            }
            Self::Unusable { directory, doing, error } => {
                write!(f, "{directory} cannot be {doing} ({error}); nothing was changed")
            }
            Self::InUse(directory) => {
                write!(f, "{directory} is in use by another process; nothing was changed")
            }
            Self::Damaged(Damage { file, offset, what }) => {
                write!(f, "{file} is damaged at byte {offset}: {what}. {ADVICE}")
            }
            Self::Foreign { file, what } => write!(f, "{file}: {what}; nothing was changed"),
        }
    }
}

impl std::error::Error for DiskError {}

const ADVICE: &str = "The node does not start, since what it once confirmed would be missing; \
nothing was changed. If more than half of the members are well, move the whole directory away and \
start this node with an empty one: it comes back as another life of itself and gets everything from \
the others. Do not put back an older copy: that would forget votes and entries";
