//! A 64-bit hash for names that must not meet by chance: tags and epochs. It resists accidents,
//! not adversaries; the seal is there for those.

/// Mixes 64-bit words into one, in order.
pub(crate) struct Hash(u64);

impl Hash {
    /// Starts with a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        let mut hash = Self(0x636f_7261_636c_6531);
        hash.add(seed);
        hash
    }

    /// Mixes one more word in, with the finaliser of splitmix64.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(crate) const fn add(&mut self, word: u64) {
        let mut mixed = (self.0.rotate_left(23) ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = mixed ^ (mixed >> 31);
    }

    /// Mixes bytes in, eight at a time; the last word also holds how many there were.
    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) {
        let words = bytes.chunks_exact(8);
        let rest = words.remainder();
        for word in words {
            let mut eight = [0; 8];
            eight.iter_mut().zip(word).for_each(|(to, from)| *to = *from);
            self.add(u64::from_le_bytes(eight));
        }
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.add(u64::from_le_bytes(last));
        self.add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    /// The hash.
    pub(crate) const fn value(&self) -> u64 {
        self.0
    }

    /// The hash, for a name of which zero means none.
    pub(crate) const fn nonzero(&self) -> u64 {
        if self.0 == 0 { 1 } else { self.0 }
    }
}
