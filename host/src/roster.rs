//! Which nodes a cluster has, and where each of them is.

use std::io::{self, Error};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

use coracle::{NodeId, Server};

/// The nodes of a cluster as one of them was told of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// This node.
    pub id: NodeId,
    /// Where it takes datagrams.
    pub listen: SocketAddr,
    /// All others, in the order in which they were named.
    pub others: Vec<Peer>,
    /// How people know the nodes.
    pub naming: Naming,
}

/// Another node, and where it takes datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Which node.
    pub id: NodeId,
    /// Where it is.
    pub address: SocketAddr,
}

/// How people know the nodes of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By their ports on this machine, which are their ids too.
    Port,
    /// By an id, which says nothing about the address.
    Id,
}

impl Roster {
    /// The nodes on these ports of this machine, with their ports as their ids.
    pub fn of_ports(own: u16, others: &[u16]) -> Self {
        let peer = |port: &u16| Peer { id: id_of_port(*port), address: loopback(*port) };
        Self {
            id: id_of_port(own),
            listen: loopback(own),
            others: others.iter().map(peer).collect(),
            naming: Naming::Port,
        }
    }

    /// Nodes with names of machines, which are looked up. A machine that has addresses of both
    /// families is used by the one that this node listens on, and a node listens on the older one.
    ///
    /// # Errors
    /// When a name is not found, or has no address that can be reached from this node's.
    pub fn look_up(id: NodeId, listen: &str, others: &[(NodeId, String)]) -> io::Result<Self> {
        let listen = any_address(listen)?;
        let peer = |(id, name): &(NodeId, String)| {
            let address = address_like(name, listen)
                .map_err(|error| Error::new(error.kind(), format!("node {id}: {error}")))?;
            Ok(Peer { id: *id, address })
        };
        let others = others.iter().map(peer).collect::<io::Result<_>>()?;
        let roster = Self { id, listen, others, naming: Naming::Id };
        roster.check().map_err(Error::other)?;
        Ok(roster)
    }

    /// No two nodes can be at one address; core has an eye on the ids.
    fn check(&self) -> Result<(), String> {
        let all = || self.others.iter().map(|peer| (peer.id, peer.address));
        let with_own = all().chain([(self.id, self.listen)]);
        for (at, (id, address)) in with_own.enumerate() {
            if let Some((other, _)) = all().take(at).find(|(_, taken)| *taken == address) {
                return Err(format!("nodes {other} and {id} cannot both be at {address}"));
            }
        }
        Ok(())
    }

    /// Where another node is.
    pub fn address(&self, id: NodeId) -> Option<SocketAddr> {
        self.others.iter().find(|peer| peer.id == id).map(|peer| peer.address)
    }

    /// All nodes as servers of clients, this one first.
    pub fn servers(&self) -> Vec<Server<SocketAddr>> {
        let own = Server { address: self.listen, id: Some(self.id) };
        let server = |peer: &Peer| Server { address: peer.address, id: Some(peer.id) };
        [own].into_iter().chain(self.others.iter().map(server)).collect()
    }

    /// A node as people know it: by its id, and where the id does not say it, by its address.
    pub fn name(&self, id: NodeId) -> String {
        match (self.naming, self.address(id)) {
            (Naming::Id, Some(address)) => format!("{id} ({address})"),
            (Naming::Id, None) | (Naming::Port, _) => id.to_string(),
        }
    }
}

/// The servers on these ports of this machine, with their ports as their ids.
pub fn servers_on(ports: &[u16]) -> Vec<Server<SocketAddr>> {
    let server = |port: &u16| Server { address: loopback(*port), id: Some(id_of_port(*port)) };
    ports.iter().map(server).collect()
}

/// Where a node with this port is on this machine.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Looks `HOST:PORT` up. Of several addresses it takes one of the older family if there is any, so
/// that everybody who looks a name up comes to the same one.
///
/// # Errors
/// When it is not found. Says what was looked for.
pub fn any_address(name: &str) -> io::Result<SocketAddr> {
    let addresses = look_up(name)?;
    let first = addresses.iter().find(|address| address.is_ipv4()).or_else(|| addresses.first());
    first.copied().ok_or_else(|| Error::other(format!("{name}: there is no such address")))
}

