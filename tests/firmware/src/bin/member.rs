//! The thin member whose flash, RAM and stack are published. No panic can be reached in it.
#![no_std]
#![no_main]

use coracle::{Array, Destination, Event, NodeId, Ticks};
use coracle_firmware::board::{Address, Clock, Line, stop};
use coracle_firmware::thin::{self, DATAGRAM, Log, Member};
use cortex_m::Peripherals;
use static_cell::{ConstStaticCell, StaticCell};

coracle_firmware::never_panicking!();

static LOG: ConstStaticCell<Log> = ConstStaticCell::new(Array::zeroed());
static MEMBER: StaticCell<Member> = StaticCell::new();
static BUFFER: ConstStaticCell<[u8; DATAGRAM]> = ConstStaticCell::new([0; DATAGRAM]);

#[cortex_m_rt::entry]
fn main() -> ! {
    let (Some(peripherals), Some(member)) = (Peripherals::take(), set_up()) else { stop() };
    serve(member, &mut Clock::new(peripherals.SYST))
}

#[inline(never)]
fn set_up() -> Option<&'static mut Member> {
    thin::member(&MEMBER, LOG.try_take()?, NodeId(1), &[NodeId(2), NodeId(3)])
}

#[inline(never)]
fn serve(member: &mut Member, clock: &mut Clock) -> ! {
    let Some(buffer) = BUFFER.try_take() else { stop() };
    let mut line = Line::new();
    loop {
        member.tick(Ticks(u64::from(clock.elapsed())));
        while let Some((from, length)) = line.receive(buffer) {
            // What is dropped is counted.
            let _dropped = member.receive(from, buffer.get(..length).unwrap_or(&[]));
        }
        while let Ok(Some(event)) = member.poll(buffer) {
            if let Event::Send { to, datagram } = event {
                line.send(address(to), datagram);
            }
        }
    }
}

fn address(to: Destination<Address>) -> Address {
    match to {
        Destination::Peer(id, _) => id.0.to_le_bytes()[0],
        Destination::Client(address) => address,
    }
}
