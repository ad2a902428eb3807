//! A node's step: time, datagrams, and then everything that it wants done. After each of them every
//! invariant is checked.

use coracle::message::Message;
use coracle::wire::{Introduction, Route, decode, encode};
use coracle::{
    Checksum, Destination, EntryId, EntryKind, Index, MemberId, NodeError, NodeId, Part, Receipt,
    RoleName, Term,
};

use super::{Event, Run};
use crate::chance::mix;
use crate::describe::describe;
use crate::disk::{DiskError, Shared};
use crate::entries::Known;
use crate::invariants::{Scene, Sent, Verdict, Violation, ensure};
use crate::network::Address;
use crate::peer::{MEMBERS, NodeEvent, Peer, known, view};
use crate::queue::Micros;

/// What a check may ask for, of a node that runs.
pub(crate) struct Stage<'a> {
    pub(crate) peer: &'a dyn Peer,
    pub(crate) disks: &'a [Shared],
    /// Whose they are.
    pub(crate) ids: &'a [NodeId],
}

impl Stage<'_> {
    fn disk_of(&self, member: MemberId) -> Option<&Shared> {
        self.disks.get(self.ids.iter().position(|id| *id == member.id)?)
    }
}

impl Scene for Stage<'_> {
    fn entry(&self, index: Index) -> Option<Known> {
        known(self.peer, index)
    }

    fn is_command(&self, index: Index) -> bool {
        let entry = self.peer.raft().entry(index);
        entry.is_some_and(|entry| entry.kind == EntryKind::Command)
    }

    fn halves(&self) -> Vec<Vec<MemberId>> {
        halves(self.peer.raft().configuration())
    }

    fn is_durable(&self, member: MemberId, entry: Known) -> bool {
        let epoch = self.peer.raft().hard_state().epoch;
        let disk = self.disk_of(member);
        disk.is_some_and(|disk| disk.0.borrow().has_held(member, epoch, entry))
    }

    fn durable_last(&self, member: MemberId) -> Option<EntryId> {
        let epoch = self.peer.raft().hard_state().epoch;
        let disk = self.disk_of(member)?.0.borrow();
        let hard = disk.durable().hard.unwrap_or_default();
        let is_it = hard.incarnation == member.incarnation && hard.epoch == epoch;
        is_it.then(|| disk.durable().last())
    }

    fn digest(&self) -> u64 {
        self.peer.machine().digest()
    }

    fn is_term_durable(&self, member: MemberId, term: Term) -> bool {
        let Some(disk) = self.disk_of(member) else { return false };
        let hard = disk.0.borrow().durable().hard.unwrap_or_default();
        hard.incarnation == member.incarnation && hard.term >= term
    }
}

/// The voters of a configuration: two lists while they change.
pub(super) fn halves(configuration: &coracle::Configuration<MEMBERS>) -> Vec<Vec<MemberId>> {
    let half = |is_in: fn(Part) -> bool| {
        let voters = configuration.members.iter().filter(|member| is_in(member.part));
        voters.map(|member| member.member).collect()
    };
    let (new, old) = (half(Part::is_in_new_half), half(Part::is_in_old_half));
    if configuration.is_joint() { vec![new, old] } else { vec![new] }
}

/// Whether a node goes on after something was done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    On,
    /// It wants nothing more done.
    Idle,
    /// It has crashed.
    Down,
}

impl Run {
    /// A node looks at its clock and at what has arrived, and does everything that follows.
    pub(super) fn on_wake(&mut self, node: usize) -> Verdict {
        let now = self.queue.now();
        let host = &mut self.hosts[node];
        if host.run_at != Some(now) {
            return Ok(());
        }
        host.run_at = None;
        if now < host.paused_until {
            let until = host.paused_until;
            self.wake(node, until);
            return Ok(());
        }
        let Some(peer) = &mut host.peer else { return Ok(()) };
        let elapsed = host.clock.elapsed(now);
        host.idle_wakes = if elapsed.0 > 0 { 0 } else { host.idle_wakes + 1 };
        let idle_wakes = host.idle_wakes;
        peer.tick(elapsed);
        host.ticks += elapsed.0;
        let configuration = peer.raft().configuration().index;
        if host.counts_since.0 != configuration {
            host.counts_since = (configuration, host.ticks);
        }
        self.mix(mix(now.0, node as u64));
        ensure(13, idle_wakes < MOST_IDLE_WAKES, || format!("node {node} never sleeps"))?;
        self.is_heard(node)?;
        self.observe(node)?;
        if self.take_step(node) == Going::Down {
            return Ok(());
        }
        while let Some((from, datagram)) = self.hosts[node].inbox.pop_front() {
            self.receive(node, from, &datagram)?;
            if self.take_step(node) == Going::Down {
                return Ok(());
            }
        }
        if self.poll_all(node)? == Going::Down {
            return Ok(());
        }
        self.sleep(node);
        Ok(())
    }

