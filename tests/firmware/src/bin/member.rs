//! The thin member whose flash, RAM and stack are published. No panic can be reached in it.
#![no_std]
#![no_main]

use coracle::{Destination, Event, NodeId, Ticks};
use coracle_firmware::board::{Address, Clock, Line};
use coracle_firmware::thin::{self, DATAGRAM, Member};
use static_cell::StaticCell;

coracle_firmware::never_panicking!();

static MEMBER: StaticCell<Member> = StaticCell::new();
static BUFFER: StaticCell<[u8; DATAGRAM]> = StaticCell::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(peripherals) = cortex_m::Peripherals::take() else { stop() };
    let mut clock = Clock::new(peripherals.SYST);
    let Some(member) = thin::member(NodeId(1), &[NodeId(2), NodeId(3)], 7) else { stop() };
    let (Some(member), Some(buffer)) = (MEMBER.try_init(member), BUFFER.try_init([0; DATAGRAM]))
    else {
        stop()
    };
    let mut line = Line::new();
    loop {
        member.tick(Ticks(u64::from(clock.elapsed())));
        while let Some((from, length)) = line.receive(buffer) {
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

fn stop() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}
