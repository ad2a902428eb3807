//! One node with its medium, its applied commands and its reads, driven as an embedder drives it.

use coracle::{
    BadSnapshot, Checksum, Dropped, EntryId, HardState, Head, Index, Memory, NodeId, Output, Raft,
    ReadId, Reads, Receipt, Received, Ticks, Violation, Write,
};

use super::disk::Stored;
use super::run::configuration;
use super::{DATAGRAM, Disk, MEMBERS, Persisting, Random, Sent, Shelf, Small};

/// The node under test.
pub type Node<M> = Raft<M, Random, Checksum, MEMBERS>;

/// A node and what it has done.
#[derive(Clone)]
pub struct Driver<M = Small> {
    /// The node.
    pub raft: Node<M>,
    /// Its medium.
    pub disk: Disk,
    /// How its writes are done.
    pub persisting: Persisting,
    /// Writes that were submitted and have not finished.
    pub writing: heapless::Vec<Writing, 3>,
    /// The latest commands applied.
    pub applied: heapless::Deque<EntryId, 16>,
    /// How many commands were applied.
    pub applied_count: u64,
    /// A digest of all commands applied, in order.
    pub applied_digest: u64,
    /// How reads ended.
    pub reads: heapless::Vec<Reads, 8>,
    /// What the node said before it fell silent for good.
    pub violation: Option<Violation>,
    /// How many datagrams it has sent.
    pub sent_count: u64,
    /// Its medium's snapshots.
    pub shelf: Shelf,
    /// Whether it takes snapshots and drops the log's front by itself, when it is time.
    pub is_compacting: bool,
}

/// A write under way.
#[derive(Clone)]
pub struct Writing {
    /// What to hand back when it has finished.
    pub receipt: Receipt,
    hard: Option<HardState>,
    /// The first entry that it writes.
    pub first: Index,
    run: heapless::Vec<u8, WRITE_BYTES>,
}

impl<M: Memory> Driver<M> {
    /// A node whose medium holds this.
    #[must_use]
    pub fn new(raft: Node<M>, disk: Disk) -> Self {
        Self {
            raft,
            disk,
            persisting: Persisting::AtOnce,
            writing: heapless::Vec::new(),
            applied: heapless::Deque::new(),
            applied_count: 0,
            applied_digest: 0,
            reads: heapless::Vec::new(),
            violation: None,
            sent_count: 0,
            shelf: Shelf::default(),
            is_compacting: false,
        }
    }

    /// The node gets a datagram; a piece of a snapshot goes to its medium.
    ///
    /// # Errors
    /// The node's own.
    pub fn receive(&mut self, datagram: &[u8]) -> Result<(), Dropped> {
        if let Received::Piece(piece) = self.raft.receive(datagram)? {
            let is_kept = self.shelf.stage(&piece);
            if self.raft.on_piece(&piece, is_kept) && !self.shelf.has_head() {
                self.raft.refuse_head();
            }
        }
        Ok(())
    }

    /// The medium keeps a snapshot of what is applied, if it has room; whether it has.
    pub fn save(&mut self) -> bool {
        let Some(last) = self.raft.applied_entry() else { return false };
        let raft = &self.raft;
        let state = [self.applied_count, self.applied_digest];
        let saved = self.shelf.save(|mut sink| raft.write_snapshot_head(&mut sink), state);
        let Some(summary) = saved else {
            self.raft.snapshot_refused();
            return false;
        };
        let counting = self.raft.applied_configuration();
        let members = configuration(&counting.members);
        self.disk.keep(Stored { last, configuration: counting.index, members }, false);
        self.raft.snapshot_saved(last, summary);
        true
    }

    /// The medium keeps a snapshot, and the log drops what it covers.
    pub fn compact(&mut self) {
        assert!(self.save(), "there is room for a snapshot");
        let applied = self.raft.applied();
        assert_eq!(self.raft.compact(applied), applied);
    }

    fn make_room(&mut self) {
        if !self.raft.needs_compaction() && !self.raft.wants_snapshot() {
            return;
        }
        if self.raft.may_save_snapshot() {
            let base = self.raft.base_behind_snapshot();
            if self.save() {
                self.raft.compact(base);
                return;
            }
        }
        self.raft.compact(self.raft.compactable());
    }

    /// Polls until nothing is left, and gives what was sent.
    #[inline(never)]
    pub fn drive(&mut self) -> Sent {
        let mut sent = Sent::new();
        self.drive_into(&mut |to, bytes| sent.push(to, bytes));
        sent
    }

    /// Polls until nothing is left, or the medium does not take what must be durable.
    #[inline(never)]
    pub fn drive_into(&mut self, send: &mut dyn FnMut(NodeId, &[u8])) {
        for _output in 0..MOST_OUTPUTS {
            if !self.poll_into(send) {
                if !self.is_compacting {
                    return;
                }
                self.make_room();
                if !self.poll_into(send) {
                    return;
                }
            }
        }
        panic!("poll has always something left");
    }

