//! What can go wrong.

use core::fmt;

use coracle::{RecoverError, SetupError};

/// Why the flash could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlashError<E> {
    /// The driver refused an operation. What was acknowledged before is still there.
    Driver(E),
    /// The layout cannot be used; nothing was read or written.
    Layout(LayoutError),
    /// It belongs to another node or cluster; nothing was written.
    Foreign,
    /// What was acknowledged is not as it was written, at this address; nothing was written. Let
    /// [`erase`](crate::erase) clear the range, and have the node replaced as one that lost its
    /// medium.
    Damaged(u32),
    /// A write does not fit beside all that must be kept; nothing of it was written.
    Full,
    /// There is no such snapshot; nothing was written.
    NoSnapshot,
    /// The driver refused an operation before; nothing was written. Open the flash again.
    Dead,
}

/// Why a layout cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LayoutError {
    /// The words or pages of this flash are not powers of two, or a word, as written or as read,
    /// has more than 256 bytes.
    Geometry,
    /// The offset or a length is no multiple of the flash's pages.
    NotAligned,
    /// It ends behind the flash's last page.
    OutOfBounds,
    /// One of the two logs cannot hold `memory_bytes` of entries: it needs so many bytes.
    LogTooSmall(u32),
    /// A snapshot needs a page at least.
    SnapshotTooSmall,
}

/// Why no raft came of what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StartError<E> {
    /// The flash could not be read.
    Flash(FlashError<E>),
    /// The node cannot be set up so.
    Setup(SetupError),
    /// The entries were not taken.
    Entries(RecoverError),
    /// The buffer must hold an entry, which has so many bytes here.
    BufferTooSmall(usize),
}

impl<E: fmt::Debug> fmt::Display for FlashError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => write!(f, "the flash's driver refused an operation: {error:?}"),
            Self::Layout(error) => write!(f, "{error}; nothing was changed"),
            Self::Foreign => {
                f.write_str("the flash belongs to another node or cluster; nothing was changed")
            }
            Self::Damaged(at) => write!(
                f,
                "the flash is damaged at {at:#x}, in what was acknowledged; nothing was changed. \
                 Erase it and have this node replaced"
            ),
            Self::Full => f.write_str("the log's flash is full; nothing was written"),
            Self::Dead => f.write_str("the flash has failed before; nothing was written"),
            Self::NoSnapshot => f.write_str("there is no such snapshot; nothing was changed"),
        }
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geometry => f.write_str("words or pages of this flash cannot be used"),
            Self::NotAligned => f.write_str("the layout is not made of whole pages"),
            Self::OutOfBounds => f.write_str("the layout ends behind the flash"),
            Self::LogTooSmall(needed) => write!(f, "a log needs {needed} bytes at least"),
            Self::SnapshotTooSmall => f.write_str("a snapshot needs a page at least"),
        }
    }
}

impl<E: fmt::Debug> fmt::Display for StartError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => error.fmt(f),
            Self::Setup(error) => write!(f, "the node cannot be set up so: {error:?}"),
            Self::Entries(error) => write!(f, "stored entries were not taken: {error:?}"),
            Self::BufferTooSmall(needed) => {
                write!(f, "the buffer must hold an entry of {needed} bytes")
            }
        }
    }
}

impl<E: fmt::Debug> core::error::Error for FlashError<E> {}
impl core::error::Error for LayoutError {}
impl<E: fmt::Debug> core::error::Error for StartError<E> {}
