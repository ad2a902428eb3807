//! The board without the core, which echoes: what is not the core's in the other images.
#![no_std]
#![no_main]

use core::hint::black_box;

use coracle_firmware::board::{Clock, Line, stop};
use coracle_firmware::thin::DATAGRAM;
use coracle_rules::harness::Random;
use cortex_m::Peripherals;
use static_cell::ConstStaticCell;

coracle_firmware::never_panicking!();

static BUFFER: ConstStaticCell<[u8; DATAGRAM]> = ConstStaticCell::new([0; DATAGRAM]);

#[cortex_m_rt::entry]
fn main() -> ! {
    let (Some(peripherals), Some(buffer)) = (Peripherals::take(), BUFFER.try_take()) else {
        stop()
    };
    let mut clock = Clock::new(peripherals.SYST);
    let mut random = Random::new(7);
    let mut line = Line::new();
    loop {
        black_box((clock.elapsed(), random.next()));
        while let Some((from, length)) = line.receive(buffer) {
            line.send(from, buffer.get(..length).unwrap_or(&[]));
        }
    }
}
