//! How a node stands to the members of its cluster: where they reach it, how much it is to lead,
//! and whether it asks to be taken in.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use coracle::wire::{Header, Route, decode};
use coracle::{Address, Change, Member, Options, RoleName};
use log::info;
use mio::Waker;

use crate::cli::MAX_NODES;
use crate::client::{Failure, Session};
use crate::event_loop::wake;
use crate::roster::{Peer, Roster, address_like};
use crate::seal::FastChecksum;
use crate::servers;
use crate::setup::HostNode;

/// Membership, as a node is told of it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Membership")]
pub struct JoiningArguments {
    /// The address at which others reach this node [default: the one at which it listens, unless
    /// that is a wildcard]
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// How much this node is to lead rather than others, from 0 to 100
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        value_parser = clap::value_parser!(u8).range(0..=100)
    )]
    priority: u8,
    /// Ask these members of a running cluster to take this node in
    #[arg(long, value_name = "HOST:PORT,...", requires = "id", conflicts_with = "peers")]
    join: Option<String>,
    /// Join without a vote: the node gets everything and counts for nothing
    #[arg(long, requires = "join")]
    learner: bool,
    /// Form no cluster and ask nobody: wait until `coracle member add` or `member replace` is told
    /// of this node
    #[arg(long, conflicts_with = "join")]
    wait_to_be_added: bool,
}

/// A node that is to be taken in.
pub struct Asking {
    /// Where the members are: until it has the log it knows them from nowhere else.
    pub met: Vec<Peer>,
    /// Why it is refused; nobody is asked by one that waits to be added.
    refusals: Option<Receiver<String>>,
}

impl Asking {
    /// Why the node is refused, if it is.
    pub fn refusal(&self) -> Option<String> {
        self.refusals.as_ref()?.try_recv().ok()
    }

    /// Takes note of where a member is that speaks to this node before it has the log.
    pub fn hear(&mut self, node: &HostNode, datagram: &[u8], from: SocketAddr) {
        let raft = node.raft();
        if raft.configuration().find(raft.member()).is_some() {
            return;
        }
        let Ok((Header { route: Route::Full(route), .. }, _)) = decode(datagram, &FastChecksum)
        else {
            return;
        };
        let id = route.from.id;
        if route.to.id != raft.member().id || id == raft.member().id {
            return;
        }
        if let Some(peer) = self.met.iter_mut().find(|peer| peer.id == id) {
            peer.address = from;
        } else if self.met.len() < MAX_NODES {
            self.met.push(Peer { id, address: from });
        }
    }
}

impl JoiningArguments {
    /// The options with what they say in them.
    ///
    /// # Errors
    /// When the address is not found, or a joining node states none.
    pub fn state(&self, options: Options, roster: &Roster) -> io::Result<Options> {
        let own = self.own(roster)?;
        if self.join.is_some() && own.is_none() {
            let why = format!("{} is no address to be reached at: add --advertise", roster.listen);
            return Err(io::Error::other(why));
        }
        let is_joining = self.join.is_some() || self.wait_to_be_added;
        let address = own.map_or(Address::EMPTY, encode);
        Ok(Options { address, priority: self.priority, is_joining, ..options })
    }

    /// Has the cluster asked to take this node in, if that is wanted and not done already: one that
    /// goes on from its directory in a cluster asks nobody.
    ///
    /// # Errors
    /// When an address is not found, or no member answers.
    pub fn ask(
        &self,
        roster: &Roster,
        node: &HostNode,
        waker: Arc<Waker>,
    ) -> io::Result<Option<Asking>> {
        let id = node.raft().member().id;
        let is_in = node.raft().role() != RoleName::Blank;
        if self.wait_to_be_added && !is_in {
            info!("Node {id} waits to be added");
            return Ok(Some(Asking { met: Vec::new(), refusals: None }));
        }
        let Some(names) = self.join.as_ref().filter(|_| !is_in) else { return Ok(None) };
        let mut session = Session::new(&servers::look_up(names)?)?;
        session.limit(ATTEMPT);
        let roll = session.members().map_err(|failure| {
            io::Error::other(format!("node {id} did not join: {}", failure.why()))
        })?;
        let met =
            |member: &Member| Some(Peer { id: member.member.id, address: place(&member.address)? });
        let met = roll.members.iter().filter_map(met).collect();
        let raft = node.raft();
        let change = Change::Add {
            member: raft.member(),
            datagram: raft.stated_datagram(),
            address: self.own(roster)?.map_or(Address::EMPTY, encode),
            is_voter: !self.learner,
        };
        let (refusal, refusals) = channel();
        info!("Node {id} asks {names} to be taken in");
        let asks = move || knock(&mut session, change, &refusal, &waker);
        thread::Builder::new().name("joining".to_owned()).spawn(asks)?;
        Ok(Some(Asking { met, refusals: Some(refusals) }))
    }
}

