//! Where a node of a host keeps what it must not forget: a directory of its own.
//!
//! [`Disk`] is a [`coracle::Storage`] that writes on a thread of its own, so that a slow disk does
//! not keep a node from sending heartbeats. Beneath it [`Medium`] does one thing at a time, and what
//! it has returned from is durable. Beneath that are [`Files`]: a real [`Directory`], or whatever
//! a test puts there. `format` has every record.
//!
//! What is promised: whatever was confirmed is there again after a crash of the process or of the
//! machine, or the node refuses to start and says which file is wrong and where. What was never
//! confirmed may be there or not.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod disk;
mod entry;
mod error;
mod files;
mod format;
mod log;
mod medium;
mod recovered;
mod scan;
mod slots;
mod snapshot;
mod writer;

pub use disk::Disk;
pub use entry::{Stored, walk};
pub use error::{Damage, DiskError};
pub use files::{Directory, File, Files, ReadOnly};
pub use format::{Identity, VERSION};
pub use medium::{Batch, Medium, Options};
pub use recovered::{Kept, Recovered, Summary};
