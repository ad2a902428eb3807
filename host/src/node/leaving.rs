//! The end of a node that a signal asks for: one that leads hands over first.

use std::io;
use std::sync::Arc;

use coracle::{NodeId, Part, RoleName, Ticks, Timing, TransferError};
use log::{info, warn};
use mio::Waker;

use crate::event_loop::wake;
use crate::faults::Life;
use crate::print::complain;
use crate::setup::HostNode;
use crate::signals;

/// How far a node has come with its end.
pub struct Leaving {
    patience: Ticks,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Nobody has asked for it, or nobody has looked.
    Staying,
    /// Another voter shall lead before this time.
    HandingOver { ends_at: Ticks, told: Option<NodeId> },
    /// There is nothing left to wait for.
    Ready,
}

impl Leaving {
    /// Has signals that ask for the end of this process heeded from now on. The second one ends it
    /// at once, with status 130.
    ///
    /// # Errors
    /// When signals cannot be caught: they end the process as if nobody had asked.
    pub fn on_signal(waker: Arc<Waker>, timing: Timing) -> io::Result<Self> {
        signals::heed(move || wake(&waker), || complain("ended by a second signal"))?;
        let patience = timing.election_min.min(MOST_PATIENCE);
        Ok(Self { patience, stage: Stage::Staying })
    }

    /// Begins a handover where one is needed. To be called before the node is polled, so that it is
    /// sent at once.
    pub fn begin(&mut self, node: &mut HostNode, now: Ticks) {
        if !signals::is_wanted() {
            return;
        }
        if let Stage::Staying = self.stage {
            let is_needed = node.raft().role() == RoleName::Leader && has_other_voters(node);
            self.stage = if is_needed {
                Stage::HandingOver { ends_at: now.plus(self.patience), told: None }
            } else {
                Stage::Ready
            };
        }
        let Stage::HandingOver { ends_at, told: None } = self.stage else { return };
        let id = node.raft().member().id;
        match node.transfer(None) {
            Ok(to) => {
                info!("Node {id} hands leadership over to node {to}, since a signal ends it");
                self.stage = Stage::HandingOver { ends_at, told: Some(to) };
            }
            // It may be otherwise before the time is over.
            Err(TransferError::InProgress | TransferError::Unreachable) => {}
            // It leads no longer.
            Err(TransferError::NotLeader(_)) => {}
            Err(error) => {
                warn!("Node {id} cannot hand leadership over: {error:?}");
                self.stage = Stage::Ready;
            }
        }
    }

    /// Whether the node goes on. To be called after the node was polled: what it owes has left then,
    /// its vote for the successor as well.
    pub fn finish(&mut self, node: &HostNode, now: Ticks) -> Life {
        let raft = node.raft();
        let id = raft.member().id;
        match self.stage {
            Stage::Staying => return Life::GoesOn,
            Stage::Ready => info!("Node {id} ends: a signal asks for it"),
            Stage::HandingOver { ends_at, .. } => {
                match raft.leader().filter(|leader| *leader != id) {
                    Some(leader) => info!("Node {id} ends: node {leader} leads"),
                    None if now < ends_at => return Life::GoesOn,
                    None => warn!("Node {id} ends though no other node is known to lead yet"),
                }
            }
        }
        Life::Ends
    }

    /// When to look again though nothing happens.
    pub const fn deadline(&self) -> Option<Ticks> {
        match self.stage {
            Stage::HandingOver { ends_at, .. } => Some(ends_at),
            Stage::Staying | Stage::Ready => None,
        }
    }
}

fn has_other_voters(node: &HostNode) -> bool {
    let raft = node.raft();
    let mut members = raft.configuration().members.iter();
    members.any(|member| member.member.id != raft.member().id && member.part == Part::Voter)
}

/// However slow elections are: whoever sends a signal waits for the end.
const MOST_PATIENCE: Ticks = Ticks(1_000_000);
