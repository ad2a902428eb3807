//! Faults between this node and all others, made at the edge where it sends and receives.
//!
//! A node without faults has none of this, which costs its loop one branch for each datagram. With
//! it, each direction of the way to each peer may be cut, lose, double or delay datagrams, and so
//! may the way to the clients, as which everybody counts who has not a peer's address. What happens
//! to which datagram is drawn from a seed.
//!
//! Faults are given as [`Order`]s: on the command line, or line by line while the node runs
//! ([`Control`]).

mod control;
mod order;

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use clap::Args;
use coracle::{NodeId, Ticks};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::roster::{Peer, Roster};

pub use control::{Control, Life, Said, bind_controlled};
pub use order::{Delay, Fault, Order, OrderError, Probability, Targets, Way, to_line};

/// What a test bench makes of a node that it starts. People have no use for it.
#[derive(Args, Debug, Default)]
pub struct FaultArguments {
    /// Take orders about faults on standard input in place of commands
    #[arg(long, hide = true)]
    pub controlled: bool,
    /// Lose each datagram to another node with this probability
    #[arg(long, hide = true, value_name = "P")]
    pub loss: Option<Probability>,
    /// What is drawn for faults follows from this number and the node's id
    #[arg(long, hide = true, value_name = "SEED", default_value_t = 0)]
    pub fault_seed: u64,
}

impl FaultArguments {
    /// The faults that a node starts with; none if there can never be any.
    pub fn of(&self, roster: &Roster) -> Option<Box<Faults>> {
        let Self { controlled, loss, fault_seed } = self;
        if !controlled && loss.is_none() {
            return None;
        }
        let seed = fault_seed ^ (u64::from(roster.id.0) << 32);
        let mut faults = Faults::new(seed, &roster.others);
        let loss = loss.unwrap_or_default();
        faults.set(Fault::Loss(loss), &Targets::Peers, Some(Way::Out));
        Some(Box::new(faults))
    }
}

/// The faults of one node.
pub struct Faults {
    peers: Vec<(Peer, Link)>,
    clients: Link,
    random: ChaCha8Rng,
    incoming: BinaryHeap<Held>,
    outgoing: BinaryHeap<Held>,
    /// Of the next datagram that is held.
    number: u64,
}

/// A datagram that waits for its time.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    due: Ticks,
    /// Keeps those that are due together in the order in which they came.
    number: u64,
    /// Where it goes, or where it comes from.
    pub other: SocketAddr,
    /// Its bytes.
    pub datagram: Vec<u8>,
}

/// Both directions of the way to another.
#[derive(Clone, Copy, Default)]
struct Link {
    incoming: Rule,
    outgoing: Rule,
}

/// What happens to datagrams in one direction.
#[derive(Clone, Copy, Default)]
struct Rule {
    is_cut: bool,
    loss: Probability,
    duplicate: Probability,
    delay: Delay,
}

impl Faults {
    /// No fault yet, on the ways to these peers.
    pub fn new(seed: u64, peers: &[Peer]) -> Self {
        let link = Link::default();
        let peers = peers.iter().map(|peer| (*peer, link)).collect();
        let random = ChaCha8Rng::seed_from_u64(seed);
        let (incoming, outgoing) = (BinaryHeap::new(), BinaryHeap::new());
        Self { peers, clients: link, random, incoming, outgoing, number: 0 }
    }

    /// Makes or ends faults. `Pause` and `Resume` are none of these: they change nothing here.
    ///
    /// # Errors
    /// When one of the orders names a node that is no peer. Then none has been followed.
    pub fn apply(&mut self, orders: &[Order]) -> Result<(), OrderError> {
        let mut met = Vec::new();
        for order in orders {
            if let Order::Meet(id, _) = order {
                met.push(*id);
            }
            if let Order::Set { targets: Targets::Nodes(ids), .. } = order {
                let is_known = |id: NodeId| self.peers.iter().any(|(peer, _)| peer.id == id);
                let is_unknown = |id: &&NodeId| !is_known(**id) && !met.contains(*id);
                if let Some(id) = ids.iter().find(is_unknown) {
                    return Err(OrderError::NoPeer(*id));
                }
            }
        }
        for order in orders {
            match order {
                Order::Pause | Order::Resume => {}
                Order::Heal => {
                    self.clients = Link::default();
                    self.peers.iter_mut().for_each(|(_, link)| *link = Link::default());
                }
                Order::Meet(id, address) => self.meet(Peer { id: *id, address: *address }),
                Order::Set { fault, targets, way } => self.set(*fault, targets, *way),
            }
        }
        Ok(())
    }

