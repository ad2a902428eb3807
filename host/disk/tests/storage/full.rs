//! No room.

use coracle::{HardState, Incarnation, Index, Term};
use coracle_disk::{Batch, Medium};

use crate::fake::Fake;
use crate::script::{IDENTITY, OPTIONS, Picture, State, Step, act, open};

fn command(term: u8, length: u8) -> Vec<u8> {
    [&[length + 2, 0, term, 2][..], &vec![7; usize::from(length)]].concat()
}

fn begin(files: &Fake) -> Medium<Fake> {
    let (mut medium, _) = Medium::open(files.clone(), IDENTITY, OPTIONS).unwrap();
    let hard = HardState { incarnation: Incarnation(9), term: Term(1), ..HardState::default() };
    medium.write(&Batch { hard: Some(hard), runs: Vec::new() }).unwrap();
    medium
}

#[test]
fn what_is_said_to_find_room_finds_it_and_there_is_room_again_later() {
    for room in (24 * 1024..40 * 1024).step_by(512) {
        let files = Fake::default();
        files.limit(Some(room));
        let mut medium = begin(&files);
        let mut written = 0;
        let run = command(1, 200);
        while medium.room() >= run.len() as u64 {
            written += 1;
            let batch = Batch { hard: None, runs: vec![(Index(written), run.clone())] };
            medium.write(&batch).unwrap_or_else(|error| panic!("{room}: {error}"));
            medium.prepare().unwrap();
        }
        assert!(written > 5, "{room}: {written}");
        // The margin is for what is no command.
        let hard = HardState { incarnation: Incarnation(9), term: Term(2), ..HardState::default() };
        let noop = vec![(Index(written + 1), vec![2, 0, 2, 0])];
        medium.write(&Batch { hard: Some(hard), runs: noop }).unwrap();
        // Somebody makes room.
        files.limit(Some(room + 16 * 1024));
        medium.prepare().unwrap();
        assert!(medium.room() >= run.len() as u64, "{room}");
        drop(medium);
        let (_, recovered) = open(&files).unwrap();
        assert_eq!(recovered.last.index, Index(written + 1));
    }
}

#[test]
fn a_reserve_that_was_taken_when_there_was_little_room_grows_when_there_is_more() {
    for room in (20 * 1024..64 * 1024).step_by(512) {
        let files = Fake::default();
        files.limit(Some(room));
        let mut medium = begin(&files);
        medium.prepare().unwrap();
        let before = medium.room();
        for _ in 0..3 {
            medium.prepare().unwrap();
            assert!(medium.room() >= before, "{room}: nothing that was taken is given up");
        }
        files.limit(None);
        medium.prepare().unwrap();
        assert!(medium.is_prepared(), "{room}");
        let free = OPTIONS.segment_bytes - 1024;
        assert!(medium.room() >= free, "{room}: {} of {free}", medium.room());
        let run = command(1, 200);
        for index in 1..=medium.room() / run.len() as u64 {
            let batch = Batch { hard: None, runs: vec![(Index(index), run.clone())] };
            medium.write(&batch).unwrap_or_else(|error| panic!("{room}, {index}: {error}"));
        }
        let last = medium.last();
        drop(medium);
        assert_eq!(open(&files).unwrap().1.last, last, "{room}");
    }
}

#[test]
fn all_that_is_said_to_find_room_finds_it_at_once() {
    let files = Fake::default();
    files.limit(Some(26 * 1024));
    let mut medium = begin(&files);
    let run = command(1, 200);
    let count = medium.room() / run.len() as u64;
    let bytes = run.repeat(usize::try_from(count).unwrap());
    medium.write(&Batch { hard: None, runs: vec![(Index(1), bytes)] }).unwrap();
    assert_eq!(medium.last().index, Index(count));
}

#[test]
fn a_snapshot_without_room_leaves_all_as_it_was() {
    let files = Fake::default();
    let mut medium = begin(&files);
    for index in 1..=8 {
        let run = command(1, 100);
        medium.write(&Batch { hard: None, runs: vec![(Index(index), run)] }).unwrap();
    }
    let id = |index| coracle::EntryId { term: Term(1), index: Index(index) };
    let picture = |length| Picture { applied: id(6), base: id(4), contents: vec![1; length] };
    assert!(act(&files, &mut medium, &Step::Save(picture(100))).unwrap());
    let before = State::of(&files, &open(&files.copy()).unwrap().1);
    files.limit(Some(24 * 1024));
    let mut later = picture(20_000);
    (later.applied, later.base) = (id(8), id(8));
    assert!(!act(&files, &mut medium, &Step::Save(later)).unwrap());
    let mut later = picture(20_000);
    (later.applied, later.base) = (id(9), id(9));
    let hard = HardState { incarnation: Incarnation(8), term: Term(2), ..HardState::default() };
    assert!(!act(&files, &mut medium, &Step::Found(hard, later)).unwrap());
    files.limit(None);
    let (_, recovered) = open(&files).unwrap();
    assert_eq!(State::of(&files, &recovered), before);
}
