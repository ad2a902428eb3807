//! What is said in the log about members that come, change and go.

use coracle::message::{Admin, Message, Want};
use coracle::wire::decode;
use coracle::{Change, Index, Member, MemberId, NodeId, Part, RoleName};
use log::{Level, info, log_enabled};

use crate::joining;
use crate::seal::FastChecksum;
use crate::setup::HostNode;

/// What was told last. Only committed configurations are told: others may still be undone.
#[derive(Default)]
pub struct Membership {
    version: Index,
    members: Vec<Member>,
    /// Whose request to be taken in was told last: it is sent again and again.
    asked: Option<MemberId>,
    /// Whether this node has yet to get what was there when it was taken in.
    is_behind: bool,
    /// Whether it was blank when it was looked at first.
    began_blank: bool,
    has_looked: bool,
}

impl Membership {
    /// Tells of a client's request, if it is one to be taken in.
    pub fn on_request(&mut self, node: &HostNode, datagram: &[u8]) {
        if !log_enabled!(Level::Info) {
            return;
        }
        let Ok((_, Message::Request(request))) = decode(datagram, &FastChecksum) else { return };
        let Want::Admin(Admin::Change(Change::Add { member, .. })) = request.want else { return };
        if self.asked.replace(member) == Some(member) {
            return;
        }
        let raft = node.raft();
        let (id, other) = (raft.member().id, member.id);
        info!("Node {id} received join request from Node {other}");
        match raft.leader() {
            _ if raft.role() == RoleName::Leader => {}
            Some(leader) => info!("Node {id} redirects Node {other} to the leader, Node {leader}"),
            None => info!("Node {id} knows no leader to redirect Node {other} to"),
        }
    }

    /// Looks whether another configuration is committed.
    pub fn update(&mut self, node: &HostNode) {
        let raft = node.raft();
        let configuration = raft.configuration();
        let id = raft.member().id;
        if !self.has_looked {
            self.has_looked = true;
            self.began_blank = raft.role() == RoleName::Blank;
        }
        if self.is_behind && raft.applied() >= self.version {
            self.is_behind = false;
            info!("Node {id} has caught up: it has everything up to index {}", raft.applied());
        }
        let version = configuration.index;
        if version == self.version || version > raft.commit() {
            return;
        }
        let is_first = self.members.is_empty();
        // Who was taken in may get the log so quickly that it has its vote already.
        let was_taken_in = is_first && self.began_blank && version > Index(1);
        for member in &configuration.members {
            let own = member.member == raft.member();
            let is_promoted = own && was_taken_in && member.part == Part::Voter;
            // The members that a cluster begins with, or that were there before, are no news.
            if is_first && (!own || member.part == Part::Voter && !is_promoted) {
                continue;
            }
            let before = self.members.iter().find(|it| it.member == member.member);
            let before = before.map(|it| it.part).or(is_promoted.then_some(Part::Recruit));
            self.is_behind |= own && is_first;
            if let Some(what) = news(before, member.part) {
                let place = joining::place(&member.address);
                let place = place.map_or_else(String::new, |it| format!(" at {it}"));
                tell(id, member.member.id, &format!("{what}{place}"), version);
            }
        }
        for gone in &self.members {
            if configuration.find(gone.member).is_none() {
                tell(id, gone.member.id, "is no member any more", version);
            }
        }
        self.version = version;
        self.members.clear();
        self.members.extend(configuration.members.iter().copied());
    }
}

fn tell(id: NodeId, other: NodeId, what: &str, version: Index) {
    info!("Node {id} has the configuration of version {version}: Node {other} {what}");
}

/// What a member is now that it was not before.
const fn news(before: Option<Part>, now: Part) -> Option<&'static str> {
    match (before, now) {
        (None, Part::Learner) => Some("is a learner"),
        (None, Part::Recruit) => Some("is a learner, to be promoted when it has caught up"),
        (None, Part::Voter) => Some("is a voter"),
        (Some(Part::Recruit | Part::Incoming), Part::Voter) => {
            Some("has caught up and is promoted: it is a voter")
        }
        (Some(Part::Learner), Part::Voter) => Some("is promoted: it is a voter"),
        (Some(Part::Learner), Part::Recruit) => Some("is to be promoted when it has caught up"),
        (Some(Part::Recruit), Part::Learner) => Some("is not to be promoted any more"),
        (Some(Part::Voter | Part::Demoted), Part::Learner) => Some("is demoted: it is a learner"),
        // The same as before, or half way in a joint configuration.
        (_, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stays_what_it_was_is_no_news() {
        let parts = [
            Part::Learner,
            Part::Recruit,
            Part::Voter,
            Part::Incoming,
            Part::Outgoing,
            Part::Demoted,
        ];
        assert!(parts.iter().all(|part| news(Some(*part), *part).is_none()));
        assert!(news(Some(Part::Recruit), Part::Voter).is_some_and(|it| it.contains("caught up")));
    }
}
