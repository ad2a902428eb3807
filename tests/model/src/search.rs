//! Breadth-first search: every state within so many steps.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::invariants::Violation;
use crate::rules::{Role, Rules};
use crate::world::{Step, World};

/// What is left of the wild for a search to end.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Steps from the start.
    pub depth: usize,
    /// Different states; the search ends unfinished beyond it.
    pub states: usize,
    /// Restarts, in all.
    pub restarts: u8,
    /// The highest term.
    pub term: u8,
    /// Commands of clients, in all.
    pub commands: usize,
    /// Rounds of hellos, in all.
    pub rounds: u8,
    /// A message arrives once or never, and not again: fewer states, and deeper ones.
    pub once: bool,
}

/// What a search has seen.
#[derive(Debug)]
pub struct Found {
    /// Different states.
    pub states: usize,
    /// All states within so many steps were seen.
    pub depth: usize,
    /// A shortest way to what is broken.
    pub violation: Option<(Violation, Vec<Step>)>,
}

struct Node {
    world: World,
    trace: Vec<Step>,
    restarts: u8,
    rounds: u8,
}

/// An epoch of all, led by 0, whose first command every member has; nothing is on its way.
///
/// # Errors
/// What a step on the way breaks.
pub fn serving(rules: &Rules) -> Result<World, Violation> {
    let mut world = World::new(rules);
    settle(&mut world, rules, Step::Round(0))?;
    for _ in 0..3 {
        settle(&mut world, rules, Step::Replicate(0))?;
    }
    world.step(rules, Step::Propose(0))?;
    for _ in 0..2 {
        settle(&mut world, rules, Step::Replicate(0))?;
    }
    Ok(world)
}

/// The same, and the last member has restarted and is fed: the joint entry is next.
///
/// # Errors
/// What a step on the way breaks.
pub fn replacing(rules: &Rules) -> Result<World, Violation> {
    let mut world = serving(rules)?;
    world.step(rules, Step::Restart(rules.members - 1))?;
    settle(&mut world, rules, Step::Round(0))?;
    world.step(rules, Step::Manage(0))?;
    for _ in 0..2 {
        settle(&mut world, rules, Step::Replicate(0))?;
    }
    Ok(world)
}

/// Takes a step; all that follows arrives, and nothing stays on its way.
fn settle(world: &mut World, rules: &Rules, step: Step) -> Result<(), Violation> {
    world.step(rules, step)?;
    let mut next = 0;
    while next < world.network.len() {
        world.step(rules, Step::Deliver(next))?;
        next += 1;
    }
    world.step(rules, Step::Forget).map(|_| ())
}

/// Searches from a state.
#[must_use]
pub fn search(rules: &Rules, start: World, bounds: Bounds) -> Found {
    let mut seen = HashSet::from([hash(&start)]);
    let mut layer = vec![Node { world: start, trace: Vec::new(), restarts: 0, rounds: 0 }];
    for depth in 0..bounds.depth {
        let mut next = Vec::new();
        for node in &layer {
            for step in steps(rules, node, bounds) {
                let mut world = node.world.clone();
                let mut trace = node.trace.clone();
                trace.push(step);
                let outcome = world.step(rules, step);
                if let (true, Step::Deliver(number)) = (bounds.once, step) {
                    world.network.remove(number);
                }
                match outcome {
                    Err(violation) => {
                        let violation = Some((violation, trace));
                        return Found { states: seen.len(), depth, violation };
                    }
                    Ok(true) if seen.insert(hash(&world)) => {}
                    Ok(_) => continue,
                }
                if seen.len() > bounds.states {
                    return Found { states: seen.len(), depth, violation: None };
                }
                let restarts = node.restarts + u8::from(matches!(step, Step::Restart(_)));
                let rounds = node.rounds + u8::from(matches!(step, Step::Round(_)));
                next.push(Node { world, trace, restarts, rounds });
            }
        }
        layer = next;
    }
    Found { states: seen.len(), depth: bounds.depth, violation: None }
}

fn steps(rules: &Rules, node: &Node, bounds: Bounds) -> Vec<Step> {
    let mut steps: Vec<Step> = (0..node.world.network.len()).map(Step::Deliver).collect();
    for (id, process) in (0u8..).zip(&node.world.processes) {
        // One without an epoch, or without followers, has nothing to do.
        steps.extend((process.role == Role::Leader).then_some(Step::Replicate(id)));
        steps.extend((process.role == Role::Leader).then_some(Step::Manage(id)));
        steps.extend((!process.is_blank()).then_some(Step::Decide(id)));
        if process.term < bounds.term && !process.is_blank() {
            steps.push(Step::Campaign(id));
        }
        if process.role == Role::Leader && node.world.ledger.acknowledged() < bounds.commands {
            steps.push(Step::Propose(id));
        }
        if node.restarts < bounds.restarts {
            steps.push(Step::Restart(id));
        }
        if node.rounds < bounds.rounds {
            steps.push(Step::Round(id));
        }
    }
    debug_assert!(node.world.processes.len() == usize::from(rules.members));
    steps
}

fn hash(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.processes.hash(&mut hasher);
    let mut network: Vec<_> = world.network.iter().collect();
    network.sort();
    network.hash(&mut hasher);
    hasher.finish()
}
