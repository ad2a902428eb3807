//! Snapshots as the node takes, sends and installs them: the protocol's head, the sessions, and the
//! state machine's part.

use rand_core::Rng;

use super::{Node, NodeError, Platform, ResponseOf, Sessions};
use crate::configuration::{MEMBER_BYTES_MAX, Members, encode_members};
use crate::log::Memory;
use crate::machine::{BadSnapshot, Full, Sink, Source, StateMachine};
use crate::raft::{Install, Piece, SendChunk};
use crate::seal::{CRC, Seal};
use crate::snapshot::{Head, Meter, Snapshot, SnapshotName};
use crate::storage::{Place, Saving, Staging, Storage};
use crate::types::EntryId;

type ErrorOf<P> = <<P as Platform>::Storage as Storage>::Error;

impl<P: Platform, const MEMBERS: usize, const SESSIONS: usize, const PENDING: usize>
    Node<P, MEMBERS, SESSIONS, PENDING>
{
    /// Takes the contents of the snapshot that [`Storage::save_snapshot`] or [`Storage::install`]
    /// made the kept one last.
    ///
    /// # Errors
    /// `BadSnapshot`: they are none; the node must not be used.
    pub fn restore<K: Source>(&mut self, contents: &mut K) -> Result<(), BadSnapshot> {
        take::<P, MEMBERS, SESSIONS>(contents, &mut self.sessions, &mut self.machine)
    }

    /// Takes the kept snapshot, of `length` bytes, from the storage itself: [`restore`](Self::restore)
    /// for a medium that can be read only through the storage that the node has.
    ///
    /// # Errors
    /// [`NodeError::Storage`]: the medium failed. [`NodeError::Snapshot`]: it is no snapshot of this
    /// state machine. The node must not be used.
    pub fn restore_kept(&mut self, length: u64) -> Result<(), NodeError<ErrorOf<P>>> {
        let name = SnapshotName { length, ..SnapshotName::default() };
        let storage = &mut self.storage;
        let mut reading = Reading { storage, place: Place::Kept, name, offset: 0, error: None };
        let (sessions, machine) = (&mut self.sessions, &mut self.machine);
        let restored = take::<P, MEMBERS, SESSIONS>(&mut reading, sessions, machine);
        match (reading.error, restored) {
            (Some(error), _) => Err(NodeError::Storage(error)),
            (None, Err(BadSnapshot)) => Err(NodeError::Snapshot),
            (None, Ok(())) => Ok(()),
        }
    }

    /// Writes members, sessions and state, the same bytes on every node that has applied the same
    /// entries.
    ///
    /// # Errors
    /// `Full` when the sink takes no more, or nothing was applied yet.
    pub fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
        self.raft.write_snapshot_head(sink)?;
        self.sessions.snapshot(sink)?;
        self.machine.snapshot(sink)
    }

    /// Drops the log's front when it is time, and takes a snapshot when one is needed.
    #[inline]
    pub(super) fn make_room(&mut self) -> Result<(), ErrorOf<P>> {
        if self.raft.needs_compaction() || self.raft.wants_snapshot() {
            self.compact()?;
        }
        Ok(())
    }

    #[cold]
    fn compact(&mut self) -> Result<(), ErrorOf<P>> {
        let is_cheap = !self.storage.is_durable() && !self.raft.wants_snapshot();
        if is_cheap && self.raft.has_enough_to_drop() {
            self.raft.compact(self.raft.compactable());
            return Ok(());
        }
        if self.raft.may_save_snapshot() {
            return self.save();
        }
        if !self.storage.is_durable() {
            self.raft.compact(self.raft.compactable());
        }
        Ok(())
    }

    /// Has the medium keep a snapshot of what is applied, and drops what it covers.
    fn save(&mut self) -> Result<(), ErrorOf<P>> {
        let Some(applied) = self.raft.applied_entry() else { return Ok(()) };
        let base = self.raft.base_behind_snapshot();
        let Some(term) = self.raft.term_at(base) else { return Ok(()) };
        let configuration = self.raft.applied_configuration();
        let mut space = [[0; MEMBER_BYTES_MAX]; MEMBERS];
        let space = space.as_flattened_mut();
        let members = encode_members(&configuration.members, space)
            .and_then(|length| space.get(..length))
            .and_then(Members::parse);
        let Some(members) = members else { return Ok(()) };
        let snapshot = Snapshot {
            applied,
            base: EntryId { term, index: base },
            configuration: configuration.index,
            members,
        };
        let (raft, sessions, machine) = (&self.raft, &self.sessions, &self.machine);
        let saving = self.storage.save_snapshot(&snapshot, &|mut sink| {
            let mut meter = Meter::new(&mut sink);
            raft.write_snapshot_head(&mut meter)?;
            sessions.snapshot(&mut meter)?;
            machine.snapshot(&mut meter)?;
            Ok(meter.summary())
        })?;
        match saving {
            Saving::Kept(summary) => {
                self.raft.snapshot_saved(applied, summary);
                self.raft.compact(base);
            }
            Saving::NoRoom => {
                self.raft.snapshot_refused();
                if !self.storage.is_durable() {
                    self.raft.compact(self.raft.compactable());
                }
            }
        }
        Ok(())
    }

    /// Has the medium keep a piece of a leader's snapshot.
    pub(super) fn on_piece(&mut self, piece: &Piece<'_>) {
        match self.storage.stage(piece.name, piece.offset, piece.bytes) {
            Ok(Staging::Kept) => {
                if self.raft.on_piece(piece, true) {
                    self.check_head(piece.name);
                }
            }
            Ok(Staging::NoRoom) => {
                let _has_no_head = self.raft.on_piece(piece, false);
            }
            Err(error) => self.failure = Some(error),
        }
    }

    /// The front of a leader's snapshot is there: one that cannot be taken is refused before the rest
    /// of it comes.
    #[cold]
    fn check_head(&mut self, name: SnapshotName) {
        match read_head::<_, MEMBERS>(&mut Reading::staged(&mut self.storage, name)) {
            Ok(Ok(_)) => {}
            Ok(Err(BadSnapshot)) => self.raft.refuse_head(),
            Err(error) => self.failure = Some(error),
        }
    }
}

