//! Breadth-first search: every state within so many steps.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::invariants::Violation;
use crate::rules::Rules;
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
                match world.step(rules, step) {
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
        steps.extend([Step::Replicate(id), Step::Manage(id), Step::Decide(id)]);
        if process.term < bounds.term {
            steps.push(Step::Campaign(id));
        }
        if node.world.ledger.acknowledged() < bounds.commands {
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
