//! Who leads, as the nodes say themselves.

use std::fmt;

use coracle::{Incarnation, Member, NodeId, Part, RoleName, Status, Term};

use super::network::Network;

/// What a node has said when it was asked; nothing if it was silent.
pub type Answer = (NodeId, Option<Status>);

/// Whether somebody leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// This node, and a majority of the voters agrees.
    By {
        /// Which one.
        leader: NodeId,
        /// In which term.
        term: Term,
    },
    /// Nobody can be elected: no part of the network has so many voters that take part.
    Impossible {
        /// The most that are in one part.
        together: usize,
        /// The fewest that elect somebody.
        needed: usize,
        /// How many there are, in the half of which most are missing.
        voters: usize,
    },
    /// Nobody so far.
    Nobody,
}

/// Who votes: one half, or two while voters change, of which each decides.
#[derive(Clone, Debug)]
pub struct Voters(Vec<Vec<Voter>>);

/// A life of a node; any life, where none is known.
#[derive(Clone, Copy, Debug)]
struct Voter {
    id: NodeId,
    incarnation: Option<Incarnation>,
}

/// How many of a half are together.
struct Share {
    together: usize,
    needed: usize,
    voters: usize,
}

impl Voters {
    /// Those of a configuration.
    pub fn of(members: &[Member]) -> Self {
        let half = |is_in: fn(Part) -> bool| {
            let voters = members.iter().filter(move |member| is_in(member.part));
            voters.map(|it| Voter { id: it.member.id, incarnation: Some(it.member.incarnation) })
        };
        let mut halves = vec![half(Part::is_in_new_half).collect()];
        if members.iter().any(|member| member.part.is_joint()) {
            halves.push(half(Part::is_in_old_half).collect());
        }
        Self(halves)
    }

    /// Those that are to form a cluster, of which no configuration is known.
    pub fn before_formation(ids: &[NodeId]) -> Self {
        Self(vec![ids.iter().map(|id| Voter { id: *id, incarnation: None }).collect()])
    }
}

impl Voter {
    fn is(self, status: &Status) -> bool {
        let life = self.incarnation;
        status.member.id == self.id && life.is_none_or(|life| life == status.member.incarnation)
    }
}

impl Lead {
    /// Judges what the nodes say that run and were asked: each by its status, or by its silence.
    pub fn of(answers: &[Answer], voters: &Voters, network: &Network) -> Self {
        let mut best = voters.worst(|_| 0);
        for (id, own) in answers {
            let near: Vec<&Answer> =
                answers.iter().filter(|(other, _)| network.is_joined(*id, *other)).collect();
            if let Some(own) = own.as_ref().filter(|own| own.role == RoleName::Leader) {
                let agrees = |status: &Status| {
                    status.epoch == own.epoch
                        && status.term == own.term
                        && status.leader == Some(*id)
                };
                let agreeing = voters.worst(|half| {
                    let agrees = |voter: Voter, status: &Status| voter.is(status) && agrees(status);
                    count(half, &near, |voter, status| status.is_some_and(|it| agrees(voter, it)))
                });
                if agreeing.is_enough() {
                    return Self::By { leader: *id, term: own.term };
                }
            }
            let together = voters.worst(|half| able(half, &near));
            if together.missing() < best.missing() {
                best = together;
            }
        }
        if best.is_enough() {
            return Self::Nobody;
        }
        let Share { together, needed, voters } = best;
        Self::Impossible { together, needed, voters }
    }
}

/// How many of a half may vote: who is silent may, and all blank nodes together form a new cluster.
fn able(half: &[Voter], near: &[&Answer]) -> usize {
    let is_blank = |status: &Status| status.role == RoleName::Blank;
    let blank = count(half, near, |_, status| status.is_some_and(is_blank));
    if blank == half.len() {
        return blank;
    }
    // The life that a configuration names is blank only until it hears that the cluster is formed.
    count(half, near, |voter, status| {
        status.is_none_or(|it| voter.is(it) && (voter.incarnation.is_some() || !is_blank(it)))
    })
}

