//! A follower takes runs: what it skips, what it takes, what it refuses.

use super::*;

#[test]
fn a_run_taken_twice_changes_nothing() {
    let run = run_of(&[1, 2, 2]);
    let mut log = with_terms(&[1, 2, 2]);
    let before = seen(&log);
    for _copy in 0..2 {
        let extended = log.extend(Index(0), &run, Index::ZERO, LATE);
        assert_eq!(extended, Ok(Extended { verified: Index(3), truncated: None }));
        assert_eq!(seen(&log), before);
    }
}

/// Section 5.3: only a conflict removes entries; an empty run says nothing of what follows it.
#[test]
fn a_shorter_stale_run_truncates_nothing() {
    let mut log = with_terms(&[1, 2, 2, 3]);
    let before = seen(&log);
    let extended = log.extend(Index(0), &run_of(&[1, 2]), Index::ZERO, LATE);
    assert_eq!(extended, Ok(Extended { verified: Index(2), truncated: None }));
    let extended = log.extend(Index(2), &[], Index::ZERO, Term(0));
    assert_eq!(extended, Ok(Extended { verified: Index(2), truncated: None }));
    assert_eq!(seen(&log), before);
}

#[test]
fn a_conflict_replaces_the_rest_of_the_log() {
    let mut log = with_terms(&[1, 2, 2, 3]);
    let extended = log.extend(Index(1), &run_of(&[2, 4]), Index(2), Term(4));
    assert_eq!(extended, Ok(Extended { verified: Index(3), truncated: Some(Index(3)) }));
    assert_eq!(seen(&log).3, run_of(&[1, 2, 4]));
    let extended = log.extend(Index(0), &run_of(&[5, 5]), Index(0), Term(5));
    assert_eq!(extended, Ok(Extended { verified: Index(2), truncated: Some(Index(1)) }));
    assert_eq!(seen(&log).3, run_of(&[5, 5]));
}

#[test]
fn a_conflict_with_a_committed_entry_changes_nothing() {
    let mut log = with_terms(&[1, 2, 2, 3]);
    let conflict = Err(BadRun::ConflictsWithCommitted);
    let before = seen(&log);
    assert_eq!(log.extend(Index(1), &run_of(&[2, 4]), Index(3), LATE), conflict);
    assert_eq!(seen(&log), before);
    log.compact(Index(3));
    let before = seen(&log);
    assert_eq!(log.extend(Index(1), &run_of(&[2, 4]), Index(0), LATE), conflict);
    assert_eq!(seen(&log), before);
}

#[test]
fn entries_below_the_base_are_skipped() {
    let mut log = with_terms(&[1, 2, 2, 3]);
    log.compact(Index(3));
    let extended = log.extend(Index(0), &run_of(&[1, 2]), Index(3), LATE);
    assert_eq!(extended, Ok(Extended { verified: Index(2), truncated: None }));
    let extended = log.extend(Index(1), &run_of(&[2, 2, 3, 3, 4]), Index(3), LATE);
    assert_eq!(extended, Ok(Extended { verified: Index(6), truncated: None }));
    assert_eq!(seen(&log).3, run_of(&[3, 3, 4]));
}

#[test]
fn a_malformed_run_changes_nothing() {
    let good = run_of(&[4]);
    let padded_term = [&[4, 0, 0x84, 0][..], &[2, 7]].concat();
    let bad_endings = [
        encode(0, 2, b""),
        encode(1, 2, b""),
        encode(6, 2, b""),
        encode(4, 3, b"unknown kind"),
        encode(4, 255, b""),
        padded_term,
        vec![4],
        vec![4, 0],
        vec![0, 0],
        vec![1, 0, 4],
        good[..good.len() - 1].to_vec(),
        vec![255; 40],
    ];
    // Nothing known, a part known, all known, a conflict, and more than fits.
    let starts = [(4, vec![4]), (2, vec![2, 3, 4]), (2, vec![2, 3]), (2, vec![4, 4])];
    let long = (4, vec![4; 40]);
    for (prev, terms) in starts.into_iter().chain([long]) {
        for ending in &bad_endings {
            let mut log = with_terms(&[1, 2, 2, 3]);
            let before = seen(&log);
            let run = [run_of(&terms), ending.clone()].concat();
            let extended = log.extend(Index(prev), &run, Index(0), Term(5));
            assert_eq!(extended, Err(BadRun::Malformed), "{terms:?} {ending:?}");
            assert_eq!(seen(&log), before, "{terms:?} {ending:?}");
        }
    }
    let mut log = with_terms(&[1, 2]);
    assert_eq!(log.extend(Index(2), &run_of(&[1]), Index(0), LATE), Err(BadRun::Malformed));
    assert_eq!(log.extend(Index(3), &run_of(&[2]), Index(0), LATE), Err(BadRun::Malformed));
}

#[test]
fn a_run_that_does_not_fit_is_taken_up_to_its_last_whole_entry() {
    let mut log = small();
    let run: Vec<u8> = (0..9).flat_map(|_| encode(1, 2, &[5; 26])).collect();
    let extended = log.extend(Index(0), &run, Index(0), LATE);
    assert_eq!(extended, Ok(Extended { verified: Index(8), truncated: None }));
    assert_eq!(log.used_bytes(), 240);
    log.compact(Index(3));
    let extended = log.extend(Index(0), &run.repeat(2), Index(3), LATE);
    assert_eq!(extended, Ok(Extended { verified: Index(11), truncated: None }));
    assert_eq!(log.slices(Index(1)).map(<[u8]>::len), [150, 90]);
    assert_eq!(seen(&log).3, run[..240]);
    assert_eq!(log.run(Index(9), 1000).1, Index(11));
}
