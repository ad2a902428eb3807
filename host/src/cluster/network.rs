//! The network between the nodes, as it is to be: who is cut off from whom, and what else happens.

use std::fmt;

use coracle::NodeId;

use crate::faults::{Delay, Fault, Order, Probability, Targets, Way};

/// What the nodes' datagrams to each other go through. Those of clients always pass.
#[derive(Debug, Default)]
pub struct Network {
    /// The parts that are cut off from each other; none when nothing is cut.
    groups: Vec<Vec<NodeId>>,
    /// Of each datagram to be lost.
    pub loss: Probability,
    /// Of each datagram to come twice.
    pub duplicate: Probability,
    /// Of each datagram, drawn anew for each.
    pub delay: Delay,
}

/// Why nodes cannot be cut off from each other like this; nothing has changed.
#[derive(Debug, PartialEq, Eq)]
pub enum PartitionError {
    /// This node stands in it twice.
    Twice(NodeId),
    /// There is only one part.
    NoPart,
}

impl Network {
    /// Cuts these groups off from each other, in place of what was cut before. The nodes that are
    /// in none of them make one more group.
    ///
    /// # Errors
    /// Unless that makes two groups or more, with each node in one.
    pub fn partition(
        &mut self,
        mut groups: Vec<Vec<NodeId>>,
        all: &[NodeId],
    ) -> Result<(), PartitionError> {
        let named: Vec<NodeId> = groups.iter().flatten().copied().collect();
        let is_repeated = |(at, id): (usize, &NodeId)| named[..at].contains(id);
        if let Some((_, id)) = named.iter().enumerate().find(|&named| is_repeated(named)) {
            return Err(PartitionError::Twice(*id));
        }
        let rest: Vec<NodeId> = all.iter().filter(|id| !named.contains(id)).copied().collect();
        if !rest.is_empty() {
            groups.push(rest);
        }
        if groups.len() < 2 {
            return Err(PartitionError::NoPart);
        }
        self.groups = groups;
        Ok(())
    }

    /// Ends all that is wrong with it.
    pub fn heal(&mut self) {
        *self = Self::default();
    }

    /// One more node: it is in the part of this one.
    pub fn admit(&mut self, new: NodeId, beside: NodeId) {
        if let Some(group) = self.groups.iter_mut().find(|group| group.contains(&beside)) {
            group.push(new);
        }
    }

    /// There is no such node any more; where one part is left, nothing is cut.
    pub fn forget(&mut self, gone: NodeId) {
        self.groups.iter_mut().for_each(|group| group.retain(|id| *id != gone));
        self.groups.retain(|group| !group.is_empty());
        if self.groups.len() < 2 {
            self.groups.clear();
        }
    }

    /// The parts that are cut off from each other; none when nothing is cut.
    pub fn groups(&self) -> &[Vec<NodeId>] {
        &self.groups
    }

    /// Whether datagrams between these two are not cut off.
    pub fn is_joined(&self, one: NodeId, other: NodeId) -> bool {
        self.groups.iter().all(|group| group.contains(&one) == group.contains(&other))
    }

    /// What makes a node take its part in this network, whatever it did before.
    pub fn orders(&self, own: NodeId, all: &[NodeId]) -> Vec<Order> {
        let set = |fault, targets, way| Order::Set { fault, targets, way };
        // Each node does to what it sends what is to happen once on its way.
        let sent = |fault| set(fault, Targets::Peers, Some(Way::Out));
        let cut: Vec<NodeId> =
            all.iter().filter(|id| !self.is_joined(own, **id)).copied().collect();
        let Self { groups: _, loss, duplicate, delay } = *self;
        let mut orders = vec![Order::Heal];
        if !cut.is_empty() {
            orders.push(set(Fault::Cut, Targets::Nodes(cut), None));
        }
        if !loss.is_zero() {
            orders.push(sent(Fault::Loss(loss)));
        }
        if !duplicate.is_zero() {
            orders.push(sent(Fault::Duplicate(duplicate)));
        }
        if !delay.is_zero() {
            orders.push(sent(Fault::Delay(delay)));
        }
        orders
    }

