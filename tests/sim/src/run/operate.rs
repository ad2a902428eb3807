//! An operator who keeps changing the members, and now and then who leads. It is careful: it looks
//! whether those who are left could agree on anything. What it asks for may still be refused, cut
//! off by a crash, or undone by a new leader.

use coracle::{Address as MemberAddress, Change, Epoch, MemberId, NodeId, Part};

use super::step::halves;
use super::{Event, Run};
use crate::invariants::{Verdict, ensure};
use crate::queue::Micros;

impl Run {
    /// The operator asks for something, and comes back.
    pub(super) fn on_operate(&mut self) -> Verdict {
        if self.calm.is_some() || !self.may_begin {
            return Ok(());
        }
        if let Some(leader) = self.leader() {
            if self.chance.permille(250) {
                self.transfer(leader);
            } else {
                self.change(leader)?;
            }
            let now = self.queue.now();
            self.observe(leader)?;
            self.wake(leader, now);
        }
        let pause = Micros(1 + self.chance.below(self.plan.election().times(4).0));
        self.queue.put_in(pause, Event::Operate);
        Ok(())
    }

    fn transfer(&mut self, leader: usize) {
        let to = self.plan.ids[self.chance.place(self.plan.ids.len())];
        let to = if self.chance.coin() { Some(to) } else { None };
        let Some(peer) = &mut self.hosts[leader].peer else { return };
        let transferred = peer.transfer(to);
        self.note(|| format!("n{leader} shall hand over to {to:?}: {transferred:?}"));
        let name = if transferred.is_ok() { "transfers begun" } else { "transfers refused" };
        self.counts.add(name, 1);
    }

    fn change(&mut self, leader: usize) -> Verdict {
        let Some(change) = self.draw_change(leader) else { return Ok(()) };
        let Some(peer) = &mut self.hosts[leader].peer else { return Ok(()) };
        let was_changing = peer.raft().is_changing();
        let changed = peer.change(change);
        self.note(|| format!("n{leader} shall {change:?}: {changed:?}"));
        ensure(10, changed.is_err() || !was_changing, || {
            format!("n{leader} begins {change:?} while another change is under way")
        })?;
        let name = match (changed.is_ok(), change) {
            (false, _) => "changes refused",
            (true, Change::Add { is_voter: true, .. }) => "changes: voters added",
            (true, Change::Add { is_voter: false, .. }) => "changes: learners added",
            (true, Change::Remove(_)) => "changes: members removed",
            (true, Change::Promote(_)) => "changes: learners promoted",
            (true, Change::Demote(_)) => "changes: voters demoted",
        };
        self.counts.add(name, 1);
        Ok(())
    }

    /// A change that leaves a majority of lives in the new half.
    fn draw_change(&mut self, leader: usize) -> Option<Change> {
        let peer = self.hosts[leader].peer.as_ref()?;
        let members = peer.raft().configuration().members.clone();
        let epoch = peer.raft().hard_state().epoch;
        let node = self.chance.place(self.hosts.len());
        let id = self.plan.ids[node];
        let named: Vec<_> = members.iter().filter(|member| member.member.id == id).collect();
        let life = self.hosts[node].peer.as_ref().map(|peer| peer.raft().member());
        let is_voter = self.chance.permille(700);
        let stated = self.hosts[node].peer.as_ref().map(|peer| peer.raft().stated_datagram());
        let datagram = stated.unwrap_or(self.plan.datagrams[node]);
        let add = |member| {
            let address = MemberAddress::new(&id.0.to_le_bytes()).unwrap_or_default();
            Change::Add { member, datagram, address, is_voter }
        };
        if named.is_empty() {
            return life.map(add);
        }
        if let Some(life) = life
            && named.iter().all(|member| member.member != life)
            && named.iter().any(|member| member.part == Part::Voter)
        {
            // Its disk was lost: another life of it takes its place.
            let address = MemberAddress::EMPTY;
            return Some(Change::Add { member: life, datagram, address, is_voter: true });
        }
        let is_learner = named.iter().all(|member| member.part == Part::Learner);
        let rest: Vec<MemberId> = members
            .iter()
            .filter(|member| member.part == Part::Voter && member.member.id != id)
            .map(|member| member.member)
            .collect();
        match self.chance.below(3) {
            0 if is_learner => Some(Change::Promote(id)),
            _ if !is_learner && !self.has_quorum(&rest, epoch, None) => None,
            1 => Some(Change::Demote(id)),
            _ => Some(Change::Remove(id)),
        }
    }

