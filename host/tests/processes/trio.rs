//! Three nodes, and what clients of them say.

use serde_json::Value;

use crate::process::{Process, eventually, free_ports};

/// Three nodes on this machine, with their ports as their ids.
pub struct Trio {
    pub ports: [u16; 3],
    pub nodes: [Process; 3],
}

/// What is left of a process that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub output: String,
    pub errors: String,
}

impl Trio {
    /// Nodes that were started with these arguments beside their ports, and have a leader.
    pub fn start(more: &[&str]) -> Self {
        let ports: [u16; 3] = free_ports();
        let nodes = [0, 1, 2].map(|place| Process::start(&arguments(ports, place, more)));
        let trio = Self { ports, nodes };
        trio.leader_of(3);
        trio
    }

    /// What a node is started with.
    pub fn arguments(&self, place: usize, more: &[&str]) -> Vec<String> {
        arguments(self.ports, place, more)
    }

    /// All addresses, as a client takes them.
    pub fn servers(&self) -> String {
        self.ports.map(|port| format!("127.0.0.1:{port}")).join(",")
    }

    /// Has a client of all of them do something.
    pub fn client(&self, words: &[&str]) -> Ended {
        run(&[&["client", "--servers", &self.servers()], words].concat())
    }

    /// The same, which must be done: what it has printed, without the last newline.
    #[track_caller]
    pub fn done(&self, words: &[&str]) -> String {
        let ended = self.client(words);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:?}");
        ended.output.trim_end_matches('\n').to_owned()
    }

    /// The place of the node that leads, once there is one that all know of who answer.
    pub fn leader(&self) -> usize {
        self.leader_of(2)
    }

    /// The same, once so many answer.
    pub fn leader_of(&self, least: usize) -> usize {
        let mut leader = None;
        let agreed = eventually(|| {
            let statuses: Vec<Value> = self.ports.iter().filter_map(|port| status(*port)).collect();
            let named = statuses.first().and_then(|status| status["leader"].as_u64());
            leader = self.ports.iter().position(|port| Some(u64::from(*port)) == named);
            leader.is_some()
                && statuses.len() >= least
                && statuses.iter().all(|it| it["leader"].as_u64() == named)
        });
        assert!(agreed, "nobody leads");
        leader.expect("a leader of these ports")
    }
}

fn arguments(ports: [u16; 3], place: usize, more: &[&str]) -> Vec<String> {
    let others = ports.iter().filter(|port| **port != ports[place]);
    let own = ["node".to_owned(), "-m".to_owned(), ports[place].to_string(), "-o".to_owned()];
    let more = more.iter().map(|argument| (*argument).to_owned());
    own.into_iter().chain(others.map(u16::to_string)).chain(more).collect()
}

/// What a node says of itself, if it answers.
pub fn status(port: u16) -> Option<Value> {
    let server = format!("127.0.0.1:{port}");
    let ended = run(&["status", "--json", "--timeout", "300ms", "--server", &server]);
    (ended.code == Some(0)).then(|| serde_json::from_str(&ended.output).expect("JSON"))
}

/// Runs `coracle` to its end.
#[track_caller]
pub fn run(arguments: &[&str]) -> Ended {
    run_in(arguments, &[])
}

/// Runs `coracle` to its end in this environment.
#[track_caller]
pub fn run_in(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let mut process = Process::start_in(arguments, environment);
    let code = process.status().code();
    Ended { code, output: process.rest(), errors: process.errors() }
}
