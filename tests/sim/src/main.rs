//! `cargo sim --seeds N` runs many seeds, `cargo sim --seed S --trace` shows one, and
//! `cargo sim --script FILE` plays a scenario.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use coracle_sim::batch::{Batch, run_all};
use coracle_sim::invariants::Violation;
use coracle_sim::run::{Trace, run};
use coracle_sim::script::{Ran, Script, reference};
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
    /// Play these scenarios and print what came of them; `docs/scenarios.md` is their language.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["seed", "seeds", "start"])]
    script: Vec<PathBuf>,
    /// Write into the scenarios what came of them, instead of holding it against what is there.
    #[arg(long, requires = "script")]
    update: bool,
    /// Print the commands of scenarios.
    #[arg(long, conflicts_with_all = ["seed", "seeds", "start", "script"])]
    commands: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.commands {
        print!("{}", reference());
        return ExitCode::SUCCESS;
    }
    if !arguments.script.is_empty() {
        return play_all(&arguments.script, arguments.update);
    }
    match arguments.seed {
        Some(seed) => one(seed, arguments.trace),
        None => many(arguments.start, arguments.seeds),
    }
}

fn play_all(scripts: &[PathBuf], update: bool) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for path in scripts {
        if let Err(failure) = play(path, update) {
            eprintln!("{failure}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn play(path: &Path, update: bool) -> Result<(), String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let script = Script::parse(&name, &text).map_err(|error| error.to_string())?;
    let Ran { text: now, error } = script.run();
    print!("{now}");
    if let Some(error) = error {
        return Err(error.to_string());
    }
    if now == text {
        return Ok(());
    }
    if !update {
        let differs = script.difference(&now);
        return Err(format!(
            "{differs}\nwrite what came of it with: cargo sim --script {name} --update"
        ));
    }
    std::fs::write(path, now).map_err(|error| format!("{name} is as it was: {error}"))?;
    eprintln!("{name} is written");
    Ok(())
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
