//! What operators want of a cluster, asked for as a client.

use std::time::Instant;

use coracle::message::{Admin, AdminAnswer};
use coracle::{
    Change, ChangeError, EntryId, Epoch, FoundError, Index, Member, MemberId, Members, NodeId,
    Outcome, Part, RoleName, TransferError,
};

use super::{Failure, STATUS_LIMIT, Session, ended, not_started};

/// The members as one node knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// The index of the entry that names them; zero without one.
    pub version: Index,
    /// Whether that is committed.
    pub is_committed: bool,
    /// By ascending id.
    pub members: Vec<Member>,
}

impl Roll {
    /// What it says of this life of a node.
    pub fn find(&self, member: MemberId) -> Option<&Member> {
        self.members.iter().find(|named| named.member == member)
    }

    /// Whether no change is under way.
    pub fn is_settled(&self) -> bool {
        self.is_committed && !self.members.iter().any(|member| member.part.is_joint())
    }

    /// Whether the members are as this change makes them, for good.
    fn is_after(&self, change: Change) -> bool {
        if !self.is_settled() || self.members.is_empty() {
            return false;
        }
        let parts = |id: NodeId| {
            let lives = self.members.iter().filter(move |member| member.member.id == id);
            lives.map(|member| member.part)
        };
        let (id, is_meant): (NodeId, fn(Part) -> bool) = match change {
            Change::Add { member, .. } => return self.find(member).is_some(),
            Change::Remove(id) => return parts(id).next().is_none(),
            // Until it has the log it is one that will be promoted.
            Change::Promote(id) => (id, |part| matches!(part, Part::Voter | Part::Recruit)),
            Change::Demote(id) => (id, |part| part == Part::Learner),
        };
        parts(id).next().is_some() && parts(id).all(is_meant)
    }
}

/// An answer that says what was done.
enum Done {
    Changed(Index),
    Transferring(NodeId),
    Roll(Roll),
    Founded(Epoch, EntryId),
}

/// An answer that says that nothing was.
enum Refused {
    Change(ChangeError),
    Transfer(TransferError),
    Founding(FoundError),
}

impl Session {
    /// Whether this node gets its vote later, when it has the log. Where nobody says so it does not.
    pub fn waits_for_vote(&mut self, id: NodeId) -> bool {
        let is_meant = |member: &Member| member.member.id == id && member.part == Part::Recruit;
        self.members().is_ok_and(|roll| roll.members.iter().any(is_meant))
    }

    /// Changes the members, and says which version of the configuration that made. Where the answer
    /// leaves open whether it was done, the members tell: no session guards such a request.
    ///
    /// # Errors
    /// Unless it is known to be done.
    pub fn change_members(&mut self, change: Change) -> Result<Index, Failure> {
        let deadline = Instant::now() + self.limits.write;
        match self.admin(Admin::Change(change)) {
            Ok(Done::Changed(version)) => Ok(version),
            Ok(Done::Transferring(_) | Done::Roll(_) | Done::Founded(..)) => {
                Err(beside_the_point())
            }
            Err(Failure::Unknown(why)) => {
                let version = self.await_change(change, deadline);
                version.ok_or(Failure::Unknown(why))
            }
            Err(refused @ Failure::Refused(_)) => Err(refused),
        }
    }

    /// The version in which the members are as this change makes them, if they are before the
    /// deadline.
    fn await_change(&mut self, change: Change, deadline: Instant) -> Option<Index> {
        let limits = self.limits;
        let mut version = None;
        while version.is_none() {
            self.limits.write = deadline.saturating_duration_since(Instant::now());
            if self.limits.write.is_zero() {
                break;
            }
            match self.members() {
                Ok(roll) if roll.is_after(change) => version = Some(roll.version),
                Ok(_) | Err(_) => std::thread::sleep(STATUS_LIMIT / 10),
            }
        }
        self.limits = limits;
        version
    }

