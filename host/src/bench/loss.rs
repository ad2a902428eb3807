//! What loss between the nodes leaves of a cluster's rate.

use std::io;
use std::time::Duration;

use serde::Serialize;

use super::report::quantile;
use super::sessions::Sessions;
use super::subject::{Cluster, Driven, median};
use super::{BenchArguments, progress};
use crate::faults::Probability;
use crate::print::print;

/// One kind of network, and how many commands were in flight on it.
#[derive(Serialize)]
struct Cell {
    loss_percent: u32,
    inflight: u16,
    operations_per_second: f64,
    /// The median of what is left of the rate without loss, turn by turn, in percent.
    left_percent: f64,
    p50_us: f64,
    p99_us: f64,
    leader_datagrams_per_command: f64,
    processor_us_per_command: f64,
    requests_repeated: u64,
}

/// A cluster whose datagrams are lost, and its loads.
struct Lossy {
    loss_percent: u32,
    cluster: Cluster,
    loads: Vec<Driven<Sessions>>,
}

/// Starts a cluster for each kind of network, keeps them busy in turns, and prints a table.
///
/// # Errors
/// When a cluster does not start, or a command fails.
pub fn run(arguments: &BenchArguments) -> io::Result<()> {
    let progress = progress(u64::from(TURNS));
    let mut all = Vec::with_capacity(LOSSES.len());
    for loss_percent in LOSSES {
        let loss: Option<Probability> = (loss_percent > 0)
            .then(|| format!("{loss_percent}%").parse())
            .transpose()
            .map_err(|error| io::Error::other(format!("{error}")))?;
        let mut cluster = Cluster::start(arguments, loss)?;
        let loads = IN_FLIGHT.iter().map(|inflight| cluster.load(arguments, *inflight));
        let loads = loads.collect::<io::Result<_>>()?;
        all.push(Lossy { loss_percent, cluster, loads });
    }
    let span = Duration::from_secs(u64::from(arguments.seconds)) / TURNS;
    for _ in 0..TURNS {
        for place in 0..IN_FLIGHT.len() {
            for Lossy { cluster, loads, .. } in &mut all {
                if let Some(load) = loads.get_mut(place) {
                    cluster.turn(load, span)?;
                }
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    print_all(&cells(&all), arguments.json)
}

fn cells(all: &[Lossy]) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(LOSSES.len() * IN_FLIGHT.len());
    for (place, inflight) in IN_FLIGHT.into_iter().enumerate() {
        let load = |lossy: &Lossy| lossy.loads.get(place).map(|load| load.measured.clone());
        let Some(good) = all.first().and_then(load) else { continue };
        for lossy in all {
            let (Some(load), Some(measured)) = (lossy.loads.get(place), load(lossy)) else {
                continue;
            };
            let pairs = measured.rates.iter().zip(&good.rates);
            let left: Vec<f64> = pairs.map(|(ours, theirs)| 100.0 * ours / theirs).collect();
            let [datagrams, processor] = measured.per_command();
            cells.push(Cell {
                loss_percent: lossy.loss_percent,
                inflight,
                operations_per_second: measured.rate(),
                left_percent: median(&left),
                p50_us: quantile(&measured.latencies, 0.5),
                p99_us: quantile(&measured.latencies, 0.99),
                leader_datagrams_per_command: datagrams,
                processor_us_per_command: processor,
                requests_repeated: load.flow.repeated(),
            });
        }
    }
    cells
}

fn print_all(cells: &[Cell], is_json: bool) -> io::Result<()> {
    if is_json {
        return print(&serde_json::to_string(cells)?);
    }
    print(
        &"| in flight | loss | commands/s | left | goal | p50, us | p99, us | leader datagrams/command | processor us/command | requests repeated |",
    )?;
    print(&"|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    for cell in cells {
        let Cell { loss_percent, inflight, operations_per_second, left_percent, .. } = cell;
        let Cell { p50_us, p99_us, leader_datagrams_per_command, .. } = cell;
        let Cell { processor_us_per_command, requests_repeated, .. } = cell;
        let goals = LOSSES.iter().zip(GOALS);
        let goal =
            goals.filter(|(loss, _)| *loss == loss_percent).map(|(_, goal)| goal).sum::<u32>();
        print(&format_args!(
            "| {inflight} | {loss_percent} % | {operations_per_second:.0} | {left_percent:.0} % | \
             {goal} % | {p50_us:.0} | {p99_us:.0} | {leader_datagrams_per_command:.2} | \
             {processor_us_per_command:.1} | {requests_repeated} |"
        ))?;
    }
    Ok(())
}

const LOSSES: [u32; 6] = [0, 1, 5, 10, 20, 30];
/// What is to be left of the rate, in percent.
const GOALS: [u32; 6] = [100, 98, 90, 75, 50, 30];
const IN_FLIGHT: [u16; 3] = [1, 16, 64];
const TURNS: u32 = 10;
