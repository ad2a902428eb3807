//! What the prompt has the cluster do with its members.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use coracle::{Change, NodeId, Part};

use super::actions::refused;
use super::lead::Lead;
use super::nodes::{Member, StartError};
use super::{ASK_INTERVAL, Cluster, MOST_ATTEMPTS, Who, free_ports};
use crate::cli::MAX_NODES;
use crate::client::{Failure, Session};
use crate::member::{self, Newcomer, WHEN_IT_HAS_THE_LOG};
use crate::roster::loopback;
use crate::servers::server;

impl Cluster {
    pub(super) fn show_members(&mut self) -> Result<String, String> {
        let roll = self.observer.members().map_err(said)?;
        Ok(member::list(&roll, false))
    }

    /// Hands leadership over to this node, or to one that the leader chooses.
    pub(super) fn transfer(&mut self, to: Option<Who>) -> Result<String, String> {
        let to = to.map(|who| self.find(who)).transpose()?.map(|(_, id)| id);
        let leader = self.observer.transfer(to).map_err(said)?;
        Ok(format!("node {leader} leads"))
    }

    /// Starts one more node, has it taken in, and waits until it has its part: a vote, where nodes
    /// can be trusted to remember theirs.
    pub(super) fn join(&mut self) -> Result<String, String> {
        let lead = self.wait_for_lead();
        let Lead::By { leader, .. } = lead else { return Err(refused(lead)) };
        if self.nodes.members().len() >= MAX_NODES {
            return Err(refused(format_args!("there are {MAX_NODES} nodes already")));
        }
        let part = if self.nodes.are_durable() { Part::Voter } else { Part::Learner };
        let (id, address) = self.start_another()?;
        self.network.admit(id, leader);
        let known = self.reconnect().map_err(|why| why.to_string()).and_then(|()| {
            self.inform_all()?;
            let newcomer = Newcomer::meet_at(address, ANSWER_LIMIT);
            newcomer.map_err(|why| why.to_string())
        });
        let newcomer = match known {
            Ok(newcomer) => newcomer,
            Err(why) => return Err(self.without(id, &why)),
        };
        match newcomer.add(&mut self.observer, part == Part::Voter) {
            Ok(_) => self.nodes.is_in(id),
            Err(Failure::Refused(why)) => return Err(self.without(id, &why)),
            Err(failure @ Failure::Unknown(_)) => {
                return Err(format!("{failure}; node {id} runs, and waits to be added"));
            }
        }
        let version = newcomer.await_part(&mut self.observer, part, JOIN_LIMIT);
        let version = version.map_err(|why| {
            format!("failed in part: node {id} is taken in, but is no {part} yet: {why}")
        })?;
        Ok(format!("joined: node {id} at {address} is a {part} (version {version})"))
    }

    /// Has a node taken in again that has forgotten everything: it was a learner, since only those come
    /// and go where nothing is stored. What does not work now is seen in what it is afterwards.
    pub(super) fn take_back(&mut self, place: usize) {
        let Member { id, address } = self.nodes.members()[place];
        let newcomer = match Newcomer::meet_at(address, ANSWER_LIMIT) {
            Ok(newcomer) => newcomer,
            Err(why) => return log::warn!("node {id} is not taken in: {why}"),
        };
        match newcomer.add(&mut self.observer, false) {
            Ok(_) => self.nodes.is_in(id),
            Err(failure) => log::warn!("node {id} is not taken in: {failure}"),
        }
    }

    /// A new node on a free port, which waits to be added.
    fn start_another(&mut self) -> Result<(NodeId, SocketAddr), String> {
        let id = self.last.0.checked_add(1).map(NodeId);
        let id = id.ok_or_else(|| refused("there is no id left"))?;
        let mut taken: Vec<u16> =
            self.nodes.members().iter().map(|node| node.address.port()).collect();
        for _ in 0..MOST_ATTEMPTS {
            let ports = free_ports(1, self.base_port, &taken).map_err(refused)?;
            let port = *ports.first().ok_or_else(|| refused("there is no free port"))?;
            let address = loopback(port);
            let place = self.nodes.add(Member { id, address });
            let Err(why) = self.nodes.start(place) else {
                self.last = id;
                return Ok((id, address));
            };
            self.drop_folder(place)?;
            match why {
                // Another program was quicker.
                StartError::InUse(_) => taken.push(port),
                StartError::Other(why) => {
                    return Err(refused(format_args!("node {id} does not start: {why}")));
                }
            }
        }
        Err(refused("each free port was taken by somebody else"))
    }

