//! A program that calls all of core and of the state machines, and links only if no panic can be
//! reached in it. `tests/run no-panic` builds it, and again with a panic planted, which must not
//! link.
#![no_std]
#![no_main]

use core::convert::Infallible;
use core::hint::black_box;

use coracle::{
    Array, Change, Checksum, Client, ClientOptions, ClusterId, Contents, EntryId, Event, Full,
    HardState, Index, Node, NodeId, Options, Output, Persisted, Place, Platform, Raft, Receipt,
    Saved, Saving, Server, Sink, Snapshot, SnapshotName, Staging, Storage, Ticks, Timing,
    VolatileSnapshots, Write, wire,
};
use coracle_firmware::board::stop;
use coracle_machines::{Command, Small};
use coracle_rules::harness::Random;

coracle_firmware::never_panicking!();

type Log = Array<4096, 128>;

type Member = Node<Board, 4, 4, 4>;

struct Board;

impl Platform for Board {
    type Memory = Log;
    type Random = Random;
    type Seal = Checksum;
    type Storage = Medium;
    type Machine = Small;
    type Address = [u8; 6];
}

/// A medium that takes its time.
struct Medium {
    receipt: Option<Receipt>,
    snapshots: VolatileSnapshots<[u8; 1024]>,
}

impl Medium {
    const fn new() -> Self {
        Self { receipt: None, snapshots: VolatileSnapshots::new([0; 1024], [0; 1024]) }
    }
}

impl Storage for Medium {
    type Error = Infallible;

    fn is_durable(&self) -> bool {
        black_box(true)
    }

    fn persist(&mut self, write: &Write<'_>, receipt: Receipt) -> Result<Persisted, Infallible> {
        black_box((write, write.has_entries()));
        self.receipt = Some(receipt);
        Ok(if black_box(true) { Persisted::Submitted } else { Persisted::Done })
    }

    fn save_snapshot(
        &mut self,
        snapshot: &Snapshot<'_>,
        contents: Contents<'_>,
    ) -> Result<Saving, Infallible> {
        self.snapshots.save_snapshot(snapshot, contents)
    }

    fn read_snapshot(&mut self, place: Place, at: u64, into: &mut [u8]) -> Result<(), Infallible> {
        self.snapshots.read_snapshot(place, at, into)
    }

    fn stage(
        &mut self,
        name: SnapshotName,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Staging, Infallible> {
        self.snapshots.stage(name, offset, bytes)
    }

    fn install(&mut self, snapshot: &Snapshot<'_>) -> Result<(), Infallible> {
        self.snapshots.install(snapshot)
    }
}

struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
        black_box(bytes);
        Ok(())
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut options =
        Options::new(ClusterId(7), NodeId(black_box(1)), Timing::from_heartbeat(Ticks(50)));
    options.datagram = 512;
    start(&options);
    restart(&options);
    ask();
    stop()
}

fn start(options: &Options) {
    let others = black_box([NodeId(2), NodeId(3)]);
    let raft = Raft::new(options, &others, Log::zeroed(), Random::new(1), Checksum);
    if let Ok(raft) = raft {
        let mut node = Member::new(raft, Medium::new(), Small::small(4));
        let mut image = black_box([0; 1024]);
        seen(node.resume(&mut image));
        serve(&mut node);
        beside(&mut node);
        seen(node.retire(&mut image));
    }
}

fn serve(node: &mut Member) {
    let mut buffer = [0; 512];
    let mut received = [0; 512];
    for _ in 0..black_box(1000) {
        node.tick(Ticks(black_box(1)));
        let datagram = received.get(..black_box(100)).unwrap_or(&[]);
        seen(node.receive(black_box([1; 6]), datagram));
        let command = Command::Set { key: black_box(b"key"), value: black_box(b"value") };
        seen(node.propose(&command));
        seen(node.read());
        seen(node.change(Change::Remove(NodeId(black_box(2)))));
        seen(node.transfer(black_box(None)));
        node.allow_founding();
        seen(node.raft().may_found_alone(black_box(coracle::Epoch(1))));
        seen(node.found_alone());
        while let Ok(Some(event)) = node.poll(&mut buffer) {
            if let Event::Send { datagram, .. } = &event {
                received.iter_mut().zip(*datagram).for_each(|(to, from)| *to = *from);
            }
            black_box(&event);
        }
        if let Some(receipt) = node.storage_mut().receipt.take() {
            node.durable(receipt);
        }
    }
    #[cfg(feature = "planted")]
    black_box(received[black_box(1000)]);
}

