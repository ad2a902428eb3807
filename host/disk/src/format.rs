//! The bytes of every record. All numbers are little-endian and of fixed width.

use coracle::{ClusterId, EntryId, Epoch, HardState, Incarnation, Index, MemberId, NodeId, Term};

/// The form of all files. Files of another version are not touched.
pub const VERSION: u32 = 1;

/// Whose directory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub id: NodeId,
}

/// One of the two copies of the hard state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Counts the changes.
    pub sequence: u64,
    pub identity: Identity,
    pub hard: HardState,
    /// The segment of the log that was begun last.
    pub segment: u64,
}

/// What a segment of the log begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub number: u64,
    /// How many bytes the file has, always.
    pub size: u64,
    /// The sequence number of its first record.
    pub first: u64,
    pub incarnation: Incarnation,
    /// Enters each checksum of the segment, so that no client can make up a record.
    pub salt: u64,
    /// The entry before its first record.
    pub previous: EntryId,
}

/// What a record of entries begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHead {
    pub sequence: u64,
    pub length: u32,
    pub checksum: u32,
}

/// What a snapshot begins with, beside the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotHead {
    pub identity: Identity,
    pub incarnation: Incarnation,
    pub applied: EntryId,
    pub base: EntryId,
    pub configuration: Index,
    pub length: u64,
    pub checksum: u32,
    /// The first segment that counts beside it.
    pub segment: u64,
    /// How it came to be the one that counts.
    pub origin: Origin,
    pub members: Vec<u8>,
}

/// Where a snapshot is from. But for the node's own, the first segment beside it need not be there
/// yet, and is empty at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was written beside the entries.
    Own,
    /// A leader's, in the place of the entries.
    Leader,
    /// The node has founded a cluster alone with it, as a new life of itself.
    Founding(Founding),
}

/// What counts from the moment on in which such a snapshot has its name: a state of the life before is
/// written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Founding {
    /// The life before.
    pub former: Incarnation,
    pub epoch: Epoch,
    pub term: Term,
}

impl Slot {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let HardState { incarnation, epoch, term, vote } = self.hard;
        let voted = vote.unwrap_or_default();
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        bytes.extend(SLOT_MAGIC);
        words(&mut bytes, &[u64::from(VERSION), 0, self.sequence, self.identity.cluster.0]);
        words(&mut bytes, &[u64::from(self.identity.id.0), incarnation.0, epoch.0, term.0]);
        let vote = [u64::from(vote.is_some()), u64::from(voted.id.0), voted.incarnation.0];
        words(&mut bytes, &vote);
        words(&mut bytes, &[self.segment]);
        seal(&mut bytes);
        bytes
    }

    /// `Err` has the version, if it is another one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Option<u64>> {
        let mut rest = checked(bytes.get(..SLOT_BYTES).ok_or(None)?, SLOT_MAGIC)?;
        let mut word = || take(&mut rest).ok_or(None);
        let (sequence, cluster) = (word()?, ClusterId(word()?));
        let id = node_id(word()?).ok_or(None)?;
        let (incarnation, epoch) = (Incarnation(word()?), Epoch(word()?));
        let term = Term(word()?);
        let (has_voted, voted) = (word()?, node_id(word()?).ok_or(None)?);
        let voted = MemberId { id: voted, incarnation: Incarnation(word()?) };
        let vote = (has_voted == 1).then_some(voted);
        let hard = HardState { incarnation, epoch, term, vote };
        Ok(Self { sequence, identity: Identity { cluster, id }, hard, segment: word()? })
    }
}

impl SegmentHead {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEAD_BYTES);
        bytes.extend(SEGMENT_MAGIC);
        words(&mut bytes, &[u64::from(VERSION), 0, self.number, self.size, self.first]);
        words(&mut bytes, &[self.incarnation.0, self.salt]);
        words(&mut bytes, &[self.previous.term.0, self.previous.index.0]);
        seal(&mut bytes);
        bytes
    }

    /// `Err` has the version, if it is another one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Option<u64>> {
        let mut rest = checked(bytes.get(..SEGMENT_HEAD_BYTES).ok_or(None)?, SEGMENT_MAGIC)?;
        let mut word = || take(&mut rest).ok_or(None);
        let (number, size, first) = (word()?, word()?, word()?);
        let (incarnation, salt) = (Incarnation(word()?), word()?);
        let previous = EntryId { term: Term(word()?), index: Index(word()?) };
        Ok(Self { number, size, first, incarnation, salt, previous })
    }
}

