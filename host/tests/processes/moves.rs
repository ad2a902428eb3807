//! Members that store what they must not forget, and are replaced by others.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::members::under_load;
use crate::process::{Process, eventually, free_ports};
use crate::scratch::Folder;
use crate::trio::{Ended, Trio, run, status};

/// Nodes 1 to 3, which keep themselves in a folder, and addresses for 4 to 6.
struct Lasting {
    ports: [u16; 6],
    folder: Folder,
    nodes: Vec<Process>,
}

impl Lasting {
    fn start(name: &str) -> Self {
        let mut lasting =
            Self { ports: free_ports(), folder: Folder::new(name), nodes: Vec::new() };
        for id in 1..=3 {
            let others = (1..=3).filter(|other| *other != id);
            let peers = others.map(|other| format!("--peer={other}={}", lasting.address(other)));
            let node = lasting.node(id, &peers.collect::<Vec<String>>());
            lasting.nodes.push(node);
        }
        lasting.await_leader(1..=3);
        lasting.done(&["client", "add", "5"]);
        lasting
    }

    /// Waits until these know who leads.
    #[track_caller]
    fn await_leader(&self, ids: RangeInclusive<usize>) {
        let knows = |id: usize| {
            status(self.ports[id - 1]).is_some_and(|status| status["leader"].is_number())
        };
        assert!(eventually(|| ids.clone().all(knows)), "nobody leads");
    }

    fn address(&self, id: usize) -> String {
        format!("127.0.0.1:{}", self.ports[id - 1])
    }

    fn servers(&self) -> String {
        let all: Vec<String> = (1..=6).map(|id| self.address(id)).collect();
        all.join(",")
    }

    /// Starts a node that keeps itself in its part of the folder.
    fn node(&self, id: usize, more: &[impl AsRef<str>]) -> Process {
        let (folder, own) = (format!("{}/{id}", self.folder.path()), self.address(id));
        let id = id.to_string();
        let line = ["node", "--id", &id, "--listen", &own, "--data-dir", &folder, "--log=info"];
        let more: Vec<&str> = more.iter().map(AsRef::as_ref).collect();
        Process::start(&[&line[..], &more].concat())
    }

    /// One that waits to be added.
    fn newcomer(&self, id: usize) -> Process {
        let node = self.node(id, &["--wait-to-be-added"]);
        node.expect_error(&format!("Node {id} waits to be added"));
        node
    }

    fn ask(&self, words: &[&str]) -> Ended {
        run(&[words, &["--servers", &self.servers()]].concat())
    }

    /// What a command prints that must be done.
    #[track_caller]
    fn done(&self, words: &[&str]) -> String {
        // A client's options come before its command.
        let ended = match words {
            ["client", rest @ ..] => {
                run(&[&["client", "--servers", &self.servers()], rest].concat())
            }
            words => self.ask(words),
        };
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:?}");
        ended.output
    }

    /// The ids of the members with their parts, once they are known to be committed.
    #[track_caller]
    fn members(&self) -> Vec<String> {
        let mut list = String::new();
        assert!(eventually(|| {
            list = self.done(&["member", "list"]);
            list.lines().next().is_some_and(|it| it.ends_with(", committed"))
        }));
        list.lines().skip(1).map(|row| row.rsplit_once(' ').unwrap().0.to_owned()).collect()
    }
}

fn role(port: u16) -> Option<String> {
    status(port)?["role"].as_str().map(str::to_owned)
}

