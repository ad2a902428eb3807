//! The stage of a script, and what all scripts do on it.

use coracle_model::invariants::Violation;
use coracle_model::message::{Body, Entry, Kind};
use coracle_model::mistakes::Mistake;
use coracle_model::rules::{Process, Role, Rules};
use coracle_model::world::{Step, World};

pub struct Stage {
    pub rules: Rules,
    pub world: World,
    pub next: usize,
}

pub type Outcome = Result<bool, Violation>;

impl Stage {
    pub fn new(members: u8, mistake: Option<Mistake>) -> Self {
        let rules = Rules { members, mistake, reset: false, first_start: false };
        Self { rules, world: World::new(&rules), next: 0 }
    }

    pub fn take(&mut self, step: Step) -> Outcome {
        self.world.step(&self.rules, step)
    }

    /// Delivers what was sent since the last call, and what follows, between these; loses the rest.
    pub fn settle(&mut self, ids: &[u8]) -> Outcome {
        while let Some(message) = self.world.network.get(self.next) {
            let is_ours = ids.contains(&message.from.id) && ids.contains(&message.to.id);
            if is_ours {
                self.take(Step::Deliver(self.next))?;
            }
            self.next += 1;
        }
        Ok(true)
    }

    pub fn act(&mut self, step: Step, ids: &[u8]) -> Outcome {
        self.next = self.world.network.len();
        self.take(step)?;
        self.settle(ids)
    }

    /// The numbers of the answers from one to another so far.
    pub fn answers(&self, to: u8) -> Vec<usize> {
        let all = self.world.network.iter().enumerate();
        all.filter(|(_, message)| {
            message.to.id == to && matches!(message.body, Body::HelloReply { .. })
        })
        .map(|(number, _)| number)
        .collect()
    }

    /// An epoch whose members are committed, by these.
    pub fn formed(members: u8, mistake: Option<Mistake>, by: &[u8]) -> Self {
        let mut stage = Self::new(members, mistake);
        let all: Vec<u8> = (0..members).collect();
        stage.act(Step::Round(0), &all).expect("nothing is wrong yet");
        for _ in 0..3 {
            stage.act(Step::Replicate(0), by).expect("nothing is wrong yet");
        }
        assert!(stage.world.processes[0].commit > 0);
        stage
    }

    /// An epoch of all whose first command is acknowledged, and known to each.
    pub fn serving(members: u8) -> Self {
        let all: Vec<u8> = (0..members).collect();
        let mut stage = Self::formed(members, None, &all);
        stage.take(Step::Propose(0)).expect("no violation");
        for _ in 0..2 {
            stage.act(Step::Replicate(0), &all).expect("no violation");
        }
        assert_eq!(stage.world.ledger.acknowledged(), 1);
        assert!(stage.world.processes.iter().all(|process| holds(process, 1)));
        stage
    }

    /// The leader takes a new life of this id as its learner and feeds it all, between these.
    pub fn feed(&mut self, leader: u8, learner: u8, ids: &[u8]) {
        self.act(Step::Round(leader), ids).expect("no violation");
        assert_eq!(self.take(Step::Manage(leader)), Ok(true));
        for _ in 0..2 {
            self.act(Step::Replicate(leader), ids).expect("no violation");
        }
        let leader = &self.world.processes[usize::from(leader)];
        assert_eq!(self.world.processes[usize::from(learner)].log, leader.log);
    }

    /// These live on for some turns, and all that they say to each other arrives.
    pub fn live(&mut self, ids: &[u8]) -> Outcome {
        for turn in 0..12 {
            for id in ids {
                self.act(Step::Round(*id), ids)?;
            }
            for id in ids {
                self.take(Step::Manage(*id))?;
                self.take(Step::Decide(*id))?;
                self.act(Step::Replicate(*id), ids)?;
                self.act(Step::Replicate(*id), ids)?;
            }
            let leads = |id: &u8| self.process(*id).role == Role::Leader;
            if !ids.iter().any(leads) {
                self.act(Step::Campaign(ids[turn % ids.len()]), ids)?;
            }
        }
        Ok(true)
    }

    /// One more command is taken by whoever leads, and acknowledged by these.
    pub fn serve(&mut self, ids: &[u8]) {
        let before = self.world.ledger.acknowledged();
        for id in ids {
            self.take(Step::Propose(*id)).expect("no violation");
        }
        self.live(ids).expect("no violation");
        assert!(self.world.ledger.acknowledged() > before, "{}", self.world.summary());
    }

    pub fn process(&self, id: u8) -> &Process {
        &self.world.processes[usize::from(id)]
    }

    /// The last message to this id of which this is true.
    pub fn last_to(&self, id: u8, is: impl Fn(&Body) -> bool) -> usize {
        let network = &self.world.network;
        let last = network.iter().rposition(|message| message.to.id == id && is(&message.body));
        last.expect("it was sent")
    }
}

/// Whether a process has this command in its log.
pub fn holds(process: &Process, command: u8) -> bool {
    process.log.iter().any(|entry: &Entry| entry.kind == Kind::Command(command))
}
