//! Three nodes in one thread: the shortest way through formation, election, replication and reads.

use std::collections::VecDeque;

use coracle::{
    Array, Checksum, ClusterId, NodeId, Options, Output, Raft, Received, RoleName, Ticks, Timing,
};

#[derive(Clone, Debug)]
struct Dice(u64);

impl rand_core::TryRng for Dice {
    type Error = core::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.try_next_u64().map(|word| (word >> 32) as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        Ok(self.0 ^ (self.0 >> 29))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for byte in bytes {
            [*byte, ..] = self.try_next_u64()?.to_le_bytes();
        }
        Ok(())
    }
}

type Member = Raft<Array<4096, 128>, Dice, Checksum, 4>;

struct Trio {
    nodes: Vec<Member>,
    network: VecDeque<(usize, Vec<u8>)>,
    applied: Vec<Vec<Vec<u8>>>,
    sent: usize,
}

impl Trio {
    fn new() -> Self {
        let timing = Timing::from_heartbeat(Ticks(50));
        let ids = [NodeId(1), NodeId(2), NodeId(3)];
        let node = |id: NodeId| {
            let others: Vec<_> = ids.into_iter().filter(|other| *other != id).collect();
            let mut options = Options::new(ClusterId(7), id, timing);
            options.datagram = 512;
            Raft::new(&options, &others, Array::zeroed(), Dice(u64::from(id.0)), Checksum).unwrap()
        };
        Self {
            nodes: ids.into_iter().map(node).collect(),
            network: VecDeque::new(),
            applied: vec![vec![]; 3],
            sent: 0,
        }
    }

    fn poll(&mut self, at: usize) {
        let mut buffer = [0; 512];
        while let Some(output) = self.nodes[at].poll() {
            match output {
                Output::Transmit(transmit) => {
                    let to = transmit.to().0 as usize - 1;
                    let length = transmit.write(&mut buffer).unwrap();
                    if length > 0 {
                        self.sent += 1;
                        self.network.push_back((to, buffer[..length].to_vec()));
                    }
                }
                Output::Persist(persist) => persist.done(),
                Output::Apply(apply) => {
                    let command = apply.entry().unwrap().data.to_vec();
                    self.applied[at].push(command);
                    apply.done();
                }
                Output::Reads(reads) => assert!(reads.is_ready),
                Output::Install(_) | Output::Chunk(_) => panic!("nobody lags behind"),
                Output::Failed(violation) => panic!("{violation:?}"),
            }
        }
    }

    fn settle(&mut self) {
        (0..3).for_each(|at| self.poll(at));
        while let Some((to, datagram)) = self.network.pop_front() {
            assert_eq!(self.nodes[to].receive(&datagram), Ok(Received::Peer));
            self.poll(to);
        }
    }

    fn tick(&mut self, elapsed: u64) {
        self.nodes.iter_mut().for_each(|node| node.tick(Ticks(elapsed)));
        self.settle();
    }
}

#[test]
fn three_nodes_form_replicate_and_read() {
    let mut trio = Trio::new();
    trio.settle();
    assert_eq!(trio.nodes[0].role(), RoleName::Leader, "{:?}", trio.nodes[0].status());
    trio.tick(50);
    trio.sent = 0;
    for command in 0..1000_u32 {
        trio.nodes[0].propose(&command.to_le_bytes()).unwrap();
        trio.settle();
        let upto = trio.nodes[0].compactable();
        trio.nodes.iter_mut().for_each(|node| {
            node.compact(upto);
        });
    }
    assert_eq!(trio.sent, 4000);
    for node in &mut trio.nodes {
        node.read().unwrap();
    }
    trio.settle();
    trio.tick(50);
    assert!(trio.applied.iter().all(|applied| applied.len() == 1000));
    assert_eq!(trio.applied[0], trio.applied[1]);
    assert_eq!(trio.applied[0], trio.applied[2]);
}
