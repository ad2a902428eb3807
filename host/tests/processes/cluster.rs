//! `coracle cluster` as a real process that is driven through a pipe.

mod ends;
mod faults;
mod folders;
mod guide;
mod members;
mod start;
mod terminal;

use std::fs;
use std::time::Instant;

use crate::process::{Process, eventually, free_ports};
use rustix::process::{Pid, Signal, kill_process};

/// A cluster that is ready, and its nodes' process ids.
fn cluster(arguments: &[&str]) -> (Process, Vec<u32>) {
    let [base] = free_ports();
    let base = base.min(u16::MAX - 100).to_string();
    let all = [&["cluster", "--base-port", &base], arguments].concat();
    let mut cluster = Process::start(&all);
    for start in ["starting ", "from another terminal: ", "ready: node "] {
        expect_start(&mut cluster, start);
    }
    let nodes = children(&cluster);
    (cluster, nodes)
}

/// Takes the next line, which must start like this.
#[track_caller]
fn expect_start(cluster: &mut Process, start: &str) -> String {
    let line = cluster.line();
    assert!(line.starts_with(start), "{line:?} does not start with {start:?}");
    line
}

/// Sends a line, and takes the answer's first one, which must start like this.
#[track_caller]
fn answer(cluster: &mut Process, line: &str, start: &str) -> String {
    cluster.send(line);
    expect_start(cluster, start)
}

/// The rows of the table that `status` shows, without its heading.
fn table(cluster: &mut Process, nodes: usize) -> Vec<String> {
    answer(cluster, "status", " id  address ");
    (0..nodes).map(|_| cluster.line()).collect()
}

/// The node that the answer of an action says to lead.
#[track_caller]
fn leader(answer: &str) -> u32 {
    let (_, rest) = answer.rsplit_once("; node ").unwrap_or_else(|| panic!("{answer}"));
    let (id, _) = rest.split_once(" leads in term ").unwrap_or_else(|| panic!("{answer}"));
    id.parse().unwrap()
}

/// The node to which an action was done, as its answer says.
#[track_caller]
fn subject(answer: &str) -> u32 {
    let (_, rest) = answer.split_once("node ").unwrap_or_else(|| panic!("{answer}"));
    rest.split([':', ';']).next().unwrap().parse().unwrap()
}

/// The row of a node in the table.
fn place(id: u32) -> usize {
    usize::try_from(id).unwrap() - 1
}

