//! Entries in their one encoding, written and read here a second time, so that a change of the
//! encoding in the core cannot go unnoticed.

use coracle::{EntryKind, Member, Part};

/// The bytes that a run of a test may have.
const RUN_BYTES: usize = 448;

/// Consecutive encoded entries.
#[derive(Clone, Debug, Default)]
pub struct Run(heapless::Vec<u8, RUN_BYTES>);

impl Run {
    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    /// The entries of these terms, the first of them at `first`. The entry at 1 is the
    /// configuration of `members`, every other one the [`command`] of its term and index.
    #[must_use]
    pub fn of(members: &[Member], first: u64, terms: &[u64]) -> Self {
        let mut run = Self::new();
        for (index, term) in (first..).zip(terms) {
            match index {
                1 => run.push(*term, EntryKind::Configuration, &configuration(members)),
                _ => run.push(*term, EntryKind::Command, &command(*term, index)),
            }
        }
        run
    }

    /// Adds an entry.
    pub fn push(&mut self, term: u64, kind: EntryKind, data: &[u8]) {
        let mut body: heapless::Vec<u8, RUN_BYTES> = heapless::Vec::new();
        let mut rest = term;
        while rest >= 0x80 {
            body.push(rest.to_le_bytes()[0] | 0x80).expect("a run fits");
            rest >>= 7;
        }
        body.push(rest.to_le_bytes()[0]).expect("a run fits");
        body.push(tag(kind)).expect("a run fits");
        body.extend_from_slice(data).expect("a run fits");
        let length = u16::try_from(body.len()).expect("a run is short");
        self.0.extend_from_slice(&length.to_le_bytes()).expect("a run fits");
        self.0.extend_from_slice(&body).expect("a run fits");
    }

    /// The encoded entries.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A command that no other term or index has.
#[must_use]
pub fn command(term: u64, index: u64) -> [u8; 4] {
    let [term, ..] = term.to_le_bytes();
    let [low, high, ..] = index.to_le_bytes();
    [b'c', term, low, high]
}

/// The data of a configuration entry.
#[must_use]
pub fn configuration(members: &[Member]) -> heapless::Vec<u8, 96> {
    let mut bytes = heapless::Vec::new();
    for voter in members {
        bytes.extend_from_slice(&voter.member.id.0.to_le_bytes()).expect("five members fit");
        let incarnation = voter.member.incarnation.0.to_le_bytes();
        bytes.extend_from_slice(&incarnation).expect("five members fit");
        bytes.extend_from_slice(&voter.datagram.to_le_bytes()).expect("five members fit");
        let part = match voter.part {
            Part::Learner => 0,
            Part::Recruit => 1,
            Part::Voter => 2,
            Part::Incoming => 3,
            Part::Outgoing => 4,
            Part::Demoted => 5,
        };
        // Nobody here has an address.
        bytes.extend_from_slice(&[part, 0]).expect("five members fit");
    }
    bytes
}

/// The entries of a run: term, kind, data, and the bytes of all that.
pub fn entries(run: &[u8]) -> impl Iterator<Item = (u64, EntryKind, &[u8], &[u8])> {
    let mut rest = run;
    core::iter::from_fn(move || {
        let (length, body) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (mut data, _) = body.split_at_checked(length).expect("an entry is whole");
        let (entry, after) = rest.split_at(length + 2);
        rest = after;
        let mut term = 0;
        for shift in [0, 7, 14, 21, 28, 35, 42, 49, 56, 63] {
            let (byte, after) = data.split_first().expect("an entry has a term");
            data = after;
            term |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                break;
            }
        }
        let (kind, data) = data.split_first().expect("an entry has a kind");
        let kind = match kind {
            0 => EntryKind::Noop,
            1 => EntryKind::Configuration,
            2 => EntryKind::Command,
            3.. => panic!("{kind} is no kind of entry"),
        };
        Some((term, kind, data, entry))
    })
}

/// The terms of the entries of a run.
#[must_use]
pub fn terms(run: &[u8]) -> heapless::Vec<u64, 64> {
    entries(run).map(|(term, ..)| term).collect()
}

fn tag(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Noop => 0,
        EntryKind::Configuration => 1,
        EntryKind::Command => 2,
    }
}
