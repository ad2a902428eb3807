//! Many seeds, on every processor there is.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::chance::mix;
use crate::invariants::Violation;
use crate::report::Counts;
use crate::run::{Trace, run};

/// What came of many runs.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// How many runs ended.
    pub runs: u64,
    /// A hash of all of them, whatever the order in which they ended.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// What happened how often.
    pub counts: Counts,
    /// The lowest seed that failed, and how.
    pub failure: Option<(u64, Violation)>,
}

/// Runs `count` seeds from `start` on, and tells `progress` of each. It stops at a failure.
pub fn run_all(start: u64, count: u64, progress: impl Fn() + Sync) -> Batch {
    let next = AtomicU64::new(0);
    let batch = Mutex::new(Batch::default());
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= count {
                return;
            }
            let seed = start.wrapping_add(place);
            let one = run_one(seed);
            progress();
            let has_failed = one.failure.is_some();
            if let Ok(mut batch) = batch.lock() {
                batch.merge(one);
            }
            if has_failed {
                // The others finish the lower seeds that they have begun.
                next.store(count, Ordering::Relaxed);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    batch.into_inner().unwrap_or_default()
}

/// Runs one seed; a panic is a failure like any other.
#[must_use]
pub fn run_one(seed: u64) -> Batch {
    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, Trace::Off)));
    match outcome {
        Ok(outcome) => Batch {
            runs: 1,
            hash: mix(seed, outcome.hash),
            events: outcome.events,
            counts: outcome.counts,
            failure: outcome.verdict.err().map(|violation| (seed, violation)),
        },
        Err(_) => {
            let violation = Violation { invariant: 13, seen: "a panic, see above".to_owned() };
            Batch { runs: 1, failure: Some((seed, violation)), ..Batch::default() }
        }
    }
}

impl Batch {
    fn merge(&mut self, one: Self) {
        self.runs += one.runs;
        self.hash = self.hash.wrapping_add(one.hash);
        self.events += one.events;
        self.counts.merge(&one.counts);
        if let Some((seed, violation)) = one.failure
            && self.failure.as_ref().is_none_or(|(lowest, _)| seed < *lowest)
        {
            self.failure = Some((seed, violation));
        }
    }
}
