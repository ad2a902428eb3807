//! Where a node keeps itself: in a directory, or nowhere.

mod metered;

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use coracle::{
    Contents, Epoch, HardState, NodeId, Persisted, Place, Receipt, Saving, Snapshot, SnapshotName,
    Staging, Storage, VolatileSnapshots, Write,
};
use coracle_disk::{Directory, Disk, DiskError, Identity, Options, Recovered};
use log::{info, warn};
use rand_core::Rng;

use crate::setup::DATAGRAM_BYTES;
use crate::traffic::Traffic;
use metered::Metered;

/// What a node is told about where it keeps itself.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Storage")]
pub struct StorageArguments {
    /// Keep the node's state in this directory, which is its own, and go on from what is in it;
    /// without this nothing is stored
    ///
    /// An empty directory is taken for one that was lost: the node is another life of itself, and the
    /// others take it in, in the place of the old one. That is also how a new cluster is started,
    /// when all of its nodes are there; with --first-start a majority of them is enough.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What a node that stores nothing does when all others confirm that too many were restarted at
    /// once, so that nothing can come of the cluster any more
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, conflicts_with = "data_dir")]
    pub on_halt: OnHalt,
    /// Say that the cluster is started for the very first time: a majority of all nodes, each of
    /// them told so, begins it, and the others come in later
    ///
    /// Once it has begun, take this away. It must not be said of a node that has lost its directory:
    /// together with others that are cut off it could begin a second cluster, which knows nothing of
    /// the first one. A node that goes on from its directory takes no notice of it.
    #[arg(long, requires = "data_dir", conflicts_with_all = ["join", "wait_to_be_added"])]
    pub first_start: bool,
}

impl StorageArguments {
    /// Says what an empty directory is taken for, and that a first start is over.
    pub fn tell(&self, id: NodeId, hard: Option<&HardState>) {
        let is_blank = hard.is_none_or(|hard| hard.epoch == Epoch(0));
        match (self.data_dir.is_some(), is_blank, self.first_start) {
            (true, true, true) => info!(
                "Node {id} has an empty directory: with a majority that is told so too it starts \
                 the cluster for the first time"
            ),
            (true, true, false) => info!(
                "Node {id} has an empty directory: it is new, or it has lost what it had and is \
                 taken in as another life of itself"
            ),
            (true, false, true) => warn!(
                "node {id} is in a cluster already, so --first-start means nothing: take it away, \
                 for if the directory is ever lost it could begin a second cluster"
            ),
            (true, false, false) | (false, ..) => {}
        }
    }
}

/// What a node does that has halted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnHalt {
    /// Keep what it holds, and wait for its operator
    #[default]
    Keep,
    /// Give up what it holds, so that a new cluster begins, empty, when all nodes are there
    Reset,
}

/// Where a node of this program keeps itself.
pub enum HostStorage {
    /// Nowhere. Snapshots for others are in memory.
    Memory(VolatileSnapshots<Box<[u8]>>),
    /// In a directory.
    Disk(Disk<Metered<Directory>>),
}

impl HostStorage {
    /// Nothing is stored; each of two snapshots may have so many bytes. Memory is taken from the
    /// system only where one is written.
    pub fn memory(bytes: usize) -> Self {
        let area = || vec![0; bytes].into_boxed_slice();
        Self::Memory(VolatileSnapshots::new(area(), area()))
    }

    /// A directory, and what was found in it. `wake` is called from another thread whenever something
    /// has become durable. Every sync is counted.
    ///
    /// # Errors
    /// When it cannot be used. Nothing that it holds is lost.
    pub fn open(
        path: &Path,
        identity: Identity,
        random: &mut impl Rng,
        wake: impl Fn() + Send + 'static,
        traffic: Traffic,
    ) -> Result<(Self, Recovered), DiskError> {
        let entry_bytes = u64::from(DATAGRAM_BYTES);
        let options =
            Options { segment_bytes: SEGMENT_BYTES, entry_bytes, salt: random.next_u64() };
        let files = Metered::new(take(path)?, traffic);
        let (disk, recovered) = Disk::open(files, identity, options, wake)?;
        Ok((Self::Disk(disk), recovered))
    }

