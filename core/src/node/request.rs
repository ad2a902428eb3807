//! What becomes of a client's request.

use super::command::{Content, SESSION_BYTES_MAX, read_whole};
use super::pending::{Asker, Work};
use super::{Node, Platform};
use crate::machine::StateMachine;
use crate::message::{Admin, Refusal, Want};
use crate::raft::{ClientRequest, ProposeError, ReadError};
use crate::status::{RoleName, count};
use crate::types::{EntryId, Epoch, Index, SessionId};

impl<P: Platform, const MEMBERS: usize, const SESSIONS: usize, const PENDING: usize>
    Node<P, MEMBERS, SESSIONS, PENDING>
{
    pub(super) fn on_request(&mut self, from: P::Address, request: &ClientRequest<'_>) {
        let asker = Asker {
            client: request.route.client,
            address: from,
            number: request.number,
            length: request.length,
        };
        if let Want::Command { session, sequence, .. } = request.request.want {
            let raft = &self.raft;
            let is_alive = |entry: EntryId| raft.term_at(entry.index) == Some(entry.term);
            if self.pending.is_repeated(&asker, session, sequence, is_alive) {
                return;
            }
        }
        if let Want::Admin(admin) = request.request.want {
            return self.on_admin_request(asker, admin);
        }
        if !self.pending.admit(&asker) {
            count(&mut self.raft.counters_mut().busy);
            return;
        }
        let work = match request.request.want {
            Want::Open => self.on_open(&asker),
            Want::Command { session, sequence, command } => {
                let epoch = request.route.epoch;
                self.on_command(epoch, session, sequence, command)
            }
            Want::Query { query } => self.on_query(query),
            Want::Status => Work::Status,
            Want::Peers { first } => Work::Peers(first),
            Want::Admin(_) => return,
        };
        self.pending.add(asker, work);
    }

    /// An operator's wish takes a place in the table only if it is not the one that waits there.
    fn on_admin_request(&mut self, asker: Asker<P::Address>, admin: Admin) {
        if let Admin::Change(change) = admin
            && self.pending.is_changing(&asker, change)
        {
            return;
        }
        if self.pending.admit(&asker) {
            let work = self.on_admin(admin);
            self.pending.add(asker, work);
        } else {
            count(&mut self.raft.counters_mut().busy);
        }
    }

    fn on_open(&mut self, asker: &Asker<P::Address>) -> Work<P> {
        let content = Content::Open(asker.client);
        let proposed = self.raft.propose_with(|space| content.write(space));
        self.proposed(proposed, None)
    }

    fn on_command(
        &mut self,
        epoch: Epoch,
        session: SessionId,
        sequence: u64,
        command: &[u8],
    ) -> Work<P> {
        let is_other_world = epoch != self.raft.hard_state().epoch;
        match self.sessions.peek(session, sequence) {
            // Of two epochs only one commits anything: the client's is over.
            _ if is_other_world && self.raft.commit() > Index::ZERO => {
                count(&mut self.raft.counters_mut().sessions_expired);
                return Work::Expired;
            }
            // Ours may be the one that never was.
            _ if is_other_world => return Work::NotLeader(None),
            Some(Some((entry, response))) => {
                count(&mut self.raft.counters_mut().duplicates);
                return Work::Applied(entry, response);
            }
            // Whether the session is open is decided where the command stands in the log.
            Some(None) | None => {}
        }
        if read_whole::<<P::Machine as StateMachine>::Command<'_>>(command).is_none() {
            return Work::Refused(Refusal::Malformed);
        }
        let limit = self.raft.command_limit().saturating_sub(SESSION_BYTES_MAX);
        if command.len() > limit && self.raft.role() == RoleName::Leader {
            count(&mut self.raft.counters_mut().too_large);
            return Work::Refused(Refusal::TooLarge(u32::try_from(limit).unwrap_or(u32::MAX)));
        }
        let content = Content::Session { session, sequence, command };
        let proposed = self.raft.propose_with(|space| content.write(space));
        self.proposed(proposed, Some((session, sequence)))
    }

    fn on_query(&mut self, query: &[u8]) -> Work<P> {
        let Some(query) = read_whole::<<P::Machine as StateMachine>::Query>(query) else {
            return Work::Refused(Refusal::Malformed);
        };
        match self.raft.read() {
            Ok(read) => Work::Query(read, query),
            Err(ReadError::NoLeader | ReadError::Failed) => Work::NotLeader(None),
        }
    }

    fn proposed(
        &mut self,
        proposed: Result<EntryId, ProposeError>,
        command: Option<(SessionId, u64)>,
    ) -> Work<P> {
        match proposed {
            Ok(entry) => Work::Entry(entry, command),
            Err(ProposeError::NotLeader(leader)) => Work::NotLeader(leader),
            Err(ProposeError::NotReady | ProposeError::LogFull) => {
                count(&mut self.raft.counters_mut().busy);
                Work::Busy
            }
            Err(ProposeError::TooLarge { limit }) => {
                Work::Refused(Refusal::TooLarge(u32::try_from(limit).unwrap_or(u32::MAX)))
            }
            Err(ProposeError::Failed) => Work::NotLeader(None),
        }
    }
}
