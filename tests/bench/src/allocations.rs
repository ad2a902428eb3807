//! Counts what this thread allocates, through the allocator that the whole program uses.

#![allow(unsafe_code, reason = "an allocator is unsafe to implement; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// How often this thread has allocated or grown anything.
pub fn count() -> u64 {
    COUNT.get()
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    // It has no destructor and a constant start, so reading it never allocates.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn add() {
    COUNT.set(COUNT.get() + 1);
}

// SAFETY: every call is the system allocator's own, with the arguments that came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add();
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        add();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(memory, layout, bytes) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::count;

    #[test]
    fn what_allocates_is_counted_and_what_does_not_is_not() {
        let before = count();
        black_box([black_box(1); 8]);
        assert_eq!(count(), before);
        let mut bytes = black_box(Vec::with_capacity(1));
        bytes.extend(black_box([1, 2, 3]));
        black_box(&bytes);
        assert_eq!(count(), before + 2, "one allocation, and one growth");
    }
}