impl RecordHead {
    pub(crate) fn encode(&self, salt: u64) -> [u8; RECORD_HEAD_BYTES] {
        let mut bytes = [0; RECORD_HEAD_BYTES];
        let (magic, rest) = bytes.split_at_mut(4);
        let (sum, rest) = rest.split_at_mut(4);
        let (sequence, rest) = rest.split_at_mut(8);
        let (length, checksum) = rest.split_at_mut(4);
        magic.copy_from_slice(&RECORD_MAGIC);
        sequence.copy_from_slice(&self.sequence.to_le_bytes());
        length.copy_from_slice(&self.length.to_le_bytes());
        checksum.copy_from_slice(&self.checksum.to_le_bytes());
        sum.copy_from_slice(&salted(salt, &[sequence, length, checksum]).to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let bytes: &[u8; RECORD_HEAD_BYTES] = bytes.first_chunk()?;
        let rest = bytes.strip_prefix(&RECORD_MAGIC)?;
        let (_, rest) = rest.split_first_chunk::<4>()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let checksum = rest.first_chunk()?;
        let head = Self {
            sequence: u64::from_le_bytes(*sequence),
            length: u32::from_le_bytes(*length),
            checksum: u32::from_le_bytes(*checksum),
        };
        (head.encode(salt) == *bytes).then_some(head)
    }
}

/// Says that the record of this number was confirmed.
pub(crate) fn mark(sequence: u64, salt: u64) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    let (magic, rest) = bytes.split_at_mut(4);
    let (sum, number) = rest.split_at_mut(4);
    magic.copy_from_slice(&MARK_MAGIC);
    number.copy_from_slice(&sequence.to_le_bytes());
    sum.copy_from_slice(&salted(salt, &[number]).to_le_bytes());
    bytes
}

/// The number of the record that a mark confirms.
pub(crate) fn marked(bytes: &[u8], salt: u64) -> Option<u64> {
    let bytes: &[u8; MARK_BYTES] = bytes.first_chunk()?;
    let (_, number) = bytes.split_last_chunk::<8>()?;
    let sequence = u64::from_le_bytes(*number);
    (mark(sequence, salt) == *bytes).then_some(sequence)
}

impl SnapshotHead {
    /// The hard state that the snapshot brings with it, if that of this life was the one before.
    pub(crate) fn hard_after(&self, before: Incarnation) -> Option<HardState> {
        let Origin::Founding(Founding { former, epoch, term }) = self.origin else { return None };
        let incarnation = self.incarnation;
        let vote = Some(MemberId { id: self.identity.id, incarnation });
        (former == before).then_some(HardState { incarnation, epoch, term, vote })
    }

