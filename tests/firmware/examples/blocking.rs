//! A whole member as one loop, without an executor and without an operating system: for a board with
//! a serial line that all members share. It links only if no panic can be reached.
//!
//! The loop is what `coracle`'s documentation says of drivers: first the time, then every datagram
//! that has arrived, then whatever there is to do, until nothing is left. A board with an interrupt
//! for its line and a timer for `Node::next_timeout` would sleep where this one goes round.
#![no_std]
#![no_main]

use coracle::{
    Array, BadSnapshot, Buffers, Checksum, ClusterId, Destination, Event, Full, Node, NodeId,
    Options, Platform, Raft, RoleName, Sink, Slot, Source, StateMachine, Ticks, Timing, Volatile,
};
use coracle_firmware::board::{Address, Clock, Line, stop};
use coracle_rules::harness::Random;
use cortex_m::Peripherals;
use static_cell::{ConstStaticCell, StaticCell};

coracle_firmware::never_panicking!();

/// What this board is: in a product, read from switches or from flash.
const OWN: NodeId = NodeId(1);
const OTHERS: [NodeId; 2] = [NodeId(2), NodeId(3)];

/// The largest datagram, in bytes: what the line carries, and the size of the one buffer.
const DATAGRAM: u16 = 512;

/// The log's bytes, and its slots, one for each entry. All zeros: it takes no flash, and in a static
/// of its own it never passes through the stack.
type Log = Buffers<[u8; 4096], [Slot; 64]>;

/// Room for 4 members, the sessions of 4 clients, and 4 requests that wait for an answer.
type Member = Node<Board, 4, 4, 4>;

static LOG: ConstStaticCell<Log> = ConstStaticCell::new(Array::zeroed());
static MEMBER: StaticCell<Member> = StaticCell::new();

struct Board;

impl Platform for Board {
    type Memory = &'static mut Log;
    type Random = Random;
    type Seal = Checksum;
    type Storage = Volatile;
    type Machine = Lamps;
    type Address = Address;
}

/// What the members agree on: which of 32 lamps are lit.
#[derive(Default)]
struct Lamps(u32);

impl StateMachine for Lamps {
    /// A lamp, and whether it is to be lit.
    type Command<'a> = (u8, bool);
    /// Whether it was lit before.
    type Response = bool;
    type Query = ();
    type Answer<'a> = u32;

    fn apply(&mut self, (lamp, is_lit): (u8, bool)) -> bool {
        let mask = 1_u32.checked_shl(u32::from(lamp)).unwrap_or(0);
        let was_lit = self.0 & mask != 0;
        self.0 = if is_lit { self.0 | mask } else { self.0 & !mask };
        was_lit
    }

    fn query(&self, (): &()) -> u32 {
        self.0
    }

    fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
        sink.write(&self.0.to_le_bytes())
    }

    fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        self.0 = 0;
        let mut bytes = [0; 4];
        source.read(&mut bytes)?;
        self.0 = u32::from_le_bytes(bytes);
        Ok(())
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(peripherals) = Peripherals::take() else { stop() };
    let mut clock = Clock::new(peripherals.SYST);
    let Some(member) = set_up() else { stop() };
    let mut line = Line::new();
    let mut buffer = [0; DATAGRAM as usize];
    let mut second = 0;
    loop {
        let elapsed = clock.elapsed();
        member.tick(Ticks(u64::from(elapsed)));
        while let Some((from, length)) = line.receive(&mut buffer) {
            // What is dropped is counted in `member.status()`.
            let _dropped = member.receive(from, buffer.get(..length).unwrap_or(&[]));
        }
        second += elapsed;
        if second >= 1000 {
            second = 0;
            blink(member);
        }
        loop {
            match member.poll(&mut buffer) {
                Ok(Some(Event::Send { to, datagram })) => line.send(address(to), datagram),
                // Here a lamp would be switched.
                Ok(Some(Event::Applied { .. } | Event::Reads(_))) => {}
                Ok(Some(Event::Restored { .. } | Event::LeftEpoch { .. })) => {}
                Ok(None) => break,
                // It says nothing any more; a watchdog would start the board again.
                Err(_) => stop(),
            }
        }
    }
}

/// The member, made where it stays. Random numbers must differ from board to board and from start to
/// start, for identities are drawn from them: a product has a source of them, or counts its starts.
#[inline(never)]
fn set_up() -> Option<&'static mut Member> {
    let mut options = Options::new(ClusterId(7), OWN, Timing::from_heartbeat(Ticks(50)));
    options.datagram = DATAGRAM;
    let random = Random::new(u64::from(OWN.0));
    match Raft::new(&options, &OTHERS, LOG.try_take()?, random, Checksum) {
        Ok(raft) => MEMBER.try_init_with(|| Node::new(raft, Volatile, Lamps::default())),
        Err(_) => None,
    }
}

/// The leader switches its own lamp, once a second. If the log is full it tries again in the next.
fn blink(member: &mut Member) {
    let [own, ..] = OWN.0.to_le_bytes();
    if member.raft().role() == RoleName::Leader {
        let is_lit = member.machine().0 & 1 << own != 0;
        let _refused = member.propose(&(own, !is_lit));
    }
}

/// Members are reached at their ids, clients at the addresses that they wrote from.
fn address(to: Destination<Address>) -> Address {
    match to {
        Destination::Peer(id, _) => id.0.to_le_bytes()[0],
        Destination::Client(address) => address,
    }
}
