//! Clients' sessions (thesis 6.3): a command takes effect once, however often it is sent.
//!
//! The table is part of the replicated state: everything here is decided by the log alone, so it is
//! the same on every node, and it is in the snapshot.

use heapless::Vec;
use postcard::de_flavors::Flavor as Take;
use serde::{Serialize, de::DeserializeOwned};

use super::apply::TooFewSessions;
use crate::encode::encode_into;
use crate::machine::{BadSnapshot, Full, Sink, Source};
use crate::types::{ClientId, EntryId, Index, SessionId};

/// The open sessions, by ascending id, which is the index of the entry that opened each.
#[derive(Clone, Debug)]
pub(super) struct Sessions<R, const CAPACITY: usize> {
    open: Vec<Session<R>, CAPACITY>,
    /// How many there are to be at most when this node leads; within the capacity.
    most: usize,
}

/// One session.
#[derive(Clone, Debug)]
pub(super) struct Session<R> {
    id: SessionId,
    client: ClientId,
    /// The entry of its last command, or the one that opened it: who was silent longest goes first.
    used: Index,
    /// Its last command, once there is one.
    last: Option<Last<R>>,
}

#[derive(Clone, Debug)]
struct Last<R> {
    sequence: u64,
    entry: EntryId,
    response: R,
}

/// What a session says to a command.
pub(super) enum Fate<'s, R> {
    /// It is new: apply it.
    New(&'s mut Session<R>),
    /// It took effect from this entry, with this response.
    Before(EntryId, R),
    /// A later one has taken effect, so nobody waits for it.
    Superseded,
    /// There is no such session.
    Unknown,
}

impl<R: Clone, const CAPACITY: usize> Sessions<R, CAPACITY> {
    pub(super) const fn new() -> Self {
        const { assert!(CAPACITY > 0, "a node needs room for a session") };
        Self { open: Vec::new(), most: CAPACITY }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many there are to be at most when this node leads.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// There are to be at most so many when this node leads: one at least, and what there is room for.
    pub(super) fn limit(&mut self, most: usize) {
        self.most = most.clamp(1, CAPACITY);
    }

    /// Opens a session at the entry `at`, which says that there are at most so many: those that were
    /// silent longest are closed first. Gives how many were. A client whose session is unused so far
    /// gets that one again: then its request was sent twice.
    ///
    /// # Errors
    /// `TooFewSessions`: one would be closed here for want of room that is open elsewhere. Nothing has
    /// changed.
    pub(super) fn open(
        &mut self,
        at: Index,
        client: ClientId,
        most: u64,
    ) -> Result<(SessionId, usize), TooFewSessions> {
        let unused = |session: &&mut Session<R>| session.client == client && session.last.is_none();
        if let Some(session) = self.open.iter_mut().find(unused) {
            session.used = at;
            return Ok((session.id, 0));
        }
        let bound = usize::try_from(most).unwrap_or(usize::MAX);
        if self.open.is_full() && bound > CAPACITY {
            return Err(TooFewSessions { needed: most });
        }
        let evicted = (self.open.len() + 1).saturating_sub(bound);
        for _session in 0..evicted {
            self.close_silent();
        }
        let id = SessionId(at.0);
        // There is room now, and `at` is above every id before it.
        let _room = self.open.push(Session { id, client, used: at, last: None });
        Ok((id, evicted))
    }

    /// Closes the session that was silent longest.
    fn close_silent(&mut self) {
        let used = |(_, session): &(usize, &Session<R>)| session.used;
        let silent = self.open.iter().enumerate().min_by_key(used);
        let silent = silent.map_or(0, |(place, _)| place);
        self.close(silent);
    }

    /// Closes the session at this place: those behind it move up, one by one.
    fn close(&mut self, place: usize) {
        let mut behind = self.open.get_mut(place..).unwrap_or_default();
        while let [first, rest @ ..] = behind {
            if let [second, ..] = rest {
                core::mem::swap(first, second);
            }
            behind = rest;
        }
        self.open.pop();
    }

    /// What to do with a session's command from the entry `at`.
    pub(super) fn begin(&mut self, id: SessionId, sequence: u64, at: Index) -> Fate<'_, R> {
        let Some(session) = self.find_mut(id) else { return Fate::Unknown };
        session.used = at;
        match &session.last {
            Some(last) if last.sequence == sequence => {
                Fate::Before(last.entry, last.response.clone())
            }
            Some(last) if last.sequence > sequence => Fate::Superseded,
            Some(_) | None => Fate::New(session),
        }
    }