    /// Invariant 17: a leader that no quorum answers steps down within two of the shortest election
    /// time-outs, and so sets free those who still hear it.
    fn is_heard(&self, node: usize) -> Verdict {
        let Some(peer) = &self.hosts[node].peer else { return Ok(()) };
        let raft = peer.raft();
        let longest = 2 * self.plan.timing.election_min.0;
        // Voters that are new to it have as long to answer.
        let host = &self.hosts[node];
        let is_new = host.ticks - host.counts_since.1 <= longest;
        if raft.role() != RoleName::Leader || is_new {
            return Ok(());
        }
        let is_heard = |member: &&MemberId| {
            let silence = |of: coracle::ProgressStatus| of.silent_for.0 <= longest;
            **member == raft.member()
                || raft
                    .peers()
                    .any(|peer| peer.member == **member && peer.progress.is_some_and(silence))
        };
        for half in halves(raft.configuration()) {
            let heard = half.iter().filter(is_heard).count();
            ensure(17, 2 * heard > half.len(), || {
                format!("n{node} still leads, and was heard by {heard} in the last {longest} ticks")
            })?;
        }
        Ok(())
    }

    /// Counts one step down, to the crash that may be due.
    fn take_step(&mut self, node: usize) -> Going {
        match self.hosts[node].is_last_step() {
            Some(down) => {
                self.counts.add("crashes between two steps", 1);
                self.crash(node, down);
                Going::Down
            }
            None => Going::On,
        }
    }

    fn receive(&mut self, node: usize, from: Address, datagram: &[u8]) -> Verdict {
        self.note(|| format!("n{node} takes {}", describe(datagram)));
        if let Some(peer) = &mut self.hosts[node].peer {
            // What is dropped is counted by the node.
            let _dropped = peer.receive(from, datagram);
        }
        self.observe(node)
    }

    /// Polls a node until it wants nothing more, or until something has arrived and it is impatient.
    fn poll_all(&mut self, node: usize) -> Result<Going, Violation> {
        let bound = self.most_polls(node);
        for _ in 0..bound {
            match self.poll(node)? {
                Going::On => {}
                Going::Idle => return Ok(Going::Idle),
                Going::Down => return Ok(Going::Down),
            }
            if self.take_step(node) == Going::Down {
                return Ok(Going::Down);
            }
            if self.plan.impatience > 0 && self.chance.permille(self.plan.impatience) {
                self.counts.add("polls broken off", 1);
                let later = self.queue.now().plus(Micros(self.chance.below(200)));
                self.wake(node, later);
                return Ok(Going::Idle);
            }
        }
        ensure(13, false, || format!("node {node} was polled {bound} times and wants still more"))?;
        Ok(Going::Idle)
    }

    /// More than any node can want at once: what its log can hold is sent to each and applied, and
    /// what its tables hold is answered.
    fn most_polls(&self, node: usize) -> usize {
        let slots = self.plan.logs[node].slots;
        64 + (slots + 8) * (self.hosts.len() + 1)
    }

