//! Which datagrams a command means: `1->2`, `*->3 append`, `2,3->* vote,vote-reply`.

use super::words::Words;
use super::{Stop, text};
use crate::network::Address;

/// Datagrams between these ends, of these kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    from: Ends,
    to: Ends,
    /// None means all.
    kinds: Vec<&'static str>,
    written: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ends {
    All,
    These(Vec<Address>),
}

impl Pattern {
    /// Reads the links, and the kinds if there are any.
    pub fn read(words: &mut Words<'_>) -> Result<Self, Stop> {
        let mut pattern = Self::links(words)?;
        let Some(kinds) = words.peek().filter(|word| text::kind(first_of(word)).is_some()) else {
            return Ok(pattern);
        };
        words.take();
        for name in kinds.split(',') {
            let kind = text::kind(name);
            let kind =
                kind.ok_or_else(|| Stop::Misused(format!("no datagram is called '{name}'")))?;
            pattern.kinds.push(kind);
        }
        pattern.written = format!("{} {kinds}", pattern.written);
        Ok(pattern)
    }

    /// Reads the links alone.
    pub fn links(words: &mut Words<'_>) -> Result<Self, Stop> {
        let written = words.word("FROM->TO")?;
        let ends = written.split_once("->").and_then(|(from, to)| Some((ends(from)?, ends(to)?)));
        let (from, to) = ends.ok_or_else(|| {
            Stop::Misused(format!("'{written}' does not name links: FROM->TO, each * or a list"))
        })?;
        Ok(Self { from, to, kinds: Vec::new(), written: written.to_owned() })
    }

    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self { from: Ends::All, to: Ends::All, kinds: Vec::new(), written: "*->*".to_owned() }
    }

    /// Whether it means the link between these.
    #[must_use]
    pub fn is_link(&self, from: Address, to: Address) -> bool {
        self.from.has(from) && self.to.has(to)
    }

    /// Whether it means a datagram of this kind between these.
    #[must_use]
    pub fn means(&self, from: Address, to: Address, kind: &str) -> bool {
        self.is_link(from, to) && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }

    /// As it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }
}

impl Ends {
    fn has(&self, end: Address) -> bool {
        match self {
            Self::All => true,
            Self::These(ends) => ends.contains(&end),
        }
    }
}

fn first_of(list: &str) -> &str {
    list.split(',').next().unwrap_or(list)
}

fn ends(written: &str) -> Option<Ends> {
    if written == "*" {
        return Some(Ends::All);
    }
    written.split(',').map(text::end).collect::<Option<Vec<_>>>().map(Ends::These)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Pattern, Stop> {
        Pattern::read(&mut Words::new(line))
    }

    #[test]
    fn a_pattern_means_its_links_and_kinds_and_no_others() {
        let pattern = read("1,2->* append,vote").expect("a pattern");
        let (one, three) = (Address::Node(0), Address::Node(2));
        assert!(pattern.means(one, three, "append"));
        assert!(!pattern.means(one, three, "heartbeat"));
        assert!(!pattern.means(three, one, "append"));
        assert!(read("a->1").is_ok_and(|it| it.is_link(Address::Client(0), one)));
        for bad in ["1-2", "1->", "0->1", "x1->2", "1->2 append,nonsense"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
