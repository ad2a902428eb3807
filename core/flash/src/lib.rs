//! Where a node of a microcontroller keeps what it must not forget: NOR flash.
//!
//! [`Flash`] is a [`coracle::Storage`] over [`embedded_storage`]'s `NorFlash`, without std and
//! without allocation. What is promised: whatever was confirmed is there again after the power went
//! at any moment, in the middle of a write or an erase too, or the node refuses to start and says
//! where the flash is damaged. What was never confirmed may be there or not.
//!
//! # How it lies in flash
//!
//! A [`Layout`] names two logs and two areas for snapshots, each of whole pages. Hard state and
//! entries are appended to one of the logs as records with checksums; no word is written twice
//! between two erases. When that log is full, or a snapshot was taken or installed, everything that
//! counts goes to the other one, whose last word makes it the one that counts: snapshot, log and
//! hard state change together, and until then the old ones are untouched. Snapshots go to the two
//! areas in turns.
//!
//! Queues and maps for flash, as `sequential-storage` has, do not fit here: their interface is
//! asynchronous, their items are found by scanning, and neither can replace a snapshot, drop the
//! entries that it covers and cut others off in one step, which [`coracle::Storage::install`] asks
//! for. They also take a damaged item for one that was never finished, whereas here a mark behind
//! each record tells the two apart.
//!
//! # How to size it
//!
//! A log must hold the node's log memory and some 500 bytes. Its pages are erased once for each
//! time that it fills up or a snapshot is saved, so that twice the memory or more is worth having:
//! with 2 KiB of memory and 4 KiB for each log, in pages of 1 KiB, a thousand commands of 12 bytes
//! erase each page 20 times.
//!
//! Erasing and writing are done in the calls of the node: the election timeout must be longer than
//! erasing a log and an area takes.
//!
//! # Example
//!
//! ```no_run
//! use coracle::{Array, Checksum, ClusterId, NodeId, Options, Raft, Ticks, Timing};
//! use coracle_flash::{Flash, FlashError, Identity, Layout, StartError};
//! use embedded_storage::nor_flash::NorFlash;
//!
//! fn start<F: NorFlash, R: rand_core::Rng>(
//!     driver: F,
//!     random: R,
//! ) -> Result<(Raft<Array<4096, 128>, R, Checksum, 4>, Flash<F>), StartError<F::Error>> {
//!     let identity = Identity { cluster: ClusterId(7), id: NodeId(1) };
//!     let layout = Layout {
//!         offset: 0x4_0000,
//!         log_bytes: 16 * 1024,
//!         snapshot_bytes: 8 * 1024,
//!         memory_bytes: 4096,
//!     };
//!     let mut flash = Flash::open(driver, layout, identity).map_err(StartError::Flash)?;
//!     let timing = Timing::from_heartbeat(Ticks(50));
//!     let options = Options::new(identity.cluster, identity.id, timing);
//!     let parts = (Array::zeroed(), random, Checksum);
//!     let raft = flash.start(&options, &[NodeId(2), NodeId(3)], parts, &mut [0; 1200])?;
//!     // Then `Node::new` takes both, and `Node::restore_kept` the snapshot that
//!     // `Flash::recovered` tells of.
//!     Ok((raft, flash))
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::as_conversions, clippy::expect_used, clippy::panic, clippy::unwrap_used,)
)]

mod area;
mod error;
mod flash;
mod format;
mod layout;
mod log;
mod medium;

pub use error::{FlashError, LayoutError, StartError};
pub use flash::{Flash, Recovered, RecoveredSnapshot, erase};
pub use format::Identity;
pub use layout::Layout;
