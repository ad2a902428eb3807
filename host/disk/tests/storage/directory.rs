//! A directory of this machine.

use coracle_disk::{Directory, DiskError, Files, Medium, ReadOnly, Recovered, walk};

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

#[test]
fn a_directory_that_is_only_read_is_not_changed_and_not_read_while_it_is_written_to() {
    let path = std::env::temp_dir().join(format!("coracle-disk-look-{}", std::process::id()));
    let missing = ReadOnly::look(&path).map(|_| ());
    assert!(matches!(missing, Err(DiskError::Unusable { doing: "found", .. })), "{missing:?}");
    assert!(!path.exists());
    std::fs::create_dir(&path).unwrap();
    let looking = ReadOnly::look(&path).unwrap();
    assert_eq!(Recovered::read(&looking).unwrap(), Recovered::default());
    assert_eq!(looking.list().unwrap(), Vec::<String>::new());
    drop(looking);
    let (mut medium, _) = Medium::open(Directory::take(&path).unwrap(), IDENTITY, OPTIONS).unwrap();
    let hard = coracle::HardState {
        incarnation: coracle::Incarnation(9),
        term: coracle::Term(1),
        ..coracle::HardState::default()
    };
    let runs = vec![(coracle::Index(1), vec![3, 0, 1, 2, 7, 3, 0, 1, 9, 7])];
    medium.write(&coracle_disk::Batch { hard: Some(hard), runs }).unwrap();
    assert!(matches!(ReadOnly::look(&path), Err(DiskError::InUse(_))));
    drop(medium);
    let before = contents(&path);
    let looking = ReadOnly::look(&path).unwrap();
    // Readers do not mind each other, but keep a writer out.
    let recovered = Recovered::read(&ReadOnly::look(&path).unwrap()).unwrap();
    assert!(matches!(Directory::take_existing(&path), Err(DiskError::InUse(_))));
    let entries: Vec<_> = walk(&recovered.run, coracle::Index(1))
        .map(|stored| stored.unwrap().entry().map(|entry| (entry.kind, entry.data)))
        .collect();
    assert_eq!(entries, [Some((coracle::EntryKind::Command, &[7][..])), None]);
    assert!(looking.create("state").is_err() && looking.remove("state").is_err());
    assert!(looking.rename("state", "other").is_err() && looking.sync_names().is_err());
    let file = looking.open("state").unwrap();
    assert!(coracle_disk::File::write_at(&file, 0, &[1]).is_err());
    assert!(coracle_disk::File::set_length(&file, 0).is_err());
    assert_eq!(contents(&path), before);
    drop(looking);
    Directory::take_existing(&path).unwrap();
    let file = ReadOnly::look(&path.join("state")).map(|_| ());
    assert!(matches!(file, Err(DiskError::Unusable { doing: "listed", .. })), "{file:?}");
    std::fs::remove_dir_all(&path).unwrap();
}

#[test]
fn a_file_that_is_longer_than_memory_is_damaged_before_it_is_read() {
    let path = std::env::temp_dir().join(format!("coracle-disk-long-{}", std::process::id()));
    let (mut medium, _) = Medium::open(Directory::take(&path).unwrap(), IDENTITY, OPTIONS).unwrap();
    let hard = coracle::HardState {
        incarnation: coracle::Incarnation(9),
        ..coracle::HardState::default()
    };
    medium.write(&coracle_disk::Batch { hard: Some(hard), runs: Vec::new() }).unwrap();
    drop(medium);
    let segment = std::fs::File::options().write(true).open(path.join("log-00000001")).unwrap();
    // It takes no room: nothing is written there.
    segment.set_len(1 << 42).unwrap();
    let error = Recovered::read(&ReadOnly::look(&path).unwrap()).unwrap_err().to_string();
    assert!(error.contains("damaged at byte 4096: the file ends here, and not at"), "{error}");
    std::fs::remove_dir_all(&path).unwrap();
}

#[test]
fn a_directory_that_cannot_be_made_says_that_nothing_was_changed() {
    let file = std::env::temp_dir().join(format!("coracle-disk-file-{}", std::process::id()));
    std::fs::write(&file, "").unwrap();
    let error = Directory::take(&file.join("data")).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("data cannot be made (") && error.ends_with("; nothing was changed"));
    std::fs::remove_file(&file).unwrap();
}

/// All files with their bytes and the time of their last change.
fn contents(path: &std::path::Path) -> Vec<(std::ffi::OsString, Vec<u8>, std::time::SystemTime)> {
    let mut files: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let changed = entry.metadata().unwrap().modified().unwrap();
            (entry.file_name(), std::fs::read(entry.path()).unwrap(), changed)
        })
        .collect();
    files.sort();
    files
}
