//! One step of one node: it is told the time or something that arrived, and does all that follows.
//! After each, every invariant is checked.

use coracle::message::Message;
use coracle::wire::{Introduction, Route, decode};
use coracle::{Checksum, Destination, MemberId, NodeError, Reads, Ticks};

use super::wire::Flying;
use super::world::{ReadFate, Trap, World};
use super::{Done, Loudness, Stop, text};
use crate::disk::DiskError;
use crate::invariants::{Sent, Violation, ensure};
use crate::network::Address;
use crate::peer::{NodeEvent, view};
use crate::run::step::Stage;

impl World {
    /// A datagram reaches its end.
    pub fn arrive(&mut self, datagram: &Flying) -> Done {
        match datagram.to {
            Address::Client(client) => {
                self.tell(Loudness::Loud, &format!("takes {}", datagram.text));
                self.beneath(|world| world.answer(client, datagram.from, &datagram.bytes))
            }
            Address::Node(place) if !self.is_up(place) => {
                self.tell(
                    Loudness::Loud,
                    &format!("loses {}: {} is down", datagram.text, place + 1),
                );
                Ok(())
            }
            Address::Node(place) if !self.is_awake(place) => {
                self.tell(Loudness::Loud, &format!("leaves unread {}", datagram.text));
                self.notes[place].unread.push(datagram.clone());
                Ok(())
            }
            Address::Node(place) => {
                self.tell(Loudness::Loud, &format!("takes {}", datagram.text));
                self.beneath(|world| world.receive(place, datagram))
            }
        }
    }

    fn receive(&mut self, place: usize, datagram: &Flying) -> Done {
        self.tell_time(place)?;
        let dropped = self.peer_mut(place)?.receive(datagram.from, &datagram.bytes).err();
        self.observe(place)?;
        if let Some(dropped) = dropped {
            self.tell(Loudness::Loud, &format!("{} drops it: {dropped:?}", place + 1));
        }
        self.poll_all(place)
    }

    /// A node looks at its clock and does what is due.
    pub fn wake(&mut self, place: usize) -> Done {
        self.tell_time(place)?;
        self.poll_all(place)
    }

    fn tell_time(&mut self, place: usize) -> Done {
        let elapsed = self.hosts[place].clock.elapsed(self.now);
        self.pass(place, elapsed)
    }

    /// So many ticks pass for a node, whatever its clock says.
    pub fn pass(&mut self, place: usize, elapsed: Ticks) -> Done {
        self.peer_mut(place)?.tick(elapsed);
        self.observe(place)
    }

    /// A node does everything that it wants done.
    pub fn poll_all(&mut self, place: usize) -> Done {
        let mut buffer = [0; 2048];
        for _ in 0..MOST_POLLS {
            let Some(peer) = &mut self.hosts[place].peer else { return Ok(()) };
            let polled = peer.poll(&mut buffer);
            if let Err(NodeError::Storage(error)) = &polled {
                let error = *error;
                return self.on_disk_error(place, error);
            }
            self.after_poll(place)?;
            match polled {
                Ok(None) => return Ok(()),
                Ok(Some(event)) => self.on_event(place, &event)?,
                Err(error) => {
                    ensure(13, false, || format!("{} has failed: {error:?}", place + 1))?;
                }
            }
        }
        ensure(13, false, || format!("{} wants ever more", place + 1)).map_err(Stop::from)
    }

    fn after_poll(&mut self, place: usize) -> Done {
        self.tell_writes(place);
        self.observe(place)?;
        let complaint = self.disks[place].0.borrow_mut().take_complaint();
        let says = || format!("{}: {}", place + 1, complaint.clone().unwrap_or_default());
        ensure(14, complaint.is_none(), says).map_err(Stop::from)
    }

    /// Holds a node against the invariants, and tells what has changed.
    pub fn observe(&mut self, place: usize) -> Done {
        let Some(peer) = self.hosts[place].peer.as_deref() else { return Ok(()) };
        let stage = Stage { peer, disks: &self.disks, ids: &self.plan.ids };
        let view = view(peer);
        self.chronicle.look(place, &view, &stage)?;
        self.note_life(place, view.hard.epoch, view.member.incarnation);
        self.tell_changes(place);
        Ok(())
    }

