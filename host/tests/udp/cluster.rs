//! Nodes, clients, and a relay between all of them.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coracle::{RoleName, Status};
use coracle_udp::{Client, Faults, Relay, Way};
use rustix::process::{Pid, Signal, kill_process};

use crate::process::{PATIENCE, Process};

/// The places among the ends of three nodes.
pub const NODES: [usize; 3] = [0, 1, 2];

/// Node processes that know each other under the relay's addresses.
pub struct Cluster {
    /// The processes, by place.
    pub nodes: Vec<Process>,
    /// The network. It ends after the processes.
    pub relay: Relay,
    /// Where each node listens itself: nothing is lost on that way.
    pub addresses: Vec<SocketAddr>,
    arguments: Vec<Vec<String>>,
    sockets: Vec<UdpSocket>,
    /// How many clients there were of one node.
    asked: AtomicU64,
}

impl Cluster {
    /// Starts nodes with these initial values, and makes room for so many clients, on a network
    /// that treats everybody's datagrams like this from the start.
    pub fn start(seed: u64, inits: &[&str], clients: usize, faults: Faults) -> Self {
        let count = inits.len();
        let any = |_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Held until the relay has all of its own ports, lest it takes one of these.
        let held: Vec<UdpSocket> = (0..count).map(any).collect();
        let addresses: Vec<SocketAddr> =
            held.iter().map(|socket| socket.local_addr().unwrap()).collect();
        // Behind the others there is one client for each node, for questions and last reads.
        let sockets: Vec<UdpSocket> = (0..clients + count).map(any).collect();
        let clients: Vec<SocketAddr> =
            sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let relay = Relay::start(seed, &addresses, &clients).unwrap();
        let nodes = || 0..count;
        relay.set_among(&nodes().collect::<Vec<_>>(), faults);
        for client in count..count + clients.len() {
            for node in nodes() {
                relay.set(Way { from: client, to: node }, faults);
                relay.set(Way { from: node, to: client }, faults);
            }
        }
        let arguments = |place: usize| {
            let mut arguments = vec!["node".to_owned(), "--init_value".to_owned()];
            arguments.push(inits[place].to_owned());
            arguments.extend(["--id".to_owned(), (place + 1).to_string()]);
            arguments.extend(["--listen".to_owned(), addresses[place].to_string()]);
            for other in nodes().filter(|other| *other != place) {
                let address = relay.address(Way { from: place, to: other });
                arguments.extend(["--peer".to_owned(), format!("{}={address}", other + 1)]);
            }
            arguments
        };
        let arguments: Vec<Vec<String>> = nodes().map(arguments).collect();
        drop(held);
        let nodes = arguments.iter().map(|arguments| Process::start(arguments)).collect();
        Self { nodes, relay, addresses, arguments, sockets, asked: AtomicU64::new(0) }
    }

    /// Ends these nodes as a power cut would, all at once.
    pub fn kill(&mut self, places: &[usize]) {
        places.iter().for_each(|place| self.nodes[*place].kill());
    }

    /// Starts a node again, with the same arguments.
    pub fn start_again(&mut self, place: usize) {
        self.nodes[place] = Process::start(&self.arguments[place]);
    }

    /// The client at this place, which may ask any node.
    pub fn client(&self, place: usize) -> Client {
        let count = self.addresses.len();
        let address = |node| self.relay.address(Way { from: count + place, to: node });
        let addresses: Vec<SocketAddr> = (0..count).map(address).collect();
        let socket = self.sockets[place].try_clone().unwrap();
        Client::new(socket, &addresses, place as u64).unwrap()
    }

    /// A client of one node only.
    pub fn client_of(&self, node: usize) -> Client {
        let count = self.addresses.len();
        let place = self.sockets.len() - count + node;
        let address = self.relay.address(Way { from: count + place, to: node });
        let socket = self.sockets[place].try_clone().unwrap();
        // Each is another one, lest it takes a late answer to one before for its own.
        let seed = 100 + self.asked.fetch_add(1, Ordering::Relaxed);
        Client::new(socket, &[address], seed).unwrap()
    }

    /// From now on everybody's datagrams pass.
    pub fn heal(&self) {
        let count = self.addresses.len();
        let ends = count + self.sockets.len();
        for from in 0..ends {
            for to in (0..ends).filter(|to| from != *to && (from < count || *to < count)) {
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
