//! The three ways to say which nodes a cluster has.

use crate::process::{Process, free_ports};
use crate::scratch::Scratch;

const PROMPT: &str = "* Enter a command: ";

/// A node of a cluster of these, by name.
fn by_name(nodes: &[(u32, String)], place: usize, more: &[&str]) -> Process {
    let (id, listen) = &nodes[place];
    let mut arguments =
        ["node", "--id", &id.to_string(), "--listen", listen].map(str::to_owned).to_vec();
    let others = nodes.iter().enumerate().filter(|(at, _)| *at != place);
    arguments.extend(others.map(|(_, (id, address))| format!("--peer={id}={address}")));
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    Process::start(&arguments)
}

fn serve(nodes: &mut [Process], ids: &[u32]) {
    for (node, id) in nodes.iter_mut().zip(ids) {
        node.expect(&format!("* start node {id} with init value 0"));
        let others = ids.iter().filter(|other| *other != id).map(u32::to_string);
        node.expect(&format!("* others are: {}", others.collect::<Vec<_>>().join(" ")));
        node.expect(PROMPT);
    }
    for node in nodes.iter_mut() {
        node.send("add 2");
        node.expect("* commit command: add 2");
        node.expect(PROMPT);
    }
    for node in nodes {
        node.send("get");
        node.expect("* current value is: 6");
        node.expect("6");
    }
}

#[test]
fn nodes_have_the_ids_and_addresses_that_they_are_given() {
    let [port, other, third] = free_ports();
    let nodes = [
        (3, format!("127.0.0.1:{port}")),
        (1, format!("localhost:{other}")),
        (2, format!("127.0.0.2:{third}")),
    ];
    let mut running = [0, 1, 2].map(|place| by_name(&nodes, place, &[]));
    serve(&mut running, &[3, 1, 2]);
}

#[test]
fn nodes_speak_over_ipv6_too() {
    let [port, other, third] = free_ports();
    let nodes = [(1, port), (2, other), (3, third)].map(|(id, port)| (id, format!("[::1]:{port}")));
    let mut running = [0, 1, 2].map(|place| by_name(&nodes, place, &[]));
    serve(&mut running, &[1, 2, 3]);
}

#[test]
fn as_many_nodes_as_fit_a_datagram_make_a_cluster_over_ipv6() {
    let [port] = free_ports();
    let start = |others: u32| {
        let peers = (2..2 + others).map(|id| format!("--peer={id}=[::1]:{}", 40_000 + id));
        let own = ["node", "--id", "1", "--listen", &format!("[::1]:{port}")].map(str::to_owned);
        Process::start(&[own.to_vec(), peers.collect()].concat())
    };
    let mut node = start(31);
    assert_eq!(node.status().code(), Some(1));
    let errors = node.errors();
    assert!(errors.contains("32 members with addresses as long as this one's do not"), "{errors}");
    assert!(errors.ends_with("a node sends at most 1200; there is no node\n"), "{errors}");
    start(30).expect("* start node 1 with init value 0");
}

#[test]
fn a_file_names_the_nodes_from_zero_on() {
    let [port, other, third] = free_ports();
    let text = format!(
        "# three\nnode0: localhost:{port}\n\nnode1: localhost:{other}\nnode2: localhost:{third}\n"
    );
    let file = Scratch::new("nodes", &text);
    let start = |number: &str| Process::start(&["node", "--config", file.path(), number]);
    let mut running = ["0", "1", "2"].map(start);
    serve(&mut running, &[0, 1, 2]);
}

#[test]
fn a_node_may_listen_elsewhere_than_its_file_says() {
    let ports: [u16; 3] = free_ports();
    let lines = ports.iter().enumerate().map(|(id, port)| format!("node{id}: 127.0.0.2:{port}\n"));
    let file = Scratch::new("elsewhere", &lines.collect::<String>());
    let mut running = [0, 1, 2].map(|place| {
        let (number, listen) = (place.to_string(), format!("0.0.0.0:{}", ports[place]));
        Process::start(&["node", "--config", file.path(), &number, "--listen", &listen])
    });
    serve(&mut running, &[0, 1, 2]);
}

