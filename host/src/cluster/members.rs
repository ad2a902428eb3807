//! What the prompt has the cluster do with its members.

use coracle::Change;

use super::{Cluster, Who};
use crate::client::Failure;
use crate::member;

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

    pub(super) fn remove(&mut self, who: Who) -> Result<String, String> {
        let (_, id) = self.find(who)?;
        self.change(Change::Remove(id)).map(|version| format!("removed: node {id} {version}"))
    }

    pub(super) fn promote(&mut self, who: Who) -> Result<String, String> {
        let (_, id) = self.find(who)?;
        self.change(Change::Promote(id)).map(|version| format!("promoted: node {id} {version}"))
    }

    pub(super) fn demote(&mut self, who: Who) -> Result<String, String> {
        let (_, id) = self.find(who)?;
        self.change(Change::Demote(id)).map(|version| format!("demoted: node {id} {version}"))
    }

    fn change(&mut self, change: Change) -> Result<String, String> {
        let version = self.observer.change_members(change).map_err(said)?;
        Ok(format!("(version {version})"))
    }
}

fn said(failure: Failure) -> String {
    failure.to_string()
}
