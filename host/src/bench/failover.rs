//! How long nothing can be written after a leader is killed.

use std::io;
use std::time::Duration;

use coracle::Ticks;
use serde::Serialize;

use super::subject::{Cluster, Driven, median};
use super::{BenchArguments, progress};
use crate::print::print;
use crate::setup;

/// From the kill to the end of the next write, in milliseconds.
#[derive(Serialize)]
struct Failovers {
    nodes: u8,
    heartbeat: Option<String>,
    election: Option<String>,
    kills: usize,
    shortest_ms: f64,
    median_ms: f64,
    p90_ms: f64,
    longest_ms: f64,
    each_ms: Vec<f64>,
}

/// Starts a cluster for each kill, since a node that stores nothing cannot come back, and prints
/// how long each was without a leader that takes commands.
///
/// # Errors
/// When a cluster does not start or does not go on.
pub fn run(arguments: &BenchArguments, kills: u16) -> io::Result<()> {
    if arguments.nodes < 3 {
        return Err(io::Error::other("the cluster must go on without its leader: 3 nodes or more"));
    }
    let progress = progress(u64::from(kills));
    let mut spans = Vec::with_capacity(usize::from(kills));
    for _ in 0..kills {
        spans.push(kill_one(arguments)?.as_secs_f64() * 1000.0);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let mut sorted = spans.clone();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
    let last = sorted.len().saturating_sub(1);
    let failovers = Failovers {
        nodes: arguments.nodes,
        heartbeat: arguments.timing.heartbeat.map(|span| span.to_string()),
        election: arguments.timing.election.map(|range| format!("{}..{}", range.min, range.max)),
        kills: spans.len(),
        shortest_ms: at(0),
        median_ms: median(&sorted),
        p90_ms: at(last * 9 / 10),
        longest_ms: at(last),
        each_ms: spans,
    };
    if arguments.json {
        return print(&serde_json::to_string(&failovers)?);
    }
    let Failovers { kills, shortest_ms, median_ms, p90_ms, longest_ms, .. } = failovers;
    print(&format_args!(
        "{kills} leaders killed; until the next write was done, in ms:\n\
         shortest {shortest_ms:.1}, median {median_ms:.1}, p90 {p90_ms:.1}, longest {longest_ms:.1}"
    ))
}

/// Nothing is under way when the leader is killed, so that no answer of its own counts.
fn kill_one(arguments: &BenchArguments) -> io::Result<Duration> {
    let mut cluster = Cluster::start(arguments, None)?;
    let client = setup::patient_client(&cluster.servers(), RETRY_MIN, RETRY_MAX)?;
    let mut driven = Driven::of_clients(vec![client], arguments)?;
    cluster.turn(&mut driven, WARM_UP)?;
    cluster.find_leader()?;
    cluster.processes.kill(cluster.leader)?;
    driven.once()
}

const WARM_UP: Duration = Duration::from_millis(50);
/// Far below an election timeout: what is measured is the cluster, and not its client's patience.
const RETRY_MIN: Ticks = Ticks(1000);
const RETRY_MAX: Ticks = Ticks(4000);
