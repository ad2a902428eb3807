//! `cargo model`: walks, a search, and the table of mistakes.

use clap::Parser;
use coracle_model::mistakes::Mistake;
use coracle_model::rules::Rules;
use coracle_model::search::{Bounds, search};
use coracle_model::walk::{Walk, walk};
use coracle_model::world::World;

/// Walks through the protocol of a cluster that stores nothing, and judges every step.
#[derive(Parser)]
struct Arguments {
    /// How many walks.
    #[arg(long, default_value_t = 100_000)]
    walks: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Search breadth-first instead, from blank, for n = 2 and 3.
    #[arg(long)]
    exhaustive: bool,
    /// How many states a search may see.
    #[arg(long, default_value_t = 400_000)]
    states: usize,
    /// Break a rule on purpose.
    #[arg(long)]
    mistake: Option<String>,
    /// Print the table of all mistakes; those that only scripts find have no walk that fails.
    #[arg(long)]
    mistakes: bool,
    /// Print the steps of one walk.
    #[arg(long)]
    replay: Option<u64>,
}

fn main() {
    let arguments = Arguments::parse();
    let mistake = arguments.mistake.as_deref().map(|name| {
        Mistake::named(name).unwrap_or_else(|| {
            let names: Vec<_> = Mistake::ALL.iter().map(|(_, name)| *name).collect();
            eprintln!(
                "nothing was run: no mistake is called {name}; there are {}",
                names.join(", ")
            );
            std::process::exit(2);
        })
    });
    let is_well = if let Some(seed) = arguments.replay {
        let walk = walk(seed, mistake);
        print_trace(&walk);
        walk.violation.is_none()
    } else if arguments.mistakes {
        print_mistakes(arguments.seed, arguments.walks)
    } else if arguments.exhaustive {
        exhaustive(mistake, arguments.states)
    } else {
        walks(&arguments, mistake)
    };
    std::process::exit(i32::from(!is_well));
}

fn walks(arguments: &Arguments, mistake: Option<Mistake>) -> bool {
    let (mut commands, mut beyond, mut halted) = (0, 0, 0);
    for seed in arguments.seed..arguments.seed + arguments.walks {
        let walk = walk(seed, mistake);
        if let Some(violation) = walk.violation {
            print_trace(&walk);
            let name = arguments.mistake.as_ref().map(|name| format!(" --mistake {name}"));
            println!("seed {seed}: {violation}");
            println!("again: cargo model --replay {seed}{}", name.unwrap_or_default());
            return false;
        }
        commands += walk.world.ledger.acknowledged();
        beyond += u64::from(walk.world.is_beyond);
        halted += u64::from(walk.world.has_halted());
    }
    let count = arguments.walks;
    println!(
        "{count} walks, no violation, none stuck: {commands} commands, {beyond} beyond the bound, {halted} halted"
    );
    commands > 0
}

fn print_trace(walk: &Walk) {
    let mut world = World::new(&walk.rules);
    println!("{:?}", walk.rules);
    let mut fair = false;
    for step in &walk.trace {
        let coracle_model::world::Step::Deliver(number) = step else {
            println!("{step:?}");
            fair |= world.step(&walk.rules, *step).is_err();
            continue;
        };
        match world.network.get(*number) {
            Some(message) if !fair => println!("{step:?} {message:?}"),
            _ => println!("{step:?}"),
        }
        fair |= world.step(&walk.rules, *step).is_err();
    }
    println!("{}", walk.world.summary());
    if let Some(violation) = walk.violation {
        println!("{violation}");
    }
}

fn print_mistakes(seed: u64, walks: u64) -> bool {
    println!("| mistake | walks that fail | first seed | what it breaks |\n|---|---|---|---|");
    let mut all = true;
    for (mistake, name) in Mistake::ALL {
        let mut failed = 0u64;
        let mut first = None;
        for seed in seed..seed + walks {
            if let Some(violation) = walk(seed, Some(mistake)).violation {
                failed += 1;
                first.get_or_insert((seed, violation));
            }
        }
        all &= first.is_some() || mistake.needs_script();
        match first {
            Some((seed, violation)) => {
                println!("| `{name}` | {failed} of {walks} | {seed} | {violation} |");
            }
            None => println!("| `{name}` | 0 of {walks} | - | - |"),
        }
    }
    all
}

fn exhaustive(mistake: Option<Mistake>, states: usize) -> bool {
    let mut is_well = true;
    for members in [2, 3] {
        let rules = Rules { members, mistake, reset: false };
        let bounds = Bounds { depth: 40, states, restarts: 1, term: 2, commands: 1, rounds: 2 };
        let found = search(&rules, World::new(&rules), bounds);
        println!("n = {members}: {} states, all within {} steps", found.states, found.depth);
        if let Some((violation, trace)) = found.violation {
            trace.iter().for_each(|step| println!("{step:?}"));
            println!("{violation}");
            is_well = false;
        }
    }
    is_well
}
