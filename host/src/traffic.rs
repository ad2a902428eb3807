//! What a node's loop has sent and received, for whoever measures it.

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Counters that one thread raises and others read.
#[derive(Clone, Default)]
pub struct Traffic {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    received: AtomicU64,
    received_bytes: AtomicU64,
    waits: AtomicU64,
    syncs: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Datagrams sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Datagrams received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// How often the loop has waited.
    pub waits: u64,
    /// How often files or their names were synced.
    pub syncs: u64,
}

impl Traffic {
    /// A datagram of so many bytes was sent.
    pub fn sent(&self, bytes: usize) {
        raise(&self.shared.sent, 1);
        raise(&self.shared.sent_bytes, bytes as u64);
    }

    /// A datagram of so many bytes was received.
    pub fn received(&self, bytes: usize) {
        raise(&self.shared.received, 1);
        raise(&self.shared.received_bytes, bytes as u64);
    }

    /// The loop waits.
    pub fn waited(&self) {
        raise(&self.shared.waits, 1);
    }

    /// A file, or the names of files, are synced. Any thread may say so.
    pub fn synced(&self) {
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn counted(&self) -> Counted {
        let Shared { sent, sent_bytes, received, received_bytes, waits, syncs } = &*self.shared;
        let [sent, sent_bytes, received, received_bytes, waits, syncs] =
            [sent, sent_bytes, received, received_bytes, waits, syncs]
                .map(|counter| counter.load(Ordering::Relaxed));
        Counted { sent, sent_bytes, received, received_bytes, waits, syncs }
    }

    /// Answers each line of input with the counters, until it ends.
    ///
    /// # Errors
    /// Those of `input` and `output`.
    pub fn serve(&self, input: impl BufRead, mut output: impl Write) -> io::Result<()> {
        for line in input.lines() {
            line?;
            serde_json::to_writer(&mut output, &self.counted())?;
            output.write_all(b"\n")?;
            output.flush()?;
        }
        Ok(())
    }
}

impl Counted {
    /// What was counted since an earlier moment.
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            sent_bytes: self.sent_bytes - earlier.sent_bytes,
            received: self.received - earlier.received,
            received_bytes: self.received_bytes - earlier.received_bytes,
            waits: self.waits - earlier.waits,
            syncs: self.syncs - earlier.syncs,
        }
    }

    /// The sum of two.
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            sent_bytes: self.sent_bytes + other.sent_bytes,
            received: self.received + other.received,
            received_bytes: self.received_bytes + other.received_bytes,
            waits: self.waits + other.waits,
            syncs: self.syncs + other.syncs,
        }
    }
}

/// Only one thread raises these, so that an addition which nobody can interrupt is not needed.
fn raise(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_answered_with_what_was_counted() {
        let traffic = Traffic::default();
        traffic.sent(100);
        traffic.sent(20);
        traffic.received(7);
        traffic.waited();
        traffic.synced();
        let mut output = Vec::new();
        traffic.serve(&b"\n\n"[..], &mut output).unwrap();
        let lines = String::from_utf8(output).unwrap();
        let counted: Vec<Counted> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected = Counted {
            sent: 2,
            sent_bytes: 120,
            received: 1,
            received_bytes: 7,
            waits: 1,
            syncs: 1,
        };
        assert_eq!(counted, [expected, expected]);
        assert_eq!(expected.since(&expected), Counted::default());
        assert_eq!(expected.plus(&Counted::default()), expected);
    }
}
