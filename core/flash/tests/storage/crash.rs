//! The power goes at every write and every erase.

use coracle_flash::{Flash, FlashError};

use crate::nor::{Dead, Nor};
use crate::script::{IDENTITY, State, Step, act, layout, script};

/// How the power can go at one step: each is another pattern of bits.
const PATTERNS: u64 = 4;

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_goes_with_words_of_four_bytes() {
    assert!(crash_everywhere::<1, 4, 1024>(1, 120) > 8_000);
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_goes_with_bytes() {
    assert!(crash_everywhere::<1, 1, 256>(2, 60) > 5_000);
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_goes_with_words_of_sixteen_bytes() {
    assert!(crash_everywhere::<4, 16, 512>(3, 120) > 4_000);
}

/// Runs a script to its end, and again and again to each step of the flash. How many times the
/// power went, in recovery too.
fn crash_everywhere<const READ: usize, const WORD: usize, const PAGE: usize>(
    seed: u64,
    count: usize,
) -> u64 {
    let mut kills = 0;
    let nor = Nor::<READ, WORD, PAGE>::new(64 * 1024 / PAGE);
    let layout = layout(u32::try_from(PAGE).unwrap());
    let mut state = State::default();
    let mut flash = Flash::open(nor.clone(), layout, IDENTITY).unwrap();
    let (mut saved, mut installed) = (0, 0);
    for (place, step) in script(&State::default(), seed, count).iter().enumerate() {
        saved += u32::from(matches!(step, Step::Save(_)));
        installed += u32::from(matches!(step, Step::Install(..)));
        let (before, first) = (nor.copy(), nor.steps());
        act(&mut flash, step).unwrap();
        let after = state.after(step);
        for kill in 0..nor.steps() - first {
            for pattern in 0..PATTERNS {
                let at = format!("step {place}, write {kill}, pattern {pattern}: {step:?}");
                let chip = before.copy();
                let mut flash = Flash::open(chip.clone(), layout, IDENTITY).unwrap();
                assert_eq!(chip.steps(), 0, "a whole flash is not written to: {at}");
                chip.die_at(kill, pattern + 1);
                assert_eq!(act(&mut flash, step), Err(FlashError::Driver(Dead)), "{at}");
                chip.restore_power();
                assert_eq!(act(&mut flash, step), Err(FlashError::Dead), "{at}");
                kills += 1 + recover_everywhere(&chip, [&state, &after], pattern, &at);
            }
        }
        state = after;
        assert_eq!(State::of(&mut flash), state, "step {place}: {step:?}");
    }
    assert!(saved > 2 && installed > 0, "{saved} snapshots saved, {installed} installed");
    kills
}

/// Recovers, and loses the power at each step of that, too. How many times it went.
fn recover_everywhere<const READ: usize, const WORD: usize, const PAGE: usize>(
    chip: &Nor<READ, WORD, PAGE>,
    allowed: [&State; 2],
    pattern: u64,
    at: &str,
) -> u64 {
    let layout = layout(u32::try_from(PAGE).unwrap());
    let whole = chip.copy();
    let mut flash = Flash::open(whole.clone(), layout, IDENTITY);
    let flash = flash.as_mut().unwrap_or_else(|error| panic!("{error}: {at}"));
    let state = State::of(flash);
    assert!(allowed.contains(&&state), "{at}: {state:?}");
    let steps = whole.steps();
    for kill in 0..steps {
        let again = chip.copy();
        again.die_at(kill, 100 + pattern);
        let opened = Flash::open(again.clone(), layout, IDENTITY);
        assert!(opened.is_err(), "{at}, then {kill}");
        let last = again.copy();
        let mut flash = Flash::open(last.clone(), layout, IDENTITY);
        let flash = flash.as_mut().unwrap_or_else(|error| panic!("{error}: {at}, then {kill}"));
        assert_eq!(State::of(flash), state, "{at}, then {kill}");
        go_on(flash, &state, kill);
    }
    go_on(flash, &state, pattern);
    steps
}

/// What was recovered can be gone on with.
fn go_on<const READ: usize, const WORD: usize, const PAGE: usize>(
    flash: &mut Flash<Nor<READ, WORD, PAGE>>,
    state: &State,
    seed: u64,
) {
    let mut state = state.clone();
    for step in script(&state, seed, 3) {
        act(flash, &step).unwrap();
        state = state.after(&step);
    }
    assert_eq!(State::of(flash), state);
}