/// Looks `HOST:PORT` up, for one who can reach only addresses of the same family as `own`.
///
/// # Errors
/// When none is found. Says what was looked for.
pub fn address_like(name: &str, own: SocketAddr) -> io::Result<SocketAddr> {
    let alike = |address: &SocketAddr| address.is_ipv4() == own.is_ipv4();
    look_up(name)?.into_iter().find(alike).ok_or_else(|| {
        let family = if own.is_ipv4() { "IPv4" } else { "IPv6" };
        Error::other(format!("{name} has no {family} address, so it cannot be reached from {own}"))
    })
}

fn look_up(name: &str) -> io::Result<Vec<SocketAddr>> {
    let fail = |why: &dyn std::fmt::Display| Error::other(format!("{name}: {why}"));
    let (_, port) =
        name.rsplit_once(':').ok_or_else(|| fail(&"it must have the form HOST:PORT"))?;
    match port.parse::<u16>() {
        Ok(1..) => {}
        Ok(0) | Err(_) => return Err(fail(&"the port must be a number from 1 to 65535")),
    }
    Ok(name.to_socket_addrs().map_err(|error| fail(&error))?.collect())
}

fn id_of_port(port: u16) -> NodeId {
    NodeId(u32::from(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(listen: &str, others: &[(u32, &str)]) -> Result<Roster, String> {
        let named = |(id, name): &(u32, &str)| (NodeId(*id), (*name).to_owned());
        let others: Vec<_> = others.iter().map(named).collect();
        Roster::look_up(NodeId(0), listen, &others).map_err(|error| error.to_string())
    }

    #[test]
    fn a_port_is_an_id_and_an_address() {
        let roster = Roster::of_ports(8001, &[8003, 8002]);
        assert_eq!(roster.id, NodeId(8001));
        assert_eq!(roster.address(NodeId(8002)), Some(loopback(8002)));
        assert_eq!(roster.address(NodeId(8001)), None);
        assert_eq!(roster.name(NodeId(8002)), "8002");
        let ids: Vec<_> = roster.servers().iter().map(|server| server.id).collect();
        assert_eq!(ids, [8001, 8003, 8002].map(|id| Some(NodeId(id))));
    }

    #[test]
    fn an_id_says_nothing_about_the_address() {
        let roster = look_up("127.0.0.1:7000", &[(7, "127.0.0.2:7000"), (9, "10.0.0.1:1")]);
        let roster = roster.unwrap();
        assert_eq!(roster.address(NodeId(7)), Some("127.0.0.2:7000".parse().unwrap()));
        assert_eq!(roster.name(NodeId(9)), "9 (10.0.0.1:1)");
    }

    #[test]
    fn names_of_machines_and_both_families_are_looked_up() {
        assert!(look_up("localhost:7000", &[(1, "localhost:7001")]).is_ok());
        let roster = look_up("[::1]:7000", &[(1, "[::2]:7000")]).unwrap();
        assert_eq!(roster.listen, "[::1]:7000".parse().unwrap());
        let error = look_up("[::1]:7000", &[(1, "127.0.0.1:7000")]).unwrap_err();
        assert!(error.starts_with("node 1: 127.0.0.1:7000 has no IPv6 address"), "{error}");
    }

    #[test]
    fn what_is_no_address_says_so() {
        for name in ["localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "::1", ""] {
            let error = look_up(name, &[]).unwrap_err();
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
        }
    }

    #[test]
    fn two_nodes_are_not_at_one_address() {
        let error = look_up("127.0.0.1:1", &[(1, "127.0.0.1:2"), (2, "127.0.0.1:2")]).unwrap_err();
        assert_eq!(error, "nodes 1 and 2 cannot both be at 127.0.0.1:2");
        let error = look_up("127.0.0.1:1", &[(1, "127.0.0.1:1")]).unwrap_err();
        assert_eq!(error, "nodes 1 and 0 cannot both be at 127.0.0.1:1");
    }
}
