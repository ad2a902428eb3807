//! Directories that are not as they were left, or that somebody else uses.

use std::fs;
use std::os::unix::fs::FileExt;

use super::Cluster;
use crate::process::{Process, free_ports};

const NAME: &str = "log-00000001";

#[test]
fn a_node_refuses_to_start_with_a_byte_of_an_acknowledged_entry_changed() {
    let mut nodes = Cluster::form::<3>("flipped");
    nodes.done(&["set", "A", "a value to be found"]);
    nodes.done(&["add", "5"]);
    nodes.settle();
    nodes.kill(1);
    let path = nodes.data(1).join(NAME);
    let bytes = fs::read(&path).unwrap();
    let needle = b"a value to be found";
    let at = bytes.windows(needle.len()).position(|bytes| bytes == needle).unwrap();
    let log = fs::OpenOptions::new().write(true).open(&path).unwrap();
    log.write_at(&[bytes[at] ^ 1], at as u64).unwrap();
    let before = nodes.files(1);
    let errors = nodes.refused(1);
    assert!(errors.contains(&format!("{} is damaged at byte ", path.display())), "{errors}");
    let (_, behind) = errors.split_once("damaged at byte ").unwrap();
    let offset: usize = behind.split_once(':').unwrap().0.parse().unwrap();
    assert!(offset <= at && at - offset < 64, "{offset}, {at}");
    assert!(errors.contains("nothing was changed. If more than half of the members"), "{errors}");
    assert!(before == nodes.files(1), "the directory was changed");
    // The others have all of it, and so has this one once the byte is as it was.
    assert_eq!(nodes.done(&["get", "A"]), "A = a value to be found");
    log.write_at(&[bytes[at]], at as u64).unwrap();
    nodes.start(1);
    nodes.settle();
    assert_eq!(nodes.value(1), "5");
}

#[test]
fn a_node_starts_with_a_record_that_a_crash_cut_short() {
    let mut nodes = Cluster::form::<3>("torn");
    nodes.done(&["add", "5"]);
    nodes.settle();
    nodes.kill_all();
    for place in 0..3 {
        let path = nodes.data(place).join(NAME);
        let bytes = fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let log = fs::OpenOptions::new().write(true).open(&path).unwrap();
        log.write_at(&[0xa5; 100], used.next_multiple_of(8) as u64).unwrap();
    }
    nodes.start_all();
    nodes.done(&["add", "1"]);
    nodes.settle();
    nodes.kill_all();
    nodes.start_all();
    nodes.settle();
    for place in 0..3 {
        assert_eq!(nodes.value(place), "6");
    }
}

#[test]
fn a_directory_is_used_by_one_process_only() {
    let mut nodes = Cluster::form::<3>("twice");
    let before = nodes.done(&["add", "5"]);
    assert!(before.starts_with("committed: add 5"), "{before}");
    // The same directory at another address: it is not the port that is in use.
    let mut arguments = nodes.arguments(0);
    let listen = arguments.iter().position(|it| it == "--listen").unwrap();
    let [port] = free_ports();
    arguments[listen + 1] = format!("127.0.0.1:{port}");
    let mut second = Process::start(&arguments);
    assert_eq!(second.status().code(), Some(1), "{}", second.errors());
    let said = format!("{} is in use by another process", nodes.data(0).display());
    assert!(second.errors().contains(&said), "{}", second.errors());
    nodes.done(&["add", "1"]);
    assert_eq!(nodes.value(0), "6");
}
