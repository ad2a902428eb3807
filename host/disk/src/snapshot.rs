//! The snapshot's file: a head of one block, then the node's own bytes.

use std::io;
use std::ops::Deref;

use coracle::{BadSnapshot, Full, Sink, Source};

use crate::error::{Damage, DiskError};
use crate::files::{File, Files};
use crate::format::{SNAPSHOT_HEAD_BYTES, SnapshotHead};

/// Where the node's own bytes begin.
pub(crate) const CONTENTS_AT: u64 = SNAPSHOT_HEAD_BYTES as u64;

pub(crate) const SNAPSHOT: &str = "snapshot";
pub(crate) const SNAPSHOT_NEW: &str = "snapshot.new";
pub(crate) const STAGED: &str = "staged";

/// Writes into a file behind the head, a block at a time.
pub(crate) struct Writing<'f, F> {
    file: &'f F,
    offset: u64,
    buffer: Vec<u8>,
    pub(crate) error: Option<io::Error>,
}

impl<'f, F: File> Writing<'f, F> {
    pub(crate) fn new(file: &'f F) -> Self {
        let buffer = Vec::with_capacity(BLOCK_BYTES);
        Self { file, offset: CONTENTS_AT, buffer, error: None }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Full> {
        if let Err(error) = self.file.write_at(self.offset, &self.buffer) {
            self.error = Some(error);
            return Err(Full);
        }
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl<F: File> Sink for Writing<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.buffer.len() + bytes.len() > BLOCK_BYTES {
            self.flush()?;
        }
        self.buffer.extend(bytes);
        Ok(())
    }
}

/// Reads the node's own bytes, in order.
pub(crate) struct Reading<T> {
    file: T,
    offset: u64,
    length: u64,
    /// What was read ahead, and how much of it is used up.
    ahead: Vec<u8>,
    used: usize,
}

impl<T: Deref<Target: File>> Reading<T> {
    pub(crate) const fn new(file: T, length: u64) -> Self {
        Self { file, offset: 0, length, ahead: Vec::new(), used: 0 }
    }

    /// The next bytes; none at the end.
    fn block(&mut self) -> io::Result<&[u8]> {
        if self.used == self.ahead.len() {
            let left = usize::try_from(self.length - self.offset).unwrap_or(usize::MAX);
            self.ahead.resize(left.min(BLOCK_BYTES), 0);
            self.file.read_at(CONTENTS_AT + self.offset, &mut self.ahead)?;
            self.offset += self.ahead.len() as u64;
            self.used = 0;
        }
        Ok(self.ahead.get(self.used..).unwrap_or_default())
    }
}

impl<T: Deref<Target: File>> Source for Reading<T> {
    fn read(&mut self, into: &mut [u8]) -> Result<(), BadSnapshot> {
        let mut filled = 0;
        while let Some(to) = into.get_mut(filled..).filter(|to| !to.is_empty()) {
            let block = self.block().map_err(|_| BadSnapshot)?;
            let count = block.len().min(to.len());
            if count == 0 {
                return Err(BadSnapshot);
            }
            to.iter_mut().zip(block).for_each(|(to, from)| *to = *from);
            filled += count;
            self.used += count;
        }
        Ok(())
    }
}

/// Reads the snapshot's head and checks all of its bytes.
pub(crate) fn read<F: Files>(files: &F) -> Result<(SnapshotHead, F::File), DiskError> {
    let path = || files.path(SNAPSHOT);
    let damage = |offset, what: &str| {
        DiskError::Damaged(Damage { file: path(), offset, what: what.to_owned() })
    };
    let fail = |doing| move |error| DiskError::io(path(), doing, error);
    let file = files.open(SNAPSHOT).map_err(fail("opened"))?;
    let length = file.length().map_err(fail("read"))?;
    if length < CONTENTS_AT {
        return Err(damage(length, "the head ends here"));
    }
    let mut bytes = vec![0; SNAPSHOT_HEAD_BYTES];
    file.read_at(0, &mut bytes).map_err(fail("read"))?;
    let head = match SnapshotHead::decode(&bytes) {
        Ok(head) => head,
        Err(None) => return Err(damage(0, "the head is not as it was written")),
        Err(Some(version)) => {
            let what = format!("it has the format {version}, which this program does not know");
            return Err(DiskError::Foreign { file: path(), what });
        }
    };
    if length != CONTENTS_AT + head.length {
        return Err(damage(length.min(CONTENTS_AT + head.length), "it has another length"));
    }
    let mut hasher = crc32fast::Hasher::new();
    let mut reading = Reading::new(&file, head.length);
    loop {
        let block = reading.block().map_err(fail("read"))?;
        if block.is_empty() {
            break;
        }
        hasher.update(block);
        reading.used = reading.ahead.len();
    }
    if hasher.finalize() != head.checksum {
        return Err(damage(CONTENTS_AT, "the contents are not as they were written"));
    }
    Ok((head, file))
}

const BLOCK_BYTES: usize = 1 << 16;
