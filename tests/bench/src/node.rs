//! A member that is a whole node: sessions, storage that forgets, and the key-value store.

use std::marker::PhantomData;

use coracle::{
    Destination, Event, Index, Node, NodeId, Platform, Seal, StateMachine, Ticks, Volatile,
};
use coracle_machines::{Command, LIMIT_BYTES, Machine, Number, Slot, Standard};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::cluster::{MEMBERS, Member, Polled};
use crate::mode::Setup;
use crate::raft::{Log, assert_logs_equal, protocol};

/// The store of a node here, in arrays of its own.
type Store = Standard<Box<[u8]>, Box<[Slot]>>;

/// What a node is made of here.
pub struct Bench<S>(PhantomData<S>);

impl<S: Seal> Platform for Bench<S> {
    type Memory = Log;
    type Random = Xoshiro256PlusPlus;
    type Seal = S;
    type Storage = Volatile;
    type Machine = Store;
    type Address = NodeId;
}

/// A member at the layer of the node.
pub struct NodeMember<S: Seal> {
    node: Node<Bench<S>, MEMBERS, SESSIONS, PENDING>,
}

impl<S: Seal> NodeMember<S> {
    /// A blank member.
    pub fn new(id: NodeId, setup: &Setup, seal: S) -> Self {
        let machine = Machine::new(
            vec![0; STORE_BYTES].into_boxed_slice(),
            vec![Slot::EMPTY; STORE_SLOTS].into_boxed_slice(),
            Number::<LIMIT_BYTES>::ZERO,
        );
        Self { node: Node::new(protocol(id, setup, seal), Volatile, machine) }
    }
}

impl<S: Seal> Member for NodeMember<S> {
    #[inline]
    fn receive(&mut self, from: NodeId, datagram: &[u8]) {
        if let Err(why) = self.node.receive(from, datagram) {
            panic!("a datagram was dropped: {why:?}");
        }
    }

    #[inline]
    fn poll(&mut self, buffer: &mut [u8]) -> Polled {
        match self.node.poll(buffer) {
            Ok(None) => Polled::Idle,
            Ok(Some(Event::Send { to: Destination::Peer(to, _), datagram })) => {
                Polled::Sends { to, length: datagram.len() }
            }
            Ok(Some(Event::Applied { .. })) => Polled::Worked,
            Ok(Some(_)) => panic!("there are no clients here"),
            Err(_) => panic!("the node has failed"),
        }
    }

    #[inline]
    fn tick(&mut self, elapsed: Ticks) {
        self.node.tick(elapsed);
    }

    fn next_timeout(&self) -> Option<Ticks> {
        self.node.next_timeout()
    }

    #[inline]
    fn propose(&mut self, command: &[u8]) {
        let key = [command.first().map_or(0, |lowest| lowest % KEYS)];
        if let Err(error) = self.node.propose(&Command::Set { key: &key, value: command }) {
            panic!("a command was refused: {error:?}");
        }
    }

    /// A node does that by itself.
    fn compact(&mut self) {}

    fn is_ready(&self) -> bool {
        crate::raft::is_ready(self.node.raft())
    }

    #[inline]
    fn applied(&self) -> Index {
        self.node.raft().applied()
    }

    fn assert_equal(&self, other: &Self) {
        assert_logs_equal(self.node.raft(), other.node.raft());
        let [one, other] = [self, other].map(|member| {
            let mut bytes = Snapshot(Vec::new());
            assert!(member.node.machine().snapshot(&mut bytes).is_ok(), "a vector is never full");
            bytes.0
        });
        assert!(one == other, "the stores are equal");
    }
}

/// The bytes of a snapshot.
struct Snapshot(Vec<u8>);

impl coracle::Sink for Snapshot {
    fn write(&mut self, bytes: &[u8]) -> Result<(), coracle::Full> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// The sessions and the client requests that there is room for; nobody uses them here.
const SESSIONS: usize = 8;
const PENDING: usize = 8;

/// How many keys are set, in turn. The store searches among them, and that is not what is measured.
const KEYS: u8 = 16;

/// Room for every key with the largest value many times over, so that the store seldom compacts.
const STORE_SLOTS: usize = 16;
const STORE_BYTES: usize = 1 << 20;
