//! What is of a fixed size, when it is full.

use coracle::{
    EntryId, HardState, Incarnation, Index, Saving, SnapshotName, Staging, Storage, Term,
};
use coracle_flash::{Flash, FlashError, Layout, LayoutError};
use rand_core::SeedableRng;

use crate::nor::Nor;
use crate::script::{Chance, IDENTITY, Picture, State, Step, act, entry, layout, save};

type Chip = Nor<1, 4, 256>;
const PAGE: u32 = 256;
const PAGES: usize = 32;

fn fresh() -> (Chip, Flash<Chip>, State) {
    let chip = Chip::new(PAGES);
    let mut flash = Flash::open(chip.clone(), layout(PAGE), IDENTITY).unwrap();
    let hard = HardState { incarnation: Incarnation(9), term: Term(1), ..HardState::default() };
    let step = Step::Write(Some(hard), Index(1), Vec::new());
    act(&mut flash, &step).unwrap();
    (chip, flash, State::default().after(&step))
}

#[test]
fn what_room_promises_there_is_until_it_promises_none() {
    let (_, mut flash, mut state) = fresh();
    let mut chance = Chance::seed_from_u64(1);
    assert!(flash.room() > 1200);
    loop {
        let entry = entry(Term(1), &mut chance);
        if entry.len() > flash.room() {
            break;
        }
        let step = Step::Write(None, state.last().index.next(), vec![entry]);
        act(&mut flash, &step).unwrap();
        state = state.after(&step);
    }
    assert!(state.entries.len() > 20 && flash.room() < 80);
    // What is not a command still finds room, and so does each new term.
    for term in 2..40 {
        let hard = HardState { term: Term(term), ..state.hard.unwrap() };
        let noop = vec![vec![2, 0, u8::try_from(term).unwrap(), 0]];
        let step = Step::Write(Some(hard), state.last().index.next(), noop);
        act(&mut flash, &step).unwrap();
        state = state.after(&step);
    }
    assert_eq!(State::of(&mut flash), state);
    // A snapshot makes room.
    let applied = state.last();
    let base = state.entries[state.entries.len() - 3].0;
    let step = Step::Save(Picture { applied, base, contents: vec![7; 40] });
    act(&mut flash, &step).unwrap();
    assert!(flash.room() > 1200);
    assert_eq!(State::of(&mut flash), state.after(&step));
}

#[test]
fn a_write_that_does_not_fit_changes_nothing() {
    let (chip, mut flash, state) = fresh();
    let mut chance = Chance::seed_from_u64(1);
    let entries = (0..80).map(|_| entry(Term(1), &mut chance)).collect();
    let before = chip.bytes();
    let refused = act(&mut flash, &Step::Write(None, Index(1), entries));
    assert_eq!(refused, Err(FlashError::Full));
    assert_eq!(chip.bytes(), before);
    assert_eq!(State::of(&mut flash), state);
}

#[test]
fn a_snapshot_of_an_area_less_its_head_fits_and_one_byte_more_does_not() {
    let (chip, mut flash, state) = fresh();
    let step = Step::Write(None, Index(1), vec![vec![2, 0, 1, 0]]);
    act(&mut flash, &step).unwrap();
    let mut state = state.after(&step);
    let id = EntryId { term: Term(1), index: Index(1) };
    for (length, fits) in [(1017, false), (1016, true), (1017, false)] {
        let picture = Picture { applied: id, base: EntryId::default(), contents: vec![3; length] };
        let before = chip.bytes();
        let saved = save(&mut flash, &picture).unwrap();
        assert_eq!(matches!(saved, Saving::Kept(_)), fits, "{length}");
        if fits {
            state = state.after(&Step::Save(picture));
        } else {
            assert_eq!(chip.bytes(), before);
        }
        assert_eq!(State::of(&mut flash), state);
    }
}

#[test]
fn a_leaders_snapshot_without_room_is_refused_before_anything_is_erased() {
    let (chip, mut flash, state) = fresh();
    let before = chip.erases();
    let name = |length| SnapshotName { last: EntryId::default(), length, checksum: 0 };
    for (length, offset, piece) in [(2000, 0, 100), (1000, 0, 50), (1000, 950, 50), (1017, 0, 1017)]
    {
        let staged = flash.stage(name(length), offset, &vec![1; piece]);
        assert_eq!(staged, Ok(Staging::NoRoom), "{length}");
    }
    assert_eq!(chip.erases(), before);
    assert_eq!(flash.stage(name(1016), 0, &[1; 1016]), Ok(Staging::Kept));
    assert_eq!(State::of(&mut flash), state);
}

#[test]
fn a_layout_that_cannot_work_is_refused() {
    let fine = layout(PAGE);
    let needed = fine.memory_bytes + 500;
    for (wrong, error) in [
        (Layout { offset: 8, ..fine }, LayoutError::NotAligned),
        (Layout { log_bytes: fine.log_bytes + 4, ..fine }, LayoutError::NotAligned),
        (Layout { snapshot_bytes: 100, ..fine }, LayoutError::NotAligned),
        (Layout { snapshot_bytes: 0, ..fine }, LayoutError::SnapshotTooSmall),
        (Layout { offset: 9 * PAGE, ..fine }, LayoutError::OutOfBounds),
        (Layout { log_bytes: 1 << 31, ..fine }, LayoutError::OutOfBounds),
    ] {
        let opened = Flash::open(Chip::new(PAGES), wrong, IDENTITY).map(|_| ());
        assert_eq!(opened, Err(FlashError::Layout(error)), "{wrong:?}");
    }
    let small = Layout { log_bytes: 1280, ..fine };
    let opened = Flash::open(Chip::new(PAGES), small, IDENTITY).map(|_| ());
    let Err(FlashError::Layout(LayoutError::LogTooSmall(least))) = opened else {
        panic!("{opened:?}");
    };
    assert!(least > fine.memory_bytes && least < needed, "{least}");
    let exact = Layout { memory_bytes: fine.memory_bytes + fine.log_bytes - least, ..fine };
    assert!(Flash::open(Chip::new(PAGES), exact, IDENTITY).is_ok());
    let wide = Flash::open(Nor::<1, 512, 512>::new(PAGES), fine, IDENTITY).map(|_| ());
    assert_eq!(wide, Err(FlashError::Layout(LayoutError::Geometry)));
}
