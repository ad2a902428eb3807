//! A lone node that keeps itself in a directory, life after life.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use coracle::{
    Array, BadSnapshot, Checksum, ClusterId, Event, Full, Node, NodeId, Options, Platform,
    ProposeError, Raft, RoleName, Sink, Source, StateMachine, Ticks, Timing,
};
use coracle_disk::{Directory, Disk, Identity, ReadOnly, Recovered};
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

const ID: NodeId = NodeId(1);
const IDENTITY: Identity = Identity { cluster: ClusterId(5), id: ID };

/// One command, of many bytes, so that the log has to be dropped several times.
const ADDEND: u64 = 1 << 60;
const COMMANDS: u64 = 300;
const LIVES: u64 = 4;

struct OnDisk;

impl Platform for OnDisk {
    type Memory = Array<2048, 64>;
    type Random = Xoshiro256PlusPlus;
    type Seal = Checksum;
    type Storage = Disk<Directory>;
    type Machine = Count;
    type Address = u8;
}

type Alone = Node<OnDisk, 1, 1, 1>;

/// How many commands were applied.
struct Count(u64);

impl StateMachine for Count {
    type Command<'a> = u64;
    type Response = u64;
    type Query = ();
    type Answer<'a> = u64;

    fn apply(&mut self, command: u64) -> u64 {
        self.0 += command / ADDEND;
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

/// A node, and what tells that its disk has news.
struct Life {
    node: Alone,
    news: Receiver<()>,
}

impl Life {
    fn begin(path: &Path, seed: u64) -> (Self, Recovered) {
        let options = coracle_disk::Options { segment_bytes: 4096, entry_bytes: 512, salt: seed };
        let (wake, news) = channel();
        let wake = move || wake.send(()).unwrap_or_default();
        let files = Directory::take(path).unwrap();
        let (disk, recovered) = Disk::open(files, IDENTITY, options, wake).unwrap();
        let mut node: Alone = Node::new(raft(seed, &recovered), disk, Count(0));
        if let Some(kept) = &recovered.snapshot {
            let mut contents = node.storage_mut().contents(kept).unwrap();
            node.restore(&mut contents).unwrap();
        }
        (Self { node, news }, recovered)
    }

    /// Has a command taken as soon as there is room for it.
    fn propose(&mut self, command: u64) {
        for _attempt in 0..60_000 {
            match self.node.propose(&command) {
                Ok(_) => return,
                Err(error) => assert_eq!(error, ProposeError::LogFull),
            }
            self.turn();
        }
        panic!("there is never room");
    }

    /// Does everything there is to do, and waits for the disk, until it is so.
    fn run_until(&mut self, is_so: impl Fn(&Alone) -> bool) {
        for _turn in 0..60_000 {
            if is_so(&self.node) {
                return;
            }
            self.turn();
        }
        panic!("it never is");
    }

    fn turn(&mut self) {
        if let Some(receipt) = self.node.storage_mut().take_durable().unwrap() {
            self.node.durable(receipt);
        }
        let mut buffer = [0; 1200];
        while let Some(event) = self.node.poll(&mut buffer).unwrap() {
            assert!(!matches!(event, Event::Send { .. }), "there is nobody to be told");
        }
        if self.news.recv_timeout(Duration::from_millis(1)).is_err() {
            self.node.tick(Ticks(1));
        }
    }
}

#[test]
fn a_node_goes_on_in_each_life_with_all_that_it_has_committed() {
    let path = std::env::temp_dir().join(format!("coracle-disk-node-{}", std::process::id()));
    let mut snapshots = 0;
    for life in 0..LIVES {
        let (mut alone, recovered) = Life::begin(&path, life + 1);
        assert_eq!(recovered.hard.is_some(), life > 0);
        snapshots += u64::from(recovered.snapshot.is_some());
        alone.run_until(|node| {
            let raft = node.raft();
            raft.role() == RoleName::Leader && raft.applied() == raft.last().index
        });
        assert_eq!(alone.node.machine().0, life * COMMANDS);
        for count in life * COMMANDS + 1..=(life + 1) * COMMANDS {
            alone.propose(ADDEND);
            alone.run_until(|node| node.machine().0 == count);
        }
        // It ends without a word, as a process does that is killed between two writes.
    }
    assert_eq!(snapshots, LIVES - 1, "the log is far shorter than all commands together");
    std::fs::remove_dir_all(&path).unwrap();
}

#[test]
fn a_cluster_that_is_founded_alone_is_there_in_each_later_life() {
    let path = std::env::temp_dir().join(format!("coracle-disk-alone-{}", std::process::id()));
    let (mut alone, _) = Life::begin(&path, 1);
    alone.run_until(|node| node.raft().role() == RoleName::Leader && node.raft().commit().0 > 0);
    for count in 1..=COMMANDS {
        alone.propose(ADDEND);
        alone.run_until(|node| node.machine().0 == count);
    }
    drop(alone);
    let mut before = None;
    for life in 2..5 {
        let (mut alone, recovered) = Life::begin(&path, life);
        let hard = recovered.hard.unwrap();
        // Nothing but the log says that the last entries were committed.
        let founded = alone.node.found_alone().unwrap();
        assert_eq!(alone.node.machine().0, COMMANDS, "all of the log is applied");
        assert_eq!(founded.index, recovered.last.index.next());
        assert_eq!(founded.term, hard.term.next());
        let now = alone.node.raft().hard_state();
        assert_ne!((now.epoch, now.incarnation), (hard.epoch, hard.incarnation));
        assert_ne!(before, Some(now.epoch));
        before = Some(now.epoch);
        drop(alone);
        let read = Recovered::read(&ReadOnly::look(&path).unwrap()).unwrap();
        assert_eq!(read.hard, Some(now), "it was durable when it returned");
        assert_eq!((read.base, read.last), (founded, founded), "nothing of the old log is left");
        let (mut alone, _) = Life::begin(&path, 10 + life);
        assert_eq!(alone.node.machine().0, COMMANDS);
        alone.run_until(|node| node.raft().role() == RoleName::Leader);
        assert_eq!(alone.node.raft().configuration().members.len(), 1);
        assert_eq!(alone.node.raft().hard_state().epoch, now.epoch);
        alone.run_until(|node| node.raft().applied() == node.raft().last().index);
    }
    std::fs::remove_dir_all(&path).unwrap();
}

fn raft(
    seed: u64,
    recovered: &Recovered,
) -> Raft<Array<2048, 64>, Xoshiro256PlusPlus, Checksum, 1> {
    let options = Options::new(IDENTITY.cluster, ID, Timing::from_heartbeat(Ticks(10)));
    let random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let memory = Array::zeroed();
    let Some(saved) = recovered.saved() else {
        return Raft::new(&options, &[], memory, random, Checksum).unwrap();
    };
    let mut raft = Raft::recover(&options, &[], memory, random, Checksum, &saved).unwrap();
    raft.recover_run(&recovered.run).unwrap();
    raft
}
