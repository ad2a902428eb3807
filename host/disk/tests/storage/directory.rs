//! A directory of this machine.

use coracle_disk::{Directory, DiskError, Medium, Recovered};

use crate::script::{IDENTITY, OPTIONS};

#[test]
fn a_directory_is_in_use_by_one_at_a_time_and_holds_what_was_written() {
    let path = std::env::temp_dir().join(format!("coracle-disk-{}", std::process::id()));
    let files = Directory::take(&path).unwrap();
    let (mut medium, recovered) = Medium::open(files, IDENTITY, OPTIONS).unwrap();
    assert_eq!(recovered, Recovered::default());
    assert!(matches!(Directory::take(&path), Err(DiskError::InUse(_))));
    let hard = coracle::HardState {
        incarnation: coracle::Incarnation(9),
        term: coracle::Term(1),
        ..coracle::HardState::default()
    };
    let runs = vec![(coracle::Index(1), vec![3, 0, 1, 2, 7])];
    medium.write(&coracle_disk::Batch { hard: Some(hard), runs: runs.clone() }).unwrap();
    drop(medium);
    let files = Directory::take_existing(&path).unwrap();
    let (_, recovered) = Medium::open(files, IDENTITY, OPTIONS).unwrap();
    assert_eq!((recovered.hard, &recovered.run), (Some(hard), &runs[0].1));
    std::fs::remove_dir_all(&path).unwrap();
}
