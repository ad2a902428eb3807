//! Where a node keeps what it must not forget.

use core::convert::Infallible;

use crate::configuration::Members;
use crate::machine::{Full, Sink};
use crate::raft::{Receipt, Write};
use crate::types::EntryId;

/// A medium, as [`Node`](crate::Node) uses it. Writes must reach it in the order of the calls.
///
/// A failed write or sync is final: the node stops, and is started again from what the medium holds.
pub trait Storage {
    /// Why a write failed.
    type Error;

    /// Makes a write durable, or begins to.
    ///
    /// # Errors
    /// The medium failed; the node never goes on.
    fn persist(&mut self, write: &Write<'_>, receipt: Receipt) -> Result<Persisted, Self::Error>;

    /// Replaces the snapshot. When this returns the new one is durable, and entries up to
    /// `snapshot.base` may be forgotten; the entries behind it must be kept.
    ///
    /// `contents` writes the snapshot's bytes into a sink, the same ones each time it is called.
    ///
    /// # Errors
    /// The medium failed and the old snapshot is intact; the node never goes on.
    fn save_snapshot(
        &mut self,
        snapshot: &Snapshot<'_>,
        contents: &dyn Fn(&mut dyn Sink) -> Result<(), Full>,
    ) -> Result<(), Self::Error>;
}

/// Whether a write is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Persisted {
    /// It is.
    Done,
    /// It will be: [`Node::durable`](crate::Node::durable) gets the receipt when it is.
    Submitted,
}

/// What a snapshot covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Snapshot<'a> {
    /// The last entry that is applied in it.
    pub applied: EntryId,
    /// The log keeps only the entries behind this one, which is not above `applied`.
    pub base: EntryId,
    /// The members at `base`.
    pub members: Members<'a>,
}

/// Stores nothing. A node that is started again is a new incarnation.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Volatile;

impl Storage for Volatile {
    type Error = Infallible;

    fn persist(&mut self, _: &Write<'_>, _: Receipt) -> Result<Persisted, Infallible> {
        Ok(Persisted::Done)
    }

    fn save_snapshot(
        &mut self,
        _: &Snapshot<'_>,
        _: &dyn Fn(&mut dyn Sink) -> Result<(), Full>,
    ) -> Result<(), Infallible> {
        Ok(())
    }
}