    /// Whether most of these lives are there, or will come back, without this node.
    fn has_quorum(&self, voters: &[MemberId], epoch: Epoch, without: Option<usize>) -> bool {
        let without = without.map(|node| self.plan.ids[node]);
        let lives =
            |member: &&MemberId| Some(member.id) != without && self.is_alive(**member, epoch);
        2 * voters.iter().filter(lives).count() > voters.len()
    }

    /// Whether a life has not been lost with its disk, was not absent from the first start, and is in
    /// no other one.
    fn is_alive(&self, member: MemberId, epoch: Epoch) -> bool {
        let Some(node) = self.place_of(member.id) else { return false };
        if !member.has_life() {
            return false;
        }
        let hard = match &self.hosts[node].peer {
            Some(peer) => peer.raft().hard_state(),
            None => self.disks[node].0.borrow().durable().hard.unwrap_or_default(),
        };
        hard.incarnation == member.incarnation && [epoch, Epoch(0)].contains(&hard.epoch)
    }

    /// Whether a disk may be lost: whatever configuration anybody knows, most of its voters stay.
    ///
    /// Nor may all founders be blank at once: they would take that for their first start.
    pub(super) fn may_lose(&self, node: usize) -> bool {
        let holds = |place: usize| {
            let hard = self.disks[place].0.borrow().durable().hard;
            place != node && hard.is_some_and(|hard| hard.epoch.0 != 0)
        };
        let is_founder = node < self.plan.founders;
        if is_founder && !(0..self.plan.founders).any(holds) {
            return false;
        }
        self.hosts.iter().all(|host| {
            let Some(peer) = &host.peer else { return false };
            let epoch = peer.raft().hard_state().epoch;
            let configuration = peer.raft().configuration();
            let id = self.plan.ids[node];
            // One that is about to be promoted may get its vote when it is gone already.
            let is_recruit = |it: &coracle::Member| it.member.id == id && it.part == Part::Recruit;
            let halves = halves(configuration);
            !configuration.members.iter().any(is_recruit)
                && halves
                    .iter()
                    .all(|half| half.is_empty() || self.has_quorum(half, epoch, Some(node)))
        })
    }

    /// Invariant 10: of a leader's configurations at most one is not committed, and it shares a
    /// majority with the one before it.
    pub(super) fn check_configurations(&self, node: usize) -> Verdict {
        let Some(peer) = &self.hosts[node].peer else { return Ok(()) };
        let raft = peer.raft();
        let latest = raft.configuration();
        // What a leader finds in its log may be more than it knows to be committed.
        let is_own = raft.term_at(latest.index) == Some(raft.term());
        let is_leader = raft.role() == coracle::RoleName::Leader;
        if !is_leader || !is_own || latest.index <= raft.commit() {
            return Ok(());
        }
        let mut index = raft.commit().next();
        while index < latest.index {
            let kind = raft.entry(index).map(|entry| entry.kind);
            ensure(10, kind != Some(coracle::EntryKind::Configuration), || {
                format!("n{node} has two configurations that are not committed")
            })?;
            index = index.next();
        }
        if raft.applied() < raft.commit() || raft.applied().0 == 0 {
            return Ok(());
        }
        let before = halves(&raft.applied_configuration());
        let (Some(old), Some(new)) = (before.first(), halves(latest).pop()) else { return Ok(()) };
        ensure(10, *old == new, || {
            let ids =
                |half: &[MemberId]| half.iter().map(|member| member.id).collect::<Vec<NodeId>>();
            format!("n{node} goes from {:?} to {:?} at once", ids(old), ids(&new))
        })
    }
}
