//! Requests that wait for an answer, in a table of fixed size.

use heapless::Vec;

use super::apply::Effect;
use super::{Platform, ResponseOf};
use crate::machine::StateMachine;
use crate::message::{AdminAnswer, Refusal};
use crate::raft::{Change, ReadId, Reads};
use crate::types::{ClientId, EntryId, Index, NodeId, SessionId};

type QueryOf<P> = <<P as Platform>::Machine as StateMachine>::Query;

/// The requests of this node that are not answered yet: at most one of each client.
pub(super) struct PendingTable<P: Platform, const CAPACITY: usize> {
    waiting: Vec<Pending<P>, CAPACITY>,
    /// How many may wait; within the capacity.
    most: usize,
    /// Who found the table full. A newer one replaces it; the older asks again.
    turned_away: Option<Asker<P::Address>>,
}

/// Who waits.
#[derive(Clone, Copy)]
pub(super) struct Asker<A> {
    pub(super) client: ClientId,
    pub(super) address: A,
    /// The request's number.
    pub(super) number: u64,
    /// The request's length: the answer's limit.
    pub(super) length: usize,
}

pub(super) struct Pending<P: Platform> {
    pub(super) asker: Asker<P::Address>,
    pub(super) work: Work<P>,
}

/// What is waited for, or the answer.
pub(super) enum Work<P: Platform> {
    /// This entry must be applied. A session's command is named, so that a retry finds it.
    Entry(EntryId, Option<(SessionId, u64)>),
    /// This read must be ready.
    Query(ReadId, QueryOf<P>),
    /// The query can be answered from the state as it is.
    Ready(QueryOf<P>),
    Applied(EntryId, ResponseOf<P>),
    Opened(SessionId),
    Status,
    /// A page of the others, behind so many.
    Peers(u8),
    /// The change of members that begins with this entry must be done.
    Change(EntryId, Change),
    Admin(AdminAnswer<'static>),
    Members,
    NotLeader(Option<NodeId>),
    Busy,
    Unknown,
    Expired,
    Refused(Refusal),
}

impl<P: Platform, const CAPACITY: usize> PendingTable<P, CAPACITY> {
    pub(super) const fn new() -> Self {
        const { assert!(CAPACITY > 0, "a node needs room for a request") };
        Self { waiting: Vec::new(), most: CAPACITY, turned_away: None }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many may wait.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// So many may wait: one at least, and what there is room for. Those beyond go on waiting.
    pub(super) fn limit(&mut self, most: usize) {
        self.most = most.clamp(1, CAPACITY);
    }

    /// Makes room for a client's request, in place of an earlier one of its own. Without room it is
    /// turned away, and the answer is false.
    pub(super) fn admit(&mut self, asker: &Asker<P::Address>) -> bool {
        self.waiting.retain(|pending| pending.asker.client != asker.client);
        let is_full = self.waiting.len() >= self.most;
        if is_full {
            self.turned_away = Some(*asker);
        }
        !is_full
    }

    /// Adds what was admitted.
    pub(super) fn add(&mut self, asker: Asker<P::Address>, work: Work<P>) {
        let _room = self.waiting.push(Pending { asker, work });
    }

    /// The same command of the same session, sent again: the answer goes where it was sent from
    /// last. False if it is not waited for.
    pub(super) fn is_repeated(
        &mut self,
        asker: &Asker<P::Address>,
        session: SessionId,
        sequence: u64,
        is_alive: impl Fn(EntryId) -> bool,
    ) -> bool {
        let found = self.waiting.iter_mut().find(|pending| pending.asker.client == asker.client);
        let Some(pending) = found else { return false };
        let Work::Entry(entry, Some(command)) = &pending.work else { return false };
        let is_same = *command == (session, sequence) && is_alive(*entry);
        if is_same {
            pending.asker = *asker;
        }
        is_same
    }

    /// The same change, sent again: the answer goes where it was sent from last. False if it is not
    /// waited for.
    pub(super) fn is_changing(&mut self, asker: &Asker<P::Address>, change: Change) -> bool {
        let is_it = |pending: &&mut Pending<P>| {
            let is_same = matches!(pending.work, Work::Change(_, waiting) if waiting == change);
            pending.asker.client == asker.client && is_same
        };
        let found = self.waiting.iter_mut().find(is_it);
        found.map(|pending| pending.asker = *asker).is_some()
    }

    /// Whether anybody waits for a change of members.
    pub(super) fn has_changes(&self) -> bool {
        self.waiting.iter().any(|pending| matches!(pending.work, Work::Change(..)))
    }

    /// Tells those whose changes are done, or will never be.
    pub(super) fn on_changes(&mut self, version: Index, is_done: impl Fn(EntryId) -> Option<bool>) {
        for pending in &mut self.waiting {
            if let Work::Change(entry, _) = pending.work {
                match is_done(entry) {
                    Some(true) => pending.work = Work::Admin(AdminAnswer::Changed(version)),
                    Some(false) => {}
                    None => pending.work = Work::Unknown,
                }
            }
        }
    }

    /// An entry is applied: whoever waits for it, or for another one that would have stood there,
    /// has an answer.
    pub(super) fn on_applied(&mut self, applied: EntryId, effect: &Effect<ResponseOf<P>>) {
        for pending in &mut self.waiting {
            if let Work::Entry(entry, _) = &pending.work
                && entry.index == applied.index
            {
                pending.work = match effect {
                    _ if *entry != applied => Work::Unknown,
                    Effect::Done(response) => Work::Applied(applied, response.clone()),
                    Effect::Before(first, response) => Work::Applied(*first, response.clone()),
                    Effect::Opened(session, _) => Work::Opened(*session),
                    Effect::Expired => Work::Expired,
                    Effect::Superseded => Work::Unknown,
                    Effect::None => Work::Refused(Refusal::Malformed),
                };
            }
        }
    }

    /// We do not lead: whether what was proposed here will be applied is for others to say.
    pub(super) fn give_up_entries(&mut self) {
        for pending in &mut self.waiting {
            if let Work::Entry(..) | Work::Change(..) = &pending.work {
                pending.work = Work::Unknown;
            }
        }
    }

    /// Reads have come to an end.
    pub(super) fn on_reads(&mut self, reads: Reads) {
        for pending in &mut self.waiting {
            if let Work::Query(read, query) = &pending.work
                && *read <= reads.upto
            {
                pending.work =
                    if reads.is_ready { Work::Ready(query.clone()) } else { Work::NotLeader(None) };
            }
        }
    }

    /// Takes out a request that has its answer.
    pub(super) fn take_answered(&mut self) -> Option<Pending<P>> {
        if let Some(asker) = self.turned_away.take() {
            return Some(Pending { asker, work: Work::Busy });
        }
        let is_waiting = |pending: &Pending<P>| {
            matches!(pending.work, Work::Entry(..) | Work::Query(..) | Work::Change(..))
        };
        let place = self.waiting.iter().position(|pending| !is_waiting(pending))?;
        let (found, behind) = self.waiting.get_mut(place..)?.split_first_mut()?;
        if let Some(last) = behind.last_mut() {
            core::mem::swap(found, last);
        }
        self.waiting.pop()
    }
}