#[test]
fn a_node_joins_by_itself_gets_the_log_and_a_vote_and_asks_nobody_when_it_comes_back() {
    let lasting = Lasting::start("joins");
    let join = ["--join", &lasting.address(2)];
    let mut node = lasting.node(4, &join);
    node.expect_error("Node 4 has caught up: it has everything up to index ");
    node.expect_error("Node 4 has caught up and is promoted: it is a voter");
    assert_eq!(lasting.members(), ["1 voter", "2 voter", "3 voter", "4 voter"]);
    node.kill();
    let node = lasting.node(4, &join);
    assert!(eventually(|| role(lasting.ports[3]).is_some_and(|role| role != "blank")));
    // Of four voters three are needed, of which it is one.
    lasting.await_leader(4..=4);
    let led = status(lasting.ports[3]).and_then(|it| it["leader"].as_u64());
    let other = (1..=3).find(|id| Some(*id) != led).and_then(|id| usize::try_from(id).ok());
    let mut lasting = lasting;
    lasting.nodes[other.unwrap() - 1].kill();
    lasting.done(&["client", "add", "6"]);
    assert_eq!(lasting.done(&["client", "get"]), "11\n");
    assert!(!node.errors().contains("to be taken in"), "{}", node.errors());
}

#[test]
fn a_node_that_waits_is_added_as_a_voter_or_as_a_learner() {
    let lasting = Lasting::start("added");
    let (fourth, fifth) = (lasting.newcomer(4), lasting.newcomer(5));
    assert_eq!(role(lasting.ports[3]).as_deref(), Some("blank"));
    let added = lasting.done(&["member", "add", &lasting.address(4)]);
    assert!(added.starts_with("added: node 4 (version "), "{added}");
    assert!(added.ends_with("); it gets its vote when it has the log\n"), "{added}");
    fourth.expect_error("Node 4 has caught up and is promoted: it is a voter");
    let added = lasting.done(&["member", "add", &lasting.address(5), "--learner"]);
    assert!(added.starts_with("added: node 5 (version ") && added.ends_with(")\n"), "{added}");
    fifth.expect_error("Node 5 has caught up: it has everything up to index ");
    let all = ["1 voter", "2 voter", "3 voter", "4 voter", "5 learner"];
    assert_eq!(lasting.members(), all);
    for (address, status, why) in [
        (lasting.address(1), 1, "refused: node 1 at 127.0.0.1:"),
        (lasting.address(4), 1, "refused: node 4 at 127.0.0.1:"),
        (lasting.address(6), 1, "error: no server has said anything within 0.5 s "),
        ("0.0.0.0:7".to_owned(), 1, "error: others cannot reach a node at 0.0.0.0:7"),
    ] {
        let ended = lasting.ask(&["member", "add", &address, "--timeout", "500ms"]);
        assert_eq!((ended.code, ended.output.as_str()), (Some(status), ""), "{ended:?}");
        assert!(ended.errors.starts_with(why), "{ended:?}");
        assert!(ended.errors.ends_with("; nothing happened\n"), "{ended:?}");
    }
    assert_eq!(lasting.members(), all);
}

#[test]
fn a_replacement_that_cannot_go_on_says_what_was_done_and_goes_on_when_it_is_asked_again() {
    let mut lasting = Lasting::start("replaced");
    let mut newcomer = lasting.node(4, &["--wait-to-be-added", "--controlled"]);
    newcomer.expect(&format!("listening on {}", lasting.address(4)));
    // Clients reach it, and members do not.
    let meets = [1, 2, 3].map(|id| format!("meet {id}={}; ", lasting.address(id))).concat();
    let cut = format!("{meets}cut 1,2,3");
    newcomer.send(&cut);
    newcomer.expect(&format!("ok {cut}"));
    let replace = ["member", "replace", "1", &lasting.address(4)].map(str::to_owned);
    let replace: Vec<&str> = replace.iter().map(String::as_str).collect();
    let unknown = lasting.ask(&["member", "replace", "7", replace[3]]);
    let why = "refused: no other member has the id 7; nothing happened\n";
    assert_eq!((unknown.code, unknown.errors.as_str()), (Some(1), why), "{unknown:?}");
    let ended = lasting.ask(&[&replace[..], &["--catch-up", "300ms"]].concat());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.output.starts_with("added: node 4 (version "), "{ended:?}");
    let why = "done in part: node 4 was added, but node 4 is a recruit after 0.3 s; node 1 was not \
               removed: the same command again goes on with it\n";
    assert_eq!(ended.errors, why);
    assert_eq!(lasting.members(), ["1 voter", "2 voter", "3 voter", "4 recruit"]);
    newcomer.send("heal");
    newcomer.expect("ok heal");
    let steps = lasting.done(&replace);
    let steps: Vec<&str> = steps.lines().collect();
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert!(steps[0].starts_with("promoted: node 4 (version "), "{steps:?}");
    assert!(steps[1].starts_with("removed: node 1 (version "), "{steps:?}");
    assert_eq!(lasting.nodes[0].status().code(), Some(0));
    assert!(lasting.nodes[0].errors().contains("Node 1 is no longer a member of the cluster\n"));
    assert_eq!(lasting.members(), ["2 voter", "3 voter", "4 voter"]);
}

