//! One running node: the real one, of one of a few sizes.

use coracle::{
    Buffers, Change, ChangeError, Checksum, Contents, Dropped, EntryId, Event, Full, Index,
    Members, Node, NodeError, NodeId, Options, Persisted, Place, Platform, ProposeError, Raft,
    ReadError, ReadId, Receipt, ResumeError, RetireError, Saved, Saving, Sink, Slot, Snapshot,
    SnapshotName, Staging, Storage, Ticks, TransferError, Write,
};

use crate::chance::Draws;
use crate::disk::{self, DiskError, Shared};
use crate::entries::{Known, hash_entry};
use crate::invariants::{Role, View};
use crate::machine::{Command, Machine, Tape};
use crate::network::Address;
use crate::plan::{Plan, Tables};

/// Room for members: more than any run has.
pub const MEMBERS: usize = 8;

/// The protocol as it is in the simulation.
pub type SimRaft = Raft<SimMemory, Draws, Checksum, MEMBERS>;

type SimMemory = Buffers<Box<[u8]>, Box<[Slot]>>;

/// What a node stands on.
#[derive(Debug)]
pub struct Sim;

impl Platform for Sim {
    type Memory = SimMemory;
    type Random = Draws;
    type Seal = Checksum;
    type Storage = Shared;
    type Machine = Machine;
    type Address = Address;
}

/// What a node tells.
pub type NodeEvent<'b> = Event<'b, Address, u64>;

/// What a poll gives.
pub type Polled<'b> = Result<Option<NodeEvent<'b>>, NodeError<DiskError>>;

/// A node, whatever the sizes of its tables.
pub trait Peer {
    /// The protocol inside.
    fn raft(&self) -> &SimRaft;
    /// The state machine.
    fn machine(&self) -> &Machine;
    /// Lets time pass.
    fn tick(&mut self, elapsed: Ticks);
    /// When it wants to be woken.
    fn next_timeout(&self) -> Option<Ticks>;
    /// A datagram arrived.
    fn receive(&mut self, from: Address, datagram: &[u8]) -> Result<(), Dropped>;
    /// A command without a session.
    fn propose(&mut self, command: &Command<'_>) -> Result<EntryId, ProposeError>;
    /// A change of the members.
    fn change(&mut self, change: Change) -> Result<EntryId, ChangeError>;
    /// Another leader.
    fn transfer(&mut self, to: Option<NodeId>) -> Result<NodeId, TransferError>;
    /// A linearizable read.
    fn read(&mut self) -> Result<ReadId, ReadError>;
    /// Something is durable.
    fn durable(&mut self, receipt: Receipt);
    /// It ends on purpose.
    fn retire(&mut self, image: &mut [u8]) -> Result<usize, RetireError>;
    /// It goes on in the life that left this.
    fn resume(&mut self, image: &mut [u8]) -> Result<(), ResumeError>;
    /// What is to be done.
    fn poll<'b>(&mut self, buffer: &'b mut [u8]) -> Polled<'b>;
}

impl<const SESSIONS: usize, const PENDING: usize> Peer for Node<Sim, MEMBERS, SESSIONS, PENDING> {
    fn raft(&self) -> &SimRaft {
        self.raft()
    }

    fn machine(&self) -> &Machine {
        self.machine()
    }

    fn tick(&mut self, elapsed: Ticks) {
        self.tick(elapsed);
    }

    fn next_timeout(&self) -> Option<Ticks> {
        self.next_timeout()
    }

    fn receive(&mut self, from: Address, datagram: &[u8]) -> Result<(), Dropped> {
        self.receive(from, datagram)
    }

    fn propose(&mut self, command: &Command<'_>) -> Result<EntryId, ProposeError> {
        self.propose(command)
    }

    fn change(&mut self, change: Change) -> Result<EntryId, ChangeError> {
        self.change(change)
    }

    fn transfer(&mut self, to: Option<NodeId>) -> Result<NodeId, TransferError> {
        self.transfer(to)
    }

    fn read(&mut self) -> Result<ReadId, ReadError> {
        self.read()
    }

    fn durable(&mut self, receipt: Receipt) {
        self.durable(receipt);
    }

    fn retire(&mut self, image: &mut [u8]) -> Result<usize, RetireError> {
        self.retire(image)
    }

    fn resume(&mut self, image: &mut [u8]) -> Result<(), ResumeError> {
        self.resume(image)
    }

    fn poll<'b>(&mut self, buffer: &'b mut [u8]) -> Polled<'b> {
        self.poll(buffer)
    }
}

/// Makes a node of what its disk holds.
///
/// # Errors
/// What the core says to its own writing.
pub fn boot(
    plan: &Plan,
    place: usize,
    random: Draws,
    disk: &Shared,
    tape: &Tape,
) -> Result<Box<dyn Peer>, String> {
    let raft = recover(plan, place, random, disk)?;
    match plan.tables {
        Tables::Tiny => node::<2, 1>(raft, disk, tape),
        Tables::Small => node::<4, 4>(raft, disk, tape),
        Tables::Roomy => node::<16, 8>(raft, disk, tape),
    }
}

