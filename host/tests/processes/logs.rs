//! What nodes say on standard error.

use crate::process::{Process, eventually, free_ports};
use crate::trio::{Trio, run};

/// What stands behind time and level in a line of the log; none if it has another form.
fn said<'a>(line: &'a str, level: &str) -> Option<&'a str> {
    let (time, rest) = line.strip_prefix('[')?.split_once(']')?;
    let form = "0000-00-00 00:00:00,000";
    let is_time = time.len() == form.len()
        && time.chars().zip(form.chars()).all(|(letter, form)| match form {
            '0' => letter.is_ascii_digit(),
            other => letter == other,
        });
    rest.strip_prefix(&format!(" - {level} - ")).filter(|_| is_time)
}

/// Waits for a line of the log.
#[track_caller]
fn expect(node: &Process, line: &str) {
    let found = eventually(|| node.errors().lines().any(|it| said(it, "INFO") == Some(line)));
    assert!(found, "{line:?} is not in\n{}", node.errors());
}

#[test]
fn the_lines_have_their_form() {
    let mut trio = Trio::start(&["--log", "info"]);
    let ports = trio.ports;
    for (node, port) in trio.nodes.iter().zip(ports) {
        expect(node, &format!("Node {port} started on port {port}"));
    }
    trio.done(&["5", "3"]);
    trio.done(&["add", "-4"]);
    let leader = trio.leader();
    let port = ports[leader];
    let index = |node: &Process, what: &str| {
        let errors = node.errors();
        let mut found = errors.lines().filter_map(|line| said(line, "INFO"));
        let line = found.find(|line| line.ends_with(what)).map(str::to_owned);
        line.and_then(|line| line.split("index ").nth(1)?.split(':').next()?.parse::<u64>().ok())
    };
    assert!(eventually(|| index(&trio.nodes[leader], ": Add(5, 3)").is_some()));
    let at = index(&trio.nodes[leader], ": Add(5, 3)").unwrap();
    expect(&trio.nodes[leader], &format!("Node {port} committing entry at index {at}: Add(5, 3)"));
    for (node, port) in trio.nodes.iter().zip(ports) {
        expect(node, &format!("Node {port} applying log entry at index {at}: Add(5, 3)"));
    }
    let errors = trio.nodes[leader].errors();
    let place = |what: &str| errors.find(&format!("{what} entry at index {at}: Add(5, 3)"));
    assert!(place("committing") < place("applying log"), "{errors}");
    expect(
        &trio.nodes[leader],
        &format!("Node {port} applying log entry at index {}: add -4", at + 2),
    );
    let beat = format!("Node {port} leader state - Time since last heartbeat: 0.");
    trio.nodes[leader].expect_error(&beat);
    trio.nodes[leader].kill();
    let next = trio.leader();
    let port = ports[next];
    expect(&trio.nodes[next], &format!("Node {port} election timeout, becoming candidate"));
    expect(&trio.nodes[next], &format!("Node {port} won election, becoming leader"));
    for node in &trio.nodes {
        let errors = node.errors();
        let is_log = |line: &str| said(line, "INFO").or_else(|| said(line, "WARN")).is_some();
        assert!(errors.lines().all(is_log), "{errors}");
    }
}

#[test]
fn a_log_is_quiet_unless_it_is_asked_for() {
    let trio = Trio::start(&[]);
    trio.done(&["add", "1"]);
    assert!(trio.nodes.iter().all(|node| node.errors().is_empty()));
    let [port, other] = free_ports();
    let (port, other) = (port.to_string(), other.to_string());
    let arguments = ["node", "-m", &port, "-o", &other];
    let started = format!("Node {port} started on port {port}");
    let environment = [("RUST_LOG", "info")];
    Process::start_in(&arguments, &environment).expect_error(&started);
    let off = [&arguments[..], &["--log", "off"]].concat();
    let mut silent = Process::start_in(&off, &environment);
    silent.line();
    silent.end_input();
    assert!(silent.status().success());
    assert_eq!(silent.errors(), "");
    assert_eq!(run(&["node", "-m", &port, "-o", &other, "--log", "loud"]).code, Some(2));
}

#[test]
fn standard_output_has_no_line_of_the_log() {
    let mut trio = Trio::start(&["--log", "trace"]);
    trio.nodes[0].send("add 1");
    trio.nodes[0].send("get");
    trio.nodes[0].end_input();
    assert!(trio.nodes[0].status().success());
    let output = trio.nodes[0].rest();
    let bare: Vec<&str> = output.lines().filter(|line| !line.starts_with('*')).collect();
    assert_eq!(bare, ["1"], "{output}");
}
