//! What came of a measurement, for people and for programs.

use std::io;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::BenchArguments;
use super::durable::SyncFloor;
use super::subject::{Measured, as_float, median};
use crate::print::print;

/// A cluster beside the floor.
#[derive(Serialize)]
pub struct Report {
    nodes: u8,
    size_bytes: u16,
    inflight: u16,
    seconds: u32,
    loss: Option<String>,
    cluster: Figures,
    floor: Figures,
    /// The cluster's rate in each turn by the floor's in the one beside it: their median.
    rate_ratio: f64,
    /// The cluster's median latency by the floor's.
    latency_ratio: f64,
    /// Requests that the client repeated.
    repeated: u64,
    /// What storing costs, where something is stored.
    durable: Option<Durable>,
}

/// A cluster that stores, beside a loop that appends the same bytes and syncs them.
#[derive(Serialize)]
pub struct Durable {
    leader_syncs_per_command: f64,
    /// Those of all nodes.
    syncs_per_command: f64,
    /// How long the loop's append and sync take.
    sync_p50_us: f64,
    sync_p90_us: f64,
    syncs_per_second: f64,
    /// Commands per second by the loop's syncs per second: the median of neighbouring turns.
    rate_ratio: f64,
    /// The cluster's median latency by the loop's.
    latency_ratio: f64,
    /// What the cluster's median latency is above that of the floor without Raft and without a disk,
    /// by the loop's.
    latency_above_floor: f64,
}

/// What one of the two has shown.
#[derive(Serialize)]
struct Figures {
    operations: u64,
    operations_per_second: f64,
    slowest_turn: f64,
    fastest_turn: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    leader_datagrams_per_command: f64,
    leader_bytes_per_command: f64,
    leader_waits_per_command: f64,
    processor_us_per_command: f64,
}

impl Report {
    /// Puts it together.
    pub fn new(
        (arguments, inflight): (&BenchArguments, u16),
        cluster: &Measured,
        floor: &Measured,
        repeated: u64,
        durable: Option<Durable>,
    ) -> Self {
        let rate_ratio = ratio(&cluster.rates, &floor.rates);
        let (cluster, floor) = (Figures::of(cluster), Figures::of(floor));
        Self {
            nodes: arguments.nodes,
            size_bytes: arguments.size,
            inflight,
            seconds: arguments.seconds,
            loss: arguments.loss.map(|loss| loss.to_string()),
            rate_ratio,
            latency_ratio: cluster.p50_us / floor.p50_us,
            cluster,
            floor,
            repeated,
            durable,
        }
    }

    /// Prints it to standard output.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn print(&self) -> io::Result<()> {
        let Self { nodes, size_bytes, inflight, seconds, cluster, floor, .. } = self;
        let loss = self.loss.as_ref().map_or(String::new(), |loss| format!(", {loss} loss"));
        print(&format_args!(
            "{nodes} nodes, {size_bytes}-byte commands, {inflight} in flight{loss}, {seconds} s each"
        ))?;
        print(&format_args!("{:28}{:>12}{:>12}{:>8}", "", "cluster", "floor", "ratio"))?;
        row("operations per second", cluster, floor, 0, |it| it.operations_per_second)?;
        row("  in the slowest turn", cluster, floor, 0, |it| it.slowest_turn)?;
        row("  in the fastest turn", cluster, floor, 0, |it| it.fastest_turn)?;
        row("latency p50, us", cluster, floor, 1, |it| it.p50_us)?;
        row("latency p99, us", cluster, floor, 1, |it| it.p99_us)?;
        row("latency p99.9, us", cluster, floor, 1, |it| it.p999_us)?;
        row("leader datagrams/command", cluster, floor, 3, |it| it.leader_datagrams_per_command)?;
        row("leader bytes/command", cluster, floor, 1, |it| it.leader_bytes_per_command)?;
        row("leader waits/command", cluster, floor, 3, |it| it.leader_waits_per_command)?;
        row("processor us/command", cluster, floor, 2, |it| it.processor_us_per_command)?;
        print(&format_args!(
            "median of the ratios of neighbouring turns' rates: {:.3}; requests repeated: {}",
            self.rate_ratio, self.repeated
        ))?;
        let Some(durable) = &self.durable else { return Ok(()) };
        let Durable { leader_syncs_per_command, syncs_per_command, .. } = durable;
        let Durable { sync_p50_us, sync_p90_us, syncs_per_second, .. } = durable;
        print(&format_args!(
            "a loop of append and fdatasync: median {sync_p50_us:.1} us, p90 {sync_p90_us:.1} us, \
             {syncs_per_second:.0} per second"
        ))?;
        print(&format_args!(
            "leader syncs/command {leader_syncs_per_command:.3}, those of all nodes \
             {syncs_per_command:.3}"
        ))
    }

    /// A row of the table of what is counted.
    fn print_counts(&self) -> io::Result<()> {
        let Some(durable) = &self.durable else { return Ok(()) };
        let Self { inflight, cluster, repeated, .. } = self;
        let Durable { leader_syncs_per_command, syncs_per_command, .. } = durable;
        print(&format_args!(
            "| {inflight} | {leader_syncs_per_command:.3} | {syncs_per_command:.3} | {:.2} | \
             {:.0} | {repeated} |",
            cluster.leader_datagrams_per_command, cluster.leader_bytes_per_command
        ))
    }

    /// A row of the table of times.
    fn print_ratios(&self) -> io::Result<()> {
        let Some(durable) = &self.durable else { return Ok(()) };
        let Self { inflight, .. } = self;
        let Durable { rate_ratio, latency_ratio, latency_above_floor, .. } = durable;
        print(&format_args!(
            "| {inflight} | {rate_ratio:.2} | {latency_ratio:.2} | {latency_above_floor:.2} | \
             {:.2} | {:.2} |",
            self.rate_ratio, self.latency_ratio,
        ))
    }
}

