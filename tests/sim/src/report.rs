//! What happened how often: a check of something that never happens proves nothing.

use std::collections::BTreeMap;
use std::fmt;

/// Counts by name, of one run or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<&'static str, Count>);

/// How often something happened, and in how many runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How often.
    pub times: u64,
    /// In how many runs.
    pub runs: u64,
}

impl Counts {
    /// It happened so many more times in this run.
    pub fn add(&mut self, name: &'static str, times: u64) {
        let count = self.0.entry(name).or_default();
        count.times += times;
        count.runs = u64::from(count.times > 0);
    }

    /// The counts of other runs.
    pub fn merge(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            let ours = self.0.entry(name).or_default();
            ours.times += count.times;
            ours.runs += count.runs;
        }
    }

    /// How often something happened.
    #[must_use]
    pub fn times(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |count| count.times)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.keys().map(|name| name.len()).max().unwrap_or(0);
        writeln!(f, "{:width$}  {:>12}  {:>9}", "", "times", "in runs")?;
        for (name, count) in &self.0 {
            writeln!(f, "{name:width$}  {:>12}  {:>9}", count.times, count.runs)?;
        }
        Ok(())
    }
}
