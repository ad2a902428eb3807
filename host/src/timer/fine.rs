//! A timer of microseconds, of Linux.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use coracle::Ticks;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// One deadline. Reaching it makes an event, which need not be acknowledged.
pub struct Timer {
    descriptor: OwnedFd,
    /// When it will fire or has fired; [`Ticks::NEVER`] before its first use.
    armed: Ticks,
}

impl Timer {
    /// A timer whose events carry `token`.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&descriptor.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { descriptor, armed: Ticks::NEVER })
    }

    /// Makes an event at `deadline` or before it, so that the wait itself needs no limit.
    ///
    /// An earlier deadline that is still to come stays: one needless event costs less than a system
    /// call for each command that moves the deadline back.
    pub fn arm(&mut self, deadline: Ticks, now: Ticks) -> io::Result<Option<Duration>> {
        let is_armed = self.armed > now && self.armed != Ticks::NEVER;
        if is_armed && self.armed <= deadline {
            return Ok(None);
        }
        let span = deadline.since(now).0.clamp(1, LONGEST);
        let once = Itimerspec { it_interval: timespec(0), it_value: timespec(span) };
        timerfd_settime(&self.descriptor, TimerfdTimerFlags::empty(), &once)?;
        self.armed = now.plus(Ticks(span));
        Ok(None)
    }
}

fn timespec(micros: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(micros % 1_000_000 * 1000).unwrap_or(0),
    }
}

/// A day: whoever waits longer may wake up in between.
const LONGEST: u64 = 24 * 3600 * 1_000_000;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use mio::{Events, Poll};

    use super::*;

    fn fired(poll: &mut Poll, within: Duration) -> bool {
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(within)).unwrap();
        !events.is_empty()
    }

    #[test]
    fn it_fires_again_and_again_though_nobody_reads_it() {
        let mut poll = Poll::new().unwrap();
        let mut timer = Timer::new(poll.registry(), Token(7)).unwrap();
        let start = Instant::now();
        for _ in 0..5 {
            let now = Ticks(u64::try_from(start.elapsed().as_micros()).unwrap());
            timer.arm(now.plus(Ticks(300)), now).unwrap();
            assert!(fired(&mut poll, Duration::from_secs(5)));
            let after = Ticks(u64::try_from(start.elapsed().as_micros()).unwrap());
            assert!(after >= now.plus(Ticks(300)), "fired before its time");
        }
    }

    #[test]
    fn a_later_deadline_leaves_an_earlier_one_in_place_and_an_earlier_one_replaces_it() {
        let mut poll = Poll::new().unwrap();
        let mut timer = Timer::new(poll.registry(), Token(7)).unwrap();
        timer.arm(Ticks(3_600_000_000), Ticks(0)).unwrap();
        timer.arm(Ticks(1000), Ticks(0)).unwrap();
        timer.arm(Ticks(7_200_000_000), Ticks(1)).unwrap();
        assert!(fired(&mut poll, Duration::from_secs(5)));
    }

    #[test]
    fn a_deadline_that_has_passed_fires_at_once() {
        let mut poll = Poll::new().unwrap();
        let mut timer = Timer::new(poll.registry(), Token(7)).unwrap();
        timer.arm(Ticks(5), Ticks(9)).unwrap();
        assert!(fired(&mut poll, Duration::from_secs(5)));
    }
}
