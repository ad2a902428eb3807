//! What a follower does with an append (figure 2, "receiver implementation").

use rand_core::Rng;

use super::Raft;
use super::invariant::{Violation, invariant};
use super::link::Owed;
use super::role::Role;
use crate::log::{BadRun, EntryKind, Memory};
use crate::message::Append;
use crate::seal::Seal;
use crate::status::count;
use crate::types::Index;

impl<M: Memory, R: Rng, S: Seal, const N: usize> Raft<M, R, S, N> {
    /// Takes an append of our own term and owes its leader an answer.
    pub(super) fn on_append(&mut self, peer: usize, number: u64, append: &Append<'_>) {
        if !self.hear_leader(peer) {
            return count(&mut self.counters.impossible);
        }
        match self.log.term_at(append.prev.index) {
            Some(term) if term == append.prev.term => {}
            // Before what we keep everything is committed, so it matches.
            None if append.prev.index < self.log.base().index => {}
            Some(_) if append.prev.index <= self.commit => {
                return count(&mut self.counters.impossible);
            }
            // Otherwise the answer to the chunk that came with this heartbeat would be replaced.
            Some(_) | None if append.run.is_empty() && self.is_gathering() => {
                return self.owe_chunk_reply(peer, number);
            }
            Some(_) | None => {
                let hint = self.log.last_index_at_or_below(append.prev.index, append.prev.term);
                return self.owe(peer, Owed::Mismatch { echo: number, hint });
            }
        }
        let Some(verified) = self.extend(number, append) else {
            return count(&mut self.counters.impossible);
        };
        self.advance_commit(append.commit.min(verified));
        self.everywhere = self.everywhere.max(append.everywhere.min(self.commit));
        let ready_at = if append.run.is_empty() { Index::ZERO } else { verified };
        self.owe_matched(peer, number, ready_at);
    }

    /// Owes an acknowledgement. One that waits already is not put off by what comes behind it.
    fn owe_matched(&mut self, peer: usize, echo: u64, ready_at: Index) {
        let waiting = self.links.get(peer).and_then(|link| link.reply);
        let ready_at = match waiting {
            Some(Owed::Matched { ready_at: earlier, .. }) => ready_at.min(earlier),
            Some(_) | None => ready_at,
        };
        self.owe(peer, Owed::Matched { echo, ready_at });
    }

    /// Follows whoever leads the term. False if that cannot be: we lead it, or another does.
    pub(super) fn hear_leader(&mut self, peer: usize) -> bool {
        let is_leader = self.is_our_leader(peer);
        if is_leader {
            self.loyal_until = self.now.plus(self.options.timing.election_min);
        }
        is_leader
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn is_our_leader(&mut self, peer: usize) -> bool {
        match &mut self.role {
            Role::Follower(follower) if follower.leader == Some(peer) => {
                follower.since = self.now;
                true
            }
            Role::Follower(follower) if follower.leader.is_none() => {
                follower.leader = Some(peer);
                follower.since = self.now;
                true
            }
            Role::PreCandidate(_) | Role::Candidate(_) => {
                self.become_follower(self.hard.term, Some(peer));
                true
            }
            Role::Follower(_) | Role::Leader(_) | Role::Blank(_) => false,
        }
    }

    /// Takes the entries into the log and returns up to where it now equals the leader's. `None` if
    /// no leader can have sent them; then nothing has changed.
    fn extend(&mut self, number: u64, append: &Append<'_>) -> Option<Index> {
        let prev = append.prev.index;
        let mut upto = prev;
        if !append.run.is_empty() {
            let taken = self.log.extend(prev, append.run, self.commit, append.term);
            let extended = match taken {
                Ok(extended) => extended,
                Err(BadRun::Malformed | BadRun::ConflictsWithCommitted) => return None,
            };
            if let Some(from) = extended.truncated {
                self.on_truncated(from);
            }
            self.follow_configuration();
            upto = extended.verified;
        }
        let Role::Follower(follower) = &mut self.role else { return None };
        follower.verified = follower.verified.max(upto);
        follower.newest = follower.newest.max(number);
        Some(upto)
    }

    /// A conflicting suffix is gone (section 5.3), and with it what was known of its durability.
    fn on_truncated(&mut self, from: Index) {
        count(&mut self.counters.truncations);
        invariant!(self, from > self.commit, Violation::Truncate);
        self.durability.truncated(from);
        if self.configuration.index >= from {
            self.adopt_configuration();
        }
    }

    /// Raises the commit index, never lowers it.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn advance_commit(&mut self, commit: Index) {
        if commit > self.commit {
            self.commit = commit;
            self.pass_internal_entries();
        }
    }

    /// Lets entries that are no commands pass: nobody has to apply them.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn pass_internal_entries(&mut self) {
        if !self.log.has_only_commands_behind(self.applied) {
            self.pass_each_internal_entry();
        }
    }

    fn pass_each_internal_entry(&mut self) {
        while self.applied < self.commit && !self.log.has_only_commands_behind(self.applied) {
            match self.log.entry(self.applied.next()).map(|entry| entry.kind) {
                Some(EntryKind::Noop | EntryKind::Configuration) => {
                    self.applied = self.applied.next();
                }
                Some(EntryKind::Command) => return,
                None => return self.poison(Violation::MissingEntry),
            }
        }
    }
}