    /// As many bytes as every head has; none if there are too many members.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(SNAPSHOT_HEAD_BYTES);
        bytes.extend(SNAPSHOT_MAGIC);
        words(&mut bytes, &[u64::from(VERSION), 0, self.identity.cluster.0]);
        words(&mut bytes, &[u64::from(self.identity.id.0), self.incarnation.0]);
        words(&mut bytes, &[self.applied.term.0, self.applied.index.0]);
        words(&mut bytes, &[self.base.term.0, self.base.index.0, self.configuration.0]);
        words(&mut bytes, &[self.length, u64::from(self.checksum), self.segment]);
        let members = u64::try_from(self.members.len()).ok()?;
        let (origin, founding) = match self.origin {
            Origin::Own => (0, None),
            Origin::Leader => (1, None),
            Origin::Founding(founding) => (2, Some(founding)),
        };
        words(&mut bytes, &[origin, members]);
        bytes.extend(&self.members);
        if let Some(Founding { former, epoch, term }) = founding {
            words(&mut bytes, &[former.0, epoch.0, term.0]);
        }
        if bytes.len() > SNAPSHOT_HEAD_BYTES {
            return None;
        }
        bytes.resize(SNAPSHOT_HEAD_BYTES, 0);
        seal(&mut bytes);
        Some(bytes)
    }

    /// `Err` has the version, if it is another one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Option<u64>> {
        let mut rest = checked(bytes.get(..SNAPSHOT_HEAD_BYTES).ok_or(None)?, SNAPSHOT_MAGIC)?;
        let mut word = || take(&mut rest).ok_or(None);
        let cluster = ClusterId(word()?);
        let identity = Identity { cluster, id: node_id(word()?).ok_or(None)? };
        let incarnation = Incarnation(word()?);
        let applied = EntryId { term: Term(word()?), index: Index(word()?) };
        let base = EntryId { term: Term(word()?), index: Index(word()?) };
        let (configuration, length) = (Index(word()?), word()?);
        let checksum = u32::try_from(word()?).map_err(|_| None)?;
        let (segment, origin) = (word()?, word()?);
        let members = usize::try_from(word()?).map_err(|_| None)?;
        let (members, mut rest) = rest.split_at_checked(members).ok_or(None)?;
        let members = members.to_vec();
        let mut word = || take(&mut rest).ok_or(None);
        let origin = match origin {
            0 => Origin::Own,
            1 => Origin::Leader,
            2 => {
                let (former, epoch) = (Incarnation(word()?), Epoch(word()?));
                Origin::Founding(Founding { former, epoch, term: Term(word()?) })
            }
            _ => return Err(None),
        };
        Ok(Self {
            identity,
            incarnation,
            applied,
            base,
            configuration,
            length,
            checksum,
            segment,
            origin,
            members,
        })
    }
}

/// The checksum of parts of a segment, under its salt.
pub(crate) fn salted(salt: u64, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

fn words(bytes: &mut Vec<u8>, words: &[u64]) {
    words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
}

/// Puts the checksum of all else in its place behind magic and version.
fn seal(bytes: &mut [u8]) {
    let sum = u64::from(sum_of(bytes)).to_le_bytes();
    if let Some(place) = bytes.get_mut(SUM_AT..SUM_AT + 8) {
        place.copy_from_slice(&sum);
    }
}

fn sum_of(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes.get(..SUM_AT).unwrap_or_default());
    hasher.update(bytes.get(SUM_AT + 8..).unwrap_or_default());
    hasher.finalize()
}

/// What stands behind the checksum, if that is right.
fn checked(bytes: &[u8], magic: [u8; 8]) -> Result<&[u8], Option<u64>> {
    let mut rest = bytes.strip_prefix(&magic).ok_or(None)?;
    let (version, sum) = (take(&mut rest).ok_or(None)?, take(&mut rest).ok_or(None)?);
    if sum != u64::from(sum_of(bytes)) {
        return Err(None);
    }
    if version == u64::from(VERSION) { Ok(rest) } else { Err(Some(version)) }
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let (word, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u64::from_le_bytes(*word))
}

fn node_id(word: u64) -> Option<NodeId> {
    u32::try_from(word).ok().map(NodeId)
}

const SLOT_MAGIC: [u8; 8] = *b"corstate";
const SEGMENT_MAGIC: [u8; 8] = *b"corlog\0\0";
const SNAPSHOT_MAGIC: [u8; 8] = *b"corsnap\0";
const RECORD_MAGIC: [u8; 4] = *b"run\0";
const MARK_MAGIC: [u8; 4] = *b"ack\0";
/// Behind magic and version.
const SUM_AT: usize = 16;

pub(crate) const SLOT_BYTES: usize = 13 * 8;
pub(crate) const SEGMENT_HEAD_BYTES: usize = 10 * 8;
pub(crate) const RECORD_HEAD_BYTES: usize = 24;
/// What stands before a run of entries in a record: the index of the first, and how many bytes.
pub(crate) const SECTION_BYTES: usize = 16;
pub(crate) const MARK_BYTES: usize = 16;
pub(crate) const SNAPSHOT_HEAD_BYTES: usize = 4096;
