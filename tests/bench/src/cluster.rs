//! Three members in one thread, and the datagrams between them.

use coracle::{Index, NodeId, Ticks};

/// One of the three, at whichever layer is measured.
pub trait Member {
    /// Takes a datagram from another.
    fn receive(&mut self, from: NodeId, datagram: &[u8]);
    /// Does the next thing that is to be done. A datagram to send is left in `buffer`.
    fn poll(&mut self, buffer: &mut [u8]) -> Polled;
    /// Lets time pass.
    fn tick(&mut self, elapsed: Ticks);
    /// How long it may be left alone.
    fn next_timeout(&self) -> Option<Ticks>;
    /// Proposes a command.
    ///
    /// # Panics
    /// When it is refused: here nothing is ever full.
    fn propose(&mut self, command: &[u8]);
    /// Drops from the log what all have applied.
    fn compact(&mut self);
    /// Whether it leads and takes proposals.
    fn is_ready(&self) -> bool;
    /// The last entry applied.
    fn applied(&self) -> Index;
    /// Panics when this member and another are not in the same state.
    fn assert_equal(&self, other: &Self);
}

/// What a member did when it was polled.
pub enum Polled {
    /// Nothing: there is nothing to do until something happens.
    Idle,
    /// Something that concerns no one else.
    Worked,
    /// It has this many bytes for another.
    Sends { to: NodeId, length: usize },
}

/// How much went from member to member.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Datagrams.
    pub datagrams: u64,
    /// The bytes in them.
    pub bytes: u64,
}

/// The three.
pub struct Cluster<M> {
    members: [M; MEMBERS],
    /// Whether it has been given anything since it was last found idle.
    awake: [bool; MEMBERS],
    buffer: Box<[u8]>,
    traffic: Traffic,
    leader: usize,
}

/// The ids of the members, each one more than its position.
pub const IDS: [NodeId; MEMBERS] = [NodeId(1), NodeId(2), NodeId(3)];

/// How many capacities are for.
pub const MEMBERS: usize = 3;

impl<M: Member> Cluster<M> {
    /// Three blank members that have formed a cluster, with a leader that takes proposals.
    pub fn form(members: [M; MEMBERS]) -> Self {
        let buffer = vec![0; usize::from(u16::MAX)].into_boxed_slice();
        let mut cluster =
            Self { members, awake: ALL, buffer, traffic: Traffic::default(), leader: 0 };
        for _timeout in 0..MOST_TIMEOUTS {
            cluster.drive();
            if let Some(leader) = cluster.members.iter().position(Member::is_ready) {
                cluster.leader = leader;
                return cluster;
            }
            cluster.pass_to_next_timeout();
        }
        panic!("no leader after {MOST_TIMEOUTS} timeouts");
    }

    /// The member that takes proposals.
    pub fn leader(&mut self) -> &mut M {
        self.awake[self.leader] = true;
        &mut self.members[self.leader]
    }

    /// A member that does not.
    pub fn follower(&mut self) -> &mut M {
        &mut self.members[(self.leader + 1) % MEMBERS]
    }

    /// What went from member to member so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Delivers and polls until nobody has anything to do.
    pub fn drive(&mut self) {
        while let Some(at) = self.awake.iter().position(|awake| *awake) {
            self.drive_one(at);
        }
    }

    /// Lets the same time pass for all.
    pub fn pass(&mut self, elapsed: Ticks) {
        for member in &mut self.members {
            member.tick(elapsed);
        }
        self.awake = ALL;
    }

    /// Drops from every log what all have applied.
    pub fn compact(&mut self) {
        self.members.iter_mut().for_each(M::compact);
    }

    /// Lets heartbeats tell everybody what is committed, and panics unless all three are then in
    /// the same state.
    pub fn assert_equal(&mut self) {
        for _timeout in 0..MOST_TIMEOUTS {
            let applied = self.leader().applied();
            if self.members.iter().all(|member| member.applied() == applied) {
                break;
            }
            self.pass_to_next_timeout();
            self.drive();
        }
        let [first, second, third] = &self.members;
        first.assert_equal(second);
        first.assert_equal(third);
    }

    /// Polls one until it is idle; whom it has sent something is awake then.
    #[inline]
    fn drive_one(&mut self, at: usize) {
        loop {
            match self.members[at].poll(&mut self.buffer) {
                Polled::Idle => break,
                Polled::Worked => {}
                Polled::Sends { to, length } => self.deliver(at, to, length),
            }
        }
        self.awake[at] = false;
    }

    #[inline]
    fn deliver(&mut self, from: usize, to: NodeId, length: usize) {
        let at = to.0 as usize - 1;
        let datagram = &self.buffer[..length];
        self.traffic.datagrams += 1;
        self.traffic.bytes += datagram.len() as u64;
        self.members[at].receive(IDS[from], datagram);
        self.awake[at] = true;
    }

    fn pass_to_next_timeout(&mut self) {
        let next = self.members.iter().filter_map(Member::next_timeout).min();
        let elapsed = next.expect("nobody waits for anything");
        self.pass(Ticks(elapsed.0.max(1)));
    }
}

const ALL: [bool; MEMBERS] = [true; MEMBERS];

/// A bound for what is a handful when all is well.
const MOST_TIMEOUTS: usize = 1000;
