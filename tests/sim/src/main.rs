//! `cargo sim --seeds N` runs many seeds, `cargo sim --seed S --trace` shows one.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use coracle_sim::batch::{Batch, run_all};
use coracle_sim::invariants::Violation;
use coracle_sim::run::{Trace, run};
use indicatif::{ProgressBar, ProgressStyle};

/// Simulates clusters over networks, disks and clocks that fail, and checks every invariant after
/// every step.
#[derive(Debug, Parser)]
#[command(name = "cargo sim", version)]
struct Arguments {
    /// Run this one seed.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "start"])]
    seed: Option<u64>,
    /// Print every event of that run.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Run so many seeds.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    seeds: u64,
    /// Begin with this seed.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    start: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed, arguments.trace),
        None => many(arguments.start, arguments.seeds),
    }
}

fn one(seed: u64, trace: bool) -> ExitCode {
    let outcome = run(seed, if trace { Trace::On } else { Trace::Off });
    print!("{}", outcome.counts);
    println!("seed {seed}: {} events, hash {:016x}", outcome.events, outcome.hash);
    match outcome.verdict {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => fail(seed, &violation),
    }
}

fn many(start: u64, seeds: u64) -> ExitCode {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} seeds, {per_sec}, {eta} left");
    let bar = ProgressBar::new(seeds);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let begin = Instant::now();
    let batch = run_all(start, seeds, || bar.inc(1));
    bar.finish_and_clear();
    let seconds = begin.elapsed().as_secs_f64();
    let Batch { runs, hash, events, counts, failure } = batch;
    print!("{counts}");
    println!(
        "{runs} seeds from {start} on in {seconds:.1} s ({:.0} seeds/s, {:.0} events each), \
         hash {hash:016x}",
        runs as f64 / seconds,
        events as f64 / runs.max(1) as f64,
    );
    match failure {
        None => ExitCode::SUCCESS,
        Some((seed, violation)) => fail(seed, &violation),
    }
}

fn fail(seed: u64, violation: &Violation) -> ExitCode {
    eprintln!("seed {seed} breaks {violation}");
    eprintln!("replay it with: cargo sim --seed {seed} --trace");
    ExitCode::FAILURE
}
