//! Bytes from one place to another.

/// Copies as many bytes as both have. Unlike `copy_from_slice` it has no panic, even unoptimised.
///
/// As two arguments the slices are known not to overlap, so that this becomes one block copy.
#[inline]
pub(crate) fn copy(into: &mut [u8], from: &[u8]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into = *from;
    }
}
