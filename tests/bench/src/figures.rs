//! What is measured while commands run, and what comes out for each.

use std::fmt;
use std::time::Instant;

use cpu_time::ThreadTime;

use crate::allocations;
use crate::cluster::Traffic;

/// What one command costs.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Processor time, in nanoseconds.
    pub cpu_ns: f64,
    /// Time on the wall, in nanoseconds.
    pub wall_ns: f64,
    /// Allocations.
    pub allocs: f64,
    /// Datagrams between the nodes.
    pub msgs: f64,
    /// Bytes in them, without those of UDP.
    pub wire: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu_ns, wall_ns, allocs, msgs, wire } = self;
        write!(f, "cpu_ns={cpu_ns:.1} wall_ns={wall_ns:.1} allocs={allocs:.3} ")?;
        write!(f, "msgs={msgs:.3} wire={wire:.1}")
    }
}

/// Where the clocks and counts stood when the measured phase began.
pub struct Measurement {
    wall: Instant,
    cpu: ThreadTime,
    allocations: u64,
    traffic: Traffic,
}

impl Measurement {
    /// Begins.
    pub fn start(traffic: Traffic) -> Self {
        let allocations = allocations::count();
        Self { wall: Instant::now(), cpu: ThreadTime::now(), allocations, traffic }
    }

    /// Ends, and divides by the number of commands.
    pub fn end(self, traffic: Traffic, operations: u64) -> Figures {
        let wall = self.wall.elapsed();
        let cpu = self.cpu.elapsed();
        let allocations = allocations::count() - self.allocations;
        let each = |total: u64| total as f64 / operations as f64;
        Figures {
            cpu_ns: cpu.as_secs_f64() * 1e9 / operations as f64,
            wall_ns: wall.as_secs_f64() * 1e9 / operations as f64,
            allocs: each(allocations),
            msgs: each(traffic.datagrams - self.traffic.datagrams),
            wire: each(traffic.bytes - self.traffic.bytes),
        }
    }
}
