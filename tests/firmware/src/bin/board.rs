//! The board without the core, which echoes: what is not the core's in the other images.
#![no_std]
#![no_main]

use coracle_firmware::board::{Clock, Line};
use coracle_firmware::thin::DATAGRAM;
use coracle_rules::harness::Random;
use static_cell::StaticCell;

coracle_firmware::never_panicking!();

static BUFFER: StaticCell<[u8; DATAGRAM]> = StaticCell::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(peripherals) = cortex_m::Peripherals::take() else { stop() };
    let mut clock = Clock::new(peripherals.SYST);
    let Some(buffer) = BUFFER.try_init([0; DATAGRAM]) else { stop() };
    let mut random = Random::new(7);
    let mut line = Line::new();
    loop {
        core::hint::black_box((clock.elapsed(), random.next()));
        while let Some((from, length)) = line.receive(buffer) {
            line.send(from, buffer.get(..length).unwrap_or(&[]));
        }
    }
}

fn stop() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}
