//! Which bytes of the ring are in use. Entries never straddle its end: one that does not fit there
//! goes to the start, and the bytes it left over are wasted until the ring comes round.

use crate::types::Index;

/// The bytes in use: `head..tail`, or `head..wrap.end` and then `0..tail`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    /// Where the first entry starts. Zero in an empty ring, so that all of it is free at one piece.
    pub(super) head: usize,
    /// Where the last entry ends and the next one may start.
    pub(super) tail: usize,
    /// Present exactly while an entry before the last one lies at a higher offset. Then `tail` is
    /// never above `head`, and both are equal only when the ring is full.
    pub(super) wrap: Option<Wrap>,
}

/// Where the entries go on at the ring's start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrap {
    /// Where the entries before it end; behind that is waste.
    pub(super) end: usize,
    /// The entry at offset zero.
    pub(super) first: Index,
}

impl Ring {
    pub(super) const EMPTY: Self = Self { head: 0, tail: 0, wrap: None };

    /// How many bytes are free at the tail, at one piece.
    #[inline]
    pub(super) const fn room(&self, capacity: usize) -> usize {
        let end = if self.wrap.is_some() { self.head } else { capacity };
        end.saturating_sub(self.tail)
    }

    /// How many bytes are free at the tail and at the start together; waste counts as taken.
    #[inline]
    pub(super) const fn free(&self, capacity: usize) -> usize {
        let start = if self.wrap.is_some() { 0 } else { self.head };
        self.room(capacity).saturating_add(start)
    }

    /// The same ring with its tail at the start, for the entry `first`; `None` when nothing is
    /// free there.
    #[inline]
    pub(super) const fn wrapped(self, first: Index) -> Option<Self> {
        if self.wrap.is_some() || self.head == 0 {
            return None;
        }
        Some(Self { head: self.head, tail: 0, wrap: Some(Wrap { end: self.tail, first }) })
    }

    /// The same ring without the entries from `from`, which starts at `offset`.
    pub(super) fn cut_behind(self, from: Index, offset: usize) -> Self {
        match self.wrap {
            Some(wrap) if from == wrap.first => Self { tail: wrap.end, wrap: None, ..self },
            Some(wrap) if from < wrap.first => Self { tail: offset, wrap: None, ..self },
            Some(_) | None => Self { tail: offset, ..self },
        }
    }

    /// The same ring without the entries before `first`, which starts at `offset`.
    pub(super) fn cut_before(self, first: Index, offset: usize) -> Self {
        let wrap = self.wrap.filter(|wrap| first < wrap.first);
        Self { head: offset, wrap, ..self }
    }
}
