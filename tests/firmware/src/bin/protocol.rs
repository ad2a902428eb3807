//! The protocol of the thin member alone, without sessions, state machine and clients.
#![no_std]
#![no_main]

use coracle::{Array, NodeId, Output, Ticks};
use coracle_firmware::board::{Clock, Line, stop};
use coracle_firmware::thin::{self, DATAGRAM, Log, Protocol};
use cortex_m::Peripherals;
use static_cell::{ConstStaticCell, StaticCell};

coracle_firmware::never_panicking!();

static LOG: ConstStaticCell<Log> = ConstStaticCell::new(Array::zeroed());
static RAFT: StaticCell<Protocol> = StaticCell::new();
static BUFFER: ConstStaticCell<[u8; DATAGRAM]> = ConstStaticCell::new([0; DATAGRAM]);

#[cortex_m_rt::entry]
fn main() -> ! {
    let (Some(peripherals), Some(raft)) = (Peripherals::take(), set_up()) else { stop() };
    serve(raft, &mut Clock::new(peripherals.SYST))
}

#[inline(never)]
fn set_up() -> Option<&'static mut Protocol> {
    thin::protocol(&RAFT, LOG.try_take()?, NodeId(1), &[NodeId(2), NodeId(3)])
}

#[inline(never)]
fn serve(raft: &mut Protocol, clock: &mut Clock) -> ! {
    let Some(buffer) = BUFFER.try_take() else { stop() };
    let mut line = Line::new();
    loop {
        raft.tick(Ticks(u64::from(clock.elapsed())));
        while let Some((from, length)) = line.receive(buffer) {
            let datagram = buffer.get(..length).unwrap_or(&[]);
            // A client's request is a command here; what is dropped is counted.
            let _taken = match from {
                0 => raft.propose(datagram).is_ok(),
                _ => raft.receive(datagram).is_ok(),
            };
        }
        while let Some(output) = raft.poll() {
            match output {
                Output::Transmit(transmit) => {
                    let [to, ..] = transmit.to().0.to_le_bytes();
                    if let Ok(length) = transmit.write(buffer) {
                        line.send(to, buffer.get(..length).unwrap_or(&[]));
                    }
                }
                Output::Persist(persist) => persist.done(),
                Output::Apply(apply) => {
                    line.send(0, apply.entry().map_or(&[], |entry| entry.data));
                    apply.done();
                }
                // No snapshot is ever taken here.
                Output::Install(install) => install.damaged(),
                Output::Chunk(chunk) => {
                    let _unsent = chunk.write(buffer, |_, _| false);
                }
                Output::Reads(_) => {}
                Output::Failed(_) => stop(),
            }
        }
    }
}
