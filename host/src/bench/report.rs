//! What came of a measurement, for people and for programs.

use std::io;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::BenchArguments;
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
        arguments: &BenchArguments,
        cluster: &Measured,
        floor: &Measured,
        repeated: u64,
    ) -> Self {
        let pairs = cluster.rates.iter().zip(&floor.rates);
        let ratios: Vec<f64> = pairs.map(|(ours, theirs)| ours / theirs).collect();
        let (cluster, floor) = (Figures::of(cluster), Figures::of(floor));
        Self {
            nodes: arguments.nodes,
            size_bytes: arguments.size,
            inflight: arguments.inflight,
            seconds: arguments.seconds,
            loss: arguments.loss.map(|loss| loss.to_string()),
            rate_ratio: median(&ratios),
            latency_ratio: cluster.p50_us / floor.p50_us,
            cluster,
            floor,
            repeated,
        }
    }

    /// Prints it to standard output.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn print(&self, is_json: bool) -> io::Result<()> {
        if is_json {
            return print(&serde_json::to_string(self)?);
        }
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
        ))
    }
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
