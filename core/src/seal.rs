//! The seal at a datagram's end: what tells a damaged or forged datagram from ours. What it covers
//! is in `WIRE.md`.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// Makes and checks the last bytes of each datagram. Both ends of a link must use the same kind.
pub trait Seal {
    /// How many bytes it adds to a datagram.
    const BYTES: usize;

    /// Which key made the seal; the header carries it. Zero is the checksum.
    fn key(&self) -> u8;

    /// Writes the seal of `datagram`, which is everything before it, into the `BYTES` of `seal`.
    fn seal(&self, datagram: &[u8], seal: &mut [u8]);

    /// Whether `seal` is the seal of `datagram`.
    fn is_genuine(&self, datagram: &[u8], seal: &[u8]) -> bool;
}

/// CRC-32 (ISO HDLC) with one 1 KiB table, or sixteen where addresses have 64 bits: finds damage, not
/// forgery.
///
/// Whoever has the memory or the instructions for a faster one may bring it: the bytes are the same.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Checksum;

/// Sixteen tables take sixteen bytes at once: a snapshot of many megabytes is summed up while its node
/// does nothing else.
#[cfg(target_pointer_width = "64")]
pub(crate) type Tables = Table<16>;
#[cfg(not(target_pointer_width = "64"))]
pub(crate) type Tables = Table<1>;

pub(crate) static CRC: Crc<u32, Tables> = Crc::<u32, Tables>::new(&CRC_32_ISO_HDLC);

impl Seal for Checksum {
    const BYTES: usize = 4;

    fn key(&self) -> u8 {
        0
    }

    fn seal(&self, datagram: &[u8], seal: &mut [u8]) {
        let sum = CRC.checksum(datagram).to_le_bytes();
        seal.iter_mut().zip(sum).for_each(|(to, from)| *to = from);
    }

    fn is_genuine(&self, datagram: &[u8], seal: &[u8]) -> bool {
        seal == CRC.checksum(datagram).to_le_bytes()
    }
}
