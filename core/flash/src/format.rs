//! The bytes of heads and records. All numbers are little-endian and of fixed width.
//!
//! ```text
//! log:    mark | void mark | head | record, record, ...
//! head:   magic and version: 8 | generation: 8 | cluster: 8 | node: 4 | CRC-32: 4
//! record: mark | CRC-32: 4 | length: 4 | parts: 4 | hard state | snapshot | first: 8, entries
//! area:   piece, piece, ...
//! piece:  offset: 4 | length: 4 | bytes
//! ```
//!
//! Each begins with a new word of the flash. A mark is written when all that it stands for is
//! there.

use coracle::{ClusterId, EntryId, Epoch, HardState, Incarnation, Index, MemberId, NodeId, Term};
use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// Whose flash it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub id: NodeId,
}

/// A snapshot, as the log's record has it, but for the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub applied: EntryId,
    pub base: EntryId,
    pub configuration: Index,
    pub length: u64,
    pub checksum: u32,
    /// Which of the two areas it is in, and the address behind its last piece.
    pub area: u32,
    pub end: u32,
    pub members_bytes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHead {
    pub checksum: u32,
    pub length: u32,
    pub parts: u32,
}

pub(crate) static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

pub(crate) type Digest = crc::Digest<'static, u32, Table<1>>;

pub(crate) const HEAD_BYTES: usize = 32;
pub(crate) const RECORD_HEAD_BYTES: usize = 12;
pub(crate) const HARD_BYTES: usize = 48;
pub(crate) const KEPT_BYTES: usize = 64;
pub(crate) const FIRST_BYTES: usize = 8;
pub(crate) const PIECE_HEAD_BYTES: usize = 8;

/// What a record has beside its head.
pub(crate) const HARD: u32 = 1;
pub(crate) const KEPT: u32 = 2;
pub(crate) const ENTRIES: u32 = 4;

const MAGIC: [u8; 8] = *b"corfla\x01\x00";

pub(crate) fn encode_head(generation: u64, identity: Identity) -> [u8; HEAD_BYTES] {
    let mut bytes = [0; HEAD_BYTES];
    let Identity { cluster, id } = identity;
    let mut put = Put(&mut bytes);
    put.bytes(&MAGIC).u64(generation).u64(cluster.0).u32(id.0);
    let sum = CRC.checksum(bytes.get(..HEAD_BYTES - 4).unwrap_or_default());
    if let Some(end) = bytes.last_chunk_mut() {
        *end = sum.to_le_bytes();
    }
    bytes
}

/// The generation and whose it is.
pub(crate) fn decode_head(bytes: [u8; HEAD_BYTES]) -> Option<(u64, Identity)> {
    let mut take = Take(&bytes);
    let _magic = take.u64();
    let generation = take.u64();
    let identity = Identity { cluster: ClusterId(take.u64()), id: NodeId(take.u32()) };
    (encode_head(generation, identity) == bytes).then_some((generation, identity))
}

impl RecordHead {
    /// Its checksum, when the digest has taken all of the record's parts.
    pub(crate) fn sum(digest: Digest, length: u32, parts: u32, generation: u64) -> u32 {
        let mut digest = digest;
        digest.update(&length.to_le_bytes());
        digest.update(&parts.to_le_bytes());
        digest.update(&generation.to_le_bytes());
        digest.finalize()
    }

    pub(crate) fn encode(self) -> [u8; RECORD_HEAD_BYTES] {
        let mut bytes = [0; RECORD_HEAD_BYTES];
        Put(&mut bytes).u32(self.checksum).u32(self.length).u32(self.parts);
        bytes
    }

    pub(crate) fn decode(bytes: [u8; RECORD_HEAD_BYTES]) -> Self {
        let mut take = Take(&bytes);
        Self { checksum: take.u32(), length: take.u32(), parts: take.u32() }
    }
}

pub(crate) fn encode_hard(hard: HardState) -> [u8; HARD_BYTES] {
    let mut bytes = [0; HARD_BYTES];
    let HardState { incarnation, epoch, term, vote } = hard;
    let voted = vote.unwrap_or_default();
    let mut put = Put(&mut bytes);
    put.u64(incarnation.0).u64(epoch.0).u64(term.0).u64(u64::from(vote.is_some()));
    put.u64(u64::from(voted.id.0)).u64(voted.incarnation.0);
    bytes
}

pub(crate) fn decode_hard(bytes: [u8; HARD_BYTES]) -> Option<HardState> {
    let mut take = Take(&bytes);
    let (incarnation, epoch) = (Incarnation(take.u64()), Epoch(take.u64()));
    let (term, has_voted) = (Term(take.u64()), take.u64() == 1);
    let id = NodeId(u32::try_from(take.u64()).ok()?);
    let voted = MemberId { id, incarnation: Incarnation(take.u64()) };
    Some(HardState { incarnation, epoch, term, vote: has_voted.then_some(voted) })
}

impl Kept {
    pub(crate) fn encode(&self) -> [u8; KEPT_BYTES] {
        let mut bytes = [0; KEPT_BYTES];
        let mut put = Put(&mut bytes);
        put.u64(self.applied.term.0).u64(self.applied.index.0);
        put.u64(self.base.term.0).u64(self.base.index.0).u64(self.configuration.0);
        put.u64(self.length).u32(self.checksum);
        put.u32(self.area | self.members_bytes << 1).u32(self.end);
        bytes
    }

    pub(crate) fn decode(bytes: [u8; KEPT_BYTES]) -> Self {
        let mut take = Take(&bytes);
        let mut id = || EntryId { term: Term(take.u64()), index: Index(take.u64()) };
        let (applied, base) = (id(), id());
        let configuration = Index(take.u64());
        let (length, checksum) = (take.u64(), take.u32());
        let (both, end) = (take.u32(), take.u32());
        let (area, members_bytes) = (both & 1, both >> 1);
        Self { applied, base, configuration, length, checksum, area, end, members_bytes }
    }
}

pub(crate) fn encode_piece(offset: u32, length: u32) -> [u8; PIECE_HEAD_BYTES] {
    let mut bytes = [0; PIECE_HEAD_BYTES];
    Put(&mut bytes).u32(offset).u32(length);
    bytes
}

/// Its offset in the snapshot, and its length.
pub(crate) fn decode_piece(bytes: [u8; PIECE_HEAD_BYTES]) -> (u32, u32) {
    let mut take = Take(&bytes);
    (take.u32(), take.u32())
}

/// Puts numbers one behind the other.
struct Put<'b>(&'b mut [u8]);

impl Put<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let space = core::mem::take(&mut self.0);
        let (to, rest) = space.split_at_mut(bytes.len().min(space.len()));
        to.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.0 = rest;
        self
    }

    fn u64(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn u32(&mut self, number: u32) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }
}

/// Takes numbers from the front; there are enough of them in an array of the right length.
struct Take<'b>(&'b [u8]);

impl Take<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let Some((array, rest)) = self.0.split_first_chunk() else { return [0; N] };
        self.0 = rest;
        *array
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }
}
