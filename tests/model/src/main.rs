//! `cargo model`: walks, a search, and the table of mistakes.

use std::collections::BTreeSet;
use std::fmt;

use clap::Parser;
use coracle_model::invariants::Violation;
use coracle_model::mistakes::Mistake;
use coracle_model::rules::Rules;
use coracle_model::search::{self, Bounds, Found, search};
use coracle_model::walk::{Walk, first_start_walk, walk};
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
    /// Search breadth-first instead: from blank, and n = 3 while it serves and while it replaces.
    #[arg(long)]
    exhaustive: bool,
    /// How many states a search may see.
    #[arg(long, default_value_t = 400_000)]
    states: usize,
    /// Break a rule on purpose.
    #[arg(long)]
    mistake: Option<String>,
    /// Print the table of all mistakes, or of the one that `--mistake` names.
    ///
    /// Fails if one of them breaks nothing.
    #[arg(long)]
    mistakes: bool,
    /// Walk through first starts by a majority, of processes with disks.
    #[arg(long)]
    first_start: bool,
    /// Print the steps of one walk.
    #[arg(long)]
    replay: Option<u64>,
}

impl Arguments {
    fn walk(&self, seed: u64, mistake: Option<Mistake>) -> Walk {
        if self.first_start { first_start_walk(seed, mistake) } else { walk(seed, mistake) }
    }
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
        let walk = arguments.walk(seed, mistake);
        print_trace(&walk);
        walk.violation.is_none()
    } else if arguments.mistakes {
        print_mistakes(arguments.seed, arguments.walks, mistake)
    } else if arguments.exhaustive {
        exhaustive(mistake, arguments.states)
    } else {
        walks(&arguments, mistake)
    };
    std::process::exit(i32::from(!is_well));
}

fn walks(arguments: &Arguments, mistake: Option<Mistake>) -> bool {
    let (mut commands, mut beyond, mut halted, mut hopeless) = (0, 0, 0, 0);
    for seed in arguments.seed..arguments.seed + arguments.walks {
        let walk = arguments.walk(seed, mistake);
        if let Some(violation) = walk.violation {
            print_trace(&walk);
            let name = arguments.mistake.as_ref().map(|name| format!(" --mistake {name}"));
            let kind = if arguments.first_start { " --first-start" } else { "" };
            println!("seed {seed}: {violation}");
            println!("again: cargo model --replay {seed}{kind}{}", name.unwrap_or_default());
            return false;
        }
        commands += walk.world.ledger.acknowledged();
        beyond += u64::from(walk.world.is_beyond);
        halted += u64::from(walk.world.has_halted());
        let waits = !walk.world.has_halted() && walk.world.has_hopeless();
        hopeless += u64::from(waits && walk.world.is_beyond);
    }
    let count = arguments.walks;
    if arguments.first_start {
        println!("{count} first starts, no violation: {commands} commands");
        return commands > 0;
    }
    println!(
        "{count} walks, no violation, none stuck: {commands} commands, {beyond} beyond the bound, \
         {halted} halted, {hopeless} hopeless and not halted"
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

fn print_mistakes(seed: u64, walks: u64, only: Option<Mistake>) -> bool {
    println!("| mistake | unsafe walks | first | what it breaks | walks without service | first |");
    println!("|---|---|---|---|---|---|");
    let mut all = true;
    let is_wanted = |mistake| only.is_none_or(|only| only == mistake);
    for (mistake, name) in Mistake::ALL.into_iter().filter(|(mistake, _)| is_wanted(*mistake)) {
        let (mut unsafe_walks, mut stuck) = (Tally::default(), Tally::default());
        for seed in seed..seed + walks {
            match walk(seed, Some(mistake)).violation {
                Some(Violation::Stuck) => stuck.add(seed, Violation::Stuck),
                Some(violation) => unsafe_walks.add(seed, violation),
                None => {}
            }
        }
        all &= match mistake.costs_only_service() {
            true => unsafe_walks.count == 0 && stuck.count > 0,
            false => unsafe_walks.count > 0,
        };
        let breaks = unsafe_walks.breaks();
        println!("| `{name}` | {unsafe_walks} | {breaks} | {stuck} |");
    }
    all
}

/// How many walks failed, and how.
#[derive(Default)]
struct Tally {
    count: u64,
    first: Option<u64>,
    kinds: BTreeSet<String>,
}

impl Tally {
    fn add(&mut self, seed: u64, violation: Violation) {
        self.count += 1;
        self.first.get_or_insert(seed);
        self.kinds.insert(violation.to_string());
    }

    fn breaks(&self) -> String {
        match self.kinds.is_empty() {
            true => String::from("-"),
            false => self.kinds.iter().cloned().collect::<Vec<_>>().join("; "),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first {
            Some(first) => write!(out, "{} | {first}", self.count),
            None => out.write_str("0 | -"),
        }
    }
}

fn exhaustive(mistake: Option<Mistake>, states: usize) -> bool {
    let from_blank =
        Bounds { depth: 40, states, restarts: 1, term: 2, commands: 1, rounds: 2, once: false };
    let serving = Bounds { commands: 2, once: true, ..from_blank };
    let replacing = Bounds { restarts: 0, rounds: 0, ..serving };
    let mut is_well = true;
    for (members, name, bounds) in [
        (2, "blank", from_blank),
        (3, "blank", from_blank),
        (3, "serving", serving),
        (3, "replacing", replacing),
    ] {
        let rules = Rules { members, mistake, reset: false, first_start: false };
        let start = match name {
            "serving" => search::serving(&rules),
            "replacing" => search::replacing(&rules),
            _ => Ok(World::new(&rules)),
        };
        let found = match start {
            Ok(start) => search(&rules, start, bounds),
            Err(violation) => {
                Found { states: 0, depth: 0, violation: Some((violation, Vec::new())) }
            }
        };
        let (states, depth) = (found.states, found.depth);
        println!("n = {members} from {name}: {states} states, all within {depth} steps");
        if let Some((violation, trace)) = found.violation {
            trace.iter().for_each(|step| println!("{step:?}"));
            println!("{violation}");
            is_well = false;
        }
    }
    is_well
}
