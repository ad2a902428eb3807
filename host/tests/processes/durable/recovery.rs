//! A majority is gone for ever, and one node goes on with what its directory holds.

use std::fs;
use std::thread::sleep;
use std::time::Instant;

use serde_json::Value;

use super::Cluster;
use crate::process::{Process, eventually};
use crate::trio::{Ended, run};

impl Cluster {
    /// Three nodes with a value, of which only the last one's directory is left. None runs.
    fn destroyed(name: &str) -> Self {
        let mut cluster = Self::form::<3>(name);
        cluster.done(&["add", "5"]);
        cluster.done(&["set", "K", "hello"]);
        cluster.settle();
        cluster.kill_all();
        [0, 1].into_iter().for_each(|place| fs::remove_dir_all(cluster.data(place)).unwrap());
        cluster
    }

    fn recover(&self, place: usize, more: &[&str]) -> Ended {
        run(&[&["recover", self.data(place).to_str().unwrap()], more].concat())
    }

    fn inspect(&self, place: usize) -> Value {
        let ended = run(&["inspect", "--json", self.data(place).to_str().unwrap()]);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:?}");
        serde_json::from_str(&ended.output).unwrap()
    }

    fn voters(&self) -> usize {
        let told = run(&["member", "list", "--json", "--servers", &self.servers()]);
        let roll: Value = serde_json::from_str(&told.output).unwrap_or_default();
        let members = roll["members"].as_array();
        members.map_or(0, |all| all.iter().filter(|member| member["part"] == "voter").count())
    }
}

/// How often a recovery is killed.
const ATTEMPTS: u32 = 12;

#[test]
fn a_survivor_is_a_cluster_of_its_own_and_others_join_it() {
    let mut cluster = Cluster::destroyed("recovery");
    let before = cluster.inspect(2);
    let ended = cluster.recover(2, &["--yes"]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:?}");
    let last = before["log"]["last"].as_u64().unwrap();
    for said in [
        &format!("which of the entries 1 to {last} were committed"),
        "Whatever this node lacks is lost, even if a client was told that it is done.",
        "The other members were: 1, 2. None of them may ever run again",
        "recovered: node 3 is a cluster of its own",
    ] {
        assert!(ended.output.contains(said), "{said}: {}", ended.output);
    }
    let now = cluster.inspect(2);
    for fresh in ["epoch", "incarnation"] {
        assert_ne!(now[fresh], before[fresh], "{fresh}");
    }
    assert_eq!(now["configuration"]["members"].as_array().unwrap().len(), 1);
    assert_eq!(now["snapshot"]["index"], last + 1);
    assert_eq!(now["log"]["count"], 0);
    // It is alone with all its data.
    cluster.start(2);
    assert_eq!(cluster.leader(), 2);
    assert_eq!(cluster.done(&["get"]), "5");
    assert_eq!(cluster.done(&["get", "K"]), "K = hello");
    cluster.done(&["add", "1"]);
    // A second time is no other than the first.
    cluster.kill(2);
    let ended = cluster.recover(2, &["--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_ne!(cluster.inspect(2)["epoch"], now["epoch"]);
    cluster.start(2);
    assert_eq!(cluster.done(&["get"]), "6");
    // The others begin anew with empty directories.
    for place in [0, 1] {
        cluster.start(place);
        cluster.until(place, "blank", |status| status["role"] == "blank");
        let address = format!("127.0.0.1:{}", cluster.ports[place]);
        let survivor = format!("127.0.0.1:{}", cluster.ports[2]);
        let ended = run(&["member", "add", &address, "--servers", &survivor]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(eventually(|| cluster.voters() == place + 2), "it gets its vote");
    }
    cluster.settle();
    cluster.kill(2);
    assert_eq!(cluster.done(&["get"]), "6");
    assert_eq!(cluster.done(&["get", "K"]), "K = hello");
    cluster.done(&["add", "1"]);
    cluster.start(2);
    cluster.settle();
    assert_eq!([0, 1, 2].map(|place| cluster.value(place)), ["7"; 3]);
}

#[test]
fn one_that_has_halted_says_how_its_directory_becomes_a_cluster() {
    let mut cluster = Cluster::destroyed("halted");
    cluster.start_all();
    cluster.until(2, "halted", |status| status["condition"] == "halted");
    cluster.node(2).expect_error("`coracle recover` with its directory makes a new cluster");
    cluster.kill_all();
    assert_eq!(cluster.recover(2, &["--yes"]).code, Some(0));
    cluster.start(2);
    assert_eq!(cluster.done(&["get"]), "5");
}

#[test]
fn nothing_is_recovered_that_nobody_wants_or_that_is_in_use() {
    let mut cluster = Cluster::destroyed("unwanted");
    let before = cluster.files(2);
    let ended = cluster.recover(2, &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.output.contains("is to be given up"), "it says what that is: {ended:?}");
    assert!(ended.errors.contains("nothing was changed"), "{ended:?}");
    assert_eq!(cluster.files(2), before);
    cluster.start(2);
    cluster.until(2, "running", |status| status["id"] == 3);
    let ended = cluster.recover(2, &["--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains("is in use by another process"), "{ended:?}");
    // One that stores something is not recovered while it runs.
    let server = format!("127.0.0.1:{}", cluster.ports[2]);
    let ended = run(&["recover", "--server", &server, "--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains("stop it, and give that to `coracle recover`"), "{ended:?}");
    let ended = cluster.recover(0, &["--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains("cannot be found"), "{ended:?}");
    assert!(!cluster.data(0).exists(), "it is not made");
}

#[test]
fn a_recovery_that_is_killed_leaves_the_old_cluster_or_the_new_one() {
    let cluster = Cluster::destroyed("killed");
    let old = cluster.inspect(2);
    let started = Instant::now();
    assert_eq!(cluster.recover(2, &["--yes"]).code, Some(0));
    let takes = started.elapsed();
    // Each time a little later.
    for attempt in 0..ATTEMPTS {
        let before = cluster.inspect(2);
        let data = cluster.data(2);
        let mut process = Process::start(&["recover", data.to_str().unwrap(), "--yes"]);
        sleep(takes * attempt / ATTEMPTS);
        process.kill();
        let now = cluster.inspect(2);
        if now["epoch"] == before["epoch"] {
            assert_eq!(now["log"]["last"], before["log"]["last"]);
            assert_eq!(now["configuration"], before["configuration"]);
        } else {
            assert_eq!(
                now["log"]["last"].as_u64(),
                before["log"]["last"].as_u64().map(|it| it + 1)
            );
            assert_eq!(now["configuration"]["members"].as_array().unwrap().len(), 1);
        }
    }
    assert_ne!(cluster.inspect(2)["epoch"], old["epoch"]);
    let mut cluster = cluster;
    cluster.start(2);
    assert_eq!(cluster.done(&["get"]), "5");
    assert_eq!(cluster.done(&["get", "K"]), "K = hello");
}