    /// What happens to datagrams besides being cut off; nothing at all gives no lines.
    pub fn weather(&self) -> Vec<String> {
        let Self { groups: _, loss, duplicate, delay } = self;
        let mut lines = Vec::new();
        if !loss.is_zero() {
            lines.push(format!("each datagram between nodes is lost with a probability of {loss}"));
        }
        if !duplicate.is_zero() {
            let twice = "each datagram between nodes comes twice with a probability of";
            lines.push(format!("{twice} {duplicate}"));
        }
        if !delay.is_zero() {
            lines.push(format!("each datagram between nodes comes {delay} later"));
        }
        lines
    }
}

/// `1,2 | 3`.
pub fn shown(groups: &[Vec<NodeId>]) -> String {
    groups.iter().map(|group| list(group)).collect::<Vec<_>>().join(" | ")
}

/// `1,2`.
pub fn list(ids: &[NodeId]) -> String {
    ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
}

impl fmt::Display for PartitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice(id) => write!(f, "node {id} is named twice"),
            Self::NoPart => f.write_str("that leaves all nodes in one part"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::to_line;

    fn ids<const N: usize>(ids: [u32; N]) -> Vec<NodeId> {
        ids.map(NodeId).to_vec()
    }

    fn parts(groups: &[&[u32]], nodes: u32) -> Result<String, PartitionError> {
        let mut network = Network::default();
        let groups = groups.iter().map(|group| group.iter().copied().map(NodeId).collect());
        let all: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        network.partition(groups.collect(), &all).map(|()| shown(network.groups()))
    }

    #[test]
    fn who_is_not_named_makes_one_more_group() {
        assert_eq!(parts(&[&[2]], 3), Ok("2 | 1,3".to_owned()));
        assert_eq!(parts(&[&[1], &[4]], 5), Ok("1 | 4 | 2,3,5".to_owned()));
        assert_eq!(parts(&[&[1, 2], &[3]], 3), Ok("1,2 | 3".to_owned()));
    }

    #[test]
    fn each_node_is_in_one_of_two_groups_or_more() {
        assert_eq!(parts(&[&[1, 2, 3]], 3), Err(PartitionError::NoPart));
        assert_eq!(parts(&[&[1]], 1), Err(PartitionError::NoPart));
        assert_eq!(parts(&[&[1, 2], &[2]], 3), Err(PartitionError::Twice(NodeId(2))));
        assert_eq!(parts(&[&[1, 1]], 3), Err(PartitionError::Twice(NodeId(1))));
    }

    #[test]
    fn a_node_is_cut_off_from_all_other_groups_and_a_new_partition_replaces_the_old() {
        let all = ids([1, 2, 3]);
        let mut network = Network::default();
        assert_eq!(to_line(&network.orders(NodeId(1), &all)), "heal");
        network.partition(vec![ids([3])], &all).unwrap();
        assert_eq!(to_line(&network.orders(NodeId(1), &all)), "heal; cut 3");
        assert_eq!(to_line(&network.orders(NodeId(3), &all)), "heal; cut 1,2");
        network.partition(vec![ids([1])], &all).unwrap();
        network.loss = "5%".parse().unwrap();
        assert_eq!(to_line(&network.orders(NodeId(3), &all)), "heal; cut 1; loss 0.05 peers out");
        assert!(
            network.is_joined(NodeId(2), NodeId(3)) && !network.is_joined(NodeId(1), NodeId(2))
        );
        network.heal();
        assert_eq!(to_line(&network.orders(NodeId(3), &all)), "heal");
    }

    #[test]
    fn nodes_come_and_go_in_a_network_that_is_cut() {
        let all = ids([1, 2, 3]);
        let mut network = Network::default();
        network.admit(NodeId(4), NodeId(1));
        assert!(network.is_joined(NodeId(4), NodeId(2)));
        network.partition(vec![ids([3])], &all).unwrap();
        network.admit(NodeId(4), NodeId(2));
        assert_eq!(shown(network.groups()), "3 | 1,2,4");
        network.forget(NodeId(1));
        assert_eq!(shown(network.groups()), "3 | 2,4");
        network.forget(NodeId(3));
        assert!(network.groups().is_empty() && network.is_joined(NodeId(2), NodeId(4)));
    }

    #[test]
    fn a_refused_partition_leaves_the_one_before() {
        let all = ids([1, 2, 3]);
        let mut network = Network::default();
        network.partition(vec![ids([3])], &all).unwrap();
        assert!(network.partition(vec![ids([1]), ids([1])], &all).is_err());
        assert_eq!(shown(network.groups()), "3 | 1,2");
    }
}
