//! What one command costs: see `core-bench --help`.

use clap::Parser;
use coracle_bench::{Mode, Sealing, Setup, run};

/// Three nodes in one thread, without a network: what one command costs
///
/// Prints one line: processor time and time on the wall in nanoseconds, allocations, datagrams
/// between the nodes and the bytes in them, each per command (or per tick, or per heartbeat round).
/// Panics unless the three nodes end in the same state.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// What is run
    mode: Mode,
    /// The length of a command; in the node modes the length of the value that a key is set to
    #[arg(value_parser = clap::value_parser!(u16).range(8..=1024))]
    bytes: u16,
    /// How many commands (or ticks, or heartbeat rounds)
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    operations: u64,
    /// How datagrams are sealed
    #[arg(default_value = "ser")]
    sealing: Sealing,
    /// The largest datagram, in bytes
    #[arg(long, default_value_t = 1200)]
    datagram: u16,
}

fn main() {
    let Arguments { mode, bytes, operations, sealing, datagram } = Arguments::parse();
    let setup = Setup { bytes: usize::from(bytes), datagram, sealing };
    println!("{}", run(mode, &setup, operations));
}