    /// Hands leadership over, to this node or to the one that has most of the log, and waits until
    /// that one leads.
    ///
    /// # Errors
    /// Unless it is known to lead.
    pub fn transfer(&mut self, to: Option<NodeId>) -> Result<NodeId, Failure> {
        let Done::Transferring(successor) = self.admin(Admin::Transfer(to))? else {
            return Err(beside_the_point());
        };
        let deadline = Instant::now() + self.limits.write;
        loop {
            let leader = self.leader();
            if leader == Some(successor) {
                return Ok(successor);
            }
            if Instant::now() >= deadline {
                let now = leader.map_or_else(
                    || "nobody is known to lead".to_owned(),
                    |leader| format!("node {leader} leads"),
                );
                return Err(Failure::Unknown(format!(
                    "node {successor} was told to lead, but {now}"
                )));
            }
            std::thread::sleep(STATUS_LIMIT / 10);
        }
    }

    /// The members, as whichever node answers knows them.
    ///
    /// # Errors
    /// When none does.
    pub fn members(&mut self) -> Result<Roll, Failure> {
        match self.admin(Admin::Members).map_err(Failure::without_effect)? {
            Done::Roll(roll) => Ok(roll),
            Done::Changed(_) | Done::Transferring(_) | Done::Founded(..) => Err(beside_the_point()),
        }
    }

    /// The members, as the node at this place among the servers knows them.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn members_at(&mut self, place: usize) -> Result<Roll, Failure> {
        self.client.admin(Some(place), Admin::Members).map_err(not_started)?;
        match self.finish(self.limits.status, settled)? {
            Ok(Done::Roll(roll)) => Ok(roll),
            Ok(Done::Changed(_) | Done::Transferring(_) | Done::Founded(..)) | Err(_) => {
                Err(beside_the_point())
            }
        }
    }

    /// Has the only server give this epoch up and found a cluster alone. Gives the new epoch and the
    /// entry that names the node.
    ///
    /// # Errors
    /// Unless it is known to be done.
    pub fn found_alone(&mut self, given_up: Epoch) -> Result<(Epoch, EntryId), Failure> {
        let limits = self.limits;
        let started = Instant::now();
        let deadline = started + limits.write;
        let unanswered = self.client.counters().timeouts;
        loop {
            self.client.admin(Some(0), Admin::FoundAlone(given_up)).map_err(not_started)?;
            self.limits.write = deadline.saturating_duration_since(Instant::now());
            let answer = self.finish(self.limits.write, settled);
            self.limits = limits;
            if let Err(Failure::Unknown(_)) = &answer {
                let why = self.silence(limits.write);
                return Err(Failure::Unknown(format!(
                    "{why}; it may have been done, or may still be: its epoch tells"
                )));
            }
            match answer? {
                Ok(Done::Founded(epoch, last)) => return Ok((epoch, last)),
                Ok(Done::Changed(_) | Done::Transferring(_) | Done::Roll(_)) => {
                    return Err(beside_the_point());
                }
                // A leader whose followers are gone only now may not have noticed.
                Err(Refused::Founding(FoundError::HasLeader(_)))
                    if started.elapsed() < LEADER_LIMIT && Instant::now() < deadline =>
                {
                    std::thread::sleep(STATUS_LIMIT / 10);
                }
                Err(Refused::Founding(FoundError::TooEarly)) if Instant::now() < deadline => {
                    std::thread::sleep(STATUS_LIMIT / 10);
                }
                // An earlier copy of the request may have been the one that did it.
                Err(Refused::Founding(FoundError::OtherEpoch(_)))
                    if self.client.counters().timeouts != unanswered =>
                {
                    let status = self.status(0)?;
                    let is_alone = status.role == RoleName::Leader && status.members == 1;
                    if is_alone {
                        return Ok((status.epoch, status.base));
                    }
                    let why = "the node is in another epoch by now".to_owned();
                    return Err(Failure::Unknown(why));
                }
                Err(refused) => return Err(refused.failure(false)),
            }
        }
    }

    fn admin(&mut self, admin: Admin) -> Result<Done, Failure> {
        let unanswered = self.client.counters().timeouts;
        let limit = self.limits.write;
        self.client.admin(None, admin).map_err(not_started)?;
        let answer = match self.finish(limit, settled) {
            Ok(answer) => answer,
            Err(Failure::Unknown(_)) => {
                let why = self.silence(limit);
                return Err(Failure::Unknown(format!(
                    "{why}; it may have been done, or may still be"
                )));
            }
            Err(failure) => return Err(failure),
        };
        let was_repeated = self.client.counters().timeouts != unanswered;
        answer.map_err(|refused| refused.failure(was_repeated))
    }
}