/// What an embedder may ask besides.
fn beside(node: &mut Member) {
    let mut bytes = [0; 512];
    black_box((node.next_timeout(), node.status(), node.session_count(), node.pending_count()));
    let raft = node.raft();
    black_box((raft.fingerprint(), raft.peers().count(), raft.leader(), raft.compactable()));
    black_box((raft.entry(black_box(Index(1))), raft.term_at(black_box(Index(1)))));
    seen(node.snapshot(&mut Nowhere));
    seen(node.restore(&mut black_box(&bytes[..])));
    if let Ok((header, message)) = wire::decode(black_box(&[0; 99]), &Checksum) {
        black_box((wire::is_reply(&bytes), wire::encode(&header, &message, &Checksum, &mut bytes)));
    }
}

/// The protocol alone, from what a medium has kept.
fn restart(options: &Options) {
    let others = black_box([NodeId(2), NodeId(3)]);
    let saved = Saved {
        hard: black_box(HardState::default()),
        applied: Index(black_box(1)),
        base: black_box(EntryId::default()),
        configuration: Index(black_box(0)),
        members: None,
    };
    let raft = Raft::<Log, _, _, 4>::recover(
        options,
        &others,
        Log::zeroed(),
        Random::new(1),
        Checksum,
        &saved,
    );
    let Ok(mut raft) = raft else { return };
    let mut buffer = [0; 512];
    seen(raft.recover_run(black_box(&[0; 99])));
    for _ in 0..black_box(1000) {
        raft.tick(Ticks(black_box(1)));
        seen(raft.receive(black_box(&buffer)));
        seen((raft.command_limit(), raft.propose(black_box(b"command"))));
        match raft.poll() {
            Some(Output::Transmit(transmit)) => {
                seen((transmit.to(), transmit.write(&mut buffer)));
            }
            Some(Output::Persist(persist)) => persist.done(),
            Some(Output::Apply(apply)) => {
                black_box(apply.entry());
                apply.done();
            }
            Some(Output::Install(install)) => {
                black_box(install.name());
                install.damaged();
            }
            Some(Output::Chunk(chunk)) => {
                seen((chunk.to(), chunk.address()));
            }
            Some(Output::Reads(reads)) => {
                black_box(reads);
            }
            Some(Output::Failed(violation)) => {
                black_box(violation);
            }
            None => {}
        }
        black_box((raft.needs_compaction(), raft.compact(black_box(Index(1)))));
    }
}

fn ask() {
    let options = ClientOptions {
        cluster: ClusterId(7),
        retry_min: Ticks(50),
        retry_max: Ticks(500),
        datagram: 512,
    };
    let servers = [Server { address: black_box(1_u8), id: None }];
    let random = Random::new(black_box(2));
    let client = Client::<u8, Checksum, Random, 3, 64>::new(options, &servers, random, Checksum);
    let Ok(mut client) = client else { return };
    let mut buffer = [0; 512];
    for _ in 0..black_box(1000) {
        client.tick(Ticks(black_box(10)));
        seen(client.command(black_box(&[1, 2])));
        seen(client.query(black_box(&[1, 2])));
        seen(client.status(black_box(None)));
        seen(client.receive(1, black_box(&buffer)));
        black_box(client.poll(&mut buffer).is_some());
        black_box((client.cancel(), client.next_timeout(), client.is_idle()));
        seen(client.retry());
    }
}

/// What is given here cannot be left out of the image.
fn seen<T>(value: T) {
    black_box(value);
}
