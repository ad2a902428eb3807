//! Takes clients' requests to the leader, for clients that do not know where it is.
//!
//! A client that is told who leads finds it by itself, unless it was not given that server. Then it
//! comes back at once, and its request is passed on, and the answer back.

use std::net::SocketAddr;

use coracle::message::{Message, Want};
use coracle::wire::{Route, decode};
use coracle::{ClientId, Ticks};

use crate::seal::FastChecksum;

/// The clients that were told who leads, and where they are.
pub struct Forwarder {
    /// Never more than [`CLIENTS`]: whoever was told longest ago makes room.
    clients: Vec<Told>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    client: ClientId,
    address: SocketAddr,
    at: Ticks,
    /// The number of the request that was told, or passed on last. Each is passed on once, so that
    /// none runs in a circle between nodes that take each other for the leader.
    number: u64,
}

impl Forwarder {
    /// Nobody was told anything.
    pub fn new() -> Self {
        Self { clients: Vec::with_capacity(CLIENTS) }
    }

    /// Whether this request is for the leader and to be passed on. If it is not, its client is about
    /// to be told who leads, and may come back: for a while, after which it is told again, since a
    /// client that finds the leader by itself has the shorter way.
    pub fn takes(&mut self, from: SocketAddr, datagram: &[u8], now: Ticks) -> bool {
        let Ok((header, Message::Request(request))) = decode(datagram, &FastChecksum) else {
            return false;
        };
        let Route::Client(route) = header.route else { return false };
        // All else is the leader's business.
        if matches!(request.want, Want::Query { .. } | Want::Status | Want::Peers { .. }) {
            return false;
        }
        let told = Told { client: route.client, address: from, at: now, number: header.number };
        let known = self.clients.iter_mut().find(|known| known.client == route.client);
        match known {
            Some(known) if header.number <= known.number => false,
            Some(known) if now.since(known.at) < WINDOW => {
                *known = Told { at: known.at, ..told };
                true
            }
            Some(known) => {
                *known = told;
                false
            }
            None => {
                self.remember(told);
                false
            }
        }
    }

    /// Whose answer this is, if its request was passed on.
    pub fn asker(&self, datagram: &[u8]) -> Option<SocketAddr> {
        let (header, _) = decode(datagram, &FastChecksum).ok()?;
        let Route::Client(route) = header.route else { return None };
        self.clients.iter().find(|known| known.client == route.client).map(|known| known.address)
    }

    fn remember(&mut self, told: Told) {
        if self.clients.len() < CLIENTS {
            self.clients.push(told);
        } else if let Some(oldest) = self.clients.iter_mut().min_by_key(|known| known.at) {
            *oldest = told;
        }
    }
}

/// How many clients are remembered.
const CLIENTS: usize = 64;
const WINDOW: Ticks = Ticks(1_000_000);

#[cfg(test)]
mod tests {
    use coracle::message::{Answer, Reply, Request};
    use coracle::wire::{ClientRoute, Header, encode};
    use coracle::{ClusterId, Epoch, NodeId, SessionId};

    use super::*;
    use crate::roster::loopback;

    fn datagram(client: u64, number: u64, message: &Message<'_>) -> Vec<u8> {
        let (cluster, epoch, client) = (ClusterId(1), Epoch(2), ClientId(client));
        let route = Route::Client(ClientRoute { cluster, epoch, client });
        let mut buffer = vec![0; 1200];
        let length = encode(&Header { number, route }, message, &FastChecksum, &mut buffer);
        buffer.truncate(length.unwrap());
        buffer
    }

    fn request(client: u64, number: u64, want: Want<'_>) -> Vec<u8> {
        datagram(client, number, &Message::Request(Request { want, padding: &[] }))
    }

    fn answer(client: u64) -> Vec<u8> {
        let reply = Reply { echo: 5, from: NodeId(1), answer: Answer::Busy };
        datagram(client, 1, &Message::Reply(reply))
    }

    #[test]
    fn who_was_told_and_comes_back_is_taken_to_the_leader() {
        let mut forwarder = Forwarder::new();
        let command = Want::Command { session: SessionId(1), sequence: 1, command: &[7] };
        let (here, there) = (loopback(1), loopback(2));
        assert!(!forwarder.takes(here, &request(9, 1, Want::Open), Ticks(0)), "it is told first");
        assert!(forwarder.takes(here, &request(9, 2, Want::Open), Ticks(1)));
        assert_eq!(forwarder.asker(&answer(9)), Some(here));
        assert_eq!(forwarder.asker(&answer(8)), None);
        assert!(forwarder.takes(there, &request(9, 3, command), Ticks(999_999)));
        assert_eq!(forwarder.asker(&answer(9)), Some(there), "it has moved");
        assert!(!forwarder.takes(here, &request(8, 1, command), Ticks(1)), "another client");
    }

    #[test]
    fn who_leads_is_told_again_after_a_while() {
        let mut forwarder = Forwarder::new();
        let here = loopback(1);
        for (number, at, is_taken) in
            [(1, 0, false), (2, 999_999, true), (3, 1_000_000, false), (4, 1_999_999, true)]
        {
            let request = request(9, number, Want::Open);
            assert_eq!(forwarder.takes(here, &request, Ticks(at)), is_taken, "{number}");
        }
    }

    #[test]
    fn a_request_is_passed_on_once() {
        let mut forwarder = Forwarder::new();
        let here = loopback(1);
        assert!(!forwarder.takes(here, &request(9, 5, Want::Open), Ticks(0)));
        for number in [5, 4, 1] {
            assert!(!forwarder.takes(here, &request(9, number, Want::Open), Ticks(0)), "{number}");
        }
        assert!(forwarder.takes(here, &request(9, 6, Want::Open), Ticks(0)));
        assert!(!forwarder.takes(here, &request(9, 6, Want::Open), Ticks(0)));
    }

    #[test]
    fn what_every_node_answers_is_not_passed_on() {
        let mut forwarder = Forwarder::new();
        let here = loopback(1);
        for want in [Want::Query { query: &[] }, Want::Status, Want::Peers { first: 0 }] {
            for number in 1..4 {
                assert!(!forwarder.takes(here, &request(9, number, want), Ticks(0)));
            }
        }
        let mut damaged = request(9, 1, Want::Open);
        damaged[30] ^= 1;
        for _ in 0..2 {
            assert!(!forwarder.takes(here, &damaged, Ticks(0)));
        }
        assert_eq!(forwarder.asker(&answer(9)), None);
    }

    #[test]
    fn who_was_told_longest_ago_makes_room() {
        let mut forwarder = Forwarder::new();
        let clients = 1..=u64::try_from(CLIENTS).unwrap() + 1;
        for client in clients.clone() {
            let request = request(client, 1, Want::Open);
            assert!(!forwarder.takes(loopback(1), &request, Ticks(client)));
        }
        for client in clients {
            let is_known = forwarder.asker(&answer(client)).is_some();
            assert_eq!(is_known, client != 1, "{client}");
        }
    }
}