impl Refused {
    /// No session guards such a request: when it was sent again, an answer that the first one may
    /// have brought about does not say that nothing happened.
    fn failure(&self, was_repeated: bool) -> Failure {
        let (why, may_be_own_doing) = match self {
            Self::Change(error) => (change_error(*error), follows_a_change(*error)),
            Self::Transfer(error) => (transfer_error(*error), true),
            Self::Founding(error) => (found_error(*error), false),
        };
        if was_repeated && may_be_own_doing {
            return Failure::Unknown(format!(
                "{why}; the request was sent more than once, and may have done that itself"
            ));
        }
        Failure::Refused(why)
    }
}

fn settled(outcome: Outcome<'_>) -> Result<Result<Done, Refused>, Failure> {
    match outcome {
        Outcome::Admin(AdminAnswer::Changed(version)) => Ok(Ok(Done::Changed(version))),
        Outcome::Admin(AdminAnswer::NotChanged(error)) => Ok(Err(Refused::Change(error))),
        Outcome::Admin(AdminAnswer::Transferring(to)) => Ok(Ok(Done::Transferring(to))),
        Outcome::Admin(AdminAnswer::NotTransferred(error)) => Ok(Err(Refused::Transfer(error))),
        Outcome::Admin(AdminAnswer::Founded { epoch, last }) => Ok(Ok(Done::Founded(epoch, last))),
        Outcome::Admin(AdminAnswer::NotFounded(error)) => Ok(Err(Refused::Founding(error))),
        Outcome::Admin(AdminAnswer::Members { version, is_committed, members }) => {
            // Without an entry that names them there are none.
            let members = if members.is_empty() {
                Vec::new()
            } else {
                Members::parse(members).ok_or_else(beside_the_point)?.iter().collect()
            };
            Ok(Ok(Done::Roll(Roll { version, is_committed, members })))
        }
        other => Err(ended(&other)),
    }
}

fn beside_the_point() -> Failure {
    Failure::Unknown("the answer is not understood".to_owned())
}

const fn follows_a_change(error: ChangeError) -> bool {
    matches!(
        error,
        ChangeError::InProgress
            | ChangeError::AlreadyMember
            | ChangeError::UnknownMember
            | ChangeError::NothingToDo
    )
}

fn not_leader(leader: Option<NodeId>) -> String {
    leader.map_or_else(
        || "no leader is known".to_owned(),
        |leader| format!("the node that was asked does not lead; node {leader} does"),
    )
}

