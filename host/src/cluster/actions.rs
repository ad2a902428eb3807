//! What the prompt does to nodes and to the network between them.

use std::thread;
use std::time::{Duration, Instant};

use coracle::{NodeId, RoleName};

use super::lead::{Answer, Lead, Voters};
use super::network::{list, shown};
use super::nodes::OrderFailure;
use super::{ASK_INTERVAL, Cluster};
use crate::client::Roll;
use crate::faults::{Delay, Order, Probability};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// End a node, as a power cut would.
    Kill(Who),
    /// Start a node again; one that runs is ended first.
    Restart(Who),
    /// Have a node do nothing, without its knowing.
    Pause(Who),
    /// Have it go on.
    Resume(Who),
    /// Cut groups of nodes off from each other.
    Partition(Vec<Vec<Who>>),
    /// Lose datagrams between nodes.
    Loss(Probability),
    /// Double them.
    Duplicate(Probability),
    /// Delay them.
    Delay(Delay),
    /// End what is wrong with the network.
    Heal,
    /// Show the members.
    Members,
    /// Hand leadership over, to this node or to one that the leader chooses.
    Transfer(Option<Who>),
    /// Start one more node, and have it taken in.
    Join,
    /// Take a member out.
    Remove(Who),
    /// Give a learner a vote.
    Promote(Who),
    /// Take a voter its vote.
    Demote(Who),
    /// Have a node give the cluster up, and go on alone with what it holds.
    Recover(Who),
}

/// A node as people name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever leads.
    Leader,
    /// The one with this id.
    Node(NodeId),
}

impl Cluster {
    /// Does it, and says what has come of it.
    ///
    /// # Errors
    /// When it was not done, or not in full; says which.
    pub fn act(&mut self, action: Action) -> Result<String, String> {
        match action {
            Action::Kill(who) => self.kill(who),
            Action::Restart(who) => self.restart(who),
            Action::Pause(who) => self.pause(who),
            Action::Resume(who) => self.resume(who),
            Action::Partition(groups) => self.partition(groups),
            Action::Loss(loss) => {
                self.network.loss = loss;
                self.change_weather("no datagram between nodes is lost on purpose any more")
            }
            Action::Duplicate(duplicate) => {
                self.network.duplicate = duplicate;
                self.change_weather("no datagram between nodes is doubled any more")
            }
            Action::Delay(delay) => {
                self.network.delay = delay;
                self.change_weather("no datagram between nodes is delayed any more")
            }
            Action::Heal => self.heal(),
            Action::Members => self.show_members(),
            Action::Transfer(to) => self.transfer(to),
            Action::Join => self.join(),
            Action::Remove(who) => self.remove(who),
            Action::Promote(who) => self.promote(who),
            Action::Demote(who) => self.demote(who),
            Action::Recover(who) => self.recover(who),
        }
    }

    fn kill(&mut self, who: Who) -> Result<String, String> {
        let (place, id) = self.running(who)?;
        self.nodes.kill(place);
        self.paused.retain(|paused| *paused != id);
        Ok(format!("killed node {id}; {}", self.lead()))
    }

    fn restart(&mut self, who: Who) -> Result<String, String> {
        let (place, id) = self.find(who)?;
        self.nodes.kill(place);
        self.paused.retain(|paused| *paused != id);
        let is_strange = self.nodes.comes_back_strange(id);
        if let Err(why) = self.nodes.start(place) {
            return Err(format!("failed: node {id} did not start again, and is down: {why}"));
        }
        self.inform([place])?;
        self.await_answer(place);
        let lead = self.wait_for_lead();
        if matches!(lead, Lead::By { .. }) {
            if is_strange {
                self.take_back(place);
            }
            self.await_part(place);
        }
        let fresh = match self.observer.status(place).map(|status| status.role) {
            Err(_) => "it does not answer yet",
            Ok(RoleName::Blank) => "it has nothing stored, and is not taken in yet",
            Ok(_) => "it takes part",
        };
        Ok(format!("restarted node {id}: {fresh}; {lead}"))
    }

    fn pause(&mut self, who: Who) -> Result<String, String> {
        let (place, id) = self.running(who)?;
        if self.paused.contains(&id) {
            return Err(refused(format_args!("node {id} is paused already")));
        }
        let confirmed = self.nodes.order(place, &[Order::Pause]);
        // One that has not confirmed it may follow it at any time, and must not be beyond `resume`.
        if matches!(confirmed, Ok(()) | Err(OrderFailure::Silent(_))) {
            self.paused.push(id);
        }
        confirmed.map_err(|why| unfollowed(id, &why))?;
        Ok(format!("paused node {id}: it does nothing until resume {id}; {}", self.lead()))
    }

    fn resume(&mut self, who: Who) -> Result<String, String> {
        let (place, id) = self.running(who)?;
        if !self.paused.contains(&id) {
            return Err(refused(format_args!("node {id} is not paused")));
        }
        self.nodes.order(place, &[Order::Resume]).map_err(|why| unfollowed(id, &why))?;
        self.paused.retain(|paused| *paused != id);
        Ok(format!("resumed node {id}; {}", self.lead()))
    }

    fn partition(&mut self, groups: Vec<Vec<Who>>) -> Result<String, String> {
        let mut resolve = |who| self.find(who).map(|(_, id)| id);
        let groups = groups.into_iter().map(|group| group.into_iter().map(&mut resolve).collect());
        let groups = groups.collect::<Result<Vec<Vec<NodeId>>, String>>()?;
        let all = self.ids();
        self.network.partition(groups, &all).map_err(refused)?;
        self.inform_all()?;
        Ok(format!("cut: {}; {}", shown(self.network.groups()), self.lead()))
    }