fn recover(plan: &Plan, place: usize, random: Draws, disk: &Shared) -> Result<SimRaft, String> {
    let id = plan.ids[place];
    let mut options = Options::new(plan.cluster, id, plan.timing);
    options.datagram = plan.datagrams[place];
    options.window_bytes = plan.window_bytes;
    options.lease = plan.lease;
    options.is_joining = place >= plan.founders;
    let founders = plan.ids.iter().copied().take(plan.founders);
    let others: Vec<_> = founders.filter(|other| *other != id && !options.is_joining).collect();
    let size = plan.logs[place];
    let memory = Buffers::new(
        vec![0; size.bytes].into_boxed_slice(),
        vec![Slot::ZERO; size.slots].into_boxed_slice(),
    );
    let disk = disk.0.borrow();
    // Whoever replaces a disk knows that there was a start before.
    options.is_first_start = plan.is_first_start && !options.is_joining && !disk.is_replacement();
    let durable = disk.durable();
    let Some(hard) = durable.hard.filter(|_| !plan.is_warm) else {
        return Raft::new(&options, &others, memory, random, Checksum)
            .map_err(|error| error.to_string());
    };
    let snapshot = durable.snapshot.as_ref();
    let saved = Saved {
        hard,
        applied: snapshot.map_or(Index::ZERO, |snapshot| snapshot.applied.index),
        base: durable.base(),
        configuration: snapshot.map_or(Index::ZERO, |snapshot| snapshot.configuration),
        members: snapshot.and_then(|snapshot| Members::parse(&snapshot.members)),
    };
    let raft = Raft::recover(&options, &others, memory, random, Checksum, &saved);
    let mut raft = raft.map_err(|error| error.to_string())?;
    if !durable.run().is_empty() {
        raft.recover_run(durable.run()).map_err(|error| format!("{error:?}"))?;
    }
    Ok(raft)
}

fn node<const SESSIONS: usize, const PENDING: usize>(
    raft: SimRaft,
    disk: &Shared,
    tape: &Tape,
) -> Result<Box<dyn Peer>, String> {
    let machine = Machine::new(tape);
    let mut node = Node::<Sim, MEMBERS, SESSIONS, PENDING>::new(raft, disk.clone(), machine);
    if let Some(snapshot) = &disk.0.borrow().durable().snapshot
        && disk.is_durable()
    {
        let contents = &mut &snapshot.contents[..];
        node.restore(contents).map_err(|error| format!("{error:?}"))?;
    }
    Ok(Box::new(node))
}

/// What can be seen of a node.
#[must_use]
pub fn view(peer: &dyn Peer) -> View {
    let raft = peer.raft();
    View {
        hard: raft.hard_state(),
        member: raft.member(),
        role: Role(raft.role()),
        commit: raft.commit(),
        applied: raft.applied(),
        base: raft.base(),
        last: raft.last(),
    }
}

/// An entry that a node keeps.
#[must_use]
pub fn known(peer: &dyn Peer, index: Index) -> Option<Known> {
    let entry = peer.raft().entry(index)?;
    Some(Known { id: entry.id, hash: hash_entry(entry.kind as u8, entry.data) })
}

impl Storage for Shared {
    type Error = DiskError;

    fn is_durable(&self) -> bool {
        !self.0.borrow().habits.is_memory
    }

    fn persist(&mut self, write: &Write<'_>, receipt: Receipt) -> Result<Persisted, DiskError> {
        let is_done = self.0.borrow_mut().write(write, Some(receipt))?;
        Ok(if is_done { Persisted::Done } else { Persisted::Submitted })
    }

    fn save_snapshot(
        &mut self,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Saving, DiskError> {
        let mut bytes = Bytes::default();
        let summary = contents(&mut bytes).map_err(|Full| DiskError::Refused)?;
        let saved = self.0.borrow_mut().save(stored(snapshot, bytes.0))?;
        Ok(if saved { Saving::Kept(summary) } else { Saving::NoRoom })
    }

    fn read_snapshot(
        &mut self,
        place: Place,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DiskError> {
        self.0.borrow_mut().read(place, offset, into)
    }

    fn stage(
        &mut self,
        name: SnapshotName,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Staging, DiskError> {
        let kept = self.0.borrow_mut().stage(name, offset, bytes)?;
        Ok(if kept { Staging::Kept } else { Staging::NoRoom })
    }

    fn install(&mut self, snapshot: &Snapshot<'_>) -> Result<(), DiskError> {
        self.0.borrow_mut().install(stored(snapshot, Vec::new()))
    }
}

fn stored(snapshot: &Snapshot<'_>, contents: Vec<u8>) -> disk::Snapshot {
    disk::Snapshot {
        applied: snapshot.applied,
        base: snapshot.base,
        configuration: snapshot.configuration,
        members: snapshot.members.bytes().to_vec(),
        contents,
    }
}

/// A sink without a limit.
#[derive(Debug, Default)]
struct Bytes(Vec<u8>);

impl Sink for Bytes {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
