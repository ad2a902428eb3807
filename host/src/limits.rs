//! The limits of a node that a person may want to move, and reads under a lease.

use std::str::FromStr;

use clap::Args;
use coracle::{Lease, MIN_LOG_SLOTS, Options, TableLimits};

use crate::setup::{PENDING, SESSIONS};

/// What a node may hold and send.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct LimitArguments {
    /// How many bytes of entries the log holds before its front must go
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = parse_bytes)]
    pub log_bytes: usize,
    /// How many entries the log holds before its front must go: a power of two
    #[arg(long, value_name = "COUNT", default_value_t = 1 << 19, value_parser = parse_entries)]
    pub log_entries: usize,
    /// How many bytes of entries may be on their way to one follower
    #[arg(long, value_name = "BYTES", default_value = "64KiB", value_parser = parse_bytes)]
    pub window: usize,
    /// How many datagrams of snapshots may leave between two heartbeats
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 256,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub snapshot_chunks: u16,
    /// How many sessions of clients there are at most: when they run out, the one that was silent
    /// longest ends. The node that leads when one is opened decides, for all nodes
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(SESSIONS))
    )]
    pub sessions: u16,
    /// How many requests of clients may wait for an answer at this node; the others are told to ask
    /// again
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 256,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(PENDING))
    )]
    pub pending: u16,
    /// Answer reads without asking a majority, for as long as no other leader can have been elected;
    /// all nodes must be started with it
    #[arg(long, requires = "clock_drift")]
    pub lease: bool,
    /// How far the clock of any node may run from true time, such as 0.1%; if one runs further, a read
    /// under a lease may be answered from an old state
    #[arg(long, value_name = "PERCENT", requires = "lease")]
    pub clock_drift: Option<Drift>,
}

impl LimitArguments {
    /// The options with these limits in them.
    pub fn limit(&self, options: Options) -> Options {
        let lease = self.clock_drift.filter(|_| self.lease);
        Options {
            window_bytes: self.window,
            snapshot_chunks: self.snapshot_chunks,
            lease: lease.map(|Drift(drift_permille)| Lease { drift_permille }),
            ..options
        }
    }

    /// How much a node uses of its tables.
    pub fn tables(&self) -> TableLimits {
        TableLimits { sessions: usize::from(self.sessions), pending: usize::from(self.pending) }
    }
}

/// A part of a whole, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift(u16);

impl FromStr for Drift {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no drift: write 0.1% to 50%");
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(tenth) || tenth.len() != 1 {
            return Err(wrong());
        }
        let whole: u16 = whole.parse().map_err(|_| wrong())?;
        let tenth: u16 = tenth.parse().map_err(|_| wrong())?;
        let permille = whole.checked_mul(10).and_then(|whole| whole.checked_add(tenth));
        let permille = permille.filter(|permille| (1..=500).contains(permille));
        permille.map(Self).ok_or_else(wrong)
    }
}

/// A number of bytes, with a unit or without.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let wrong = || format!("{text:?} is no number of bytes: write 65536, 64KiB or 16MiB");
    let at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return Err(wrong()),
    };
    let number: usize = number.parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(factor).ok_or_else(wrong)?;
    if !(LEAST_BYTES..=MOST_BYTES).contains(&bytes) {
        return Err(format!("{text} is not from {LEAST_BYTES} bytes to {} MiB", MOST_BYTES >> 20));
    }
    Ok(bytes)
}

fn parse_entries(text: &str) -> Result<usize, String> {
    let count: usize = text.parse().map_err(|_| format!("{text:?} is no number of entries"))?;
    if !count.is_power_of_two() || !(MIN_LOG_SLOTS..=MOST_ENTRIES).contains(&count) {
        return Err(format!("{count} is no power of two from {MIN_LOG_SLOTS} to {MOST_ENTRIES}"));
    }
    Ok(count)
}

/// An entry takes at most a quarter of the log, and the largest key with the largest value must fit.
const LEAST_BYTES: usize = 8 << 10;
const MOST_BYTES: usize = 2048 << 20;
const MOST_ENTRIES: usize = 1 << 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units_and_borders() {
        assert_eq!(parse_bytes("8KiB"), Ok(8 << 10));
        assert_eq!(parse_bytes("8192"), Ok(8 << 10));
        assert_eq!(parse_bytes("2048MiB"), Ok(2048 << 20));
        for wrong in ["8191", "2049MiB", "", "KiB", "-1", "1.5MiB", "16MB", "99999999999999999999"]
        {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn entries_are_a_power_of_two() {
        assert_eq!(parse_entries("16"), Ok(16));
        assert_eq!(parse_entries("268435456"), Ok(MOST_ENTRIES));
        for wrong in ["8", "17", "536870912", "", "x"] {
            assert!(parse_entries(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_drift_is_a_percentage() {
        assert_eq!("0.1%".parse(), Ok(Drift(1)));
        assert_eq!("2%".parse(), Ok(Drift(20)));
        assert_eq!("50.0%".parse(), Ok(Drift(500)));
        for wrong in ["0%", "0.0%", "50.1%", "1", "%", "0.01%", "-1%", "1.%"] {
            assert!(wrong.parse::<Drift>().is_err(), "{wrong}");
        }
    }
}
