//! How the last survivor of a cluster goes on alone, with the state that it has.

use super::pending::Work;
use super::{Node, Platform, apply};
use crate::configuration::{MEMBER_BYTES_MAX, Members, encode_members};
use crate::machine::StateMachine;
use crate::message::AdminAnswer;
use crate::raft::{FoundError, Founding};
use crate::snapshot::{Meter, Snapshot, Summary};
use crate::storage::{Saving, Storage};
use crate::types::{EntryId, Epoch};

/// What an operator's wish to found a cluster alone comes to.
pub(super) type Founder<N, P> = fn(&mut N, Epoch) -> Work<P>;

impl<P: Platform, const MEMBERS: usize, const SESSIONS: usize, const PENDING: usize>
    Node<P, MEMBERS, SESSIONS, PENDING>
{
    /// Lets an operator have this node found a cluster alone when nobody leads
    /// ([`Admin::FoundAlone`](crate::message::Admin::FoundAlone)); without this it refuses. A leader
    /// then also takes in, with votes, blank nodes that were started with the same list of ids and are
    /// no members any more. So it is for all nodes of a cluster or for none, and for a storage that is
    /// not durable: with any other this does nothing.
    ///
    /// Whoever joins such a cluster needs a snapshot, so the storage must have room for one.
    pub fn allow_founding(&mut self) {
        if !self.storage.is_durable() {
            self.founder = Some(Self::on_wish_to_found);
            self.raft.take_back();
        }
    }

    /// Gives the cluster up, and founds another one of this node alone with all that it holds: every
    /// entry of its log is applied, committed or not. Gives the entry that names it alone, which is the
    /// first of the new cluster; its epoch and this node's incarnation are new ones. Sessions stay.
    ///
    /// Only when a majority is gone for ever: what this node lacks is lost, and what was never
    /// acknowledged may take effect. If any of the others still runs, or is started again with what it
    /// has stored, there may be two clusters that both do commands. No
    /// [`Event::Applied`](super::Event::Applied) comes for entries that are applied by this.
    ///
    /// With a storage that is durable this returns when all of that is durable; a crash before leaves
    /// what there was.
    ///
    /// # Errors
    /// [`FoundError`]: nothing has changed where entries are stored. After `NoRoom` and `Failed` this
    /// node must not be used any more, and [`poll`](Self::poll) says so.
    pub fn found_alone(&mut self) -> Result<EntryId, FoundError> {
        if self.is_dead || self.failure.is_some() {
            return Err(FoundError::Failed);
        }
        // Whether what waits here is applied in this epoch is not for this node to say.
        self.raft.take_all_for_committed()?;
        self.pending.give_up_entries();
        // The log is as long as its slots are many.
        while let Some(entry) = self.raft.next_to_apply() {
            let applied = apply::apply(entry, &mut self.machine, &mut self.sessions);
            let Ok(applied) = applied else {
                // There is less room for sessions than the log says.
                self.is_dead = true;
                return Err(FoundError::NoRoom);
            };
            let _told = self.on_applied(applied);
        }
        let founding = self.raft.plan_founding();
        let kept = if self.storage.is_durable() { Some(self.keep(&founding)?) } else { None };
        self.raft.found(&founding, kept);
        Ok(founding.last)
    }

    /// Has the medium keep the new cluster, all or nothing.
    fn keep(&mut self, founding: &Founding) -> Result<Summary, FoundError> {
        let configuration = founding.configuration::<MEMBERS>();
        let mut space = [0; MEMBER_BYTES_MAX];
        let members = encode_members(&configuration.members, &mut space)
            .and_then(|length| space.get(..length))
            .and_then(Members::parse)
            .ok_or(FoundError::Failed)?;
        let (applied, base) = (founding.last, founding.last);
        let snapshot = Snapshot { applied, base, configuration: configuration.index, members };
        let (sessions, machine) = (&self.sessions, &self.machine);
        let saving = self.storage.found(&founding.hard, &snapshot, &|mut sink| {
            let mut meter = Meter::new(&mut sink);
            founding.write_head::<MEMBERS, _>(&mut meter)?;
            sessions.snapshot(&mut meter)?;
            machine.snapshot(&mut meter)?;
            Ok(meter.summary())
        });
        match saving {
            Ok(Saving::Kept(summary)) => Ok(summary),
            Ok(Saving::NoRoom) => {
                self.is_dead = true;
                Err(FoundError::NoRoom)
            }
            Err(error) => {
                self.failure = Some(error);
                Err(FoundError::Failed)
            }
        }
    }

    fn on_wish_to_found(&mut self, epoch: Epoch) -> Work<P> {
        let founded = self.raft.may_found_alone(epoch).and_then(|()| self.found_alone());
        Work::Admin(match founded {
            Ok(last) => AdminAnswer::Founded { epoch: self.raft.hard_state().epoch, last },
            Err(error) => AdminAnswer::NotFounded(error),
        })
    }
}
