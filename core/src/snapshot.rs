//! Snapshots (section 7): what they are called, and what is in them before sessions and state.

use crc::Digest;
use serde::{Deserialize, Serialize};

use crate::configuration::{Configuration, MEMBER_BYTES_MAX, Members, encode_members};
use crate::machine::{BadSnapshot, Full, Sink, Source};
use crate::seal::{CRC, Tables};
use crate::types::{EntryId, Epoch, Index, Term};

/// What tells one snapshot of an epoch from all others. With the leader's term it names a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SnapshotName {
    /// The last entry that is applied in it.
    pub last: EntryId,
    /// How many bytes it has.
    pub length: u64,
    /// Their CRC-32 (ISO HDLC).
    pub checksum: u32,
}

impl SnapshotName {
    /// Where a chunk begins and how many bytes it has; none if the snapshot has no such chunk.
    pub(crate) fn chunk_extent(&self, chunk_bytes: u16, chunk: u32) -> (u64, usize) {
        let chunk_bytes = u64::from(chunk_bytes);
        let offset = u64::from(chunk).saturating_mul(chunk_bytes);
        let length = self.length.saturating_sub(offset).min(chunk_bytes);
        (offset, usize::try_from(length).unwrap_or(0))
    }
}

/// A snapshot that is to become the one that a node keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Snapshot<'a> {
    /// The last entry that is applied in it.
    pub applied: EntryId,
    /// The log keeps only the entries behind this one, which is not above `applied`.
    pub base: EntryId,
    /// The entry that names the members; not above `applied`.
    pub configuration: Index,
    /// The members that count when `applied` is the last entry.
    pub members: Members<'a>,
}

/// What was written into a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Summary {
    /// How many bytes.
    pub length: u64,
    /// Their CRC-32 (ISO HDLC).
    pub checksum: u32,
}

/// Writes a snapshot's bytes into a sink, the same ones each time, and sums them up.
pub type Contents<'a> = &'a dyn Fn(&mut dyn Sink) -> Result<Summary, Full>;

/// Counts and sums up what goes through it.
pub(crate) struct Meter<'k, K: ?Sized> {
    sink: &'k mut K,
    length: u64,
    digest: Digest<'static, u32, Tables>,
}

impl<'k, K: Sink + ?Sized> Meter<'k, K> {
    pub(crate) fn new(sink: &'k mut K) -> Self {
        Self { sink, length: 0, digest: CRC.digest() }
    }

    pub(crate) fn summary(self) -> Summary {
        Summary { length: self.length, checksum: self.digest.finalize() }
    }
}

impl<K: Sink + ?Sized> Sink for Meter<'_, K> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.sink.write(bytes)?;
        self.digest.update(bytes);
        self.length = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }
}

/// What a snapshot begins with: the protocol's own part of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Head<const N: usize> {
    /// The epoch that it belongs to.
    pub epoch: Epoch,
    /// The last entry that is applied in it.
    pub last: EntryId,
    /// The members that count when that is the last entry.
    pub configuration: Configuration<N>,
}

/// The form of the head.
const VERSION: u8 = 1;

impl<const N: usize> Head<N> {
    /// The most bytes that one of them has: those of fixed width, and the members'.
    pub(crate) const BYTES_MAX: usize = 1 + 4 * 8 + 2 + N * MEMBER_BYTES_MAX;

    /// Writes version, epoch, last entry and configuration, each little-endian and of fixed width;
    /// before the members' bytes stands how many they are.
    pub(crate) fn write<K: Sink + ?Sized>(&self, sink: &mut K) -> Result<(), Full> {
        sink.write(&[VERSION])?;
        let Self { epoch, last, configuration } = self;
        for word in [epoch.0, last.term.0, last.index.0, configuration.index.0] {
            sink.write(&word.to_le_bytes())?;
        }
        let mut space = [[0; MEMBER_BYTES_MAX]; N];
        let space = space.as_flattened_mut();
        let length = encode_members(&configuration.members, space).ok_or(Full)?;
        let bytes = space.get(..length).ok_or(Full)?;
        sink.write(&u16::try_from(length).map_err(|_| Full)?.to_le_bytes())?;
        sink.write(bytes)
    }

    /// Reads the head of a snapshot and leaves the source where the sessions begin.
    ///
    /// # Errors
    /// `BadSnapshot` when these are not the bytes of one, or it names more members than `N`.
    pub fn read<K: Source + ?Sized>(source: &mut K) -> Result<Self, BadSnapshot> {
        let mut version = [0];
        source.read(&mut version)?;
        if version != [VERSION] {
            return Err(BadSnapshot);
        }
        let mut words = [0; 4];
        for word in &mut words {
            let mut bytes = [0; 8];
            source.read(&mut bytes)?;
            *word = u64::from_le_bytes(bytes);
        }
        let [epoch, term, index, named_at] = words;
        let last = EntryId { term: Term(term), index: Index(index) };
        let mut length = [0; 2];
        source.read(&mut length)?;
        let length = usize::from(u16::from_le_bytes(length));
        let mut space = [[0; MEMBER_BYTES_MAX]; N];
        let bytes = space.as_flattened_mut().get_mut(..length).ok_or(BadSnapshot)?;
        source.read(bytes)?;
        let members = Members::parse(bytes).ok_or(BadSnapshot)?;
        let configuration = Configuration::of(Index(named_at), members).ok_or(BadSnapshot)?;
        if epoch == 0 || term == 0 || named_at == 0 || named_at > index {
            return Err(BadSnapshot);
        }
        Ok(Self { epoch: Epoch(epoch), last, configuration })
    }
}
