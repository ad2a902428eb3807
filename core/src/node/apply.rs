//! What a committed command does: it takes effect once, in its session (thesis 6.3).

use rand_core::Rng;

use super::command::{Content, read_whole};
use super::sessions::{Fate, Sessions};
use super::{Event, Node, NodeError, Platform, ResponseOf};
use crate::log::Memory;
use crate::machine::StateMachine;
use crate::raft::Apply;
use crate::seal::Seal;
use crate::status::count;
use crate::types::{EntryId, SessionId};

/// What became of an entry.
pub(super) struct Applied<R> {
    pub(super) entry: EntryId,
    pub(super) effect: Effect<R>,
}

/// What an entry did to the state.
pub(super) enum Effect<R> {
    /// The state machine took the command.
    Done(R),
    /// It had taken it before, from this entry.
    Before(EntryId, R),
    /// A session is open; how many others were closed for it.
    Opened(SessionId, usize),
    /// The session is not known any more.
    Expired,
    /// A later command of the session has taken effect, so that nobody waits for this one.
    Superseded,
    /// Not a command of this state machine.
    None,
}

/// The table of sessions has not the room that the log says it has. Nothing was applied.
pub(super) struct TooFewSessions {
    pub(super) needed: u64,
}

impl<E> From<TooFewSessions> for NodeError<E> {
    fn from(TooFewSessions { needed }: TooFewSessions) -> Self {
        Self::Sessions { needed }
    }
}

/// Applies one entry.
///
/// # Errors
/// `TooFewSessions`: what the entry does on other nodes cannot be done here.
#[inline]
pub(super) fn apply<M, R, S, F, const N: usize, const SESSIONS: usize>(
    apply: Apply<'_, M, R, S, N>,
    machine: &mut F,
    sessions: &mut Sessions<F::Response, SESSIONS>,
) -> Result<Option<Applied<F::Response>>, TooFewSessions>
where
    M: Memory,
    R: Rng,
    S: Seal,
    F: StateMachine,
{
    let Some(entry) = apply.entry() else { return Ok(None) };
    let id = entry.id;
    let effect = match Content::read(entry.data) {
        Some(Content::Plain(command)) => match read_whole(command) {
            Some(command) => Effect::Done(machine.apply(command)),
            None => Effect::None,
        },
        Some(Content::Open(client, most)) => {
            let (session, evicted) = sessions.open(id.index, client, most)?;
            Effect::Opened(session, evicted)
        }
        Some(Content::Session { session, sequence, command }) => {
            match sessions.begin(session, sequence, id.index) {
                Fate::New(session) => match read_whole(command) {
                    Some(command) => {
                        let response = machine.apply(command);
                        session.finish(sequence, id, response.clone());
                        Effect::Done(response)
                    }
                    None => Effect::None,
                },
                Fate::Before(entry, response) => Effect::Before(entry, response),
                Fate::Superseded => Effect::Superseded,
                Fate::Unknown => Effect::Expired,
            }
        }
        None => Effect::None,
    };
    apply.done();
    Ok(Some(Applied { entry: id, effect }))
}

impl<P: Platform, const MEMBERS: usize, const SESSIONS: usize, const PENDING: usize>
    Node<P, MEMBERS, SESSIONS, PENDING>
{
    /// Notes the answer for whoever waits for it.
    pub(super) fn on_applied<'b>(
        &mut self,
        applied: Option<Applied<ResponseOf<P>>>,
    ) -> Option<Event<'b, P::Address, ResponseOf<P>>> {
        let Applied { entry, effect } = applied?;
        let counters = self.raft.counters_mut();
        match &effect {
            Effect::Before(..) => count(&mut counters.duplicates),
            Effect::Opened(_, evicted) => {
                (0..*evicted).for_each(|_| count(&mut counters.sessions_evicted));
            }
            Effect::Expired => count(&mut counters.sessions_expired),
            Effect::Done(_) | Effect::Superseded | Effect::None => {}
        }
        self.pending.on_applied(entry, &effect);
        match effect {
            Effect::Done(response) => Some(Event::Applied { entry, response }),
            Effect::Before(..)
            | Effect::Opened(..)
            | Effect::Expired
            | Effect::Superseded
            | Effect::None => None,
        }
    }
}
