//! `coracle bench`: what a cluster costs on this machine, beside a floor of the same datagrams.

mod durable;
mod failover;
pub mod floor;
mod interrupt;
mod load;
mod loss;
mod processes;
mod report;
mod sessions;
mod snapshot;
mod subject;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{MAX_NODES_U8, refuse};
use crate::faults::Probability;
use crate::timing::TimingArguments;
use durable::SyncFloor;
use report::{Durable, Report};
use subject::{Cluster, Floor};

/// `coracle bench`.
#[derive(Args)]
pub struct BenchArguments {
    /// How many nodes
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 3,
        value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_NODES_U8))
    )]
    nodes: u8,
    /// How many bytes a command has
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(8..=768)
    )]
    size: u16,
    /// How many commands are in flight, each in a session of its own [default: 1; with --data-dir 1,
    /// 16 and 64, one after the other]
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    inflight: Option<u16>,
    /// For how long the cluster is kept busy, and the floor as long
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..=3600)
    )]
    seconds: u32,
    /// Lose this part of the datagrams between nodes, such as 10%; the floor loses nothing
    #[arg(long, value_name = "P")]
    loss: Option<Probability>,
    /// What is lost follows from this number
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Have each node keep its state below this directory, which is empty or not there, and compare
    /// with a loop that appends and syncs; afterwards what was made is taken away. Without this
    /// nothing is stored
    #[arg(long, value_name = "DIR", conflicts_with_all = ["failover", "loss_curve"])]
    data_dir: Option<PathBuf>,
    /// Instead: kill the leaders of this many clusters, and measure how long nothing can be written
    #[arg(long, value_name = "KILLS", conflicts_with_all = ["loss", "loss_curve"])]
    failover: Option<u16>,
    /// Instead: the rate that is left at 1, 5, 10, 20 and 30 % loss, with 1, 16 and 64 in flight
    #[arg(long, conflicts_with_all = ["loss", "inflight"])]
    loss_curve: bool,
    /// Instead: have so many new nodes get 10 MB of state one after the other, and measure commands
    /// meanwhile and before
    #[arg(
        long,
        value_name = "TRANSFERS",
        conflicts_with_all = ["loss", "loss_curve", "failover", "data_dir"],
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    snapshot: Option<u16>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How fast the nodes are.
    #[command(flatten)]
    timing: TimingArguments,
}

/// `coracle floor`.
#[derive(Args, Clone, Debug)]
pub struct FloorArguments {
    /// The UDP port of this process
    #[arg(long)]
    port: u16,
    /// The ports of those that a leader sends to; a follower has none
    #[arg(long, num_args = 0..)]
    followers: Vec<u16>,
    /// How long each datagram is
    #[arg(long)]
    sizes: floor::Sizes,
}

/// Measures, and prints what came of it.
///
/// # Errors
/// When processes cannot be started, or something fails that should not.
pub fn run(arguments: &BenchArguments) -> io::Result<()> {
    arguments.timing.timing().unwrap_or_else(|why| refuse("bench", why));
    if let Some(kills) = arguments.failover {
        return failover::run(arguments, kills);
    }
    if let Some(transfers) = arguments.snapshot {
        return snapshot::run(arguments, transfers);
    }
    if arguments.loss_curve {
        return loss::run(arguments);
    }
    if arguments.data_dir.is_some() {
        interrupt::heed()?;
    }
    let counts = match (arguments.inflight, &arguments.data_dir) {
        (Some(inflight), _) => vec![inflight],
        (None, None) => vec![1],
        (None, Some(_)) => vec![1, 16, 64],
    };
    let mut cluster = Cluster::start(arguments, arguments.loss)?;
    let mut reports = Vec::with_capacity(counts.len());
    let progress = progress(u64::from(TURNS) * counts.len() as u64);
    for inflight in counts {
        let report = measure(arguments, &mut cluster, inflight, &progress)?;
        if !arguments.json {
            progress.suspend(|| report.print())?;
        }
        reports.push(report);
    }
    progress.finish_and_clear();
    cluster.end()?;
    if arguments.json { report::print_json(&reports) } else { report::print_tables(&reports) }
}

/// Has a cluster, the floor beneath it and, where it stores something, a loop of syncs take turns.
fn measure(
    arguments: &BenchArguments,
    cluster: &mut Cluster,
    inflight: u16,
    progress: &ProgressBar,
) -> io::Result<Report> {
    let mut ours = cluster.load(arguments, inflight)?;
    let sizes = cluster.sizes(&ours.flow)?;
    let mut floor = Floor::start(arguments.nodes, sizes)?;
    let mut theirs = floor.load(inflight, sizes)?;
    let bytes = sizes.entry * usize::from(inflight) + RECORD_BYTES;
    let syncs = cluster.folder().map(|folder| SyncFloor::new(folder.path(), bytes));
    let mut syncs = syncs.transpose()?;
    let repeated = ours.flow.repeated();
    let span = Duration::from_secs(u64::from(arguments.seconds)) / TURNS;
    for _ in 0..TURNS {
        cluster.turn(&mut ours, span)?;
        floor.turn(&mut theirs, span)?;
        if let Some(syncs) = &mut syncs {
            syncs.turn(span)?;
        }
        progress.inc(1);
    }
    let repeated = ours.flow.repeated() - repeated;
    let (ours, theirs) = (&ours.measured, &theirs.measured);
    let durable = syncs.map(|syncs| Durable::new(ours, theirs, &syncs));
    Ok(Report::new((arguments, inflight), ours, theirs, repeated, durable))
}

/// On standard error, and only where somebody sees it.
fn progress(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("measuring [{bar:40}] {pos}/{len}, {eta} left");
    ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// How often the cluster and the floor take turns.
const TURNS: u32 = 10;
/// About what a record of a node's log takes beside its entries.
const RECORD_BYTES: usize = 64;