    fn on_event(&mut self, place: usize, event: &NodeEvent<'_>) -> Done {
        let id = place + 1;
        match event {
            NodeEvent::Send { to, datagram } => {
                let to = match to {
                    Destination::Peer(id, _) => Address::Node(self.place(*id)?),
                    Destination::Client(address) => *address,
                };
                self.on_send(place, to, datagram)
            }
            NodeEvent::Applied { entry, response } => {
                let taken = self.hosts[place].tape.borrow_mut().pop();
                let is_it = taken.is_some_and(|taken| taken.value == *response);
                ensure(2, is_it, || format!("{id} applied {taken:?}, and says {response}"))?;
                if let Some(taken) = taken {
                    self.chronicle.take(taken, entry.index)?;
                }
                let entry = text::entry(*entry);
                self.tell(Loudness::Loud, &format!("{id} applies {entry}: {response}"));
                Ok(())
            }
            NodeEvent::LeftEpoch { epoch: _ } => {
                self.tell(Loudness::Events, &format!("{id} leaves its epoch, which is dead"));
                Ok(())
            }
            NodeEvent::Restored { last } => {
                let last = text::entry(*last);
                self.tell(Loudness::Events, &format!("{id} goes on from a snapshot up to {last}"));
                Ok(())
            }
            NodeEvent::Reads(reads) => {
                self.on_reads(place, *reads);
                Ok(())
            }
        }
    }

    fn on_send(&mut self, place: usize, to: Address, datagram: &[u8]) -> Done {
        let (kind, _) = text::datagram(datagram);
        let trap = self.notes[place].trap;
        if trap == Some(Trap::Before(kind)) {
            self.say(&format!("{} crashes before it sends {kind}", place + 1));
            self.crash(place, 0);
            return Ok(());
        }
        self.check_sent(place, to, datagram)?;
        self.send(Address::Node(place), to, datagram);
        if trap == Some(Trap::After(kind)) {
            self.say(&format!("{} crashes right after", place + 1));
            self.crash(place, 0);
        }
        Ok(())
    }

    /// What the datagram says against what is durable.
    fn check_sent(&mut self, place: usize, to: Address, datagram: &[u8]) -> Done {
        let (header, message) = decode(datagram, &Checksum).map_err(|error| Violation {
            invariant: 15,
            seen: format!("{} sends {} bytes that are {error:?}", place + 1, datagram.len()),
        })?;
        if matches!(message, Message::Reply(_)) {
            return Ok(());
        }
        let peer = self.hosts[place].peer.as_deref();
        let Some(peer) = peer else { return Ok(()) };
        let view = view(peer);
        let to = match to {
            Address::Node(to) => {
                let id = self.plan.ids[to];
                let raft = peer.raft();
                let from = raft.member();
                let (cluster, epoch) = (raft.cluster(), raft.hard_state().epoch);
                let is_meant = |to: &MemberId| match header.route {
                    Route::Tagged(tag) => {
                        tag == Introduction { cluster, epoch, from, to: *to }.tag()
                    }
                    Route::Full(introduction) => introduction.to == *to,
                    Route::Client(_) => false,
                };
                let mut lives = raft.peers().map(|it| it.member).filter(|to| to.id == id);
                lives.find(is_meant)
            }
            Address::Client(_) => None,
        };
        let disk = self.disks[place].0.borrow();
        let sent = Sent { view: &view, to, message: &message, durable: disk.durable() };
        self.chronicle.sent(place, &sent)?;
        Ok(())
    }

    fn on_reads(&mut self, place: usize, reads: Reads) {
        let fate = if reads.is_ready { ReadFate::Ready } else { ReadFate::Failed };
        let applied = self.hosts[place].peer.as_ref().map(|it| it.raft().applied());
        let mut told = Vec::new();
        for (id, of) in &mut self.notes[place].reads {
            if *id <= reads.upto && *of == ReadFate::Waiting {
                *of = fate;
                told.push(id.0);
            }
        }
        for read in told {
            let id = place + 1;
            self.tell(
                Loudness::Events,
                &match fate {
                    ReadFate::Failed | ReadFate::Waiting => format!("{id} fails read {read}"),
                    ReadFate::Ready => {
                        format!("{id} answers read {read} at {}", applied.unwrap_or_default())
                    }
                },
            );
        }
    }

    fn on_disk_error(&mut self, place: usize, error: DiskError) -> Done {
        let why = match error {
            DiskError::Crash => "crashes in its write",
            DiskError::Refused => "ends: its disk has failed",
        };
        self.say(&format!("{} {why}", place + 1));
        self.crash(place, 0);
        Ok(())
    }

    /// The power of a node goes. Of what its disk was not done with, so many writes survive.
    pub fn crash(&mut self, place: usize, kept: u64) {
        let disk = &self.disks[place];
        disk.0.borrow_mut().keep_only(kept);
        self.hosts[place].stop(disk);
        if self.is_volatile() {
            disk.0.borrow_mut().wipe();
        }
        self.hosts[place].paused_until = crate::queue::Micros(0);
        self.notes[place] = super::world::Notes::default();
    }
}

/// More than any node of a script can want at once.
const MOST_POLLS: usize = 100_000;