    /// Polls once; whether there was anything.
    fn poll_into(&mut self, send: &mut dyn FnMut(NodeId, &[u8])) -> bool {
        match self.raft.poll() {
            None => return false,
            Some(Output::Transmit(transmit)) => {
                let to = transmit.to();
                let mut buffer = [0; DATAGRAM];
                let length = transmit.write(&mut buffer).expect("the buffer is large enough");
                if length > 0 {
                    self.sent_count += 1;
                    send(to, &buffer[..length]);
                }
            }
            Some(Output::Persist(persist)) => match self.persisting {
                Persisting::AtOnce => {
                    self.disk.write(&persist.write());
                    persist.done();
                }
                Persisting::Submitted => {
                    let (hard, first, run) = copy(&persist.write());
                    let receipt = persist.submit();
                    let writing = Writing { receipt, hard, first, run };
                    let room = self.writing.push(writing);
                    assert!(room.is_ok(), "more writes under way than a test looks at");
                }
                Persisting::Never => return false,
            },
            Some(Output::Apply(apply)) => {
                let entry = apply.entry().expect("what is committed is there");
                if self.applied.is_full() {
                    self.applied.pop_front();
                }
                self.applied.push_back(entry.id).expect("room was made");
                self.applied_count += 1;
                self.applied_digest = digest(self.applied_digest, entry.data);
                apply.done();
            }
            Some(Output::Reads(reads)) => {
                self.reads.push(reads).expect("more reads end than a test looks at");
            }
            Some(Output::Install(install)) => {
                let name = install.name();
                let (epoch, staged) = (install.epoch(), self.shelf.read_staged(name));
                let is_it = |head: &Head<MEMBERS>| head.last == name.last && head.epoch == epoch;
                let (head, state) = match staged {
                    Some(Ok((head, state))) if is_it(&head) => (head, state),
                    Some(Ok(_) | Err(BadSnapshot)) | None => {
                        install.damaged();
                        return true;
                    }
                };
                self.shelf.install(name);
                [self.applied_count, self.applied_digest] = state;
                self.writing.clear();
                let members = configuration(&head.configuration.members);
                let configuration = head.configuration.index;
                self.disk.keep(Stored { last: name.last, configuration, members }, true);
                install.done(head);
            }
            Some(Output::Chunk(chunk)) => {
                let to = chunk.to();
                let mut buffer = [0; DATAGRAM];
                let kept = &self.shelf.kept;
                let length = chunk.write(&mut buffer, |offset, into| {
                    let offset = usize::try_from(offset).expect("a small snapshot");
                    into.copy_from_slice(&kept[offset..offset + into.len()]);
                    true
                });
                let length = length.expect("the buffer is large enough");
                if length > 0 {
                    self.sent_count += 1;
                    send(to, &buffer[..length]);
                }
            }
            Some(Output::Failed(violation)) => self.violation = Some(violation),
        }
        true
    }

    /// Lets one tick pass at a time, driving after each, and gives all that was sent.
    #[inline(never)]
    pub fn pass(&mut self, ticks: Ticks) -> Sent {
        let mut sent = Sent::new();
        for _tick in 0..ticks.0 {
            self.raft.tick(Ticks(1));
            self.drive_into(&mut |to, bytes| sent.push(to, bytes));
        }
        sent
    }

    /// Lets time pass without looking at what is sent meanwhile.
    pub fn pass_unseen(&mut self, ticks: Ticks) {
        for _tick in 0..ticks.0 {
            self.raft.tick(Ticks(1));
            self.drive_into(&mut |_, _| ());
        }
    }

    /// The write that was submitted at this place of `writing` finishes.
    pub fn finish(&mut self, place: usize) {
        let writing = self.writing.remove(place);
        self.disk.put(writing.hard, writing.first, &writing.run, &[]);
        self.raft.durable(writing.receipt);
    }

    /// Whether the command of this entry is among the latest applied.
    #[must_use]
    pub fn has_applied(&self, entry: EntryId) -> bool {
        self.applied.iter().any(|applied| *applied == entry)
    }

    /// Whether a read was answered, if it has ended.
    #[must_use]
    pub fn read_end(&self, read: ReadId) -> Option<bool> {
        self.reads.iter().find(|reads| reads.upto >= read).map(|reads| reads.is_ready)
    }
}

fn copy(write: &Write<'_>) -> (Option<HardState>, Index, heapless::Vec<u8, WRITE_BYTES>) {
    let mut run = heapless::Vec::new();
    for part in write.runs {
        run.extend_from_slice(part).expect("a submitted write is small");
    }
    (write.hard, write.first, run)
}

/// The entries of a write that is done elsewhere.
const WRITE_BYTES: usize = 128;

/// No node has more to do at one time.
const MOST_OUTPUTS: usize = 300;

/// A state after a command with this data.
fn digest(state: u64, data: &[u8]) -> u64 {
    data.iter().fold(state, |state, byte| {
        (state.rotate_left(7) ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}
