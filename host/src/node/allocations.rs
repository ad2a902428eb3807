//! The loop of a node allocates nothing for a command: counted by the allocator of this program's
//! unit tests, on three nodes that speak over the loopback interface.

#![allow(unsafe_code, reason = "an allocator is unsafe to implement; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::array;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use clap::Parser;
use coracle::Timing;

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

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    // It has no destructor and a constant start, so reading it never allocates.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn add() {
    COUNT.set(COUNT.get() + 1);
}

// SAFETY: every call is the system allocator's own, with the arguments that came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add();
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        add();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(memory, layout, bytes) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// A node's loop in a thread of its own, which tells after each turn what it has allocated so far.
fn serve(ports: [u16; 3], place: usize, allocated: &AtomicU64, is_over: &AtomicBool) {
    let others: Vec<u16> = ports.iter().copied().filter(|other| *other != ports[place]).collect();
    let roster = Roster::of_ports(ports[place], &others);
    let timing = Timing::from_heartbeat(Ticks(20_000));
    let Usual { node: usual } = Usual::parse_from(["node", "--id", "1", "--listen", "localhost:1"]);
    let node = setup::node(&roster, timing, &usual.limits, &usual.joining, &BigInt::ZERO).unwrap();
    let socket = bind(loopback(ports[place]), BIND_PATIENCE).unwrap();
    let (_requests, inbox) = sync_channel(1);
    let (outbox, _outcomes) = channel();
    let event_loop = EventLoop::new(socket).unwrap();
    let mut process = Process::new(roster, node, event_loop, (inbox, outbox)).unwrap();
    while !is_over.load(Ordering::Relaxed) {
        assert_eq!(process.turn().unwrap(), Life::GoesOn);
        allocated.store(COUNT.get(), Ordering::Relaxed);
    }
}

#[test]
fn a_node_allocates_nothing_for_a_command() {
    let before = COUNT.get();
    drop(std::hint::black_box(Vec::<u8>::with_capacity(1)));
    assert_eq!(COUNT.get(), before + 1, "the allocator counts");
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
