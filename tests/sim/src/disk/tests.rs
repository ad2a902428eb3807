//! What a disk keeps and what it loses.

use super::*;
use coracle::Term;

/// Writes entries of a term, each with its index as its data.
fn write(disk: &mut Disk, term: u64, first: u64, last: u64) {
    let run: Vec<u8> =
        (first..=last).flat_map(|index| [3, 0, term as u8, 2, index as u8]).collect();
    let last = EntryId { term: Term(term), index: Index(last) };
    let hard = HardState { term: Term(term), ..HardState::default() };
    let write = Write { hard: Some(hard), first: Index(first), runs: [&run, &[]], last };
    assert_eq!(disk.write(&write, None), Ok(false));
    assert_eq!(disk.take_complaint(), None);
}

fn with_disk(seed: u64, test: impl FnOnce(&mut Disk)) {
    let Shared(disk) = Shared::new(Habits::default(), Chance::new(seed, 9));
    test(&mut disk.borrow_mut());
}

fn ids(disk: &Disk) -> Vec<(u64, u64)> {
    let id = |known: &Known| (known.id.term.0, known.id.index.0);
    disk.durable().entries().iter().map(id).collect()
}

#[test]
fn a_crash_leaves_what_was_synced_and_a_prefix_of_the_rest() {
    let mut lengths = [0; 8];
    for seed in 0..400 {
        with_disk(seed, |disk| {
            write(disk, 1, 1, 2);
            disk.sync(u64::MAX);
            write(disk, 1, 3, 3);
            write(disk, 1, 4, 6);
            disk.crash();
            let whole = [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6)];
            let left = ids(disk);
            assert!(left.len() >= 2 && whole.starts_with(&left), "seed {seed}: {left:?}");
            lengths[left.len()] += 1;
        });
    }
    assert!(lengths[2..=6].iter().all(|times| *times > 0), "{lengths:?}");
}

#[test]
fn entries_replace_what_was_behind_their_first() {
    with_disk(0, |disk| {
        write(disk, 1, 1, 4);
        write(disk, 2, 3, 3);
        disk.sync(u64::MAX);
        assert_eq!(ids(disk), [(1, 1), (1, 2), (2, 3)]);
    });
}

#[test]
fn a_gap_is_complained_about() {
    with_disk(0, |disk| {
        let last = EntryId { term: Term(1), index: Index(2) };
        let run = [3, 0, 1, 2, 9];
        let write = Write { hard: None, first: Index(2), runs: [&run, &[]], last };
        assert_eq!(disk.write(&write, None), Ok(false));
        assert!(disk.take_complaint().is_some());
    });
}

#[test]
fn a_snapshot_drops_what_its_base_covers_and_everything_that_contradicts_it() {
    let base = |term, index| EntryId { term: Term(term), index: Index(index) };
    for (base, left) in [
        (base(1, 2), vec![(1, 3)]),
        (base(1, 3), vec![]),
        (base(2, 2), vec![]),
        (base(1, 5), vec![]),
    ] {
        with_disk(0, |disk| {
            write(disk, 1, 1, 3);
            disk.sync(u64::MAX);
            let snapshot = Snapshot {
                applied: base,
                base,
                configuration: Index(1),
                members: Vec::new(),
                contents: Vec::new(),
            };
            assert_eq!(disk.save(snapshot), Ok(true));
            assert_eq!(ids(disk), left, "{base:?}");
        });
    }
}

#[test]
fn entries_of_a_term_that_the_hard_state_does_not_know_are_cut_off() {
    with_disk(0, |disk| {
        write(disk, 1, 1, 2);
        disk.sync(u64::MAX);
        let run = [3, 0, 2, 2, 9];
        let last = EntryId { term: Term(2), index: Index(3) };
        let write = Write { hard: None, first: Index(3), runs: [&run, &[]], last };
        assert_eq!(disk.write(&write, None), Ok(false));
        disk.sync(u64::MAX);
        disk.cut_unconfirmed();
        assert_eq!(ids(disk), [(1, 1), (1, 2)]);
    });
}
