//! Where a log keeps its bytes: the caller's arrays, boxed slices or borrowed slices.

/// The memory of one log: a ring of bytes and, beside it, one slot for each entry it may hold.
///
/// Both slices must keep their lengths for as long as a log uses them, and nobody else may write
/// to them. What they hold at first does not matter.
pub trait Memory {
    /// The ring.
    fn bytes(&self) -> &[u8];
    /// Where the entries start in it.
    fn slots(&self) -> &[Slot];
    /// Both, to be written.
    fn parts_mut(&mut self) -> (&mut [u8], &mut [Slot]);
}

/// Where one entry starts in the ring.
///
/// It is only the offset, because an entry's term can be read from the entry: a slot with a term
/// would take 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slot(u32);

impl Slot {
    /// What a slot holds before its first use. It is all zero, so that a static of slots takes no
    /// flash.
    pub const ZERO: Self = Self(0);

    #[inline]
    pub(super) fn at(offset: usize) -> Self {
        Self(u32::try_from(offset).unwrap_or(u32::MAX))
    }

    #[inline]
    pub(super) fn offset(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A log's memory made of anything that is a slice: arrays, boxed slices, `&mut` slices.
///
/// A host takes `vec![0; bytes].into_boxed_slice()`, which never passes through the stack.
#[derive(Clone, Debug)]
pub struct Buffers<B, S> {
    bytes: B,
    slots: S,
}

/// A log's memory of a size known to the compiler, for a microcontroller.
pub type Array<const BYTES: usize, const SLOTS: usize> = Buffers<[u8; BYTES], [Slot; SLOTS]>;

impl<B, S> Buffers<B, S> {
    /// Memory of these bytes and slots. Their sizes are checked where a log is made of them.
    pub const fn new(bytes: B, slots: S) -> Self {
        Self { bytes, slots }
    }
}

impl<const BYTES: usize, const SLOTS: usize> Array<BYTES, SLOTS> {
    /// Memory that is all zero: as a static of its own it lies in `.bss` and takes no flash.
    #[must_use]
    pub const fn zeroed() -> Self {
        Self::new([0; BYTES], [Slot::ZERO; SLOTS])
    }
}

impl<B, S> Memory for Buffers<B, S>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    #[inline]
    fn slots(&self) -> &[Slot] {
        self.slots.as_ref()
    }

    #[inline]
    fn parts_mut(&mut self) -> (&mut [u8], &mut [Slot]) {
        (self.bytes.as_mut(), self.slots.as_mut())
    }
}

impl<M: Memory> Memory for &mut M {
    #[inline]
    fn bytes(&self) -> &[u8] {
        M::bytes(self)
    }

    #[inline]
    fn slots(&self) -> &[Slot] {
        M::slots(self)
    }

    #[inline]
    fn parts_mut(&mut self) -> (&mut [u8], &mut [Slot]) {
        M::parts_mut(self)
    }
}
