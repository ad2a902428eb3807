//! The machine that a node runs on: its disk and its clock outlive the node.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use coracle::{Index, NodeId};

use crate::chance::{Chance, Draws};
use crate::clock::Clock;
use crate::disk::Shared;
use crate::invariants::{Violation, ensure};
use crate::machine::Tape;
use crate::network::Address;
use crate::peer::{Peer, boot};
use crate::plan::Plan;
use crate::queue::Micros;
use crate::run::warm::{Image, is_void};

/// One machine.
pub struct Host {
    /// The node, while it runs.
    pub peer: Option<Box<dyn Peer>>,
    /// What it notes as it applies commands.
    pub tape: Tape,
    /// What it takes for the time.
    pub clock: Clock,
    /// What has arrived and was not looked at yet.
    pub inbox: VecDeque<(Address, Box<[u8]>)>,
    /// When it is woken next.
    pub run_at: Option<Micros>,
    /// Until when it does nothing at all.
    pub paused_until: Micros,
    /// After how many more steps it crashes.
    pub crash_in: Option<(u64, Micros)>,
    /// How long it is down when it crashes in its next write.
    pub crash_in_write: Option<Micros>,
    /// How often it was started: what belonged to an earlier life is ignored.
    pub life: u32,
    /// The number of the last record of which a sync is under way.
    pub syncing: u64,
    /// How many ticks went by in this life, and which configuration it has counted since when.
    pub ticks: u64,
    pub counts_since: (Index, u64),
    /// How often it was woken without any time going by.
    pub idle_wakes: u32,
    /// What the node has left in memory for the next one.
    pub image: Option<Image>,
    /// Whether the node goes on in the life that left that.
    pub is_resumed: bool,
}

impl Host {
    /// A machine that is switched off, and its disk.
    #[must_use]
    pub fn new(plan: &Plan, place: usize) -> (Self, Shared) {
        let chance = Chance::new(plan.seed, 0x6469_7300 + place as u64);
        let host = Self {
            peer: None,
            tape: Tape::default(),
            clock: Clock::new(plan.tick, Micros(0)),
            inbox: VecDeque::new(),
            run_at: None,
            paused_until: Micros(0),
            crash_in: None,
            crash_in_write: None,
            life: 0,
            syncing: 0,
            ticks: 0,
            counts_since: (Index::ZERO, 0),
            idle_wakes: 0,
            image: None,
            is_resumed: false,
        };
        (host, Shared::new(plan.disk.habits, chance))
    }

    /// Starts the node from what its disk holds.
    ///
    /// # Errors
    /// The core refuses what it wrote itself.
    pub fn start(
        &mut self,
        plan: &Plan,
        place: usize,
        disk: &Shared,
        is_aligned: &Rc<Cell<bool>>,
        now: Micros,
    ) -> Result<(), Violation> {
        self.life += 1;
        self.clock = Clock::new(plan.tick, now);
        self.inbox.clear();
        self.tape.borrow_mut().clear();
        self.run_at = None;
        self.idle_wakes = 0;
        self.ticks = 0;
        self.counts_since = (Index::ZERO, 0);
        self.syncing = 0;
        disk.0.borrow_mut().cut_unconfirmed();
        let random = Draws::new(plan.seed, place, self.life, is_aligned);
        let booted = boot(plan, place, random, disk, &self.tape);
        let failure = booted.as_ref().err().cloned();
        ensure(14, failure.is_none(), || {
            format!("node {} does not start: {}", plan.ids[place], failure.unwrap_or_default())
        })?;
        self.peer = booted.ok();
        self.take_up_image(plan.ids[place])
    }

    /// Goes on in the life that left an image, if there is one and nothing is wrong with it.
    fn take_up_image(&mut self, id: NodeId) -> Result<(), Violation> {
        self.is_resumed = false;
        let (Some(peer), Some(mut image)) = (&mut self.peer, self.image.take()) else {
            return Ok(());
        };
        let resumed = peer.resume(&mut image.bytes);
        ensure(14, resumed.is_ok() == image.is_intact, || {
            format!("node {id} says {resumed:?} of an image that is intact: {}", image.is_intact)
        })?;
        self.is_resumed = resumed.is_ok();
        let verdict = is_void(&image.bytes);
        // It stays in memory, and must not be believed again after a crash.
        self.image = Some(Image { is_intact: false, ..image });
        verdict
    }

    /// The power goes.
    pub fn stop(&mut self, disk: &Shared) {
        self.peer = None;
        self.inbox.clear();
        self.crash_in = None;
        self.crash_in_write = None;
        self.run_at = None;
        disk.0.borrow_mut().crash();
    }

    /// Whether one more step is the last one before a crash.
    pub fn is_last_step(&mut self) -> Option<Micros> {
        let (steps, down) = self.crash_in?;
        if steps == 0 {
            return Some(down);
        }
        self.crash_in = Some((steps - 1, down));
        None
    }
}
