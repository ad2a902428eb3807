//! A member that is the bare protocol: its medium and its state machine cost nothing.

use coracle::{
    Buffers, ClusterId, EntryKind, Index, NodeId, Options, Output, Raft, RoleName, Seal, Slot,
    Ticks, Timing,
};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use crate::cluster::{IDS, MEMBERS, Member, Polled};
use crate::command::Digest;
use crate::mode::{HEARTBEAT, Setup};

/// A log in boxed slices, of a size known when the program runs.
pub type Log = Buffers<Box<[u8]>, Box<[Slot]>>;

/// The protocol as it is measured here.
pub type Protocol<S> = Raft<Log, Xoshiro256PlusPlus, S, MEMBERS>;

/// A member at the layer of the protocol.
pub struct RaftMember<S> {
    raft: Protocol<S>,
    state: Digest,
}

/// A blank member. Everything about it but its id is the same on all three.
pub fn protocol<S: Seal>(id: NodeId, setup: &Setup, seal: S) -> Protocol<S> {
    let mut options = Options::new(CLUSTER, id, Timing::from_heartbeat(HEARTBEAT));
    options.datagram = setup.datagram;
    let others: Vec<NodeId> = IDS.into_iter().filter(|other| *other != id).collect();
    let log = Log::new(
        vec![0; LOG_BYTES].into_boxed_slice(),
        vec![Slot::ZERO; LOG_SLOTS].into_boxed_slice(),
    );
    let random = Xoshiro256PlusPlus::seed_from_u64(u64::from(id.0));
    match Raft::new(&options, &others, log, random, seal) {
        Ok(raft) => raft,
        Err(error) => panic!("the bench's own options are refused: {error}"),
    }
}

impl<S: Seal> RaftMember<S> {
    /// A blank member.
    pub fn new(id: NodeId, setup: &Setup, seal: S) -> Self {
        Self { raft: protocol(id, setup, seal), state: Digest::default() }
    }
}

impl<S: Seal> Member for RaftMember<S> {
    #[inline]
    fn receive(&mut self, _from: NodeId, datagram: &[u8]) {
        if let Err(why) = self.raft.receive(datagram) {
            panic!("a datagram was dropped: {why:?}");
        }
    }

    #[inline]
    fn poll(&mut self, buffer: &mut [u8]) -> Polled {
        match self.raft.poll() {
            None => return Polled::Idle,
            Some(Output::Transmit(transmit)) => {
                let to = transmit.to();
                let Ok(length) = transmit.write(buffer) else { panic!("the buffer is too small") };
                if length > 0 {
                    return Polled::Sends { to, length };
                }
            }
            Some(Output::Persist(persist)) => persist.done(),
            Some(Output::Apply(apply)) => {
                let Some(entry) = apply.entry() else { panic!("the entry to apply is not there") };
                self.state.add(entry.data);
                apply.done();
            }
            Some(Output::Reads(_)) => panic!("nobody reads here"),
            Some(Output::Install(_) | Output::Chunk(_)) => panic!("nobody is behind here"),
            Some(Output::Failed(violation)) => panic!("{violation:?}"),
        }
        Polled::Worked
    }

    #[inline]
    fn tick(&mut self, elapsed: Ticks) {
        self.raft.tick(elapsed);
    }

    fn next_timeout(&self) -> Option<Ticks> {
        self.raft.next_timeout()
    }

    #[inline]
    fn propose(&mut self, command: &[u8]) {
        if let Err(error) = self.raft.propose(command) {
            panic!("a command was refused: {error:?}");
        }
    }

    fn compact(&mut self) {
        self.raft.compact(self.raft.applied());
    }

    fn is_ready(&self) -> bool {
        is_ready(&self.raft)
    }

    #[inline]
    fn applied(&self) -> Index {
        self.raft.applied()
    }

    fn assert_equal(&self, other: &Self) {
        assert_logs_equal(&self.raft, &other.raft);
        assert_eq!(self.state, other.state, "the states are equal");
    }
}

/// Whether it leads and its first entry has committed: only then does it take proposals.
pub fn is_ready<S: Seal>(raft: &Protocol<S>) -> bool {
    let last = raft.last().index;
    raft.role() == RoleName::Leader && last != Index::ZERO && raft.commit() == last
}

/// Panics when two members differ in what they have applied, or in an entry that both still have.
pub fn assert_logs_equal<S: Seal>(one: &Protocol<S>, other: &Protocol<S>) {
    assert_eq!(one.commit(), other.commit(), "the same is committed");
    assert_eq!(one.applied(), other.applied(), "the same is applied");
    assert_eq!(one.last(), other.last(), "the logs end alike");
    let first = one.base().index.max(other.base().index).next();
    let mut compared = 0;
    let mut index = first;
    while index <= one.last().index {
        let entry = one.entry(index);
        assert!(
            entry.is_some_and(|entry| entry.kind != EntryKind::Command || !entry.data.is_empty())
        );
        assert_eq!(entry, other.entry(index), "the entries at {index} are equal");
        index = index.next();
        compared += 1;
    }
    assert_eq!(compared, one.last().index.since(first.previous()), "every entry was compared");
}

/// Any will do.
const CLUSTER: ClusterId = ClusterId(0xbe9c_4000);

/// Enough for what lies between two compactions, however large the commands.
const LOG_BYTES: usize = 4 << 20;
const LOG_SLOTS: usize = 1 << 12;