#[test]
fn a_file_of_no_use_is_an_error_that_names_it_and_the_line() {
    let refused = |name: &str, text: &str, number: &str| {
        let file = Scratch::new(name, text);
        let mut node = Process::start(&["node", "--config", file.path(), number]);
        assert_eq!(node.status().code(), Some(1), "{text}");
        assert_eq!(node.rest(), "", "{text}");
        node.errors().replace(file.path(), "FILE")
    };
    let form = "a line has the form node0: host:port";
    let garbage = refused("garbage", "node0: a:1\n\nfrob\n", "0");
    assert_eq!(garbage, format!("error: FILE:3: {form}\n"));
    let twice = refused("twice", "node0: a:1\nnode0: a:2\n", "0");
    assert_eq!(twice, "error: FILE:2: node0 stands here a second time\n");
    let other = refused("other", "node0: a:1\nnode1: a:2\n", "2");
    assert_eq!(other, "error: FILE: it lists no node2, but node0, node1\n");
    assert_eq!(
        refused("none", "", "0"),
        format!("error: FILE:1: there is no node in it; {form}\n")
    );
    let mut node = Process::start(&["node", "--config", "/nowhere/nodes", "0"]);
    assert_eq!(node.status().code(), Some(1));
    assert!(node.errors().starts_with("error: /nowhere/nodes: "), "{}", node.errors());
}

#[test]
fn a_node_that_waits_says_for_whom_and_where() {
    let [port, other, third] = free_ports();
    let nodes = [(1, port), (2, other), (3, third)];
    let nodes = nodes.map(|(id, port)| (id, format!("127.0.0.1:{port}")));
    let first = by_name(&nodes, 0, &[]);
    let second = by_name(&nodes, 1, &[]);
    second.expect_error(&format!("waiting for 3 ({})", nodes[2].1));
    drop(first);
}

#[test]
fn a_cluster_is_as_fast_as_it_is_told() {
    let [port, other, third] = free_ports();
    let nodes = [(1, port), (2, other), (3, third)];
    let nodes = nodes.map(|(id, port)| (id, format!("127.0.0.1:{port}")));
    let quick = ["--heartbeat", "5ms", "--election", "20ms..40ms"];
    let mut running = [0, 1, 2].map(|place| by_name(&nodes, place, &quick));
    serve(&mut running, &[1, 2, 3]);
    let slow = ["--heartbeat", "6s", "--election", "20s..30s"];
    let [port] = free_ports();
    let mut alone = by_name(&[(4, format!("127.0.0.1:{port}"))], 0, &slow);
    alone.send("add 1");
    alone.expect("* start node 4 with init value 0");
    alone.expect("* others are: ");
    alone.expect(PROMPT);
    alone.expect("* commit command: add 1");
    for (wrong, why) in [
        (
            ["--heartbeat", "200ms", "--election", "150ms..300ms"],
            "must be longer than the heartbeat",
        ),
        (["--heartbeat", "50ms", "--election", "300ms..150ms"], "is below the shortest"),
        (["--heartbeat", "50", "--election", "150ms..300ms"], "is no span of time"),
        (["--heartbeat", "2h", "--election", "3h..4h"], "is no span of time"),
    ] {
        let mut node = by_name(&nodes, 0, &wrong);
        assert_eq!(node.status().code(), Some(2), "{wrong:?}");
        assert!(node.errors().contains(why), "{wrong:?}: {}", node.errors());
    }
}

#[test]
fn an_address_that_is_not_of_this_machine_or_is_not_found_is_an_error() {
    let [port, other] = free_ports();
    // No name has a part of more than 63 letters, so nobody is asked for it.
    let nowhere = "x".repeat(64);
    for (listen, peer, why) in [
        (format!("192.0.2.1:{port}"), format!("127.0.0.1:{other}"), "192.0.2.1"),
        (format!("127.0.0.1:{port}"), format!("{nowhere}:{other}"), nowhere.as_str()),
        (format!("127.0.0.1:{port}"), format!("127.0.0.1:{port}"), "cannot both be at"),
    ] {
        let mut node = by_name(&[(1, listen), (2, peer)], 0, &[]);
        assert_eq!(node.status().code(), Some(1), "{why}");
        assert!(node.errors().contains(why), "{why}: {}", node.errors());
    }
}
