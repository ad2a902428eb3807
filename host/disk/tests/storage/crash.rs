//! The power goes at every step, and whatever may be left is left.

use rand_core::SeedableRng;

use crate::fake::Fake;
use crate::script::{Chance, State, Step, act, open, script};

const STEPS: usize = 120;
/// How many crashes at each step, each with other survivors.
const SURVIVORS: u64 = 12;

/// Runs a script until the power goes; what there may be afterwards.
fn run(files: &Fake, script: &[(Step, State)]) -> Vec<State> {
    let Ok((mut medium, _)) = open(files) else { return vec![State::default()] };
    let mut state = State::default();
    for (step, after) in script {
        match act(files, &mut medium, step) {
            Ok(done) => assert!(done, "{step:?} finds no room"),
            Err(_) => return state.on_the_way(step),
        }
        state = after.clone();
        assert_eq!(medium.last(), state.last());
    }
    vec![state]
}

#[track_caller]
fn recover(files: &Fake, possible: &[State], place: &str) {
    let opened = open(files);
    let (_, recovered) = opened.unwrap_or_else(|error| panic!("{place}: {error}"));
    let state = State::of(files, &recovered);
    assert!(possible.contains(&state), "{place}: {state:#?} is none of {possible:#?}");
}

#[test]
fn nothing_confirmed_is_lost_wherever_the_power_goes() {
    let mut points = 0;
    for seed in 0..3 {
        let script = script(seed, STEPS);
        let foundings = script.iter().filter(|(step, _)| matches!(step, Step::Found(..))).count();
        assert!(foundings > 0, "script {seed} founds no cluster");
        let whole = Fake::default();
        let end = run(&whole, &script);
        assert_eq!(end.len(), 1);
        for step in 0..whole.steps() {
            let files = Fake::default();
            files.die_at(step);
            let possible = run(&files, &script);
            for survivors in 0..SURVIVORS {
                let mut chance = Chance::seed_from_u64(survivors);
                let left = files.after_crash(&mut chance);
                recover(&left, &possible, &format!("script {seed}, step {step}, {survivors}"));
                points += 1;
            }
        }
        let steps = whole.steps();
        println!("script {seed}: {steps} writes, syncs, renames and removals");
    }
    println!("{points} crashes");
    assert!(points >= 10_000, "{points}");
}

#[test]
fn a_crash_in_a_recovery_loses_no_more_than_the_first() {
    let script = script(1, STEPS);
    let whole = Fake::default();
    run(&whole, &script);
    let mut points = 0;
    for step in (0..whole.steps()).step_by(3) {
        let files = Fake::default();
        files.die_at(step);
        let possible = run(&files, &script);
        let left = files.after_crash(&mut Chance::seed_from_u64(step));
        let untouched = left.copy();
        open(&untouched).unwrap();
        for second in left.steps()..untouched.steps() {
            let again = left.copy();
            again.die_at(second);
            assert!(open(&again).is_err());
            let again = again.after_crash(&mut Chance::seed_from_u64(second));
            recover(&again, &possible, &format!("step {step}, then {second}"));
            points += 1;
        }
    }
    println!("{points} crashes in a recovery");
    assert!(points > 1000, "{points}");
}

#[test]
fn a_recovered_medium_takes_more_and_keeps_it() {
    let script = script(2, STEPS);
    let whole = Fake::default();
    run(&whole, &script);
    for step in (0..whole.steps()).step_by(5) {
        let files = Fake::default();
        files.die_at(step);
        run(&files, &script);
        let left = files.after_crash(&mut Chance::seed_from_u64(step));
        let (mut medium, recovered) = open(&left).unwrap();
        let mut state = State::of(&left, &recovered);
        // From wherever it is, the rest of another script that begins with a new term.
        for (step, _) in crate::script::from(&state, 99, 20) {
            act(&left, &mut medium, &step).unwrap();
            state = state.on_the_way(&step).pop().unwrap();
        }
        let left = left.after_crash(&mut Chance::seed_from_u64(step + 1));
        let (_, recovered) = open(&left).unwrap();
        assert_eq!(State::of(&left, &recovered), state, "step {step}");
    }
}

#[test]
fn a_refused_write_is_not_confirmed_and_the_next_start_is_sound() {
    use std::io::ErrorKind;
    let script = script(1, STEPS);
    let whole = Fake::default();
    run(&whole, &script);
    for step in 0..whole.steps() {
        let files = Fake::default();
        files.fail_at(step, ErrorKind::Other);
        let possible = run(&files, &script);
        let left = files.after_crash(&mut Chance::seed_from_u64(step));
        recover(&left, &possible, &format!("step {step}"));
    }
}
