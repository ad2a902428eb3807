//! Sorting of a handful: the library's sort brings kilobytes of code and a panic.

use core::cell::Cell;

/// Sorts in place by exchanging neighbours; members are few, and mostly in order.
#[inline]
pub(crate) fn sort<T: Copy + Ord>(items: &mut [T]) {
    let cells = Cell::from_mut(items).as_slice_of_cells();
    // Each pass puts the largest of the rest in its place.
    for _pass in 1..cells.len() {
        let mut is_sorted = true;
        for pair in cells.windows(2) {
            if let [before, after] = pair
                && before.get() > after.get()
            {
                before.swap(after);
                is_sorted = false;
            }
        }
        if is_sorted {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sort;

    #[test]
    fn every_order_of_five_becomes_the_same() {
        for order in 0..3125_u32 {
            let digit = |place: u32| order / 5_u32.pow(place) % 5;
            let mut items = [0, 1, 2, 3, 4].map(digit);
            let mut expected = items;
            expected.sort_unstable();
            sort(&mut items);
            assert_eq!(items, expected);
        }
    }
}
