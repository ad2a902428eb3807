//! Bits that flip in what is stored.

use coracle_flash::{Flash, FlashError, Identity};

use crate::nor::Nor;
use crate::script::{IDENTITY, Picture, State, Step, act, layout, script};

type Chip = Nor<1, 4, 256>;
const PAGE: u32 = 256;
const PAGES: usize = 32;

/// A chip on which a script has run, and what is on it.
fn written(seed: u64, count: usize) -> (Chip, State, bool) {
    let chip = Chip::new(PAGES);
    let mut flash = Flash::open(chip.clone(), layout(PAGE), IDENTITY).unwrap();
    let mut state = State::default();
    let mut has_snapshot = false;
    for step in script(&state, seed, count) {
        act(&mut flash, &step).unwrap();
        has_snapshot |= matches!(step, Step::Save(_) | Step::Install(..));
        state = state.after(&step);
    }
    (chip, state, has_snapshot)
}

/// Flips each bit, one at a time. How many of them were refused, and how many made no difference.
fn flip_each((chip, state, _): &(Chip, State, bool)) -> (u64, u64) {
    let (mut refused, mut harmless) = (0, 0);
    for bit in 0..chip.bytes().len() * 8 {
        let flipped = chip.copy();
        flipped.flip(bit);
        match Flash::open(flipped.clone(), layout(PAGE), IDENTITY) {
            Ok(mut flash) => {
                assert_eq!(State::of(&mut flash), *state, "bit {bit}");
                harmless += 1;
            }
            Err(FlashError::Damaged(at)) => {
                let distance = u32::try_from(bit / 8).unwrap().abs_diff(at);
                assert!(distance < 4096, "bit {bit} is said to be at {at:#x}");
                assert_eq!(flipped.steps(), 0, "bit {bit}: something was written");
                refused += 1;
            }
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    (refused, harmless)
}

#[test]
fn no_bit_of_a_first_log_flips_unnoticed() {
    let written = written(4, 8);
    assert!(!written.2 && written.1.entries.len() > 5);
    let (refused, harmless) = flip_each(&written);
    assert!(refused > 1500 && harmless > 30_000, "{refused} {harmless}");
}

#[test]
fn no_bit_of_a_log_with_a_snapshot_flips_unnoticed() {
    let written = written(4, 60);
    assert!(written.2 && written.1.entries.len() > 5);
    let (refused, harmless) = flip_each(&written);
    assert!(refused > 4000 && harmless > 30_000, "{refused} {harmless}");
}

/// When the power goes just before a log is left, both are whole for a while.
#[test]
fn a_log_that_was_left_is_not_taken_for_the_one_that_is_damaged() {
    let (mut kills, mut refused) = (0, 0);
    let (before, state, _) = written(4, 60);
    let base = state.entries[1].0;
    let picture = Picture { applied: state.last(), base, contents: vec![5; 30] };
    let save = Step::Save(picture);
    let done = before.copy();
    let mut flash = Flash::open(done.clone(), layout(PAGE), IDENTITY).unwrap();
    act(&mut flash, &save).unwrap();
    for (kill, pattern) in (0..done.steps()).flat_map(|kill| [(kill, 1), (kill, 2), (kill, 3)]) {
        let chip = before.copy();
        let mut flash = Flash::open(chip.clone(), layout(PAGE), IDENTITY).unwrap();
        chip.die_at(kill, pattern);
        assert!(act(&mut flash, &save).is_err());
        let chip = chip.copy();
        let mut flash = Flash::open(chip.clone(), layout(PAGE), IDENTITY).unwrap();
        let state = State::of(&mut flash);
        let noop = vec![2, 0, u8::try_from(state.last().term.0).unwrap(), 0];
        let step = Step::Write(None, state.last().index.next(), vec![noop]);
        act(&mut flash, &step).unwrap();
        let state = state.after(&step);
        // In the generation of each of the two logs.
        for head in [PAGE, PAGE + layout(PAGE).log_bytes] {
            let flipped = chip.copy();
            flipped.flip(usize::try_from(head + 16).unwrap() * 8);
            match Flash::open(flipped, layout(PAGE), IDENTITY) {
                Ok(mut flash) => {
                    assert_eq!(State::of(&mut flash), state, "{kill}, {pattern}, {head:#x}");
                }
                Err(FlashError::Damaged(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        kills += 1;
    }
    assert!(kills > 40 && refused == kills, "{refused} of {kills}");
}

#[test]
fn flash_of_another_node_or_cluster_is_refused() {
    let (chip, state, _) = written(4, 8);
    let chip = chip.copy();
    for identity in [
        Identity { id: coracle::NodeId(4), ..IDENTITY },
        Identity { cluster: coracle::ClusterId(6), ..IDENTITY },
    ] {
        let error = Flash::open(chip.clone(), layout(PAGE), identity).map(|_| ());
        assert_eq!(error, Err(FlashError::Foreign));
    }
    assert_eq!(chip.steps(), 0);
    let mut flash = Flash::open(chip, layout(PAGE), IDENTITY).unwrap();
    assert_eq!(State::of(&mut flash), state);
}

#[test]
fn erased_flash_begins_anew() {
    let (chip, _, _) = written(4, 60);
    coracle_flash::erase(&mut chip.clone(), &layout(PAGE)).unwrap();
    let flash = Flash::open(chip, layout(PAGE), IDENTITY).unwrap();
    assert_eq!(flash.recovered(), None);
}

#[test]
fn flash_full_of_anything_is_no_panic() {
    let (mut refused, mut blank) = (0, 0);
    for seed in 0..200 {
        let chip = Chip::new(PAGES);
        chip.fill(seed);
        match Flash::open(chip, layout(PAGE), IDENTITY) {
            Ok(flash) => {
                assert_eq!(flash.recovered(), None, "seed {seed}");
                blank += 1;
            }
            Err(FlashError::Damaged(_)) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(refused > 50 && blank > 50, "{refused} {blank}");
}