/// The processes that a cluster has started, in the order of its ids.
fn children(cluster: &Process) -> Vec<u32> {
    let id = cluster.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    children.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

/// Whether no such process runs; one that nobody has waited for yet does not run either.
fn has_ended(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat"))
        .map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

fn signal(id: u32, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

#[test]
fn a_script_is_answered_in_order_and_nothing_is_left_behind() {
    let (mut cluster, nodes) = cluster(&[]);
    assert_eq!(nodes.len(), 3);
    let script = [
        "get",
        "add 5",
        "mul -3",
        "sub 1",
        "get",
        "add 5 3",
        "add 10 -2",
        "get A",
        "set A 42",
        "get A",
        "set A hello you",
        "get A",
        "set A \x1b[2J\u{85}end",
        "get A",
        "del A",
        "del A",
        "get A",
        "",
        "status",
        "quit",
    ];
    for line in script {
        cluster.send(line);
    }
    cluster.expect("0");
    for command in ["add 5", "mul -3", "sub 1"] {
        expect_start(&mut cluster, &format!("committed: {command} (term "));
    }
    cluster.expect("-16");
    expect_start(&mut cluster, "5 + 3 = 8 (term ");
    expect_start(&mut cluster, "10 + -2 = 8 (term ");
    cluster.expect("A is not set");
    expect_start(&mut cluster, "committed: set A 42 (term ");
    cluster.expect("A = 42");
    expect_start(&mut cluster, "committed: set A hello you (term ");
    cluster.expect("A = hello you");
    // What a terminal would take for an order to itself is spelled out.
    expect_start(&mut cluster, "committed: set A \\u{1b}[2J\\u{85}end (term ");
    cluster.expect("A = \\u{1b}[2J\\u{85}end");
    assert!(expect_start(&mut cluster, "committed: del A (term ").ends_with(')'));
    assert!(expect_start(&mut cluster, "committed: del A ").ends_with("); the key was not set"));
    cluster.expect("A is not set");
    let heading = cluster.line();
    for word in ["id", "address", "role", "term", "leader", "commit", "applied", "log"] {
        assert!(heading.split_whitespace().any(|column| column == word), "{heading}");
    }
    let rows = [cluster.line(), cluster.line(), cluster.line()].join("\n");
    assert_eq!(rows.matches(" leader ").count(), 1, "{rows}");
    assert_eq!(rows.matches(" follower ").count(), 2, "{rows}");
    assert!(cluster.status().success());
    assert_eq!(cluster.rest(), "");
    assert_eq!(cluster.errors(), "");
    assert!(nodes.into_iter().all(has_ended));
}

#[test]
fn a_line_that_is_wrong_is_an_error_and_the_next_one_is_served() {
    let (mut cluster, _) = cluster(&[]);
    let long = "9".repeat(2000);
    let wrong = [
        "frob",
        "add",
        "add x",
        "add 1 x",
        "add 1 2 3",
        "set A",
        "get A B",
        "del",
        "quit now",
        "kill",
        "kill x",
        "kill 4",
        "kill 0",
        "restart 9",
        "pause leader 1",
        "resume 1",
        "partition",
        "partition 1,2,3",
        "partition 1 | 1",
        "partition 1 | 7",
        "loss 130%",
        "delay 5",
        "help frob",
    ];
    let mut count = wrong.len();
    wrong.iter().for_each(|line| cluster.send(line));
    for line in [
        format!("mul {long}"),
        format!("set {} v", "k".repeat(65)),
        format!("del {}", "k".repeat(65)),
        format!("set k {}", "v".repeat(961)),
        "retry".to_owned(),
        format!("add {}", "1".repeat(70_000)),
    ] {
        cluster.send(&line);
        count += 1;
    }
    let (key, value) = ("k".repeat(64), "v".repeat(960));
    answer(&mut cluster, &format!("set {key} {value}"), "committed: set kkk");
    answer(&mut cluster, &format!("get {key}"), &format!("{key} = {value}"));
    cluster.send("quit");
    assert!(cluster.status().success());
    let errors = cluster.errors();
    assert_eq!(errors.lines().count(), count, "{errors}");
    let is_clear = |line: &str| {
        let is_error = line.starts_with("error: ") || line.starts_with("refused: ");
        is_error && line.ends_with("; nothing happened")
    };
    assert!(errors.lines().all(is_clear), "{errors}");
}

#[test]
fn a_product_past_the_limit_is_refused() {
    let (mut cluster, _) = cluster(&[]);
    let factor = format!("1{}", "0".repeat(1000));
    answer(&mut cluster, "add 1", "committed: add 1 ");
    answer(&mut cluster, &format!("mul {factor}"), "committed: mul 1000");
    cluster.send(&format!("mul {factor}"));
    answer(&mut cluster, "get", &factor);
    cluster.send("quit");
    assert!(cluster.status().success());
    let errors = cluster.errors();
    assert!(errors.starts_with("refused: "), "{errors}");
    assert!(errors.ends_with("; nothing happened\n"), "{errors}");
}

#[test]
fn help_names_every_command_and_explains_one() {
    let (mut cluster, _) = cluster(&["-n", "1"]);
    cluster.send("help");
    cluster.send("quit");
    assert!(cluster.status().success());
    let help = cluster.rest();
    for verb in [
        "add N",
        "sub N",
        "mul N",
        "get",
        "set KEY VALUE",
        "get KEY",
        "del KEY",
        "add A B",
        "status",
        "kill ID",
        "restart ID",
        "pause ID",
        "resume ID",
        "partition A,B | C",
        "loss P",
        "heal",
        "retry",
        "members",
        "transfer [ID]",
        "join",
        "remove ID",
        "promote ID",
        "demote ID",
        "recover ID",
        "help",
        "quit",
    ] {
        assert!(help.lines().any(|line| line.starts_with(verb)), "{verb}:\n{help}");
    }
    let (mut cluster, _) = self::cluster(&["-n", "1"]);
    answer(&mut cluster, "help loss", "loss P");
}

#[test]
fn two_of_three_serve_and_one_of_three_says_that_it_cannot() {
    let (mut cluster, _) = cluster(&[]);
    answer(&mut cluster, "add 5", "committed: add 5 ");
    let killed = answer(&mut cluster, "kill leader", "killed node ");
    assert_ne!(leader(&killed), subject(&killed));
    answer(&mut cluster, "add 6", "committed: add 6 ");
    answer(&mut cluster, "get", "11");
    let rows = table(&mut cluster, 3);
    assert!(rows[place(subject(&killed))].ends_with("  down"), "{rows:?}");
    let line = answer(&mut cluster, "kill leader", "killed node ");
    let none = "; no node can lead: of 3 voters, 2 must reach each other, and 1 can";
    assert!(line.ends_with(none), "{line}");
    let start = Instant::now();
    cluster.send("get");
    cluster.expect_error("refused: no answer within 3 s; nothing happened\n");
    let read = start.elapsed();
    cluster.send("add 7");
    cluster.expect_error("outcome unknown: no answer within 5 s; it may still take effect");
    let write = start.elapsed().saturating_sub(read);
    assert!(read.as_secs_f32() < 4.0 && write.as_secs_f32() < 6.0, "{read:?} {write:?}");
    cluster.send("kill leader");
    cluster.expect_error("refused: no node can lead: of 3 voters, 2 must reach each other");
    cluster.send("quit");
    assert!(cluster.status().success());
}

#[test]
fn a_command_whose_outcome_is_unknown_takes_effect_once_when_it_is_retried() {
    let (mut cluster, _) = cluster(&[]);
    answer(&mut cluster, "add 1", "committed: add 1 ");
    answer(&mut cluster, "pause 2", "paused node 2: ");
    answer(&mut cluster, "pause 3", "paused node 3: ");
    cluster.send("add 7");
    cluster.expect_error("retrying in the same session is safe");
    answer(&mut cluster, "resume 2", "resumed node 2; ");
    answer(&mut cluster, "resume 3", "resumed node 3; ");
    answer(&mut cluster, "retry", "committed: add 7 (term ");
    answer(&mut cluster, "get", "8");
    cluster.send("retry");
    cluster.send("quit");
    assert!(cluster.status().success());
    let none = "refused: there is no command to retry; nothing happened\n";
    assert!(cluster.errors().ends_with(none), "{}", cluster.errors());
}

#[test]
fn a_node_that_ends_by_itself_is_told_from_one_that_was_killed() {
    let (mut cluster, nodes) = cluster(&[]);
    signal(nodes[2], Signal::KILL);
    answer(&mut cluster, "kill 2", "killed node 2; no node can lead: ");
    let rows = table(&mut cluster, 3);
    assert!(rows[1].ends_with("  down"), "{rows:?}");
    assert!(rows[2].contains("  down "), "{rows:?}");
    assert!(rows[2].ends_with("ended by itself (signal: 9 (SIGKILL))"), "{rows:?}");
}