impl JoiningArguments {
    fn own(&self, roster: &Roster) -> io::Result<Option<SocketAddr>> {
        match &self.advertise {
            Some(name) => address_like(name, roster.listen).map(Some),
            None => Ok(Some(roster.listen).filter(|own| !own.ip().is_unspecified())),
        }
    }
}

/// Asks until there is an answer. A refusal that comes since the node is in already, by an earlier
/// request of its own, is none.
fn knock(session: &mut Session, change: Change, refusal: &Sender<String>, waker: &Waker) {
    let deadline = Instant::now() + PATIENCE;
    let mut was_unknown = false;
    loop {
        let why = match session.change_members(change) {
            Ok(version) => {
                info!("taken in: the configuration has version {version}");
                return;
            }
            Err(Failure::Refused(why)) => why,
            Err(Failure::Unknown(why)) => {
                was_unknown = true;
                why
            }
        };
        if is_in(session, change) {
            return;
        }
        if !was_unknown || Instant::now() >= deadline {
            // A node that has ended meanwhile needs no reason.
            let _told = refusal.send(why);
            return wake(waker);
        }
        thread::sleep(PAUSE);
    }
}

/// Whether the members that are committed name this life of this node.
fn is_in(session: &mut Session, change: Change) -> bool {
    let Change::Add { member, .. } = change else { return false };
    session.members().is_ok_and(|roll| roll.is_committed && roll.find(member).is_some())
}

/// An address as configurations hold it: 4 or 16 bytes of IP, then the port, big-endian.
pub fn encode(address: SocketAddr) -> Address {
    let port = address.port().to_be_bytes();
    let bytes: Vec<u8> = match address.ip() {
        IpAddr::V4(ip) => ip.octets().into_iter().chain(port).collect(),
        IpAddr::V6(ip) => ip.octets().into_iter().chain(port).collect(),
    };
    Address::new(&bytes).unwrap_or(Address::EMPTY)
}

/// Where a member is; none if it has not said, or said what nobody can send to.
pub fn place(address: &Address) -> Option<SocketAddr> {
    let (ip, port) = address.as_bytes().split_last_chunk::<2>()?;
    let ip = match ip.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
        _ => return None,
    };
    let port = u16::from_be_bytes(*port);
    (port != 0 && !ip.is_unspecified() && !ip.is_multicast()).then(|| SocketAddr::new(ip, port))
}

const ATTEMPT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_was_written() {
        for (text, bytes) in [("127.0.0.1:258", 6), ("[2001:db8::1]:65535", 18)] {
            let address: SocketAddr = text.parse().unwrap();
            let encoded = encode(address);
            assert_eq!(encoded.as_bytes().len(), bytes);
            assert_eq!(place(&encoded), Some(address));
        }
        assert_eq!(encode("127.0.0.1:258".parse().unwrap()).as_bytes(), [127, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn what_nobody_can_send_to_is_no_address() {
        for bytes in [&[][..], &[1], &[127, 0, 0, 1, 1], &[127, 0, 0, 1, 1, 2, 3], &[9; 17]] {
            assert_eq!(place(&Address::new(bytes).unwrap()), None, "{bytes:?}");
        }
        for text in ["127.0.0.1:0", "0.0.0.0:7", "224.0.0.1:7", "[::]:7", "[ff02::1]:7"] {
            assert_eq!(place(&encode(text.parse().unwrap())), None, "{text}");
        }
    }
}
