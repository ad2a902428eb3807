//! Virtual time, and what is going to happen in it.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;

/// A point or span of virtual time, in microseconds. It has nothing to do with any clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

impl Micros {
    /// This time and `span` more, saturating.
    #[must_use]
    pub const fn plus(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long ago `earlier` was, zero if it is still to come.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// The span, so many times.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Events in the order of their times; those of one time in the order in which they were put in.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Item<T>>,
    sequence: u64,
    now: Micros,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0, now: Micros(0) }
    }
}

impl<T> Queue<T> {
    /// The time of the event that was taken out last.
    #[must_use]
    pub const fn now(&self) -> Micros {
        self.now
    }

    /// Lets an event happen at `at`, or now if that is in the past.
    pub fn put_at(&mut self, at: Micros, event: T) {
        self.sequence += 1;
        let at = at.max(self.now);
        self.heap.push(Item { at, sequence: self.sequence, event });
    }

    /// Lets an event happen in a while.
    pub fn put_in(&mut self, span: Micros, event: T) {
        self.put_at(self.now.plus(span), event);
    }

    /// Takes the next event out and moves the time to it.
    pub fn take(&mut self) -> Option<T> {
        let item = self.heap.pop()?;
        self.now = item.at;
        Some(item.event)
    }
}

#[derive(Debug)]
struct Item<T> {
    at: Micros,
    sequence: u64,
    event: T,
}

impl<T> Ord for Item<T> {
    /// Reversed, since the heap gives its largest item first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Item<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_time_keep_their_order_and_none_is_before_now() {
        let mut queue = Queue::default();
        queue.put_at(Micros(5), 'b');
        queue.put_at(Micros(5), 'c');
        queue.put_at(Micros(1), 'a');
        assert_eq!(queue.take(), Some('a'));
        assert_eq!(queue.take(), Some('b'));
        queue.put_at(Micros(2), 'd');
        assert_eq!((queue.take(), queue.now()), (Some('c'), Micros(5)));
        assert_eq!((queue.take(), queue.now()), (Some('d'), Micros(5)));
        assert_eq!(queue.take(), None);
    }
}
