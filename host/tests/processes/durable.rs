//! Nodes that keep themselves in directories: real processes, killed as a power cut would.

mod broken;
mod damage;
mod demonstration;
mod first_start;
mod full;
mod ledger;
mod recovery;

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process::{Process, eventually, free_ports};
use crate::scratch::Folder;
use crate::trio::{Ended, run, status};

/// A cluster of nodes with directories, some of which run. Ids begin with 1.
struct Cluster {
    // The processes end before their directories go.
    nodes: Vec<Option<Process>>,
    ports: Vec<u16>,
    /// What each is started with beside its place.
    more: &'static [&'static str],
    folder: Folder,
}

impl Cluster {
    /// Nodes that have formed a cluster, and all run.
    fn form<const N: usize>(name: &str) -> Self {
        Self::form_with::<N>(name, &[])
    }

    /// The same, started with these arguments too.
    fn form_with<const N: usize>(name: &str, more: &'static [&'static str]) -> Self {
        let mut cluster = Self { more, ..Self::blank::<N>(name) };
        cluster.start_all();
        cluster.leader();
        cluster
    }

    /// Nodes that have not been started, nor have a directory.
    fn blank<const N: usize>(name: &str) -> Self {
        let ports: [u16; N] = free_ports();
        let nodes = ports.iter().map(|_| None).collect();
        Self { nodes, ports: ports.to_vec(), more: &[], folder: Folder::new(name) }
    }

    fn data(&self, place: usize) -> PathBuf {
        Path::new(self.folder.path()).join(format!("node{}", place + 1))
    }

    fn arguments(&self, place: usize) -> Vec<String> {
        let address = |place: usize| format!("127.0.0.1:{}", self.ports[place]);
        let id = (place + 1).to_string();
        let mut all =
            ["node", "--id", &id, "--listen", &address(place)].map(str::to_owned).to_vec();
        for other in (0..self.ports.len()).filter(|other| *other != place) {
            all.push("--peer".to_owned());
            all.push(format!("{}={}", other + 1, address(other)));
        }
        all.push("--data-dir".to_owned());
        all.push(self.data(place).to_str().unwrap().to_owned());
        all.extend(self.more.iter().map(|argument| (*argument).to_owned()));
        all
    }

    fn start(&mut self, place: usize) {
        assert!(self.nodes[place].is_none(), "it runs");
        self.nodes[place] = Some(Process::start(&self.arguments(place)));
    }

    fn start_all(&mut self) {
        for place in 0..self.ports.len() {
            if self.nodes[place].is_none() {
                self.start(place);
            }
        }
    }

    /// Starts a node that must refuse to, and gives what it says.
    fn refused(&self, place: usize) -> String {
        let mut node = Process::start(&self.arguments(place));
        assert_eq!(node.status().code(), Some(1), "{}", node.errors());
        assert_eq!(node.rest(), "");
        node.errors()
    }

    fn node(&mut self, place: usize) -> &mut Process {
        self.nodes[place].as_mut().expect("it runs")
    }

    fn kill(&mut self, place: usize) {
        self.node(place).kill();
        self.nodes[place] = None;
    }

    fn kill_all(&mut self) {
        for place in self.running() {
            signal(self.node(place), Signal::KILL);
        }
        for place in self.running() {
            self.kill(place);
        }
    }

    fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|place| self.nodes[*place].is_some()).collect()
    }

    fn status(&self, place: usize) -> Option<Value> {
        status(self.ports[place])
    }

    /// Waits until the status of a node is so.
    #[track_caller]
    fn until(&self, place: usize, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let came = eventually(|| {
            last = self.status(place);
            last.as_ref().is_some_and(&holds)
        });
        assert!(came, "node {}: never {what}: {last:?}", place + 1);
        last.expect("a status")
    }

    /// The place of the leader, once all that run name the same and one of them is it.
    #[track_caller]
    fn leader(&self) -> usize {
        let running = self.running();
        let mut leader = None;
        let agreed = eventually(|| {
            let named = |place: &usize| self.status(*place)?["leader"].as_u64();
            let all: Vec<Option<u64>> = running.iter().map(named).collect();
            leader = all[0].and_then(|id| running.iter().find(|place| **place as u64 + 1 == id));
            leader.is_some() && all.iter().all(|other| *other == all[0])
        });
        assert!(agreed, "nobody leads");
        *leader.expect("a leader that runs")
    }

    /// Waits until all that run have applied the same, which is all that the leader has.
    #[track_caller]
    fn settle(&self) {
        let leader = self.leader();
        for place in self.running() {
            let last = || self.status(leader)?["log"]["last"].as_u64();
            self.until(place, "up to date", |status| {
                let applied = status["applied"].as_u64();
                applied.is_some() && applied == status["log"]["last"].as_u64() && applied == last()
            });
        }
    }

    fn servers(&self) -> String {
        let servers: Vec<String> =
            self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        servers.join(",")
    }

    /// Has a client of all of them do something.
    fn client(&self, words: &[&str]) -> Ended {
        run(&[&["client", "--servers", &self.servers()], words].concat())
    }

    /// The same, which must be done: what it has printed, without the last newline.
    #[track_caller]
    fn done(&self, words: &[&str]) -> String {
        let ended = self.client(words);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:?}");
        ended.output.trim_end_matches('\n').to_owned()
    }

    /// The integer as a node itself has it, when it has all that is committed.
    #[track_caller]
    fn value(&mut self, place: usize) -> String {
        let node = self.node(place);
        node.send("get");
        loop {
            let line = node.line();
            if let Some(value) = line.strip_prefix("* current value is: ") {
                node.expect(value);
                return value.to_owned();
            }
            assert!(!line.contains("error"), "{line}");
        }
    }

    /// The names and bytes of all files of a node that does not run.
    fn files(&self, place: usize) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(self.data(place))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|it| (it.file_name().into_string().unwrap(), fs::read(it.path()).unwrap()))
            .collect();
        files.sort();
        files
    }
}

fn signal(process: &Process, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}
