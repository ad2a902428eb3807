//! The ways to run commands.

use coracle::{Checksum, Seal, Ticks};

use crate::cluster::{Cluster, IDS, Member};
use crate::command::Commands;
use crate::figures::{Figures, Measurement};
use crate::node::NodeMember;
use crate::raft::RaftMember;
use crate::sealing::{Fast, Plain, Sealing};

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Raft: a command, and the next when the leader has applied it.
    One,
    /// Raft: 64 commands, and the next 64 when the leader has applied them.
    Batch64,
    /// The same as one, through Node with the key-value command.
    NodeOne,
    /// The same as batch64, through Node with the key-value command.
    NodeBatch64,
    /// Raft: a follower's tick in which nothing is due.
    TickFollower,
    /// Raft: a heartbeat and its answers, of a cluster with nothing else to do.
    TickCluster,
}

/// What is common to the three nodes.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The length of a command, or of the value in a key-value command.
    pub bytes: usize,
    /// The largest datagram, in bytes.
    pub datagram: u16,
    /// What ends each datagram.
    pub sealing: Sealing,
}

/// Runs this many commands (or ticks, or rounds) and gives what one costs.
///
/// # Panics
/// When anything is refused, or when the three nodes end in different states.
pub fn run(mode: Mode, setup: &Setup, operations: u64) -> Figures {
    match setup.sealing {
        Sealing::Ser => run_with(mode, setup, Plain, operations),
        Sealing::Sealed => run_with(mode, setup, Checksum, operations),
        Sealing::Fast => run_with(mode, setup, Fast, operations),
    }
}

fn run_with<S: Seal + Copy>(mode: Mode, setup: &Setup, seal: S, operations: u64) -> Figures {
    let rafts = || Cluster::form(IDS.map(|id| RaftMember::new(id, setup, seal)));
    let nodes = || Cluster::form(IDS.map(|id| NodeMember::new(id, setup, seal)));
    match mode {
        Mode::One => commands(rafts(), setup, 1, operations),
        Mode::Batch64 => commands(rafts(), setup, BATCH, operations),
        Mode::NodeOne => commands(nodes(), setup, 1, operations),
        Mode::NodeBatch64 => commands(nodes(), setup, BATCH, operations),
        Mode::TickFollower => follower_ticks(rafts(), operations),
        Mode::TickCluster => heartbeats(rafts(), operations),
    }
}

/// Proposes `batch` commands at a time and drives until the leader has applied them. The followers
/// learn that with the next.
fn commands<M: Member>(
    mut cluster: Cluster<M>,
    setup: &Setup,
    batch: u64,
    operations: u64,
) -> Figures {
    let mut commands = Commands::new(setup.bytes);
    let mut last = cluster.leader().applied();
    let mut compact_after = COMPACT_EVERY;
    let measurement = Measurement::start(cluster.traffic());
    let mut done = 0;
    while done < operations {
        let count = batch.min(operations - done);
        let leader = cluster.leader();
        for _command in 0..count {
            leader.propose(commands.next());
        }
        cluster.drive();
        last = last.plus(count);
        assert_eq!(cluster.leader().applied(), last, "the leader has applied what was proposed");
        done += count;
        if done >= compact_after {
            compact_after += COMPACT_EVERY;
            cluster.compact();
        }
    }
    let figures = measurement.end(cluster.traffic(), operations);
    cluster.assert_equal();
    figures
}

fn follower_ticks<M: Member>(mut cluster: Cluster<M>, operations: u64) -> Figures {
    let measurement = Measurement::start(cluster.traffic());
    let follower = cluster.follower();
    for _tick in 0..operations {
        follower.tick(Ticks(1));
    }
    let figures = measurement.end(cluster.traffic(), operations);
    cluster.assert_equal();
    figures
}

fn heartbeats<M: Member>(mut cluster: Cluster<M>, operations: u64) -> Figures {
    let measurement = Measurement::start(cluster.traffic());
    for _round in 0..operations {
        cluster.pass(HEARTBEAT);
        cluster.drive();
    }
    let figures = measurement.end(cluster.traffic(), operations);
    cluster.assert_equal();
    figures
}

/// How often a leader is heard. A follower's ticks of one are far from any timeout.
pub const HEARTBEAT: Ticks = Ticks(1_000_000_000);

/// How many commands a batch has.
const BATCH: u64 = 64;

/// How many commands lie between two compactions.
const COMPACT_EVERY: u64 = 1024;