impl Durable {
    /// Puts it together.
    pub fn new(cluster: &Measured, floor: &Measured, syncs: &SyncFloor) -> Self {
        let each = |count: u64| as_float(count) / as_float(cluster.finished.max(1));
        let [ours, theirs, sync_p50_us] =
            [&cluster.latencies, &floor.latencies, &syncs.latencies].map(|it| quantile(it, 0.5));
        Self {
            leader_syncs_per_command: each(cluster.leader.syncs),
            syncs_per_command: each(cluster.all.syncs),
            sync_p50_us,
            sync_p90_us: quantile(&syncs.latencies, 0.9),
            syncs_per_second: syncs.rate(),
            rate_ratio: ratio(&cluster.rates, &syncs.rates),
            latency_ratio: ours / sync_p50_us,
            latency_above_floor: (ours - theirs) / sync_p50_us,
        }
    }
}

/// Prints them to standard output: an object, or an array where something is stored.
///
/// # Errors
/// When that cannot be written.
pub fn print_json(reports: &[Report]) -> io::Result<()> {
    match reports {
        [only] if only.durable.is_none() => print(&serde_json::to_string(only)?),
        all => print(&serde_json::to_string(all)?),
    }
}

/// Prints two tables to standard output of what storing costs, counted and in time; nothing where
/// nothing is stored.
///
/// # Errors
/// When that cannot be written.
pub fn print_tables(reports: &[Report]) -> io::Result<()> {
    if reports.iter().all(|report| report.durable.is_none()) {
        return Ok(());
    }
    print(&"")?;
    print(
        &"| in flight | leader syncs/command | all syncs/command | leader datagrams/command | leader bytes/command | requests repeated |",
    )?;
    print(&"|---:|---:|---:|---:|---:|---:|")?;
    reports.iter().try_for_each(Report::print_counts)?;
    print(&"")?;
    print(
        &"| in flight | rate by the loop's | p50 by the loop's | p50 above the floor by the loop's | rate by the floor's | p50 by the floor's |",
    )?;
    print(&"|---:|---:|---:|---:|---:|---:|")?;
    reports.iter().try_for_each(Report::print_ratios)
}

/// The median of the ratios of neighbouring turns.
fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    median(&ratios)
}

impl Figures {
    fn of(measured: &Measured) -> Self {
        let Measured { rates, latencies, finished, leader, .. } = measured;
        let [datagrams, processor] = measured.per_command();
        let each = |count: u64| as_float(count) / as_float((*finished).max(1));
        Self {
            operations: *finished,
            operations_per_second: measured.rate(),
            slowest_turn: rates.iter().copied().fold(f64::INFINITY, f64::min),
            fastest_turn: rates.iter().copied().fold(0.0, f64::max),
            p50_us: quantile(latencies, 0.5),
            p99_us: quantile(latencies, 0.99),
            p999_us: quantile(latencies, 0.999),
            leader_datagrams_per_command: datagrams,
            leader_bytes_per_command: each(leader.sent_bytes),
            leader_waits_per_command: each(leader.waits),
            processor_us_per_command: processor,
        }
    }
}

fn row(
    name: &str,
    cluster: &Figures,
    floor: &Figures,
    digits: usize,
    take: impl Fn(&Figures) -> f64,
) -> io::Result<()> {
    let (ours, theirs) = (take(cluster), take(floor));
    let ratio = ours / theirs;
    print(&format_args!("{name:28}{ours:>12.digits$}{theirs:>12.digits$}{ratio:>8.3}"))
}

/// In microseconds.
pub fn quantile(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    as_float(latencies.value_at_quantile(quantile)) / 1000.0
}
