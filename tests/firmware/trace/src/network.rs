//! What is between the members and the clients.

use coracle_rules::harness::Random;

/// The most bytes of a datagram here.
pub const DATAGRAM: usize = 512;

/// The same, as an option.
pub const DATAGRAM_BYTES: u16 = 512;

/// The datagrams under way at most; what comes on top is lost, as in a full receive buffer.
const QUEUE: usize = 16;

const LOST_PERCENT: u64 = 10;
const DOUBLED_PERCENT: u64 = 5;

/// The longest way, in ticks: datagrams overtake one another.
const LONGEST: u64 = 9;

/// A datagram under way, between places: first the members, then the clients.
#[derive(Clone)]
pub struct Packet {
    /// When it arrives.
    due: u64,
    /// Of those that arrive together the first one sent goes first.
    order: u64,
    /// Who sent it.
    pub from: usize,
    /// Whom it is for.
    pub to: usize,
    /// All of it.
    pub bytes: heapless::Vec<u8, DATAGRAM>,
}

/// Datagrams under way.
pub struct Network {
    random: Random,
    packets: heapless::Vec<Packet, QUEUE>,
    order: u64,
    /// Whom nobody hears, and who hears nobody.
    pub cut: Option<usize>,
    /// How many were sent.
    pub sent: u32,
    /// How many of them never arrive.
    pub lost: u32,
}

impl Network {
    /// Nothing is under way.
    pub const fn new(seed: u64) -> Self {
        let random = Random::new(seed);
        Self { random, packets: heapless::Vec::new(), order: 0, cut: None, sent: 0, lost: 0 }
    }

    /// Takes a datagram on its way; whether it will arrive.
    pub fn send(&mut self, now: u64, from: usize, to: usize, bytes: &[u8]) -> bool {
        self.sent += 1;
        let is_cut = self.cut.is_some_and(|cut| cut == from || cut == to);
        let is_lost = self.random.happens(LOST_PERCENT) || is_cut;
        let copies = 1 + usize::from(self.random.happens(DOUBLED_PERCENT));
        if is_lost || self.packets.len() + copies > QUEUE {
            self.lost += 1;
            return false;
        }
        for _copy in 0..copies {
            let bytes = heapless::Vec::from_slice(bytes).expect("a datagram keeps to its limit");
            let due = now + 1 + self.random.next() % LONGEST;
            self.order += 1;
            let packet = Packet { due, order: self.order, from, to, bytes };
            self.packets.push(packet).ok().expect("there is room, since it was counted");
        }
        true
    }

    /// When the next one arrives.
    pub fn next(&self) -> Option<u64> {
        self.packets.iter().map(|packet| packet.due).min()
    }

    /// The next one that has arrived by now.
    pub fn arrived(&mut self, now: u64) -> Option<Packet> {
        let packets = self.packets.iter().enumerate().filter(|(_, packet)| packet.due <= now);
        let (at, _) = packets.min_by_key(|(_, packet)| (packet.due, packet.order))?;
        Some(self.packets.swap_remove(at))
    }
}