fn count(
    half: &[Voter],
    near: &[&Answer],
    counts: impl Fn(Voter, Option<&Status>) -> bool,
) -> usize {
    let answer = |voter: &&Voter| near.iter().find(|(id, _)| *id == voter.id);
    half.iter()
        .filter(|voter| answer(voter).is_some_and(|(_, status)| counts(**voter, status.as_ref())))
        .count()
}

impl Voters {
    /// The half of which most are missing.
    fn worst(&self, together: impl Fn(&[Voter]) -> usize) -> Share {
        let share = |half: &Vec<Voter>| {
            let (together, voters) = (together(half), half.len());
            Share { together, needed: voters / 2 + 1, voters }
        };
        let none = Share { together: 0, needed: 1, voters: 0 };
        self.0.iter().map(share).max_by_key(Share::missing).unwrap_or(none)
    }
}

impl Share {
    const fn missing(&self) -> usize {
        self.needed.saturating_sub(self.together)
    }

    const fn is_enough(&self) -> bool {
        self.missing() == 0
    }
}

impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By { leader, term } => write!(f, "node {leader} leads in term {term}"),
            Self::Impossible { together, needed, voters } => write!(
                f,
                "no node can lead: of {voters} voters, {needed} must reach each other, and \
                 {together} can"
            ),
            Self::Nobody => f.write_str("no node leads yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use coracle::{Counters, EntryId, Epoch, Index, Limits, MemberId};

    use super::*;

    fn status(id: u32, role: RoleName, (term, leader): (u64, Option<u32>)) -> Option<Status> {
        let epoch = Epoch(if role == RoleName::Blank { 0 } else { 9 });
        let none = EntryId { term: Term(0), index: Index(0) };
        Some(Status {
            member: MemberId { id: NodeId(id), incarnation: Incarnation(u64::from(id)) },
            epoch,
            role,
            condition: coracle::Condition::Ready,
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

    /// Another life than the one of the configuration.
    fn blank(id: u32) -> (NodeId, Option<Status>) {
        let (node, mut blank) = forming(id);
        if let Some(status) = &mut blank {
            status.member.incarnation = Incarnation(100);
        }
        (node, blank)
    }

    fn forming(id: u32) -> (NodeId, Option<Status>) {
        (NodeId(id), status(id, RoleName::Blank, (0, None)))
    }

    const fn silent(id: u32) -> (NodeId, Option<Status>) {
        (NodeId(id), None)
    }

    fn by(leader: u32, term: u64) -> Lead {
        Lead::By { leader: NodeId(leader), term: Term(term) }
    }

    const fn impossible(together: usize) -> Lead {
        Lead::Impossible { together, needed: 2, voters: 3 }
    }

    fn of(answers: &[(NodeId, Option<Status>)]) -> Lead {
        Lead::of(answers, &voters(&[Part::Voter; 3]), &Network::default())
    }

    /// Nodes 1 to n, with these parts.
    fn voters(parts: &[Part]) -> Voters {
        let member = |(id, part): (u32, &Part)| {
            let member = MemberId { id: NodeId(id), incarnation: Incarnation(u64::from(id)) };
            Member { part: *part, ..Member::voter(member, 1200) }
        };
        Voters::of(&(1..).zip(parts).map(member).collect::<Vec<Member>>())
    }

    #[test]
    fn a_majority_of_the_voters_agrees_on_who_leads() {
        assert_eq!(of(&[leader(1, 4), follower(2, (4, Some(1))), silent(3)]), by(1, 4));
        assert_eq!(of(&[leader(1, 4), follower(2, (4, None)), silent(3)]), Lead::Nobody);
        assert_eq!(of(&[leader(1, 4), follower(2, (5, Some(1)))]), Lead::Nobody);
        assert_eq!(of(&[follower(2, (4, Some(1))), follower(3, (4, Some(1)))]), Lead::Nobody);
        assert_eq!(of(&[leader(1, 4), leader(2, 5), follower(3, (5, Some(2)))]), by(2, 5));
    }

    #[test]
    fn too_few_voters_can_elect_nobody() {
        assert_eq!(of(&[leader(1, 4)]), impossible(1));
        assert_eq!(of(&[]), impossible(0));
        assert_eq!(of(&[follower(2, (4, None)), silent(3)]), Lead::Nobody);
    }

    #[test]
    fn a_blank_node_is_no_member_unless_all_are_blank() {
        assert_eq!(of(&[leader(1, 4), blank(2), blank(3)]), impossible(1));
        assert_eq!(of(&[blank(1), blank(2)]), impossible(0));
        assert_eq!(of(&[blank(1), blank(2), blank(3)]), Lead::Nobody);
        assert_eq!(of(&[follower(1, (0, None)), forming(2), blank(3)]), Lead::Nobody);
    }

    #[test]
    fn only_those_count_who_reach_each_other() {
        let all = [1, 2, 3].map(NodeId);
        let mut network = Network::default();
        network.partition(vec![vec![NodeId(1)]], &all).unwrap();
        let of = |answers: &[_]| Lead::of(answers, &voters(&[Part::Voter; 3]), &network);
        // The others have not noticed yet, and then they have.
        let late = [leader(1, 4), follower(2, (4, Some(1))), follower(3, (4, Some(1)))];
        assert_eq!(of(&late), Lead::Nobody);
        assert_eq!(of(&[leader(1, 4), leader(2, 5), follower(3, (5, Some(2)))]), by(2, 5));
        assert_eq!(of(&[leader(1, 4), follower(2, (4, Some(1)))]), impossible(1));
    }

    #[test]
    fn learners_and_other_lives_do_not_count() {
        let parts = [Part::Voter, Part::Voter, Part::Learner, Part::Recruit];
        let of = |answers: &[_]| Lead::of(answers, &voters(&parts), &Network::default());
        let learners = [follower(3, (4, Some(1))), follower(4, (4, Some(1)))];
        let lonely = [&[leader(1, 4)], &learners[..]].concat();
        let alone = Lead::Impossible { together: 1, needed: 2, voters: 2 };
        assert_eq!(of(&lonely), alone);
        let mut other = follower(2, (4, Some(1)));
        if let Some(status) = &mut other.1 {
            status.member.incarnation = Incarnation(9);
        }
        assert_eq!(of(&[leader(1, 4), other]), alone);
        assert_eq!(of(&[leader(1, 4), follower(2, (4, Some(1)))]), by(1, 4));
    }

    #[test]
    fn each_half_of_a_joint_configuration_decides() {
        let parts = [Part::Outgoing, Part::Voter, Part::Incoming];
        let of = |answers: &[_]| Lead::of(answers, &voters(&parts), &Network::default());
        let first = [leader(2, 4), follower(1, (4, Some(2)))];
        let one_of_two = Lead::Impossible { together: 1, needed: 2, voters: 2 };
        assert_eq!(of(&first), one_of_two);
        assert_eq!(of(&[leader(2, 4), follower(3, (4, Some(2)))]), one_of_two);
        assert_eq!(of(&[&first[..], &[follower(3, (4, Some(2)))]].concat()), by(2, 4));
        assert_eq!(of(&[&first[..], &[silent(3)]].concat()), Lead::Nobody);
    }

    #[test]
    fn before_there_is_a_configuration_all_are_waited_for() {
        let voters = Voters::before_formation(&[1, 2, 3].map(NodeId));
        let of = |answers: &[_]| Lead::of(answers, &voters, &Network::default());
        assert_eq!(of(&[blank(1), blank(2), blank(3)]), Lead::Nobody);
        assert_eq!(of(&[blank(1), blank(2)]), impossible(0));
    }
}
