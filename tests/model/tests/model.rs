//! The rules hold, and each mistake is found.

use coracle_model::mistakes::Mistake;
use coracle_model::rules::Rules;
use coracle_model::search::{self, Bounds, search};
use coracle_model::walk::{first_start_walk, walk};
use coracle_model::world::World;

#[test]
fn no_walk_breaks_the_rules() {
    let mut acknowledged = 0;
    for seed in 0..4000 {
        let walk = walk(seed, None);
        assert_eq!(walk.violation, None, "again: cargo model --replay {seed}");
        acknowledged += walk.world.ledger.acknowledged();
    }
    assert!(acknowledged > 4000, "the walks reached nothing");
}

#[test]
fn no_first_start_by_a_majority_makes_two_clusters() {
    let mut acknowledged = 0;
    for seed in 0..4000 {
        let walk = first_start_walk(seed, None);
        assert_eq!(walk.violation, None, "seed {seed}: {:?}", walk.trace);
        acknowledged += walk.world.ledger.acknowledged();
    }
    assert!(acknowledged > 4000, "the walks reached nothing");
}

#[test]
fn no_state_near_the_start_breaks_the_rules() {
    for (members, depth) in [(2, 7), (3, 5)] {
        let rules = Rules { members, mistake: None, reset: false, first_start: false };
        let bounds = Bounds {
            depth,
            states: 1_000_000,
            restarts: 1,
            term: 2,
            commands: 1,
            rounds: 2,
            once: false,
        };
        let found = search(&rules, World::new(&rules), bounds);
        assert_eq!(found.depth, depth);
        assert!(found.states > 100, "{} states", found.states);
        assert!(found.violation.is_none(), "{:?}", found.violation);
    }
}

#[test]
fn no_state_near_a_replacement_breaks_the_rules() {
    let rules = Rules { members: 3, mistake: None, reset: false, first_start: false };
    let bounds = Bounds {
        depth: 4,
        states: 1_000_000,
        restarts: 1,
        term: 2,
        commands: 2,
        rounds: 1,
        once: true,
    };
    for start in [search::serving(&rules), search::replacing(&rules)] {
        let start = start.expect("no violation on the way");
        assert_eq!(start.ledger.acknowledged(), 1);
        let found = search(&rules, start, bounds);
        assert_eq!(found.depth, bounds.depth);
        assert!(found.states > 1000, "{} states", found.states);
        assert!(found.violation.is_none(), "{:?}", found.violation);
    }
}

#[test]
fn a_blank_restart_under_the_same_identity_is_found() {
    let fails = |seed: &u64| walk(*seed, Some(Mistake::SameIdentity)).violation.is_some();
    assert!((0..4000).any(|seed| fails(&seed)));
}
