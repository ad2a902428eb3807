//! Nodes that wait to be added: taken in, and put in the place of others.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use coracle::{Change, Index, Member, MemberId, NodeId, Part, RoleName};

use crate::client::{Failure, Session};
use crate::joining::{encode, place};
use crate::print::print;
use crate::roster::any_address;
use crate::servers::server;
use crate::setup::DATAGRAM_BYTES;

/// A node that could be taken in, as it says itself.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer {
    /// Which life of which node.
    pub member: MemberId,
    address: SocketAddr,
    is_blank: bool,
}

/// What a replacement came to that did not come to its end.
pub enum Unfinished {
    /// Its first step failed.
    Failed(Failure),
    /// A later one did: what was done, and what was not.
    InPart(String),
}

impl Newcomer {
    /// Asks the node at this address who it is.
    ///
    /// # Errors
    /// When it cannot be reached, by us or by others. Nothing has changed.
    pub fn meet(name: &str, limit: Duration) -> io::Result<Self> {
        let address = any_address(name)?;
        Self::meet_at(address, limit)
    }

    /// The same, where the address is known.
    ///
    /// # Errors
    /// As [`Newcomer::meet`].
    pub fn meet_at(address: SocketAddr, limit: Duration) -> io::Result<Self> {
        if place(&encode(address)).is_none() {
            return Err(io::Error::other(format!("others cannot reach a node at {address}")));
        }
        let mut session = Session::new(&[server(address)])?;
        session.limit(limit);
        let status = session.status_of_any();
        let status = status.map_err(|failure| io::Error::other(failure.why()))?;
        Ok(Self { member: status.member, address, is_blank: status.role == RoleName::Blank })
    }

    /// Has the cluster take it in, and says which version of the configuration that made.
    ///
    /// # Errors
    /// Unless it is known to be taken in, and when it belongs to a cluster already.
    pub fn add(&self, session: &mut Session, is_voter: bool) -> Result<Index, Failure> {
        let Self { member, address, is_blank } = *self;
        if !is_blank {
            return Err(Failure::Refused(format!(
                "node {} at {address} belongs to a cluster already: only a blank node can be added",
                member.id
            )));
        }
        let (datagram, address) = (DATAGRAM_BYTES, encode(address));
        session.change_members(Change::Add { member, datagram, address, is_voter })
    }

    /// Waits until the members that are committed name it with its part, and says in which version.
    ///
    /// # Errors
    /// How it stands when the time is over.
    pub fn await_part(
        &self,
        session: &mut Session,
        part: Part,
        limit: Duration,
    ) -> Result<Index, String> {
        let id = self.member.id;
        let deadline = Instant::now() + limit;
        loop {
            let now = match session.members() {
                Ok(roll) => match roll.find(self.member).map(|named| named.part) {
                    Some(now) if now == part && roll.is_settled() => return Ok(roll.version),
                    Some(now) => format!("node {id} is a {now}"),
                    None => format!("node {id} is no member"),
                },
                Err(failure) => failure.why(),
            };
            if Instant::now() >= deadline {
                return Err(format!("{now} after {} s", limit.as_secs_f32()));
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Adds a node, and takes another out once the new one has its part. Says so step by step.
///
/// # Errors
/// Unless all of it is done.
pub fn replace(
    session: &mut Session,
    old: NodeId,
    new: &Newcomer,
    catch_up: Duration,
) -> Result<String, Unfinished> {
    let id = new.member.id;
    let roll = session.members().map_err(Unfinished::Failed)?;
    let mut of_old = roll.members.iter().filter(|named| named.member.id == old);
    let is_other = |named: &&Member| named.member != new.member;
    let Some(replaced) = of_old.find(is_other) else {
        let why = format!("no other member has the id {old}");
        return Err(Unfinished::Failed(Failure::Refused(why)));
    };
    let part = if replaced.part == Part::Learner { Part::Learner } else { Part::Voter };
    // One that an earlier attempt has added is not added again.
    if roll.find(new.member).is_none() {
        let version = new.add(session, part == Part::Voter).map_err(|failure| match failure {
            Failure::Refused(_) => Unfinished::Failed(failure),
            Failure::Unknown(why) => {
                Unfinished::Failed(Failure::Unknown(format!("{why}; node {old} was not removed")))
            }
        })?;
        say(&format!("added: node {id} (version {version})"));
    }
    let version = new.await_part(session, part, catch_up).map_err(|why| {
        Unfinished::InPart(format!(
            "node {id} was added, but {why}; node {old} was not removed: the same command again goes \
             on with it"
        ))
    })?;
    let is_now = if part == Part::Voter { "promoted" } else { "a learner" };
    let settled = format!("{is_now}: node {id} (version {version})");
    if id == old {
        return Ok(settled);
    }
    say(&settled);
    match session.change_members(Change::Remove(old)) {
        Ok(version) => Ok(format!("removed: node {old} (version {version})")),
        Err(Failure::Refused(why)) => Err(Unfinished::InPart(format!(
            "node {id} was added and has its part, but node {old} was not removed: {why}"
        ))),
        Err(Failure::Unknown(why)) => Err(Unfinished::InPart(format!(
            "node {id} was added and has its part; whether node {old} was removed is unknown: {why}"
        ))),
    }
}

/// Whoever does not read it any more can do without.
fn say(step: &str) {
    if let Err(error) = print(&step) {
        log::debug!("{error}");
    }
}

const PAUSE: Duration = Duration::from_millis(50);
