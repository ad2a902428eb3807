//! A program for a microcontroller that calls all of core, and links only if no panic can be reached:
//! behind the panic handler is a function that does not exist. `tests/run no-panic` builds it, and
//! again with a panic planted, which must not link.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "a missing function can only be declared as unsafe")]

use core::convert::Infallible;
use core::hint::black_box;

use coracle::{
    Array, BadSnapshot, Checksum, Client, ClientOptions, ClusterId, Event, Full, Node, NodeId,
    Options, Platform, Raft, Server, Sink, Source, StateMachine, Ticks, Timing, Volatile,
};
use rand_core::{Rng, TryRng};

unsafe extern "C" {
    fn a_panic_is_reachable() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it is never called, for the program does not link if this handler is needed.
    unsafe { a_panic_is_reachable() }
}

struct Dice(u64);

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(black_box(4))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = black_box(self.0).wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Total(u64);

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

struct Board;

impl Platform for Board {
    type Memory = Array<4096, 128>;
    type Random = Dice;
    type Seal = Checksum;
    type Storage = Volatile;
    type Machine = Total;
    type Address = [u8; 6];
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let mut options =
        Options::new(ClusterId(7), NodeId(black_box(1)), Timing::from_heartbeat(Ticks(50)));
    options.datagram = 512;
    let others = black_box([NodeId(2), NodeId(3)]);
    let raft = Raft::new(&options, &others, Array::zeroed(), Dice(1), Checksum);
    if let Ok(raft) = raft {
        serve(&mut Node::<Board, 4, 4, 4>::new(raft, Volatile, Total(0)));
    }
    loop {
        ask();
    }
}

fn serve(node: &mut Node<Board, 4, 4, 4>) {
    let mut buffer = [0; 512];
    let mut received = [0; 512];
    for _ in 0..black_box(1000) {
        node.tick(Ticks(black_box(1)));
        let length = black_box(100);
        let datagram = received.get(..length).unwrap_or(&[]);
        let _ = black_box(node.receive(black_box([1; 6]), datagram));
        let _ = black_box(node.propose(&black_box(5)));
        let _ = black_box(node.read());
        while let Ok(Some(event)) = node.poll(&mut buffer) {
            if let Event::Send { datagram, .. } = &event {
                received.iter_mut().zip(*datagram).for_each(|(to, from)| *to = *from);
            }
            black_box(&event);
        }
        black_box((node.next_timeout(), node.status(), node.raft().fingerprint()));
        black_box(node.raft().peers().count());
        let _ = black_box(node.restore(&mut black_box(&received[..])));
    }
    #[cfg(planted)]
    black_box(received[black_box(1000)]);
}

fn ask() {
    let options = ClientOptions {
        cluster: ClusterId(7),
        retry_min: Ticks(50),
        retry_max: Ticks(500),
        datagram: 512,
    };
    let servers = [Server { address: black_box(1_u8), id: None }];
    let mut dice = Dice(black_box(2));
    black_box(dice.next_u64());
    let client = Client::<u8, Checksum, Dice, 3, 64>::new(options, &servers, dice, Checksum);
    let Ok(mut client) = client else { return };
    let mut buffer = [0; 512];
    for _ in 0..black_box(1000) {
        client.tick(Ticks(black_box(10)));
        let _ = black_box(client.command(black_box(&[1, 2])));
        let _ = black_box(client.receive(1, black_box(&buffer)));
        black_box(client.poll(&mut buffer).is_some());
        black_box((client.cancel(), client.next_timeout()));
        let _ = black_box(client.retry());
    }
}
