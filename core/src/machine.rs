//! What the log drives: the state machine, and the bytes of its snapshots.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A deterministic state machine (section 2): the same commands in the same order give the same
/// state, the same responses and the same snapshot bytes on every node and every machine.
pub trait StateMachine {
    /// What changes the state. It is encoded into the log's tail when it is proposed and decoded in
    /// place when it is applied, so it may borrow. A `&[u8]` field serialises byte by byte unless it
    /// is marked `#[serde(with = "serde_bytes")]` or wraps `serde::Serializer::serialize_bytes`.
    type Command<'a>: Serialize + Deserialize<'a>;
    /// What a command answers. It is kept in the client's session, so that a retry gets the same.
    type Response: Clone + Serialize + DeserializeOwned;
    /// What asks for a part of the state without changing it. It waits in a table until the read is
    /// known to be linearizable, so it is owned.
    type Query: Clone + Serialize + DeserializeOwned;
    /// What a query answers; it may borrow from the state.
    type Answer<'a>: Serialize
    where
        Self: 'a;

    /// Applies one command. It must not fail: a command that cannot be carried out answers so, on
    /// every node alike, and changes nothing.
    fn apply(&mut self, command: Self::Command<'_>) -> Self::Response;

    /// Answers a query from the state as it is.
    fn query<'a>(&'a self, query: &Self::Query) -> Self::Answer<'a>;

    /// Writes the whole state, the same bytes for the same state on every machine.
    ///
    /// # Errors
    /// `Full` when the sink takes no more; the state is unchanged.
    fn snapshot<K: Sink>(&self, sink: &mut K) -> Result<(), Full>;

    /// Replaces the whole state by what a snapshot holds.
    ///
    /// # Errors
    /// `BadSnapshot` when the bytes are none of ours; the state is then the initial one.
    fn restore<K: Source>(&mut self, source: &mut K) -> Result<(), BadSnapshot>;
}

/// Takes the bytes of a snapshot, in order.
pub trait Sink {
    /// Takes all of `bytes`.
    ///
    /// # Errors
    /// `Full` when they do not fit; nothing of what follows can be kept either.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Full>;
}

/// Gives the bytes of a snapshot, in order.
pub trait Source {
    /// Fills all of `into`.
    ///
    /// # Errors
    /// `BadSnapshot` when fewer bytes are left.
    fn read(&mut self, into: &mut [u8]) -> Result<(), BadSnapshot>;
}

/// A sink took no more bytes: the snapshot was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

/// The bytes are not a snapshot of this state machine: nothing was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadSnapshot;

impl<T: Sink + ?Sized> Sink for &mut T {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
        T::write(self, bytes)
    }
}

impl<T: Source + ?Sized> Source for &mut T {
    fn read(&mut self, into: &mut [u8]) -> Result<(), BadSnapshot> {
        T::read(self, into)
    }
}

impl<const N: usize> Sink for heapless::Vec<u8, N> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.extend_from_slice(bytes).map_err(|_| Full)
    }
}

/// A slice is read from its front and left with what has not been read.
impl Source for &[u8] {
    fn read(&mut self, into: &mut [u8]) -> Result<(), BadSnapshot> {
        let (taken, rest) = self.split_at_checked(into.len()).ok_or(BadSnapshot)?;
        into.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
        *self = rest;
        Ok(())
    }
}