/// Why the members stay as they are.
fn change_error(error: ChangeError) -> String {
    match error {
        ChangeError::NotLeader(leader) => not_leader(leader),
        ChangeError::NotReady => "the leader is not ready for changes".to_owned(),
        ChangeError::InProgress => "another change of the members is in progress".to_owned(),
        ChangeError::AlreadyMember => "the node is a member already".to_owned(),
        ChangeError::UnknownMember => "no member has this id".to_owned(),
        ChangeError::NothingToDo => "the members are like that already".to_owned(),
        ChangeError::LastVoter => "nobody would be left to vote".to_owned(),
        ChangeError::TooManyMembers { capacity } => {
            format!("the cluster has room for {capacity} members, and is full")
        }
        ChangeError::DatagramTooSmall { least } => {
            format!("the node must take datagrams of at least {least} bytes")
        }
        ChangeError::FixedVoters => "a cluster that stores nothing keeps the voters that it was \
            formed with: a node that lost its memory could not tell other voters from its own; \
            only learners may come and go"
            .to_owned(),
        ChangeError::LogFull => "the leader's log is full".to_owned(),
        ChangeError::Failed => "the leader has failed".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Why a node does not give its cluster up.
pub fn found_error(error: FoundError) -> String {
    match error {
        FoundError::OtherEpoch(epoch) => format!("the node is in the epoch {epoch} by now"),
        FoundError::Blank => "the node holds nothing that could be gone on with".to_owned(),
        FoundError::HasLeader(None) => "a leader was heard just now".to_owned(),
        FoundError::HasLeader(Some(leader)) => {
            format!(
                "node {leader} leads or did just now; a cluster that has a leader needs no rescue"
            )
        }
        FoundError::HasQuorum => {
            "a majority of the voters answers, so that there will be a leader \
            without this"
                .to_owned()
        }
        FoundError::TooEarly => "the node has not asked the others in vain yet".to_owned(),
        FoundError::Stored => "the node keeps its state in a directory: stop it, and give that to \
            `coracle recover`"
            .to_owned(),
        FoundError::NotAllowed => "the node was set up not to do that".to_owned(),
        FoundError::NoRoom => "there is no room for a snapshot".to_owned(),
        FoundError::Exhausted => "the terms or indices are used up".to_owned(),
        FoundError::Failed => "the node has failed".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Why leadership stays where it is.
fn transfer_error(error: TransferError) -> String {
    match error {
        TransferError::NotLeader(leader) => not_leader(leader),
        TransferError::InProgress => {
            "a transfer or a change of the members is in progress".to_owned()
        }
        TransferError::UnknownMember => "no other member than the leader has this id".to_owned(),
        TransferError::NotAVoter => "the node is a learner, and cannot lead".to_owned(),
        TransferError::Unreachable => {
            "no such voter was heard lately with nearly all of the log".to_owned()
        }
        TransferError::Failed => "the leader has failed".to_owned(),
        other => format!("{other:?}"),
    }
}

/// How long a node may still lead that nobody follows any more; a few times the usual timeouts.
const LEADER_LIMIT: std::time::Duration = std::time::Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use coracle::{Address, Incarnation};

    use super::*;

    #[test]
    fn the_members_tell_whether_a_change_was_made_for_good() {
        let life =
            |id, incarnation| MemberId { id: NodeId(id), incarnation: Incarnation(incarnation) };
        let member = |id, part| Member { part, ..Member::voter(life(id, 1), 1200) };
        let roll = |is_committed, parts: &[Part]| Roll {
            version: Index(7),
            is_committed,
            members: (1..).zip(parts).map(|(id, part)| member(id, *part)).collect(),
        };
        let (datagram, address) = (1200, Address::EMPTY);
        let add = |member| Change::Add { member, datagram, address, is_voter: true };
        let now = roll(true, &[Part::Voter, Part::Recruit, Part::Learner]);
        for done in [
            add(life(1, 1)),
            Change::Remove(NodeId(4)),
            Change::Promote(NodeId(1)),
            Change::Promote(NodeId(2)),
            Change::Demote(NodeId(3)),
        ] {
            assert!(now.is_after(done), "{done:?}");
            assert!(!roll(false, &[Part::Voter, Part::Recruit, Part::Learner]).is_after(done));
            assert!(!roll(true, &[Part::Voter, Part::Incoming, Part::Learner]).is_after(done));
        }
        for other in [
            add(life(1, 2)),
            Change::Remove(NodeId(3)),
            Change::Promote(NodeId(3)),
            Change::Promote(NodeId(4)),
            Change::Demote(NodeId(2)),
            Change::Demote(NodeId(4)),
        ] {
            assert!(!now.is_after(other), "{other:?}");
        }
        assert!(
            !roll(true, &[]).is_after(Change::Remove(NodeId(1))),
            "who knows none knows nothing"
        );
    }

    #[test]
    fn a_refusal_says_that_nothing_happened_unless_it_was_sent_twice() {
        let refused = Refused::Change(ChangeError::UnknownMember);
        let text = refused.failure(false).to_string();
        assert_eq!(text, "refused: no member has this id; nothing happened");
        assert!(matches!(refused.failure(true), Failure::Unknown(_)));
        let full = Refused::Change(ChangeError::TooManyMembers { capacity: 32 });
        assert_eq!(full.failure(true), full.failure(false), "no change makes the cluster full");
        let transfer = Refused::Transfer(TransferError::InProgress);
        assert!(matches!(transfer.failure(true), Failure::Unknown(_)));
    }
}