    /// Whether the session is open, and its answer to a command that has taken effect.
    pub(super) fn peek(&self, id: SessionId, sequence: u64) -> Option<Option<(EntryId, R)>> {
        let place = self.open.binary_search_by_key(&id, |session| session.id).ok()?;
        let last = self.open.get(place)?.last.as_ref();
        let last = last.filter(|last| last.sequence == sequence);
        Some(last.map(|last| (last.entry, last.response.clone())))
    }

    fn find_mut(&mut self, id: SessionId) -> Option<&mut Session<R>> {
        let place = self.open.binary_search_by_key(&id, |session| session.id).ok()?;
        self.open.get_mut(place)
    }
}

impl<R> Session<R> {
    /// Remembers the answer to its latest command.
    pub(super) fn finish(&mut self, sequence: u64, entry: EntryId, response: R) {
        self.last = Some(Last { sequence, entry, response });
    }
}

/// The form of the sessions' part of a snapshot.
const VERSION: u8 = 1;

impl<R: Clone + Serialize + DeserializeOwned, const CAPACITY: usize> Sessions<R, CAPACITY> {
    /// Writes version, count and every session, by ascending id.
    pub(super) fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full> {
        sink.write(&[VERSION])?;
        give(sink, &u64::try_from(self.open.len()).unwrap_or(u64::MAX))?;
        for Session { id, client, used, last } in &self.open {
            let last = last.as_ref().map(|last| (last.sequence, last.entry, &last.response));
            give(sink, &(id, client, used, last))?;
        }
        Ok(())
    }

    /// Replaces the table by what a snapshot holds; it is empty after an error.
    pub(super) fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        self.open.clear();
        let restored = self.restore_all(source);
        if restored.is_err() {
            self.open.clear();
        }
        restored
    }

    fn restore_all<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot> {
        let mut version = [0];
        source.read(&mut version)?;
        if version != [VERSION] {
            return Err(BadSnapshot);
        }
        let count: u64 = take(source)?;
        if count > u64::try_from(CAPACITY).unwrap_or(u64::MAX) {
            return Err(BadSnapshot);
        }
        for _ in 0..count {
            let (id, client, used, last) = take(source)?;
            let last: Option<(u64, EntryId, R)> = last;
            if self.open.last().is_some_and(|before| before.id >= id) {
                return Err(BadSnapshot);
            }
            let last = last.map(|(sequence, entry, response)| Last { sequence, entry, response });
            let _room = self.open.push(Session { id, client, used, last });
        }
        Ok(())
    }
}

fn give<K: Sink, T: Serialize>(sink: &mut K, value: &T) -> Result<(), Full> {
    encode_into(value, sink)
}

fn take<K: Source, T: DeserializeOwned>(source: &mut K) -> Result<T, BadSnapshot> {
    let mut deserializer = postcard::Deserializer::from_flavor(Taking(source));
    T::deserialize(&mut deserializer).map_err(|_| BadSnapshot)
}

/// Deserialises from a source, byte by byte: responses cannot borrow from it.
struct Taking<'k, K>(&'k mut K);

impl<'de, 'k: 'de, K: Source + 'de> Take<'de> for Taking<'k, K> {
    type Remainder = ();
    type Source = ();

    fn pop(&mut self) -> postcard::Result<u8> {
        let mut byte = [0];
        self.0.read(&mut byte).map_err(|BadSnapshot| postcard::Error::DeserializeUnexpectedEnd)?;
        let [byte] = byte;
        Ok(byte)
    }

    fn try_take_n(&mut self, _: usize) -> postcard::Result<&'de [u8]> {
        Err(postcard::Error::WontImplement)
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
