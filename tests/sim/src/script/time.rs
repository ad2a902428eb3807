//! Time passes as far as a script says.

use coracle::{RoleName, Ticks};

use super::world::World;
use super::{Done, Stop};
use crate::queue::Micros;

/// What a script waits for.
pub type Awaited<'a> = &'a dyn Fn(&World) -> Result<bool, Stop>;

impl World {
    /// Delivers everything that is not held, and what follows from it, in no time.
    pub fn settle(&mut self) -> Done {
        for _ in 0..MOST_STEPS {
            let Some(datagram) = self.wire.take_oldest() else { return Ok(()) };
            self.arrive(&datagram)?;
        }
        Err(Stop::Failed(format!("{MOST_STEPS} datagrams, and there are still more")))
    }

    /// Lets so much time pass for everybody, while datagrams arrive. Whether what is awaited
    /// came about; then no more time has passed than that took.
    pub fn run(&mut self, span: Ticks, awaited: Option<Awaited<'_>>) -> Result<bool, Stop> {
        let came_about = self.run_on(span, awaited)?;
        // Who was asleep until now knows the time too when it is asked for something next.
        for place in 0..self.hosts.len() {
            if self.is_awake(place) {
                self.wake(place)?;
            }
        }
        Ok(came_about)
    }

    fn run_on(&mut self, span: Ticks, awaited: Option<Awaited<'_>>) -> Result<bool, Stop> {
        let end = self.now.plus(Micros(span.0));
        for _ in 0..MOST_STEPS {
            if let Some(awaited) = awaited
                && awaited(self)?
            {
                return Ok(true);
            }
            if let Some(datagram) = self.wire.take_due(self.now) {
                self.arrive(&datagram)?;
                continue;
            }
            match self.next_alarm() {
                Some((at, who)) if at <= self.now => self.ring(who)?,
                alarm => {
                    let alarm = alarm.map(|(at, _)| at);
                    let due = self.wire.next_due().map(|(at, _)| at);
                    let next = alarm.into_iter().chain(due).min().unwrap_or(end);
                    if next > end {
                        self.now = end;
                        return Ok(false);
                    }
                    // Nobody waits for anything within the span.
                    if next == end && self.now == end {
                        return Ok(false);
                    }
                    self.now = next;
                }
            }
        }
        Err(Stop::Failed(format!("{MOST_STEPS} steps did not end it")))
    }

    /// Lets so many ticks pass for one node alone. It wakes whenever something is due.
    pub fn tick(&mut self, place: usize, span: Ticks) -> Done {
        let mut left = span;
        for _ in 0..MOST_STEPS {
            let due = self.peer(place)?.next_timeout().unwrap_or(Ticks::NEVER);
            let step = due.max(Ticks(1)).min(left);
            left = left.since(step);
            self.pass(place, step)?;
            self.poll_all(place)?;
            if left == Ticks(0) || !self.is_up(place) {
                return Ok(());
            }
        }
        Err(Stop::Failed(format!("{MOST_STEPS} steps did not end it")))
    }

    /// Lets time pass for one node alone until it campaigns, and tells how much that was.
    pub fn campaign(&mut self, place: usize) -> Result<Ticks, Stop> {
        let before = self.pre_elections(place)?;
        let most = self.plan.timing.election_max.0.saturating_mul(2);
        let mut spent = 0;
        while spent <= most {
            let due = self.peer(place)?.next_timeout().unwrap_or(Ticks(1)).max(Ticks(1));
            spent += due.0;
            self.pass(place, due)?;
            // Told before its datagrams are, it may crash as it sends them.
            let campaigns = self.pre_elections(place)? > before;
            self.poll_all(place)?;
            if campaigns {
                return Ok(Ticks(spent));
            }
        }
        Err(Stop::Failed(format!("{} does not campaign in {most} ticks", place + 1)))
    }

    fn pre_elections(&self, place: usize) -> Result<u32, Stop> {
        Ok(self.peer(place)?.raft().counters().pre_elections)
    }

    /// Lets time pass for those who follow until they may vote again, but not until they campaign.
    pub fn forget_leaders(&mut self, except: usize) -> Done {
        let span = self.plan.timing.election_min;
        for place in (0..self.hosts.len()).filter(|place| *place != except) {
            if !self.is_awake(place) || self.peer(place)?.raft().role() != RoleName::Follower {
                continue;
            }
            let due = self.peer(place)?.next_timeout().unwrap_or(Ticks::NEVER);
            self.tick(place, span.min(Ticks(due.0.saturating_sub(1).max(1))))?;
        }
        Ok(())
    }

    fn next_alarm(&self) -> Option<(Micros, Who)> {
        let nodes =
            (0..self.hosts.len()).filter(|place| self.is_awake(*place)).filter_map(|place| {
                let host = &self.hosts[place];
                let ticks = host.peer.as_ref()?.next_timeout()?;
                Some((host.clock.when(ticks), Who::Node(place)))
            });
        let clients = self.clients.iter().enumerate().filter_map(|(place, client)| {
            Some((client.as_ref()?.due(self.now)?, Who::Client(place)))
        });
        nodes.chain(clients).min()
    }

    fn ring(&mut self, who: Who) -> Done {
        match who {
            Who::Node(place) => self.wake(place),
            Who::Client(client) => self.step_client(client),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Node(usize),
    Client(usize),
}

/// Nothing that a script asks for takes more.
const MOST_STEPS: usize = 200_000;
