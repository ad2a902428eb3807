//! What ends each datagram: nothing, or one checksum computed in one of two ways.
//!
//! In all of them every message is encoded by its sender and decoded by its receiver; coracle has no
//! other form of a message.

use coracle::Seal;

/// How datagrams are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sealing {
    /// Every message is encoded and decoded, without a seal. There is nothing simpler to measure:
    /// in coracle a message has no other form
    Ser,
    /// And with the checksum that the core brings, four bytes by one table
    Sealed,
    /// And with the same checksum by the processor's own instructions, as a host computes it
    Fast,
}

/// Seals nothing and takes everything, to tell the protocol's cost from the checksum's.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Seal for Plain {
    const BYTES: usize = 0;

    fn key(&self) -> u8 {
        0
    }

    fn seal(&self, _datagram: &[u8], _seal: &mut [u8]) {}

    fn is_genuine(&self, _datagram: &[u8], _seal: &[u8]) -> bool {
        true
    }
}

/// The checksum of [`coracle::Checksum`], fast.
#[derive(Clone, Copy, Debug)]
pub struct Fast;

impl Seal for Fast {
    const BYTES: usize = 4;

    fn key(&self) -> u8 {
        0
    }

    #[inline]
    fn seal(&self, datagram: &[u8], seal: &mut [u8]) {
        seal.copy_from_slice(&crc32fast::hash(datagram).to_le_bytes());
    }

    #[inline]
    fn is_genuine(&self, datagram: &[u8], seal: &[u8]) -> bool {
        seal == crc32fast::hash(datagram).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use coracle::{Checksum, Seal};

    use super::Fast;

    #[test]
    fn the_fast_checksum_is_the_one_of_the_core() {
        for length in [0, 1, 17, 64, 129, 1200] {
            let datagram: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let mut seal = [0; 4];
            Fast.seal(&datagram, &mut seal);
            assert!(Checksum.is_genuine(&datagram, &seal));
        }
    }
}