#[test]
fn where_nothing_is_stored_a_node_is_added_as_a_learner_only_and_replaces_no_voter() {
    let trio = Trio::start(&[]);
    let [port] = free_ports();
    let own = format!("127.0.0.1:{port}");
    let newcomer =
        Process::start(&["node", "--id=4", "--listen", &own, "--wait-to-be-added", "--log=info"]);
    newcomer.expect_error("Node 4 waits to be added");
    let old = trio.ports[0].to_string();
    let servers = trio.servers();
    let ask = |words: &[&str]| run(&[words, &["--servers", &servers]].concat());
    for words in [&["member", "add", &own][..], &["member", "replace", &old, &own]] {
        let ended = ask(words);
        assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""), "{ended:?}");
        let why = "refused: a cluster that stores nothing keeps the voters";
        assert!(ended.errors.starts_with(why), "{ended:?}");
        assert!(ended.errors.ends_with("; nothing happened\n"), "{ended:?}");
    }
    let added = ask(&["member", "add", &own, "--learner"]);
    assert!(added.output.starts_with("added: node 4 (version "), "{added:?}");
    newcomer.expect_error("Node 4 has caught up: it has everything up to index ");
}

/// An election takes 300 ms at most, where no vote is split; the rest is for clients' processes that
/// start on a machine that is busy with other tests.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

#[test]
fn all_three_members_are_replaced_one_by_one_while_commands_run_and_the_others_start_again() {
    let mut lasting = Lasting::start("moved");
    let mut newcomers = [4, 5, 6].map(|id| lasting.newcomer(id));
    let load = under_load(&lasting.servers(), || {
        for (old, new) in [(1, 4), (2, 5), (3, 6)] {
            let steps =
                lasting.done(&["member", "replace", &old.to_string(), &lasting.address(new)]);
            let steps: Vec<&str> = steps.lines().collect();
            assert_eq!(steps.len(), 3, "{steps:?}");
            assert!(steps[0].starts_with(&format!("added: node {new} (version ")), "{steps:?}");
            assert!(steps[1].starts_with(&format!("promoted: node {new} (version ")), "{steps:?}");
            assert!(steps[2].starts_with(&format!("removed: node {old} (version ")), "{steps:?}");
        }
    });
    assert!(load.longest < LONGEST_WAIT, "{:?} of {} commands", load.longest, load.done);
    for (id, node) in (1..).zip(&mut lasting.nodes) {
        assert_eq!(node.status().code(), Some(0));
        let end = format!("Node {id} is no longer a member of the cluster\n");
        assert!(node.errors().contains(&end), "{}", node.errors());
    }
    assert_eq!(lasting.members(), ["4 voter", "5 voter", "6 voter"]);
    let sum = format!("{}\n", 5 + load.done);
    assert_eq!(lasting.done(&["client", "get"]), sum);
    newcomers.iter_mut().for_each(Process::kill);
    // Where the others are they know from what they have stored.
    let again = [4, 5, 6].map(|id| lasting.node(id, &[""; 0]));
    lasting.await_leader(4..=6);
    assert_eq!(lasting.done(&["client", "get"]), sum);
    lasting.done(&["client", "add", "1"]);
    drop(again);
}
