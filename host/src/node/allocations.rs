//! The loop of a node allocates nothing for a command: counted by the allocator of this program's
//! unit tests, on three nodes that speak over the loopback interface.

use std::array;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use clap::Parser;
use coracle::Timing;
use coracle_bench::allocations::count;

use super::*;
use crate::client::Session;
use crate::commands::{IntegerLine, parse_integer_line};
use crate::roster::{loopback, servers_on};

/// What a node has whose arguments say nothing.
#[derive(Parser)]
struct Usual {
    #[command(flatten)]
    node: NodeArguments,
}

/// A node's loop in a thread of its own, which tells after each turn what it has allocated so far.
fn serve(ports: [u16; 3], place: usize, allocated: &AtomicU64, is_over: &AtomicBool) {
    let others: Vec<u16> = ports.iter().copied().filter(|other| *other != ports[place]).collect();
    let roster = Roster::of_ports(ports[place], &others);
    let timing = Timing::from_heartbeat(Ticks(20_000));
    let Usual { node: usual } = Usual::parse_from(["node", "--id", "1", "--listen", "localhost:1"]);
    let socket = bind(loopback(ports[place]), BIND_PATIENCE).unwrap();
    let (_requests, inbox) = sync_channel(1);
    let (outbox, _outcomes) = channel();
    let event_loop = EventLoop::new(socket).unwrap();
    let counted = (event_loop.waker(), event_loop.traffic.clone());
    let node = setup::node(&roster, timing, &usual, counted).unwrap();
    let mut process = Process::new(roster, node, event_loop, (inbox, outbox)).unwrap();
    while !is_over.load(Ordering::Relaxed) {
        assert_eq!(process.turn().unwrap(), Life::GoesOn);
        allocated.store(count(), Ordering::Relaxed);
    }
}

#[test]
fn a_node_allocates_nothing_for_a_command() {
    let before = count();
    drop(std::hint::black_box(Vec::<u8>::with_capacity(1)));
    assert_eq!(count(), before + 1, "the allocator counts");
    let sockets: [UdpSocket; 3] = array::from_fn(|_| bind(loopback(0), BIND_PATIENCE).unwrap());
    let ports = sockets.map(|socket| socket.local_addr().unwrap().port());
    let (allocated, is_over) = ([const { AtomicU64::new(0) }; 3], AtomicBool::new(false));
    let counts = || allocated.each_ref().map(|count| count.load(Ordering::Relaxed));
    thread::scope(|scope| {
        for (place, allocated) in allocated.iter().enumerate() {
            let is_over = &is_over;
            scope.spawn(move || serve(ports, place, allocated, is_over));
        }
        let result = scope.spawn(|| {
            let mut session = Session::new(&servers_on(&ports)).unwrap();
            let Ok(IntegerLine::Change(command)) = parse_integer_line("add 1") else { panic!() };
            let mut change = |times| (0..times).all(|_| session.change(&command).is_ok());
            // The first commands find the leader and open the session.
            let is_warm = change(50);
            let before = counts();
            (is_warm && change(1000), before, counts())
        });
        let result = result.join();
        is_over.store(true, Ordering::Relaxed);
        let (are_done, before, after) = result.unwrap();
        assert!(are_done, "a command failed");
        assert_eq!(before, after, "after the first commands no node allocates");
    });
}
