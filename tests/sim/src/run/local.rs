//! What an embedder asks of its own node: reads of its state, and commands without a session.

use coracle::{EntryId, Index, ReadId, Reads};

use super::{Event, Run};
use crate::history::Wish;
use crate::invariants::{Verdict, ensure};
use crate::machine::{Change, Command, OperationId};
use crate::queue::Micros;

/// What is under way at the nodes themselves.
#[derive(Debug, Default)]
pub(super) struct Locals {
    reads: Vec<LocalRead>,
    commands: Vec<LocalCommand>,
    probes: Vec<Probe>,
}

/// A read of which only one thing is asked: that what was committed anywhere when it began has been
/// applied when it is answered. It is no part of the history, so there can be many.
#[derive(Debug)]
struct Probe {
    node: usize,
    id: ReadId,
    committed: Index,
}

#[derive(Debug)]
struct LocalRead {
    node: usize,
    id: ReadId,
    operation: OperationId,
    key: u8,
}

#[derive(Debug)]
struct LocalCommand {
    node: usize,
    entry: EntryId,
    operation: OperationId,
}

impl Locals {
    /// A node has crashed: whoever asked it will never know.
    pub(super) fn forget(&mut self, node: usize) {
        self.reads.retain(|read| read.node != node);
        self.commands.retain(|command| command.node != node);
        self.probes.retain(|probe| probe.node != node);
    }
}

impl Run {
    /// Somebody asks a node, and comes back.
    pub(super) fn on_local(&mut self) -> Verdict {
        if !self.may_begin {
            return Ok(());
        }
        match self.leader() {
            Some(leader) if self.chance.permille(200) => self.burst(leader)?,
            leader => {
                let any = self.chance.place(self.hosts.len());
                let node = leader.filter(|_| self.chance.permille(200)).unwrap_or(any);
                let (key, wish) = self.records.draw(&self.plan.clients, &mut self.chance);
                self.ask(node, key, wish)?;
            }
        }
        let pause = Micros(1 + self.chance.below(self.plan.clients.think.times(2).0));
        self.queue.put_in(pause, Event::Local);
        Ok(())
    }

    /// A node gets several commands at once. All are increments: their answers tell in which order
    /// they took effect, so that the judge need not guess.
    pub(super) fn burst(&mut self, node: usize) -> Verdict {
        for _ in 0..self.chance.between(1, self.plan.clients.burst) {
            let key = self.chance.below(self.plan.clients.keys) as u8;
            self.ask(node, key, Wish::Change(Change::Increment))?;
        }
        Ok(())
    }

    fn ask(&mut self, node: usize, key: u8, wish: Wish) -> Verdict {
        let now = self.queue.now();
        let host = &mut self.hosts[node];
        let is_away = host.paused_until > now;
        let Some(peer) = &mut host.peer else { return Ok(()) };
        if is_away || self.records.counts.begun >= self.plan.clients.operations {
            return Ok(());
        }
        let operation = self.records.call(key, wish);
        match wish {
            Wish::Read => match peer.read() {
                Ok(id) => self.locals.reads.push(LocalRead { node, id, operation, key }),
                Err(_) => self.records.deny(operation),
            },
            Wish::Change(change) => {
                let length = self.chance.below(self.plan.clients.padding + 1) as usize;
                let padding = vec![0x55; length];
                let command = Command { operation, key, change, padding: &padding };
                match peer.propose(&command) {
                    Ok(entry) => {
                        self.locals.commands.push(LocalCommand { node, entry, operation });
                    }
                    Err(error) => {
                        self.counts.add(refusal(error), 1);
                        self.records.deny(operation);
                    }
                }
            }
        }
        self.observe(node)?;
        self.wake(node, now);
        Ok(())
    }

    /// A command was applied: perhaps one that was proposed there.
    pub(super) fn on_local_applied(&mut self, node: usize, entry: EntryId, value: u64) -> Verdict {
        let commands = &mut self.locals.commands;
        let place = commands
            .iter()
            .position(|command| command.node == node && command.entry.index == entry.index);
        let Some(place) = place else { return Ok(()) };
        let command = commands.swap_remove(place);
        if command.entry == entry {
            self.records.history.answer(command.operation, value);
            self.counts.add("own commands applied", 1);
            return self.chronicle.told(command.operation, entry, value);
        }
        // Another entry stands where it stood, so it never takes effect.
        self.records.deny(command.operation);
        self.counts.add("own commands overwritten", 1);
        Ok(())
    }

    /// Some node is asked how far it is, and another one soon.
    pub(super) fn on_probe(&mut self) -> Verdict {
        if !self.may_begin {
            return Ok(());
        }
        let node = self.chance.place(self.hosts.len());
        let now = self.queue.now();
        let pause = Micros(1 + self.chance.below(self.plan.election().0 / 2));
        self.queue.put_in(pause, Event::Probe);
        let host = &mut self.hosts[node];
        let Some(peer) = &mut host.peer else { return Ok(()) };
        if host.paused_until > now {
            return Ok(());
        }
        let committed = self.chronicle.committed(peer.raft().hard_state().epoch);
        if let Ok(id) = peer.read() {
            self.locals.probes.push(Probe { node, id, committed });
        }
        self.observe(node)?;
        self.wake(node, now);
        Ok(())
    }

    /// Invariant 11, as far as it needs no history: a read that is answered sees everything that
    /// was committed when it was asked.
    fn check_probes(&mut self, node: usize, reads: Reads, applied: Index) -> Verdict {
        let is_told = |probe: &Probe| probe.node == node && probe.id <= reads.upto;
        let stale = self
            .locals
            .probes
            .iter()
            .find(|probe| is_told(probe) && reads.is_ready && probe.committed > applied);
        ensure(11, stale.is_none(), || {
            format!("n{node} answers {stale:?} with only {applied} applied")
        })?;
        self.locals.probes.retain(|probe| !is_told(probe));
        Ok(())
    }

    pub(super) fn on_local_reads(&mut self, node: usize, reads: Reads) -> Verdict {
        let applied = self.hosts[node].peer.as_ref().map(|peer| peer.raft().applied());
        self.check_probes(node, reads, applied.unwrap_or_default())?;
        let Some(peer) = &self.hosts[node].peer else { return Ok(()) };
        let (history, counts) = (&mut self.records.history, &mut self.counts);
        self.locals.reads.retain(|read| {
            if read.node != node || read.id > reads.upto {
                return true;
            }
            if reads.is_ready {
                history.answer(read.operation, peer.machine().value(read.key));
                counts.add("own reads answered", 1);
            } else {
                counts.add("own reads failed", 1);
            }
            false
        });
        Ok(())
    }
}

const fn refusal(error: coracle::ProposeError) -> &'static str {
    use coracle::ProposeError;
    match error {
        ProposeError::NotLeader(_) => "proposals refused: not the leader",
        ProposeError::NotReady => "proposals refused: not ready",
        ProposeError::LogFull => "proposals refused: log full",
        ProposeError::TooLarge { .. } => "proposals refused: too large",
        _ => "proposals refused: failed",
    }
}
