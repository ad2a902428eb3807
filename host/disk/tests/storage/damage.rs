//! Bits that flip, files that get shorter or go away: never a silent loss, never a panic.

use coracle::{Epoch, HardState, Incarnation, Index, Term};
use coracle_disk::{Batch, DiskError, Files, Identity, Medium};
use rand_core::SeedableRng;

use crate::fake::Fake;
use crate::script::{Chance, IDENTITY, OPTIONS, State, act, entry, open, script};

/// A log of this many records, each with an entry; the last one is confirmed as all others are.
fn log_of(records: u64) -> (Fake, State) {
    let files = Fake::default();
    let (mut medium, _) = open(&files).unwrap();
    let mut chance = Chance::seed_from_u64(3);
    let hard = HardState {
        incarnation: Incarnation(9),
        epoch: Epoch(4),
        term: Term(1),
        ..HardState::default()
    };
    medium.write(&Batch { hard: Some(hard), runs: Vec::new() }).unwrap();
    for index in 1..=records {
        let run = entry(Term(1), &mut chance);
        medium.write(&Batch { hard: None, runs: vec![(Index(index), run)] }).unwrap();
    }
    medium.settle().unwrap();
    medium.prepare().unwrap();
    let state = State::of(&files, &open(&files.copy()).unwrap().1);
    assert_eq!(state.entries.len() as u64, records);
    (files, state)
}

/// Opens a directory after damage to a file: all is there, or an error names the file.
fn all_or_error(files: &Fake, damaged: &str, state: &State, place: &str) -> bool {
    match open(files) {
        Ok((_, recovered)) => {
            assert_eq!(State::of(files, &recovered), *state, "{place}");
            true
        }
        Err(DiskError::Damaged(damage)) => {
            assert_eq!(damage.file, damaged, "{place}: {}", damage.what);
            false
        }
        Err(error) => panic!("{place}: {error}"),
    }
}

#[test]
fn no_bit_of_a_log_flips_unnoticed() {
    let (files, state) = log_of(64);
    let names = files.list().unwrap();
    let segments: Vec<&String> = names.iter().filter(|name| name.starts_with("log-")).collect();
    assert!(segments.len() > 1, "{names:?}");
    let (mut flips, mut refused) = (0, 0);
    for name in segments {
        let bytes = files.bytes(name).unwrap();
        for bit in 0..bytes.len() * 8 {
            let left = files.copy();
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            left.replace(name, flipped);
            let is_open = all_or_error(&left, name, &state, &format!("{name}, bit {bit}"));
            flips += 1;
            refused += u32::from(!is_open);
        }
    }
    println!("{flips} bits flipped, {refused} times refused");
}

#[test]
fn no_log_is_cut_short_unnoticed() {
    let (files, state) = log_of(64);
    for name in files.list().unwrap().iter().filter(|name| name.starts_with("log-")) {
        let bytes = files.bytes(name).unwrap();
        for length in 0..bytes.len() {
            let left = files.copy();
            left.replace(name, bytes[..length].to_vec());
            assert!(!all_or_error(&left, name, &state, &format!("{name} of {length} bytes")));
        }
    }
}

#[test]
fn one_copy_of_the_hard_state_is_enough_and_none_is_too_few() {
    let (files, state) = log_of(3);
    let bytes = files.bytes("state").unwrap();
    for bit in 0..bytes.len() * 8 {
        let left = files.copy();
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        left.replace("state", flipped);
        assert!(all_or_error(&left, "state", &state, &format!("bit {bit}")));
        // It is whole again.
        assert_eq!(left.bytes("state").unwrap()[..4096], left.bytes("state").unwrap()[4096..]);
    }
    let left = files.copy();
    left.replace("state", vec![0; bytes.len()]);
    assert!(!all_or_error(&left, "state", &state, "zeros"));
}

#[test]
fn no_bit_of_a_snapshot_flips_unnoticed() {
    let files = Fake::default();
    let (mut medium, _) = open(&files).unwrap();
    let mut state = State::default();
    for (step, after) in script(1, 60) {
        act(&files, &mut medium, &step).unwrap();
        state = after;
    }
    let bytes = files.bytes("snapshot").unwrap();
    for bit in 0..bytes.len() * 8 {
        let left = files.copy();
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        left.replace("snapshot", flipped);
        assert!(!all_or_error(&left, "snapshot", &state, &format!("bit {bit}")));
    }
    for length in 0..bytes.len() {
        let left = files.copy();
        left.replace("snapshot", bytes[..length].to_vec());
        assert!(!all_or_error(&left, "snapshot", &state, &format!("{length} bytes")));
    }
}

#[test]
fn a_file_that_is_missing_is_missed() {
    let (files, state) = log_of(64);
    for name in files.list().unwrap().iter().filter(|name| *name != "spare") {
        let left = files.copy();
        left.remove(name).unwrap();
        assert!(!all_or_error(&left, name, &state, name));
    }
    let left = files.copy();
    left.remove("spare").unwrap();
    assert!(all_or_error(&left, "spare", &state, "spare"));
}

#[test]
fn a_directory_of_another_node_or_cluster_is_refused() {
    let (files, _) = log_of(3);
    let before = files.steps();
    for identity in [
        Identity { id: coracle::NodeId(4), ..IDENTITY },
        Identity { cluster: coracle::ClusterId(6), ..IDENTITY },
    ] {
        let Err(error) = Medium::open(files.clone(), identity, OPTIONS) else { panic!("opened") };
        let error = error.to_string();
        assert!(error.contains("belongs to node 3") && error.ends_with("nothing was changed"));
    }
    assert_eq!(files.steps(), before);
}

#[test]
fn an_error_says_where_and_what_to_do() {
    let (files, _) = log_of(64);
    let mut bytes = files.bytes("log-00000001").unwrap();
    bytes[100] ^= 1;
    files.replace("log-00000001", bytes);
    let before = files.steps();
    let Err(error) = open(&files) else { panic!("opened") };
    let error = error.to_string();
    assert!(error.starts_with("log-00000001 is damaged at byte 80: "), "{error}");
    assert!(error.contains("move the whole directory away"), "{error}");
    assert_eq!(files.steps(), before, "something was changed");
}