    fn poll(&mut self, node: usize) -> Result<Going, Violation> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.poll_into(node, &mut buffer);
        self.buffer = buffer;
        result
    }

    fn poll_into(&mut self, node: usize, buffer: &mut [u8]) -> Result<Going, Violation> {
        let Some(peer) = &mut self.hosts[node].peer else { return Ok(Going::Down) };
        let polled = peer.poll(buffer);
        if let Err(NodeError::Storage(error)) = &polled {
            let error = *error;
            return self.on_disk_error(node, error);
        }
        if let Ok(Some(NodeEvent::Applied { entry, response })) = &polled {
            self.on_applied(node, *entry, *response)?;
        }
        self.observe(node)?;
        self.schedule_sync(node);
        let complaint = self.disks[node].0.borrow_mut().take_complaint();
        ensure(14, complaint.is_none(), || {
            format!("n{node}: {}", complaint.clone().unwrap_or_default())
        })?;
        match polled {
            Ok(None) => Ok(Going::Idle),
            Ok(Some(event)) => {
                self.on_node_event(node, &event)?;
                Ok(Going::On)
            }
            Err(error) => {
                ensure(13, false, || format!("n{node} has failed: {error:?}"))?;
                Ok(Going::Down)
            }
        }
    }

    fn on_node_event(&mut self, node: usize, event: &NodeEvent<'_>) -> Verdict {
        match event {
            NodeEvent::Send { to, datagram } => {
                let to = match to {
                    Destination::Peer(id, _) => match self.place_of(*id) {
                        Some(place) => Address::Node(place),
                        // A hostile datagram asked for a vote in its name: it gets the answer.
                        None => {
                            self.counts.add("datagrams to nobody", 1);
                            return Ok(());
                        }
                    },
                    Destination::Client(address) => *address,
                };
                self.check_sent(node, to, datagram)?;
                self.send(Address::Node(node), to, datagram);
                Ok(())
            }
            NodeEvent::Applied { entry, response } => {
                self.on_local_applied(node, *entry, *response)
            }
            NodeEvent::Reads(reads) => self.on_local_reads(node, *reads),
            NodeEvent::LeftEpoch { epoch } => {
                self.note(|| format!("n{node} leaves epoch {epoch}, which is dead"));
                self.counts.add("dead epochs left", 1);
                self.locals.forget(node);
                Ok(())
            }
            NodeEvent::Restored { last } => {
                self.note(|| format!("n{node} goes on from a snapshot up to {last:?}"));
                Ok(())
            }
        }
    }

    /// A machine has applied the command of one entry, and nothing else.
    fn on_applied(&mut self, node: usize, entry: EntryId, response: u64) -> Verdict {
        let mut tape = self.hosts[node].tape.borrow_mut();
        ensure(2, tape.len() == 1 && tape[0].value == response, || {
            format!("n{node} applied {tape:?}, and says {response} of entry {entry:?}")
        })?;
        let Some(taken) = tape.pop() else { return Ok(()) };
        self.records.history.apply(taken.operation, taken.value);
        self.chronicle.take(taken, entry.index)
    }

    /// Invariant 15, and what the datagram says against what is durable.
    fn check_sent(&mut self, node: usize, to: Address, datagram: &[u8]) -> Verdict {
        let decoded = decode(datagram, &Checksum);
        let (header, message) = decoded.map_err(|error| Violation {
            invariant: 15,
            seen: format!("n{node} sends {} bytes that are {error:?}", datagram.len()),
        })?;
        let mut again = [0; 2048];
        let length = encode(&header, &message, &Checksum, &mut again);
        ensure(15, length.and_then(|length| again.get(..length)) == Some(datagram), || {
            format!("n{node} sends {message:?}, which is encoded in another way")
        })?;
        let limit = self.plan.datagrams[node];
        ensure(15, datagram.len() <= usize::from(limit), || {
            format!("n{node} sends {} bytes, and takes {limit} itself", datagram.len())
        })?;
        let Some(peer) = &self.hosts[node].peer else { return Ok(()) };
        let (view, raft) = (view(&**peer), peer.raft());
        let to = match to {
            Address::Node(place) => {
                let id = self.plan.ids[place];
                let from = raft.member();
                let (cluster, epoch) = (raft.cluster(), raft.hard_state().epoch);
                let is_meant = |to: &MemberId| match header.route {
                    Route::Tagged(tag) => {
                        tag == Introduction { cluster, epoch, from, to: *to }.tag()
                    }
                    Route::Full(introduction) => introduction.to == *to,
                    Route::Client(_) => false,
                };
                let mut lives = raft.peers().map(|peer| peer.member).filter(|to| to.id == id);
                lives.find(is_meant)
            }
            Address::Client(_) => None,
        };
        let disk = self.disks[node].0.borrow();
        let sent = Sent { view: &view, to, message: &message, durable: disk.durable() };
        self.chronicle.sent(node, &sent)?;
        if let Message::Append(append) = &message {
            ensure(8, view.role.0 == RoleName::Leader && append.commit <= view.commit, || {
                format!("n{node} sends {append:?} as {:?}", view.role)
            })?;
        }
        Ok(())
    }

    /// Holds a node against all invariants.
    pub(super) fn observe(&mut self, node: usize) -> Verdict {
        let Some(peer) = &self.hosts[node].peer else { return Ok(()) };
        let view = view(&**peer);
        let stage = Stage { peer: &**peer, disks: &self.disks, ids: &self.plan.ids };
        let leaders = self.chronicle.sightings.leaders;
        self.chronicle.look(node, &view, &stage)?;
        if self.chronicle.sightings.leaders > leaders {
            self.on_new_leader(node);
        }
        self.check_configurations(node)?;
        // A machine is not touched but by a poll, which tells what it did.
        ensure(2, self.hosts[node].tape.borrow().is_empty(), || {
            format!("n{node} applied something and does not say what")
        })
    }

    /// Records that are on their way become durable some time later.
    fn schedule_sync(&mut self, node: usize) {
        let (is_pending, upto) = self.disks[node].0.borrow().pending();
        let host = &mut self.hosts[node];
        if !is_pending || host.syncing == upto {
            return;
        }
        host.syncing = upto;
        let life = host.life;
        // A slow disk is a fault: time-outs must be well above what a round of votes takes.
        let calm = self.calm.map(|_| self.plan.election().0 / 40);
        let most = self.plan.disk.sync.0.min(calm.unwrap_or(u64::MAX));
        let span = Micros(self.chance.below(most + 1));
        self.queue.put_in(span, Event::Sync { node, life, upto });
    }

    pub(super) fn on_sync(&mut self, node: usize, life: u32, upto: u64) -> Verdict {
        if self.hosts[node].life != life || self.hosts[node].peer.is_none() {
            return Ok(());
        }
        let receipts = self.disks[node].0.borrow_mut().sync(upto);
        self.note(|| format!("the disk of n{node} has {} more writes", receipts.len()));
        for receipt in receipts {
            let calm = self.calm.map(|_| self.plan.election().0 / 40);
            let most = self.plan.disk.news.0.min(calm.unwrap_or(u64::MAX));
            let span = Micros(self.chance.below(most + 1));
            self.queue.put_in(span, Event::Durable { node, life, receipt });
        }
        Ok(())
    }

    pub(super) fn on_durable(&mut self, node: usize, life: u32, receipt: Receipt) -> Verdict {
        let now = self.queue.now();
        let host = &mut self.hosts[node];
        if host.life != life {
            return Ok(());
        }
        if host.paused_until > now {
            let until = host.paused_until;
            self.queue.put_at(until, Event::Durable { node, life, receipt });
            return Ok(());
        }
        let Some(peer) = &mut host.peer else { return Ok(()) };
        peer.durable(receipt);
        self.note(|| format!("n{node} hears of {receipt:?}"));
        self.observe(node)?;
        self.wake(node, now);
        Ok(())
    }

    fn on_disk_error(&mut self, node: usize, error: DiskError) -> Result<Going, Violation> {
        self.note(|| format!("n{node} meets {error:?}"));
        // A node that met an error never goes on.
        let mut again = [0; 2048];
        if let Some(peer) = &mut self.hosts[node].peer {
            let polled = peer.poll(&mut again);
            ensure(6, matches!(polled, Err(NodeError::Dead)), || {
                format!("n{node} goes on after {error:?}")
            })?;
        }
        let down = match error {
            DiskError::Crash => {
                self.counts.add("crashes in a write", 1);
                self.hosts[node].crash_in_write.unwrap_or(Micros(0))
            }
            DiskError::Refused => {
                self.counts.add("nodes ended by their disk", 1);
                Micros(self.plan.election().0 / 4)
            }
        };
        self.crash(node, down);
        Ok(Going::Down)
    }

    /// Sets the next time at which the node is woken.
    fn sleep(&mut self, node: usize) {
        let host = &self.hosts[node];
        let Some(peer) = &host.peer else { return };
        let Some(ticks) = peer.next_timeout() else { return };
        let ticks =
            if self.plan.is_tickless || self.plan.tick.0 == 1 { ticks } else { coracle::Ticks(1) };
        let at = host.clock.when(ticks).max(self.queue.now());
        self.wake(node, at);
    }
}

/// A node may be woken a few times at one moment, since its clock is coarse and datagrams arrive.
const MOST_IDLE_WAKES: u32 = 2_000;
