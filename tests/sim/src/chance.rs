//! Chance, drawn from the seed alone.

use std::cell::Cell;
use std::rc::Rc;

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator of one purpose of one run. Purposes have their own, so that a change to how one
/// draws leaves the others as they were.
#[derive(Clone, Debug)]
pub struct Chance(Xoshiro256PlusPlus);

impl Chance {
    /// The generator of `purpose` in the run of `seed`.
    #[must_use]
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(mix(seed, purpose)))
    }

    /// A number in `0..bound`; zero if the bound is.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A place in something of this length.
    pub fn place(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// Whether something happens that happens so often in a thousand times.
    pub fn permille(&mut self, often: u64) -> bool {
        self.below(1000) < often
    }

    /// One of two.
    pub fn coin(&mut self) -> bool {
        self.permille(500)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.place(from.len())]
    }
}

/// Mixes two words into one, with the finaliser of splitmix64.
#[must_use]
pub const fn mix(a: u64, b: u64) -> u64 {
    let mut mixed = (a.rotate_left(29) ^ b).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Mixes bytes into a word, eight at a time.
#[must_use]
pub fn mix_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(seed, bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    hash
}

/// What a node draws from: its own generator, or, while time-outs are to be aligned, one that gives
/// every node of the run the same numbers.
#[derive(Clone, Debug)]
pub struct Draws {
    own: Xoshiro256PlusPlus,
    shared: Xoshiro256PlusPlus,
    is_aligned: Rc<Cell<bool>>,
}

impl Draws {
    /// The generator of one life of one node. `life` counts all the lives of the run, so that no
    /// two ever draw the same incarnation.
    #[must_use]
    pub fn new(seed: u64, node: usize, life: u32, is_aligned: &Rc<Cell<bool>>) -> Self {
        let life = u64::from(life);
        let own = mix(mix(seed, 0x6f77_6e00 + node as u64), life);
        Self {
            own: Xoshiro256PlusPlus::seed_from_u64(own),
            shared: Xoshiro256PlusPlus::seed_from_u64(mix(mix(seed, 0x616c_6c00), life)),
            is_aligned: Rc::clone(is_aligned),
        }
    }
}

impl rand_core::TryRng for Draws {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok((self.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let own = self.own.next_u64();
        let shared = self.shared.next_u64();
        Ok(if self.is_aligned.get() { shared } else { own })
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}
