//! A file system that is full, and has room again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use super::Cluster;
use crate::process::eventually;
use crate::trio::{Ended, run};

/// A file system in memory; it goes with its guard.
struct Mount(PathBuf);

impl Mount {
    fn new(path: PathBuf, size: &str) -> Self {
        fs::create_dir(&path).unwrap();
        let options = format!("size={size}");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &options, "coracle-test"]).arg(&path);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(path)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(thread::panicking() || status.is_ok_and(|status| status.success()));
    }
}

#[test]
#[ignore = "needs root and mount: run tests/run disks"]
fn a_full_disk_refuses_commands_serves_reads_and_takes_commands_when_there_is_room() {
    let mut nodes = Cluster::blank::<3>("full");
    let mounts = [0, 1, 2].map(|place| Mount::new(nodes.data(place), "2m"));
    let fillers = [0, 1, 2].map(|place| nodes.data(place).join("filler"));
    for filler in &fillers {
        fs::write(filler, vec![1; (2 << 20) - LEFT]).unwrap();
    }
    nodes.start_all();
    nodes.leader();
    let value = "v".repeat(900);
    let mut acknowledged = Vec::new();
    let refused = loop {
        let key = format!("key{}", acknowledged.len());
        let ended = nodes.client(&["--timeout", "1s", "set", &key, &value]);
        if ended.code != Some(0) {
            break ended;
        }
        acknowledged.push(key);
        assert!(acknowledged.len() < LEFT / 900, "more was acknowledged than there is room for");
    };
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());
    let leader = nodes.leader();
    let full =
        format!("Node {} takes no commands, or only small ones: its disk is full", leader + 1);
    nodes.node(leader).expect_error(&full);
    let busy = || nodes.status(leader).unwrap()["counters"]["busy"].as_u64().unwrap();
    let before = busy();
    assert!(before > 0, "it was not for want of room");
    check_refused(&refused);
    check_refused(&nodes.client(&["--timeout", "1s", "set", "other", &value]));
    assert!(busy() > before);
    for place in 0..3 {
        check_some(&nodes, place, &acknowledged, &value, 20);
        assert_eq!(nodes.value(place), "0");
    }
    assert_eq!(nodes.done(&["get", "other"]), "other is not set");

    // Killed and started again it is as full as before, and has all that it had.
    nodes.kill_all();
    nodes.start_all();
    nodes.settle();
    check_some(&nodes, nodes.leader(), &acknowledged, &value, 1);

    for filler in &fillers {
        fs::remove_file(filler).unwrap();
    }
    let goes_on = |nodes: &Cluster| nodes.client(&["--timeout", "1s", "set", "room", "1"]);
    assert!(eventually(|| goes_on(&nodes).code == Some(0)), "{:?}", goes_on(&nodes));
    for _ in 0..60 {
        let key = format!("key{}", acknowledged.len());
        nodes.done(&["set", &key, &value]);
        acknowledged.push(key);
    }
    nodes.kill_all();
    nodes.start_all();
    nodes.settle();
    for place in 0..3 {
        check_some(&nodes, place, &acknowledged, &value, 3);
    }
    nodes.kill_all();
    drop(mounts);
}

#[track_caller]
fn check_refused(ended: &Ended) {
    // It was asked for, and a client cannot know that no node will take it up later.
    assert!(matches!(ended.code, Some(1 | 3)), "{ended:?}");
    assert_eq!(ended.output, "", "{ended:?}");
    assert!(ended.errors.contains("the cluster is busy or out of room"), "{ended:?}");
    assert!(ended.errors.contains(" within 1 s"), "{ended:?}");
}

/// Reads the last key, and each of so many before it.
#[track_caller]
fn check_some(nodes: &Cluster, place: usize, keys: &[String], value: &str, each: usize) {
    let server = format!("127.0.0.1:{}", nodes.ports[place]);
    for key in keys.iter().rev().step_by(each) {
        let ended = run(&["client", "--servers", &server, "get", key]);
        assert_eq!(ended.output.trim_end(), format!("{key} = {value}"), "{ended:?}");
    }
}

/// What each file system has left at first.
const LEFT: usize = 320 << 10;
