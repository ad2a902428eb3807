//! The log as slices of the ring: what an `AppendEntries` carries and what a disk writes.

use super::{Log, Memory, entry};
use crate::types::Index;

impl<M: Memory> Log<M> {
    /// The longest slice of whole entries that starts at `from`, lies at one piece and has at most
    /// `limit` bytes, and the last entry in it: the one before `from` when the slice is empty.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn run(&self, from: Index, limit: usize) -> (&[u8], Index) {
        let bytes = self.memory.bytes();
        let Some(start) = self.offset(from) else {
            return (&[], from.previous());
        };
        let (stretch, last) = match self.ring.wrap {
            Some(wrap) if from < wrap.first => (bytes.get(start..wrap.end), wrap.first.previous()),
            Some(_) | None => (bytes.get(start..self.ring.tail), self.last.index),
        };
        match stretch {
            Some(stretch) if stretch.len() <= limit => (stretch, last),
            Some(stretch) => self.run_within(stretch, start, from, last, limit),
            None => (&[], from.previous()),
        }
    }

    /// How many bytes of the ring the entries `(after, upto]` take.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn bytes_between(&self, after: Index, upto: Index) -> usize {
        let after = after.max(self.base.index);
        let upto = upto.min(self.last.index);
        if after >= upto {
            return 0;
        }
        let start = self.offset(after.next()).unwrap_or(self.ring.tail);
        let end = self.offset(upto.next()).unwrap_or(self.ring.tail);
        match self.ring.wrap {
            Some(wrap) if end <= start => wrap.end.saturating_sub(start) + end,
            Some(_) | None => end.saturating_sub(start),
        }
    }

    /// The first of the last entries that take at most `limit` bytes together; one behind the last if
    /// none does.
    pub(crate) fn first_within(&self, limit: usize) -> Index {
        let last = self.last.index;
        let mut first = last.next();
        let mut below = self.base.index;
        // Halving; the entries from `first` on fit, those from `below.next()` on need not.
        for _step in 0..usize::BITS {
            let count = first.since(below.next());
            if count == 0 {
                break;
            }
            let middle = below.next().plus(count / 2);
            let middle = middle.min(first.previous());
            if self.bytes_between(middle.previous(), last) <= limit {
                first = middle;
            } else {
                below = middle;
            }
        }
        first
    }

    /// The entries from `from` (or the first one kept) to the last one, for the disk: one slice,
    /// and a second one that is not empty only at a wrap. Each is a run of whole entries.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn slices(&self, from: Index) -> [&[u8]; 2] {
        let (first, last) = self.run(from.max(self.first()), usize::MAX);
        let (second, _) = self.run(last.next(), usize::MAX);
        [first, second]
    }

    /// The part of a stretch, which starts at the offset `start` and holds `from` to `last`, that
    /// fits `limit`, which is less than the stretch.
    fn run_within<'a>(
        &self,
        stretch: &'a [u8],
        start: usize,
        from: Index,
        last: Index,
        limit: usize,
    ) -> (&'a [u8], Index) {
        let most = u64::try_from(limit / entry::ENTRY_BYTES_MIN).unwrap_or(u64::MAX);
        let mut end = start;
        // The entry `next` is known to start at `end`, and `above` to start behind the limit.
        let mut next = from;
        let mut above = last.min(from.plus(most)).next();
        for _step in 0..usize::BITS {
            let count = above.since(next);
            if count <= 1 {
                break;
            }
            let middle = next.plus(count / 2);
            match self.offset(middle) {
                Some(offset) if offset.saturating_sub(start) <= limit => {
                    end = offset;
                    next = middle;
                }
                Some(_) | None => above = middle,
            }
        }
        let run = stretch.get(..end.saturating_sub(start)).unwrap_or_default();
        (run, next.previous())
    }
}