    /// Takes a node away that is no member, and says why it is none.
    fn without(&mut self, id: NodeId, why: &str) -> String {
        match self.part_with(id) {
            Ok(()) => refused(format_args!("node {id} is not taken in: {why}")),
            Err(left) => format!("failed: node {id} is not taken in: {why}; {left}"),
        }
    }

    /// Takes a member out, waits for the end of its node, and clears up behind it.
    pub(super) fn remove(&mut self, who: Who) -> Result<String, String> {
        let (place, id) = self.find(who)?;
        let version = match self.observer.change_members(Change::Remove(id)) {
            Ok(version) => version,
            // Whatever came of this request: what is no member can go.
            Err(failure) => match self.observer.members() {
                Ok(roll)
                    if roll.is_committed
                        && !roll.members.is_empty()
                        && roll.members.iter().all(|named| named.member.id != id) =>
                {
                    roll.version
                }
                Ok(_) | Err(_) => return Err(said(failure)),
            },
        };
        let has_ended = self.await_end(place, id);
        let end = if has_ended { "has ended by itself" } else { "was ended" };
        let removed = format!("removed: node {id} (version {version}); it {end}");
        match self.part_with(id) {
            Ok(()) => Ok(format!("{removed}; {}", self.lead())),
            Err(left) => Err(format!("failed in part: {removed}; {left}")),
        }
    }

    /// Whether a node that has been taken out ends before it is out of patience with it. One that
    /// does nothing is not waited for.
    fn await_end(&mut self, place: usize, id: NodeId) -> bool {
        let deadline = Instant::now() + END_LIMIT;
        while self.nodes.is_running(place) {
            if self.paused.contains(&id) || Instant::now() >= deadline {
                return false;
            }
            thread::sleep(ASK_INTERVAL);
        }
        self.nodes.ended(place).is_some()
    }

    /// There is no such node any more, nor what it has stored.
    fn part_with(&mut self, id: NodeId) -> Result<(), String> {
        self.paused.retain(|paused| *paused != id);
        self.network.forget(id);
        let place = self.nodes.members().iter().position(|node| node.id == id);
        let cleared = place.map_or(Ok(()), |place| self.drop_folder(place));
        self.reconnect().map_err(|why| why.to_string())?;
        self.inform_all()?;
        cleared
    }

    fn drop_folder(&mut self, place: usize) -> Result<(), String> {
        self.nodes.forget(place).map_err(|why| why.to_string())
    }

    pub(super) fn promote(&mut self, who: Who) -> Result<String, String> {
        let (_, id) = self.find(who)?;
        let version = self.change(Change::Promote(id))?;
        let then = if self.observer.waits_for_vote(id) { WHEN_IT_HAS_THE_LOG } else { "" };
        Ok(format!("promoted: node {id} {version}{then}"))
    }

    pub(super) fn demote(&mut self, who: Who) -> Result<String, String> {
        let (_, id) = self.find(who)?;
        self.change(Change::Demote(id)).map(|version| format!("demoted: node {id} {version}"))
    }

    /// Has a node found a cluster alone, where those who could outvote it have forgotten everything.
    pub(super) fn recover(&mut self, who: Who) -> Result<String, String> {
        let (place, id) = self.running(who)?;
        if self.nodes.are_durable() {
            let why = "what is stored here is not lost: restart the nodes that are down";
            return Err(refused(why));
        }
        let session = Session::new(&[server(self.nodes.members()[place].address)]);
        let mut session = session.map_err(refused)?;
        session.limit(ANSWER_LIMIT);
        let given_up = session.status(0).map_err(said)?.epoch;
        let (_, first) = session.found_alone(given_up).map_err(said)?;
        // The sessions of the cluster that was given up have ended.
        self.reconnect().map_err(|why| why.to_string())?;
        Ok(format!(
            "recovered: node {id} goes on alone with all before index {}; others that run must be \
             restarted; {}",
            first.index,
            self.lead()
        ))
    }

    fn change(&mut self, change: Change) -> Result<String, String> {
        let version = self.observer.change_members(change).map_err(said)?;
        Ok(format!("(version {version})"))
    }
}

fn said(failure: Failure) -> String {
    failure.to_string()
}

/// Of a node that has just started.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// Until a new node has the log.
const JOIN_LIMIT: Duration = Duration::from_secs(30);
/// Many times what it takes to hear of one's removal where nothing is wrong.
const END_LIMIT: Duration = Duration::from_secs(3);
