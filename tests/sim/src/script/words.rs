//! The words of a command.

use coracle::{EntryId, Index, NodeId, Term};

use super::Stop;

/// The words behind a command's name, read from left to right.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    words: Vec<&'a str>,
    next: usize,
}

impl<'a> Words<'a> {
    /// The words of a line.
    #[must_use]
    pub fn new(line: &'a str) -> Self {
        Self { words: line.split_whitespace().collect(), next: 0 }
    }

    /// The next word, which stays.
    #[must_use]
    pub fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    /// The next word, if there is one.
    pub fn take(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.next += 1;
        Some(word)
    }

    /// The next word, which must be there.
    pub fn word(&mut self, what: &str) -> Result<&'a str, Stop> {
        self.take().ok_or_else(|| Stop::Misused(format!("{what} is missing")))
    }

    /// Takes the next word if it is this one.
    pub fn has(&mut self, word: &str) -> bool {
        let is_it = self.peek() == Some(word);
        self.next += usize::from(is_it);
        is_it
    }

    /// The next word as a number.
    pub fn number(&mut self, what: &str) -> Result<u64, Stop> {
        let word = self.word(what)?;
        word.parse().map_err(|_| Stop::Misused(format!("{what}: '{word}' is no number")))
    }

    /// The next word as a number, if it is one.
    pub fn maybe_number(&mut self) -> Option<u64> {
        let number = self.peek()?.parse().ok()?;
        self.next += 1;
        Some(number)
    }

    /// The next word as the id of a node.
    pub fn id(&mut self) -> Result<NodeId, Stop> {
        let number = self.number("a node")?;
        let id = u32::try_from(number).map_err(|_| Stop::Misused(format!("no node {number}")))?;
        Ok(NodeId(id))
    }

    /// Everything that is left, as runs of a log such as `1.1-3 2.4`.
    pub fn runs(&mut self) -> Result<Vec<EntryId>, Stop> {
        let mut entries: Vec<EntryId> = Vec::new();
        while let Some(word) = self.take() {
            let run = parse_run(word).ok_or_else(|| {
                Stop::Misused(format!("'{word}' is no run of entries: TERM.INDEX or TERM.FROM-TO"))
            })?;
            entries.extend(run);
        }
        let is_whole = entries.windows(2).all(|two| two[0].index.next() == two[1].index);
        if is_whole { Ok(entries) } else { Err(Stop::Misused("the runs leave a gap".to_owned())) }
    }

    /// Everything that is left, as it was written.
    pub fn rest(&mut self) -> String {
        let rest = self.words[self.next..].join(" ");
        self.next = self.words.len();
        rest
    }

    /// There must be nothing left.
    pub fn end(&self) -> Result<(), Stop> {
        match self.peek() {
            None => Ok(()),
            Some(word) => Err(Stop::Misused(format!("nobody knows what '{word}' means here"))),
        }
    }
}

fn parse_run(word: &str) -> Option<Vec<EntryId>> {
    let (term, indices) = word.split_once('.')?;
    let term = Term(term.parse().ok()?);
    let (from, to) = indices.split_once('-').unwrap_or((indices, indices));
    let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
    let is_short = from > 0 && from <= to && to - from < MOST_ENTRIES;
    is_short.then(|| (from..=to).map(|index| EntryId { term, index: Index(index) }).collect())
}

/// A run in a script is not longer.
const MOST_ENTRIES: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(line: &str) -> Option<Vec<(u64, u64)>> {
        let runs = Words::new(line).runs().ok()?;
        Some(runs.iter().map(|id| (id.term.0, id.index.0)).collect())
    }

    #[test]
    fn runs_are_read_and_gaps_are_refused() {
        assert_eq!(ids("1.1-2 4.3"), Some(vec![(1, 1), (1, 2), (4, 3)]));
        assert_eq!(ids(""), Some(vec![]));
        for bad in ["1.1 1.3", "1.2-1", "1.0", "1", "a.1", "1.1-", "1.1-99999"] {
            assert_eq!(ids(bad), None, "{bad}");
        }
    }
}
