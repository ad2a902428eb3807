//! The thin member, whose price is published: three voters with room for a fourth, a log of 4 KiB,
//! datagrams of 512 bytes, four sessions.

use coracle::{
    Array, BadSnapshot, Checksum, ClusterId, Full, Node, NodeId, Options, Platform, Raft, Sink,
    Source, StateMachine, Ticks, Timing, Volatile,
};
use coracle_rules::harness::Random;

use crate::board::Address;

/// The bytes of a datagram.
pub const DATAGRAM: usize = 512;

/// The log.
pub type Log = Array<4096, 64>;

/// The protocol alone.
pub type Protocol = Raft<Log, Random, Checksum, 4>;

/// The whole member.
pub type Member = Node<Thin, 4, 4, 4>;

/// What it is made of.
pub struct Thin;

impl Platform for Thin {
    type Memory = Log;
    type Random = Random;
    type Seal = Checksum;
    type Storage = Volatile;
    type Machine = Total;
    type Address = Address;
}

/// A state machine that is nearly none: a sum.
pub struct Total(pub u64);

impl StateMachine for Total {
    type Command<'a> = u64;
    type Response = u64;
    type Query = ();
    type Answer<'a> = u64;

    fn apply(&mut self, command: u64) -> u64 {
        self.0 = self.0.wrapping_add(command);
        self.0
    }

    fn query(&self, (): &()) -> u64 {
        self.0
    }

    fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
        sink.write(&self.0.to_le_bytes())
    }

    fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        let mut bytes = [0; 8];
        source.read(&mut bytes)?;
        self.0 = u64::from_le_bytes(bytes);
        Ok(())
    }
}

/// How it is set up.
#[must_use]
pub fn options(id: NodeId) -> Options {
    let mut options = Options::new(ClusterId(7), id, Timing::from_heartbeat(Ticks(50)));
    options.datagram = 512;
    options
}

/// The protocol of a blank member, and with it all three.
#[inline(always)]
#[must_use]
pub fn protocol(id: NodeId, others: &[NodeId], seed: u64) -> Option<Protocol> {
    Raft::new(&options(id), others, Array::zeroed(), Random::new(seed), Checksum).ok()
}

/// A blank member.
#[inline(always)]
#[must_use]
pub fn member(id: NodeId, others: &[NodeId], seed: u64) -> Option<Member> {
    protocol(id, others, seed).map(|raft| Node::new(raft, Volatile, Total(0)))
}
