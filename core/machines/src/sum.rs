//! The adder: a command that is logged and answered, and changes no state.

/// Adds two operands exactly: the sum of two `i64` always fits.
#[must_use]
pub fn sum(left: i64, right: i64) -> i128 {
    i128::from(left).saturating_add(i128::from(right))
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn five_and_three_are_eight() {
        assert_eq!(sum(5, 3), 8);
        assert_eq!(sum(10, -2), 8);
    }

    #[test]
    fn the_largest_operands_do_not_overflow() {
        assert_eq!(sum(i64::MAX, i64::MAX), 2 * i128::from(i64::MAX));
        assert_eq!(sum(i64::MIN, i64::MIN), 2 * i128::from(i64::MIN));
        assert_eq!(sum(i64::MIN, i64::MAX), -1);
    }
}
