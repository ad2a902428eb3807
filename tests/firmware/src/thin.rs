//! The thin member, whose price is published: three voters with room for a fourth, a log of 4 KiB,
//! datagrams of 512 bytes, four sessions.

use coracle::{
    Array, BadSnapshot, Checksum, ClusterId, Full, Node, NodeId, Options, Platform, Raft, Sink,
    Source, StateMachine, Ticks, Timing, Volatile,
};
use coracle_rules::harness::Random;

use static_cell::StaticCell;

use crate::board::Address;

/// The bytes of a datagram.
pub const DATAGRAM: usize = 512;

/// The log's memory. It has a static of its own, so that it never passes through the stack, and
/// since it is all zeros it takes no flash.
pub type Log = Array<4096, 64>;

/// The protocol alone.
pub type Protocol<const MEMBERS: usize = 4> = Raft<&'static mut Log, Random, Checksum, MEMBERS>;

/// The whole member.
pub type Member<const MEMBERS: usize = 4, const SESSIONS: usize = 4, const PENDING: usize = 4> =
    Node<Thin, MEMBERS, SESSIONS, PENDING>;

/// What it is made of.
pub struct Thin;

impl Platform for Thin {
    type Memory = &'static mut Log;
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

/// The protocol of a blank member, made where it stays.
#[inline(always)]
pub fn protocol(
    place: &'static StaticCell<Protocol>,
    log: &'static mut Log,
    id: NodeId,
    others: &[NodeId],
) -> Option<&'static mut Protocol> {
    match Raft::new(&options(id), others, log, random(id), Checksum) {
        Ok(raft) => place.try_init_with(|| raft),
        Err(_) => None,
    }
}

/// A blank member, made where it stays.
#[inline(always)]
pub fn member(
    place: &'static StaticCell<Member>,
    log: &'static mut Log,
    id: NodeId,
    others: &[NodeId],
) -> Option<&'static mut Member> {
    match Raft::new(&options(id), others, log, random(id), Checksum) {
        Ok(raft) => place.try_init_with(|| Node::new(raft, Volatile, Total(0))),
        Err(_) => None,
    }
}

fn options(id: NodeId) -> Options {
    let mut options = Options::new(ClusterId(7), id, Timing::from_heartbeat(Ticks(50)));
    options.datagram = 512;
    options
}

/// Not what a product should have: it must differ from start to start.
fn random(id: NodeId) -> Random {
    Random::new(u64::from(id.0))
}
