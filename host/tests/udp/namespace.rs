//! The same in a network namespace of its own, where the kernel loses datagrams.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::thread;

use coracle_udp::Faults;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::book::{Book, Until};
use crate::cluster::{Cluster, NODES};

/// A network namespace with a loopback interface; it goes with its guard.
struct Namespace {
    name: String,
}

impl Namespace {
    fn new(name: &str) -> Self {
        let name = format!("coracle-{}-{name}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let namespace = Self { name };
        namespace.inside("ip", &["link", "set", "lo", "up"]);
        namespace
    }

    /// Moves this thread in. What it starts from now on, threads, processes and sockets, is inside.
    fn enter(&self) {
        let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Has the kernel drop so many of a thousand datagrams on their way in.
    fn lose(&self, of_thousand: u32) {
        let rule = format!("numgen random mod 1000 < {of_thousand} counter drop");
        self.inside("nft", &["add table inet faults"]);
        let hook = "{ type filter hook input priority 0; }";
        self.inside("nft", &[&format!("add chain inet faults input {hook}")]);
        self.inside("nft", &[&format!("add rule inet faults input meta l4proto udp {rule}")]);
    }

    /// How many it has dropped.
    fn lost(&self) -> u64 {
        let rules = self.inside("nft", &["list table inet faults"]);
        let (_, counted) = rules.split_once("counter packets ").unwrap();
        counted.split_whitespace().next().unwrap().parse().unwrap()
    }

    fn heal(&self) {
        self.inside("nft", &["flush table inet faults"]);
    }

    fn inside(&self, program: &str, arguments: &[&str]) -> String {
        run("ip", &[&["netns", "exec", &self.name, program], arguments].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let mut command = Command::new("ip");
        let status = command.args(["netns", "del", &self.name]).status();
        assert!(thread::panicking() || status.is_ok_and(|status| status.success()));
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn works_while_the_kernel_loses(of_thousand: u32, rounds: usize) {
    let namespace = Namespace::new(&of_thousand.to_string());
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            namespace.enter();
            namespace.lose(of_thousand);
            let trio = Cluster::start(1, &["0"; 3], CLIENTS, Faults::default());
            let book = Book::default();
            book.keep(&trio, CLIENTS, Until::Rounds(rounds), || {});
            let lost = namespace.lost();
            namespace.heal();
            book.check(&trio, &NODES);
            assert!(lost > 30, "hardly anything was lost: {lost}");
            let (acknowledged, asked) = (book.additions(), CLIENTS * rounds);
            assert!(acknowledged * 10 >= asked * 9, "{acknowledged} of {asked} additions");
        });
        inside.join().unwrap();
    });
}

#[test]
#[ignore = "needs root, ip and nft: run tests/run namespaces"]
fn in_a_namespace_that_loses_10_percent_every_acknowledged_command_is_applied_once() {
    works_while_the_kernel_loses(100, 30);
}

#[test]
#[ignore = "needs root, ip and nft: run tests/run namespaces"]
fn in_a_namespace_that_loses_30_percent_every_acknowledged_command_is_applied_once() {
    works_while_the_kernel_loses(300, 8);
}

const CLIENTS: usize = 3;
