//! A timer without help from the system: the wait itself is as long as the deadline is away.

use std::io;
use std::time::Duration;

use coracle::Ticks;
use mio::{Registry, Token};

/// One deadline.
pub struct Timer;

impl Timer {
    /// A timer that makes no events.
    #[allow(clippy::unnecessary_wraps, reason = "the finer timer can fail")]
    pub const fn new(_registry: &Registry, _token: Token) -> io::Result<Self> {
        Ok(Self)
    }

    /// How long to wait at most. `mio` rounds it up, so that the deadline has passed then.
    #[allow(clippy::unnecessary_wraps, reason = "the finer timer can fail")]
    pub const fn arm(&mut self, deadline: Ticks, now: Ticks) -> io::Result<Option<Duration>> {
        Ok(Some(Duration::from_micros(deadline.since(now).0)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use mio::{Events, Poll};

    use super::*;

    #[test]
    fn a_wait_is_not_over_before_the_deadline() {
        let mut poll = Poll::new().unwrap();
        let mut timer = Timer::new(poll.registry(), Token(7)).unwrap();
        let mut events = Events::with_capacity(4);
        for micros in [0, 1, 300, 1700] {
            let start = Instant::now();
            let wait = timer.arm(Ticks(5 + micros), Ticks(5)).unwrap();
            poll.poll(&mut events, wait).unwrap();
            assert!(start.elapsed() >= Duration::from_micros(micros), "{micros}");
        }
    }

    #[test]
    fn a_deadline_that_has_passed_is_not_waited_for() {
        let poll = Poll::new().unwrap();
        let mut timer = Timer::new(poll.registry(), Token(7)).unwrap();
        assert_eq!(timer.arm(Ticks(5), Ticks(9)).unwrap(), Some(Duration::ZERO));
    }
}
