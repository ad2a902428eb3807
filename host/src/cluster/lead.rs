//! Who leads, as the nodes say themselves.

use std::fmt;

use coracle::{NodeId, RoleName, Status, Term};

use super::network::Network;

/// Whether somebody leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// This node, and a majority of all members agrees.
    By {
        /// Which one.
        leader: NodeId,
        /// In which term.
        term: Term,
    },
    /// Nobody can be elected: no part of the network has so many members that take part.
    Impossible {
        /// The most that are in one part.
        together: usize,
        /// The fewest that elect somebody.
        needed: usize,
        /// How many there are.
        members: usize,
    },
    /// Nobody so far.
    Nobody,
}

impl Lead {
    /// Judges what the nodes say that run and were asked: each by its status, or by its silence.
    pub fn of(answers: &[(NodeId, Option<Status>)], members: usize, network: &Network) -> Self {
        let needed = members / 2 + 1;
        let mut together = 0;
        for (id, _) in answers {
            let near = || answers.iter().filter(|(other, _)| network.is_joined(*id, *other));
            let statuses = || near().filter_map(|(_, status)| status.as_ref());
            let own = statuses().find(|status| status.member.id == *id);
            if let Some(own) = own.filter(|own| own.role == RoleName::Leader) {
                let agrees = |status: &&Status| {
                    status.epoch == own.epoch
                        && status.term == own.term
                        && status.leader == Some(*id)
                };
                if statuses().filter(agrees).count() >= needed {
                    return Self::By { leader: *id, term: own.term };
                }
            }
            // Who is silent may be a member, and all blank nodes together form a new cluster.
            let is_blank = |status: &Status| status.role == RoleName::Blank;
            let blank = statuses().filter(|status| is_blank(status)).count();
            let voters = if blank == members { members } else { near().count() - blank };
            together = together.max(voters);
        }
        if together < needed {
            Self::Impossible { together, needed, members }
        } else {
            Self::Nobody
        }
    }
}

impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By { leader, term } => write!(f, "node {leader} leads in term {term}"),
            Self::Impossible { together, needed, members } => write!(
                f,
                "no node can lead: of {members} members, {needed} must reach each other, and \
                 {together} can"
            ),
            Self::Nobody => f.write_str("no node leads yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use coracle::{Counters, EntryId, Epoch, Incarnation, Index, Limits, MemberId};

    use super::*;

    fn status(id: u32, role: RoleName, (term, leader): (u64, Option<u32>)) -> Option<Status> {
        let epoch = Epoch(if role == RoleName::Blank { 0 } else { 9 });
        let none = EntryId { term: Term(0), index: Index(0) };
        Some(Status {
            member: MemberId { id: NodeId(id), incarnation: Incarnation(u64::from(id)) },
            epoch,
            role,
            term: Term(term),
            leader: leader.map(NodeId),
            commit: Index(0),
            applied: Index(0),
            base: none,
            last: none,
            durable: Index(0),
            log_bytes: 0,
            log_capacity: 0,
            limits: Limits::default(),
            members: 3,
            expected: 3,
            answered: 0,
            counters: Counters::default(),
        })
    }

    fn leader(id: u32, term: u64) -> (NodeId, Option<Status>) {
        (NodeId(id), status(id, RoleName::Leader, (term, Some(id))))
    }

    fn follower(id: u32, of: (u64, Option<u32>)) -> (NodeId, Option<Status>) {
        (NodeId(id), status(id, RoleName::Follower, of))
    }

    fn blank(id: u32) -> (NodeId, Option<Status>) {
        (NodeId(id), status(id, RoleName::Blank, (0, None)))
    }

    const fn silent(id: u32) -> (NodeId, Option<Status>) {
        (NodeId(id), None)
    }

    fn by(leader: u32, term: u64) -> Lead {
        Lead::By { leader: NodeId(leader), term: Term(term) }
    }

    const fn impossible(together: usize) -> Lead {
        Lead::Impossible { together, needed: 2, members: 3 }
    }

    fn of(answers: &[(NodeId, Option<Status>)]) -> Lead {
        Lead::of(answers, 3, &Network::default())
    }

    #[test]
    fn a_majority_of_all_members_agrees_on_who_leads() {
        assert_eq!(of(&[leader(1, 4), follower(2, (4, Some(1))), silent(3)]), by(1, 4));
        assert_eq!(of(&[leader(1, 4), follower(2, (4, None)), silent(3)]), Lead::Nobody);
        assert_eq!(of(&[leader(1, 4), follower(2, (5, Some(1)))]), Lead::Nobody);
        assert_eq!(of(&[follower(2, (4, Some(1))), follower(3, (4, Some(1)))]), Lead::Nobody);
        assert_eq!(of(&[leader(1, 4), leader(2, 5), follower(3, (5, Some(2)))]), by(2, 5));
    }

    #[test]
    fn too_few_members_can_elect_nobody() {
        assert_eq!(of(&[leader(1, 4)]), impossible(1));
        assert_eq!(of(&[]), impossible(0));
        assert_eq!(of(&[follower(2, (4, None)), silent(3)]), Lead::Nobody);
    }

    #[test]
    fn a_blank_node_is_no_member_unless_all_are_blank() {
        assert_eq!(of(&[leader(1, 4), blank(2), blank(3)]), impossible(1));
        assert_eq!(of(&[blank(1), blank(2)]), impossible(0));
        assert_eq!(of(&[blank(1), blank(2), blank(3)]), Lead::Nobody);
    }

    #[test]
    fn only_those_count_who_reach_each_other() {
        let all = [1, 2, 3].map(NodeId);
        let mut network = Network::default();
        network.partition(vec![vec![NodeId(1)]], &all).unwrap();
        let of = |answers: &[_]| Lead::of(answers, 3, &network);
        // The others have not noticed yet, and then they have.
        let late = [leader(1, 4), follower(2, (4, Some(1))), follower(3, (4, Some(1)))];
        assert_eq!(of(&late), Lead::Nobody);
        assert_eq!(of(&[leader(1, 4), leader(2, 5), follower(3, (5, Some(2)))]), by(2, 5));
        assert_eq!(of(&[leader(1, 4), follower(2, (4, Some(1)))]), impossible(1));
    }
}
