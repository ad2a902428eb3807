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
