//! Three nodes, clients, and a relay between all of them.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use coracle::{RoleName, Status};
use coracle_udp::{Client, Faults, Relay, Way};
use rustix::process::{Pid, Signal, kill_process};

use crate::process::{PATIENCE, Process};

/// The nodes' places among the ends.
pub const NODES: [usize; 3] = [0, 1, 2];

/// Three node processes that know each other under the relay's addresses.
pub struct Trio {
    /// The processes, by place.
    pub nodes: [Process; 3],
    /// The network. It ends after the processes.
    pub relay: Relay,
    sockets: Vec<UdpSocket>,
}

impl Trio {
    /// Starts nodes with these initial values, and makes room for so many clients, on a network
    /// that treats everybody's datagrams like this from the start.
    pub fn start(seed: u64, inits: [&str; 3], clients: usize, faults: Faults) -> Self {
        let any = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Held until the relay has all of its own ports, lest it takes one of these.
        let held = NODES.map(|_| any());
        let addresses = held.each_ref().map(|socket| socket.local_addr().unwrap());
        // Behind the others there is one client for each node, for questions and last reads.
        let sockets: Vec<UdpSocket> = (0..clients + NODES.len()).map(|_| any()).collect();
        let clients: Vec<SocketAddr> =
            sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let relay = Relay::start(seed, &addresses, &clients).unwrap();
        let all: Vec<usize> = (0..NODES.len() + clients.len()).collect();
        relay.set_among(&NODES, faults);
        for client in &all[NODES.len()..] {
            for node in NODES {
                relay.set(Way { from: *client, to: node }, faults);
                relay.set(Way { from: node, to: *client }, faults);
            }
        }
        drop(held);
        let nodes = NODES.map(|place| {
            let mut arguments = vec!["node".to_owned(), "--init_value".to_owned()];
            arguments.push(inits[place].to_owned());
            arguments.extend(["--id".to_owned(), (place + 1).to_string()]);
            arguments.extend(["--listen".to_owned(), addresses[place].to_string()]);
            for other in NODES.into_iter().filter(|other| *other != place) {
                let address = relay.address(Way { from: place, to: other });
                arguments.extend(["--peer".to_owned(), format!("{}={address}", other + 1)]);
            }
            Process::start(&arguments)
        });
        Self { nodes, relay, sockets }
    }

    /// The client at this place, which may ask any node.
    pub fn client(&self, place: usize) -> Client {
        let address = |node| self.relay.address(Way { from: NODES.len() + place, to: node });
        let socket = self.sockets[place].try_clone().unwrap();
        Client::new(socket, &NODES.map(address), place as u64).unwrap()
    }

    /// A client of one node only.
    pub fn client_of(&self, node: usize) -> Client {
        let place = self.sockets.len() - NODES.len() + node;
        let address = self.relay.address(Way { from: NODES.len() + place, to: node });
        let socket = self.sockets[place].try_clone().unwrap();
        Client::new(socket, &[address], 100 + place as u64).unwrap()
    }

    /// From now on everybody's datagrams pass.
    pub fn heal(&self) {
        let ends = NODES.len() + self.sockets.len();
        for from in 0..ends {
            for to in
                (0..ends).filter(|to| from != *to && (from < NODES.len() || *to < NODES.len()))
            {
                self.relay.set(Way { from, to }, Faults::default());
            }
        }
    }

    /// How a node is, if it says so soon.
    pub fn status(&self, node: usize) -> Option<Status> {
        self.client_of(node).status(0, Duration::from_millis(300)).ok()
    }

    /// Waits until one of these nodes leads, and gives its place.
    pub fn leader(&self, among: &[usize]) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leads = |node: &usize| {
                self.status(*node).is_some_and(|status| status.role == RoleName::Leader)
            };
            if let Some(leader) = among.iter().copied().find(leads) {
                return leader;
            }
            assert!(Instant::now() < deadline, "none of {among:?} leads within {PATIENCE:?}");
        }
    }

    /// Sends a signal to a node.
    pub fn signal(&self, node: usize, signal: Signal) {
        let id = i32::try_from(self.nodes[node].id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }
}