    fn change_weather(&mut self, none: &str) -> Result<String, String> {
        self.inform_all()?;
        let weather = self.network.weather();
        Ok(if weather.is_empty() { none.to_owned() } else { weather.join("\n") })
    }

    fn heal(&mut self) -> Result<String, String> {
        self.network.heal();
        self.inform_all()?;
        let mut healed = "healed: nothing is cut, lost, doubled or delayed".to_owned();
        if !self.paused.is_empty() {
            healed.push_str(&format!("; still paused: {}", list(&self.paused)));
        }
        let is_down = |place: &usize| !self.nodes.is_running(*place);
        let down = (0..self.nodes.members().len()).filter(is_down);
        let down: Vec<NodeId> = down.map(|place| self.nodes.members()[place].id).collect();
        if !down.is_empty() {
            healed.push_str(&format!("; still down: {}", list(&down)));
        }
        Ok(format!("{healed}; {}", self.lead()))
    }

    /// Has all nodes that run take their part in the network as it is to be now.
    pub(super) fn inform_all(&mut self) -> Result<(), String> {
        let running = (0..self.nodes.members().len()).filter(|at| self.nodes.is_running(*at));
        let running: Vec<usize> = running.collect();
        self.inform(running)
    }

    fn inform(&mut self, places: impl IntoIterator<Item = usize>) -> Result<(), String> {
        let members = self.nodes.members().to_vec();
        let all = self.ids();
        let mut failures = Vec::new();
        for place in places {
            let id = members[place].id;
            // Those that came later are news to it.
            let others = members.iter().filter(|other| other.id != id);
            let mut orders: Vec<Order> =
                others.map(|other| Order::Meet(other.id, other.address)).collect();
            orders.extend(self.network.orders(id, &all));
            if let Err(why) = self.nodes.order(place, &orders) {
                failures.push(format!("node {id} {why}"));
            }
        }
        if failures.is_empty() {
            return Ok(());
        }
        Err(format!("failed in part: {}; all others have followed", failures.join(", ")))
    }

    pub(super) fn running(&mut self, who: Who) -> Result<(usize, NodeId), String> {
        let (place, id) = self.find(who)?;
        if self.nodes.is_running(place) {
            return Ok((place, id));
        }
        Err(refused(format_args!("node {id} is down; restart {id} starts it")))
    }

    pub(super) fn find(&mut self, who: Who) -> Result<(usize, NodeId), String> {
        let id = match who {
            Who::Node(id) => id,
            Who::Leader => match self.wait_for_lead() {
                Lead::By { leader, .. } => leader,
                lead @ (Lead::Nobody | Lead::Impossible { .. }) => return Err(refused(lead)),
            },
        };
        let place = self.nodes.members().iter().position(|node| node.id == id);
        place.map(|place| (place, id)).ok_or_else(|| {
            refused(format_args!("there is no node {id}, but {}", list(&self.ids())))
        })
    }

    /// Who leads, as soon as somebody does, but not later than after a few seconds.
    pub(super) fn lead(&mut self) -> String {
        self.wait_for_lead().to_string()
    }

    pub(super) fn wait_for_lead(&mut self) -> Lead {
        let deadline = Instant::now() + LEAD_LIMIT;
        loop {
            let members = self.nodes.members().to_vec();
            let mut answers = Vec::with_capacity(members.len());
            for (place, member) in members.iter().enumerate() {
                if self.nodes.is_running(place) && !self.paused.contains(&member.id) {
                    answers.push((member.id, self.observer.status(place).ok()));
                }
            }
            let voters = self.voters(&answers);
            let lead = Lead::of(&answers, &voters, &self.network);
            if lead != Lead::Nobody || Instant::now() >= deadline {
                return lead;
            }
            thread::sleep(ASK_INTERVAL);
        }
    }

    /// Those of the latest configuration that any of these nodes knows.
    fn voters(&mut self, answers: &[Answer]) -> Voters {
        let mut latest: Option<Roll> = None;
        for (place, member) in self.nodes.members().iter().enumerate() {
            let knows = |(id, status): &Answer| {
                *id == member.id && status.is_some_and(|it| it.role != RoleName::Blank)
            };
            if answers.iter().any(knows)
                && let Ok(roll) = self.observer.members_at(place)
                && !roll.members.is_empty()
                && latest.as_ref().is_none_or(|latest| latest.version < roll.version)
            {
                latest = Some(roll);
            }
        }
        latest.map_or_else(
            || Voters::before_formation(&self.ids()),
            |latest| Voters::of(&latest.members),
        )
    }

    /// Waits until a node is no longer blank, but not longer than a few seconds.
    fn await_part(&mut self, place: usize) {
        let deadline = Instant::now() + LEAD_LIMIT;
        while Instant::now() < deadline {
            match self.observer.status(place) {
                Ok(status) if status.role == RoleName::Blank => thread::sleep(ASK_INTERVAL),
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Waits until a node answers, but not longer than a few seconds.
    fn await_answer(&mut self, place: usize) {
        let deadline = Instant::now() + LEAD_LIMIT;
        while self.observer.status(place).is_err() && Instant::now() < deadline {}
    }
}

fn unfollowed(id: NodeId, why: &OrderFailure) -> String {
    match why {
        OrderFailure::Silent(_) => format!("failed: node {id} {why}"),
        OrderFailure::Ended | OrderFailure::NotFollowed(_) => {
            refused(format_args!("node {id} {why}"))
        }
    }
}

pub(super) fn refused(why: impl std::fmt::Display) -> String {
    format!("refused: {why}; nothing happened")
}

/// Many times the longest election timeout.
const LEAD_LIMIT: Duration = Duration::from_secs(3);
