//! What an embedder asks of its own node: reads of its state, and commands without a session.

use coracle::{EntryId, ReadId, Reads};

use super::{Event, Run};
use crate::history::Wish;
use crate::invariants::Verdict;
use crate::machine::{Command, OperationId};
use crate::queue::Micros;

/// What is under way at the nodes themselves.
#[derive(Debug, Default)]
pub(super) struct Locals {
    reads: Vec<LocalRead>,
    commands: Vec<LocalCommand>,
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
    }
}

impl Run {
    /// Somebody asks a node, and comes back.
    pub(super) fn on_local(&mut self) -> Verdict {
        if !self.may_begin {
            return Ok(());
        }
        let node = match self.leader() {
            Some(leader) if self.chance.permille(300) => leader,
            Some(_) | None => self.chance.place(self.hosts.len()),
        };
        self.ask(node)?;
        let pause = Micros(1 + self.chance.below(self.plan.clients.think.times(2).0));
        self.queue.put_in(pause, Event::Local);
        Ok(())
    }

    fn ask(&mut self, node: usize) -> Verdict {
        let now = self.queue.now();
        let host = &mut self.hosts[node];
        let is_away = host.paused_until > now;
        let Some(peer) = &mut host.peer else { return Ok(()) };
        if is_away || self.records.counts.begun >= self.plan.clients.operations {
            return Ok(());
        }
        let (key, wish) = self.records.draw(&self.plan.clients, &mut self.chance);
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

    pub(super) fn on_local_reads(&mut self, node: usize, reads: Reads) {
        let Some(peer) = &self.hosts[node].peer else { return };
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