    /// The last receipt for what has become durable since this was called last.
    ///
    /// # Errors
    /// Something could not be written, and the node must end.
    pub fn take_durable(&mut self) -> io::Result<Option<Receipt>> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Disk(disk) => disk.take_durable().map_err(io::Error::other),
        }
    }
}

impl Storage for HostStorage {
    type Error = DiskError;

    fn is_durable(&self) -> bool {
        match self {
            Self::Memory(memory) => memory.is_durable(),
            Self::Disk(disk) => disk.is_durable(),
        }
    }

    fn room(&self) -> usize {
        match self {
            Self::Memory(memory) => memory.room(),
            Self::Disk(disk) => disk.room(),
        }
    }

    fn persist(&mut self, write: &Write<'_>, receipt: Receipt) -> Result<Persisted, DiskError> {
        match self {
            Self::Memory(memory) => memory.persist(write, receipt).map_err(|never| match never {}),
            Self::Disk(disk) => disk.persist(write, receipt),
        }
    }

    fn save_snapshot(
        &mut self,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Saving, DiskError> {
        match self {
            Self::Memory(memory) => {
                memory.save_snapshot(snapshot, contents).map_err(|never| match never {})
            }
            Self::Disk(disk) => {
                let began = Instant::now();
                let saved = disk.save_snapshot(snapshot, contents)?;
                if let Saving::Kept(summary) = saved {
                    tell_saved(summary.length, began);
                }
                Ok(saved)
            }
        }
    }

    fn read_snapshot(
        &mut self,
        place: Place,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DiskError> {
        match self {
            Self::Memory(memory) => {
                memory.read_snapshot(place, offset, into).map_err(|never| match never {})
            }
            Self::Disk(disk) => disk.read_snapshot(place, offset, into),
        }
    }

    fn stage(
        &mut self,
        name: SnapshotName,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Staging, DiskError> {
        match self {
            Self::Memory(memory) => {
                memory.stage(name, offset, bytes).map_err(|never| match never {})
            }
            Self::Disk(disk) => disk.stage(name, offset, bytes),
        }
    }

    fn found(
        &mut self,
        hard: &HardState,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Saving, DiskError> {
        match self {
            Self::Memory(memory) => {
                memory.found(hard, snapshot, contents).map_err(|never| match never {})
            }
            Self::Disk(disk) => disk.found(hard, snapshot, contents),
        }
    }

    fn install(&mut self, snapshot: &Snapshot<'_>) -> Result<(), DiskError> {
        match self {
            Self::Memory(memory) => memory.install(snapshot).map_err(|never| match never {}),
            Self::Disk(disk) => {
                let began = Instant::now();
                disk.install(snapshot)?;
                info!("a snapshot of the leader was put in place in {}", milliseconds(began));
                Ok(())
            }
        }
    }
}

/// The node does nothing else meanwhile, so whoever wonders why it was silent finds it here.
fn tell_saved(length: u64, began: Instant) {
    info!("a snapshot of {length} bytes was taken in {}", milliseconds(began));
}

fn milliseconds(began: Instant) -> String {
    format!("{:.1} ms", began.elapsed().as_secs_f64() * 1000.0)
}

/// Takes a directory, and waits a while for one that is still in use: a node that was just ended may
/// be about to let go of it.
fn take(path: &Path) -> Result<Directory, DiskError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Directory::take(path) {
            Err(DiskError::InUse(_)) if Instant::now() < deadline => thread::sleep(PAUSE),
            taken => return taken,
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);
/// A reserve of the same length is held ready.
const SEGMENT_BYTES: u64 = 4 << 20;
