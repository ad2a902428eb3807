//! The snapshots of a node's medium: the one that it keeps, and the one that it gathers.

use coracle::{
    BadSnapshot, Checksum, Full, Head, Piece, Seal, Sink, SnapshotName, Source, Summary,
};

use super::MEMBERS;

/// The most bytes that a snapshot has here.
pub const SNAPSHOT_BYTES: usize = 420;

/// Two areas, one for each snapshot.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The bytes of the snapshot that is kept.
    pub kept: heapless::Vec<u8, SNAPSHOT_BYTES>,
    /// The bytes of the one that is gathered.
    pub staged: [u8; SNAPSHOT_BYTES],
    /// How many bytes follow what a state here takes.
    pub padding: usize,
    /// Whether there is room for either.
    pub has_room: bool,
    /// The last snapshot that took the place of the node's state.
    pub installed: Option<SnapshotName>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            kept: heapless::Vec::new(),
            staged: [0; SNAPSHOT_BYTES],
            padding: 0,
            has_room: true,
            installed: None,
        }
    }
}

impl Shelf {
    /// Keeps a snapshot that begins with what `head` writes, of a state of these two numbers.
    pub fn save(
        &mut self,
        head: impl FnOnce(&mut dyn Sink) -> Result<(), Full>,
        state: [u64; 2],
    ) -> Option<Summary> {
        if !self.has_room {
            return None;
        }
        self.kept.clear();
        head(&mut self.kept).ok()?;
        write_state(&mut self.kept, state, self.padding).ok()?;
        Some(summary(&self.kept))
    }

    /// Keeps a piece beside it; whether there is room.
    pub fn stage(&mut self, piece: &Piece<'_>) -> bool {
        let Ok(offset) = usize::try_from(piece.offset) else { return false };
        let place =
            self.staged.get_mut(offset..).and_then(|rest| rest.get_mut(..piece.bytes.len()));
        match place {
            Some(place) if self.has_room => place.copy_from_slice(piece.bytes),
            Some(_) | None => return false,
        }
        true
    }

    /// Reads what was gathered, if it has the sum that its name says: whether it can be taken.
    pub fn read_staged(
        &self,
        name: SnapshotName,
    ) -> Option<Result<(Head<MEMBERS>, [u64; 2]), BadSnapshot>> {
        let length = usize::try_from(name.length).ok()?;
        let bytes = self.staged.get(..length)?;
        (summary(bytes).checksum == name.checksum).then(|| read(bytes))
    }

    /// Whether what is gathered begins with a head that can be taken.
    pub fn has_head(&self) -> bool {
        Head::<MEMBERS>::read(&mut &self.staged[..]).is_ok()
    }

    /// What was gathered takes the place of what is kept.
    pub fn install(&mut self, name: SnapshotName) {
        let length = usize::try_from(name.length).expect("a small snapshot");
        self.kept.clear();
        self.kept.extend_from_slice(&self.staged[..length]).expect("the areas are of one size");
        self.installed = Some(name);
    }
}

/// Writes a state of two numbers and so many bytes more.
pub fn write_state(sink: &mut dyn Sink, state: [u64; 2], padding: usize) -> Result<(), Full> {
    for word in state {
        sink.write(&word.to_le_bytes())?;
    }
    (0..padding).try_for_each(|place| sink.write(&[place.to_le_bytes()[0]]))
}

/// Length and sum of a snapshot.
#[must_use]
pub fn summary(bytes: &[u8]) -> Summary {
    // The seal of a datagram is the same sum.
    let mut sum = [0; 4];
    Checksum.seal(bytes, &mut sum);
    let length = u64::try_from(bytes.len()).expect("a small snapshot");
    Summary { length, checksum: u32::from_le_bytes(sum) }
}

fn read(bytes: &[u8]) -> Result<(Head<MEMBERS>, [u64; 2]), BadSnapshot> {
    let mut source = bytes;
    let head = Head::read(&mut source)?;
    let mut state = [0; 2];
    for word in &mut state {
        let mut bytes = [0; 8];
        source.read(&mut bytes)?;
        *word = u64::from_le_bytes(bytes);
    }
    Ok((head, state))
}