/// What the snapshot says of itself, unless that cannot be taken.
#[inline(never)]
fn read_head<S: Storage, const N: usize>(
    reading: &mut Reading<'_, S>,
) -> Result<Result<Head<N>, BadSnapshot>, S::Error> {
    let head = Head::read(reading);
    reading.error.take().map_or(Ok(head), Err)
}

/// Writes a chunk, read from what the medium keeps; zero if there is nothing left to send.
pub(super) fn send<M, R, S, K, const N: usize>(
    chunk: SendChunk<'_, M, R, S, N>,
    storage: &mut K,
    buffer: &mut [u8],
) -> Result<usize, NodeError<K::Error>>
where
    M: Memory,
    R: Rng,
    S: Seal,
    K: Storage,
{
    let mut failure = None;
    let written = chunk.write(buffer, |offset, into| {
        failure = storage.read_snapshot(Place::Kept, offset, into).err();
        failure.is_none()
    });
    match failure {
        Some(error) => Err(NodeError::Storage(error)),
        None => written.map_err(NodeError::BufferTooSmall),
    }
}

/// Checks what was gathered, and puts it in the place of sessions, state and log. Gives the last
/// entry applied in it, unless it was damaged.
pub(super) fn install<P: Platform, const MEMBERS: usize, const SESSIONS: usize>(
    install: Install<'_, P::Memory, P::Random, P::Seal, MEMBERS>,
    storage: &mut P::Storage,
    sessions: &mut Sessions<ResponseOf<P>, SESSIONS>,
    machine: &mut P::Machine,
) -> Result<Option<EntryId>, NodeError<ErrorOf<P>>> {
    let name = install.name();
    let is_intact = is_intact(storage, name).map_err(NodeError::Storage)?;
    let mut reading = Reading::staged(storage, name);
    let head = read_head::<_, MEMBERS>(&mut reading).map_err(NodeError::Storage)?;
    let is_it = |head: &Head<MEMBERS>| head.last == name.last && head.epoch == install.epoch();
    let head = match head {
        Ok(head) if is_intact && is_it(&head) => head,
        Ok(_) | Err(BadSnapshot) => {
            install.damaged();
            return Ok(None);
        }
    };
    let restored = sessions.restore(&mut reading).and_then(|()| machine.restore(&mut reading));
    if let Some(error) = reading.error.take() {
        return Err(NodeError::Storage(error));
    }
    if restored.is_err() || reading.offset != name.length {
        return Err(NodeError::Snapshot);
    }
    let configuration = head.configuration.index;
    let mut space = [[0; MEMBER_BYTES_MAX]; MEMBERS];
    let space = space.as_flattened_mut();
    let members = encode_members(&head.configuration.members, space)
        .and_then(|length| space.get(..length))
        .and_then(Members::parse)
        .ok_or(NodeError::Snapshot)?;
    let snapshot = Snapshot { applied: name.last, base: name.last, configuration, members };
    storage.install(&snapshot).map_err(NodeError::Storage)?;
    install.done(head);
    Ok(Some(name.last))
}

/// Whether the bytes that were gathered have the sum that their name says.
fn is_intact<S: Storage>(storage: &mut S, name: SnapshotName) -> Result<bool, S::Error> {
    let mut digest = CRC.digest();
    let mut offset = 0;
    let mut buffer = [0; READ_BYTES];
    while offset < name.length {
        let left = usize::try_from(name.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(into) = buffer.get_mut(..left.min(READ_BYTES)) else { return Ok(false) };
        storage.read_snapshot(Place::Staged, offset, into)?;
        digest.update(into);
        offset = offset.saturating_add(u64::try_from(into.len()).unwrap_or(u64::MAX));
    }
    Ok(digest.finalize() == name.checksum)
}

/// Takes the whole contents of a snapshot.
fn take<P: Platform, const MEMBERS: usize, const SESSIONS: usize>(
    contents: &mut impl Source,
    sessions: &mut Sessions<ResponseOf<P>, SESSIONS>,
    machine: &mut P::Machine,
) -> Result<(), BadSnapshot> {
    Head::<MEMBERS>::read(contents)?;
    sessions.restore(contents)?;
    machine.restore(contents)
}

/// How many bytes are summed up at a time.
const READ_BYTES: usize = 256;

/// Reads a snapshot, in order.
struct Reading<'s, S: Storage> {
    storage: &'s mut S,
    place: Place,
    name: SnapshotName,
    offset: u64,
    error: Option<S::Error>,
}

impl<'s, S: Storage> Reading<'s, S> {
    fn staged(storage: &'s mut S, name: SnapshotName) -> Self {
        Self { storage, place: Place::Staged, name, offset: 0, error: None }
    }
}

impl<S: Storage> Source for Reading<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> Result<(), BadSnapshot> {
        let length = u64::try_from(into.len()).map_err(|_| BadSnapshot)?;
        let end = self.offset.checked_add(length).ok_or(BadSnapshot)?;
        if end > self.name.length {
            return Err(BadSnapshot);
        }
        match self.storage.read_snapshot(self.place, self.offset, into) {
            Ok(()) => {
                self.offset = end;
                Ok(())
            }
            Err(error) => {
                self.error = Some(error);
                Err(BadSnapshot)
            }
        }
    }
}
