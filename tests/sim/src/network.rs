//! The network: datagrams are lost, delayed, overtaken, doubled, kept for minutes and damaged.

use crate::chance::Chance;
use crate::queue::Micros;

/// The most nodes of a run.
pub const NODES: usize = 7;

/// Where a datagram comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// A node, by its place in the run.
    Node(usize),
    /// A client, by its place.
    Client(usize),
}

/// How datagrams fare.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// How long a datagram is on its way at least.
    pub latency: Micros,
    /// How much longer it may be.
    pub jitter: Micros,
    /// How many in a thousand are much slower, and by how much at most.
    pub slow: u64,
    /// How much slower those are at most.
    pub slow_by: Micros,
    /// How many in a thousand are lost.
    pub lost: u64,
    /// How many in a thousand arrive twice.
    pub doubled: u64,
    /// How many in a thousand arrive again very late.
    pub replayed: u64,
    /// How late that is at most.
    pub replayed_by: Micros,
    /// How many in a thousand are damaged or cut off.
    pub damaged: u64,
}

/// Which nodes a node cannot reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// None.
    Whole,
    /// Two sides, one of them the set bits.
    Split(u8),
    /// The nodes of the set bits hear the others, which do not hear them.
    OneWay(u8),
    /// The leader is alone.
    LeaderAlone,
    /// The leader hears nobody, but is heard.
    LeaderDeaf,
    /// The leader is not heard, but hears.
    LeaderMute,
    /// One node reaches everybody; the others are in two sides, one of them the set bits.
    Bridge {
        /// The node that reaches everybody.
        over: usize,
        /// One side.
        side: u8,
    },
    /// Each node reaches only its two neighbours in a row.
    Chain,
    /// As `Split`, but it comes and goes.
    Flapping(u8),
    /// Each new leader is soon cut off with a minority, other than the one before: so figure 8
    /// comes about.
    Hunt,
}

/// What became of datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkCounts {
    /// Sent.
    pub sent: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost to a partition.
    pub blocked: u64,
    /// Delivered twice.
    pub doubled: u64,
    /// Delivered again, very late.
    pub replayed: u64,
    /// Damaged.
    pub damaged: u64,
    /// Much delayed.
    pub slow: u64,
}

/// The network of one run.
#[derive(Clone, Debug)]
pub struct Network {
    /// How datagrams fare now.
    pub weather: Weather,
    /// What became of them.
    pub counts: NetworkCounts,
    blocked: [u8; NODES],
    chance: Chance,
}

/// A datagram on its way: when it arrives, and as what.
pub type Arrival = (Micros, Box<[u8]>);

impl Network {
    /// A whole network.
    #[must_use]
    pub fn new(weather: Weather, chance: Chance) -> Self {
        Self { weather, counts: NetworkCounts::default(), blocked: [0; NODES], chance }
    }

    /// Cuts the links of a partition, and none but these.
    pub fn cut(&mut self, partition: Partition, leader: Option<usize>, nodes: usize) {
        self.blocked = [0; NODES];
        for from in 0..nodes {
            for to in (0..nodes).filter(|to| *to != from) {
                if partition.cuts(from, to, leader) {
                    self.blocked[from] |= 1 << to;
                }
            }
        }
    }

    /// Sends a datagram: gives each arrival of it to `arrive`.
    pub fn send(
        &mut self,
        from: Address,
        to: Address,
        datagram: &[u8],
        mut arrive: impl FnMut(Arrival),
    ) {
        self.counts.sent += 1;
        let weather = self.weather;
        if let (Address::Node(from), Address::Node(to)) = (from, to)
            && self.blocked[from] & (1 << to) != 0
        {
            self.counts.blocked += 1;
            return;
        }
        if self.chance.permille(weather.replayed) {
            self.counts.replayed += 1;
            let late = self.chance.below(weather.replayed_by.0);
            arrive((Micros(late), datagram.into()));
        }
        if self.chance.permille(weather.lost) {
            self.counts.lost += 1;
            return;
        }
        if self.chance.permille(weather.doubled) {
            self.counts.doubled += 1;
            arrive((self.delay(), datagram.into()));
        }
        let mut bytes: Box<[u8]> = datagram.into();
        if self.chance.permille(weather.damaged) {
            self.counts.damaged += 1;
            bytes = self.damage(bytes);
        }
        arrive((self.delay(), bytes));
    }

    /// Bytes that nobody sent.
    pub fn garbage(&mut self) -> Box<[u8]> {
        let length = self.chance.place(100);
        let mut bytes: Vec<u8> = (0..length).map(|_| self.chance.number() as u8).collect();
        // Sometimes they look like the beginning of a datagram.
        if let Some(version) = bytes.first_mut()
            && self.chance.coin()
        {
            *version = 1;
        }
        bytes.into()
    }

    fn delay(&mut self) -> Micros {
        let weather = self.weather;
        let mut delay = weather.latency.plus(Micros(self.chance.below(weather.jitter.0 + 1)));
        if self.chance.permille(weather.slow) {
            self.counts.slow += 1;
            delay = delay.plus(Micros(self.chance.below(weather.slow_by.0 + 1)));
        }
        delay
    }

    fn damage(&mut self, mut bytes: Box<[u8]>) -> Box<[u8]> {
        if bytes.is_empty() {
            return bytes;
        }
        if self.chance.coin() {
            return bytes[..self.chance.place(bytes.len())].into();
        }
        for _ in 0..self.chance.between(1, 4) {
            let place = self.chance.place(bytes.len());
            bytes[place] ^= 1 << self.chance.below(8);
        }
        bytes
    }
}

impl Partition {
    fn cuts(self, from: usize, to: usize, leader: Option<usize>) -> bool {
        let is_in = |set: u8, node: usize| set & (1 << node) != 0;
        match self {
            Self::Whole | Self::Hunt => false,
            Self::Split(side) | Self::Flapping(side) => is_in(side, from) != is_in(side, to),
            Self::OneWay(side) => is_in(side, from) && !is_in(side, to),
            Self::LeaderAlone => leader == Some(from) || leader == Some(to),
            Self::LeaderDeaf => leader == Some(to),
            Self::LeaderMute => leader == Some(from),
            Self::Bridge { over, side } => {
                from != over && to != over && is_in(side, from) != is_in(side, to)
            }
            Self::Chain => from.abs_diff(to) != 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(partition: Partition, leader: Option<usize>) -> [[bool; 5]; 5] {
        std::array::from_fn(|from| {
            std::array::from_fn(|to| from == to || !partition.cuts(from, to, leader))
        })
    }

    #[test]
    fn each_partition_cuts_the_links_of_its_name() {
        assert!(reach(Partition::Whole, None).iter().flatten().all(|reached| *reached));
        let split = reach(Partition::Split(0b00011), None);
        assert!(split[0][1] && !split[0][2] && !split[2][0]);
        let one_way = reach(Partition::OneWay(0b00001), None);
        assert!(!one_way[0][3] && one_way[3][0]);
        let deaf = reach(Partition::LeaderDeaf, Some(1));
        assert!(!deaf[0][1] && deaf[1][0] && deaf[0][2]);
        let bridge = reach(Partition::Bridge { over: 2, side: 0b00011 }, None);
        assert!(bridge[0][2] && bridge[2][4] && bridge[0][1] && !bridge[1][3]);
        let chain = reach(Partition::Chain, None);
        assert!(chain[1][2] && !chain[1][3]);
    }
}