    /// Whoever was at this address before is there no longer.
    fn meet(&mut self, met: Peer) {
        self.peers.retain(|(peer, _)| peer.address != met.address || peer.id == met.id);
        match self.peers.iter_mut().find(|(peer, _)| peer.id == met.id) {
            Some((peer, _)) => peer.address = met.address,
            None => self.peers.push((met, Link::default())),
        }
    }

    fn set(&mut self, fault: Fault, targets: &Targets, way: Option<Way>) {
        if *targets == Targets::Clients {
            return self.clients.set(fault, way);
        }
        for (peer, link) in &mut self.peers {
            let is_meant = match targets {
                Targets::Peers => true,
                Targets::Nodes(ids) => ids.contains(&peer.id),
                Targets::Clients => false,
            };
            if is_meant {
                link.set(fault, way);
            }
        }
    }

    /// Whether a datagram passes now. If not, it is lost, or held until it is due; a second copy of
    /// it may be held either way.
    pub fn admits(&mut self, way: Way, other: SocketAddr, datagram: &[u8], now: Ticks) -> bool {
        let rule = *self.rule(way, other);
        if rule.is_cut || self.happens(rule.loss) {
            return false;
        }
        if self.happens(rule.duplicate) {
            let due = now.plus(self.span(rule.delay));
            self.hold(way, other, datagram, due);
        }
        let delay = self.span(rule.delay);
        if delay > Ticks(0) {
            self.hold(way, other, datagram, now.plus(delay));
        }
        delay == Ticks(0)
    }

    /// Takes out a held datagram that is due. One whose way has been cut meanwhile is lost.
    pub fn next_due(&mut self, way: Way, now: Ticks) -> Option<Held> {
        loop {
            let held = match way {
                Way::In => &mut self.incoming,
                Way::Out => &mut self.outgoing,
            };
            if held.peek()?.due > now {
                return None;
            }
            let next = held.pop()?;
            if !self.rule(way, next.other).is_cut {
                return Some(next);
            }
        }
    }

    /// When the next held datagram is due.
    pub fn deadline(&self) -> Option<Ticks> {
        let heaps = [&self.incoming, &self.outgoing];
        heaps.into_iter().filter_map(|held| Some(held.peek()?.due)).min()
    }

    fn rule(&self, way: Way, other: SocketAddr) -> &Rule {
        let peer = self.peers.iter().find(|(peer, _)| peer.address == other);
        let link = peer.map_or(&self.clients, |(_, link)| link);
        match way {
            Way::In => &link.incoming,
            Way::Out => &link.outgoing,
        }
    }

    fn happens(&mut self, probability: Probability) -> bool {
        // What cannot happen draws nothing: one fault does not change the course of another.
        !probability.is_zero() && probability.covers(self.random.next_u32())
    }

    fn span(&mut self, delay: Delay) -> Ticks {
        let Delay { shortest, longest } = delay;
        let choices = longest.0.saturating_sub(shortest.0).saturating_add(1);
        let more = if choices == 1 { 0 } else { self.random.next_u64() % choices };
        Ticks(shortest.0.saturating_add(more))
    }

    fn hold(&mut self, way: Way, other: SocketAddr, datagram: &[u8], due: Ticks) {
        let held = match way {
            Way::In => &mut self.incoming,
            Way::Out => &mut self.outgoing,
        };
        // A full queue loses what comes, as any queue on a network does.
        if held.len() < MOST_HELD {
            let number = self.number;
            self.number = self.number.wrapping_add(1);
            held.push(Held { due, number, other, datagram: datagram.to_vec() });
        }
    }
}

impl Link {
    fn set(&mut self, fault: Fault, way: Option<Way>) {
        match way {
            Some(Way::In) => self.incoming.set(fault),
            Some(Way::Out) => self.outgoing.set(fault),
            None => {
                self.incoming.set(fault);
                self.outgoing.set(fault);
            }
        }
    }
}

impl Rule {
    const fn set(&mut self, fault: Fault) {
        match fault {
            Fault::Cut => self.is_cut = true,
            Fault::Join => self.is_cut = false,
            Fault::Loss(probability) => self.loss = probability,
            Fault::Duplicate(probability) => self.duplicate = probability,
            Fault::Delay(delay) => self.delay = delay,
        }
    }
}

/// The greatest is the one that is due first.
impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// In each direction.
const MOST_HELD: usize = 4096;

#[cfg(test)]
mod tests;
