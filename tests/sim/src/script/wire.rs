//! Datagrams on their way: the script decides what becomes of each.

use super::pattern::Pattern;
use super::text;
use crate::network::Address;
use crate::queue::Micros;

/// One datagram on its way.
#[derive(Clone, Debug)]
pub struct Flying {
    /// Who sent it.
    pub from: Address,
    /// Whom it is for.
    pub to: Address,
    /// What it is.
    pub kind: &'static str,
    /// The line about it.
    pub text: String,
    /// The datagram.
    pub bytes: Box<[u8]>,
    /// When it arrives, if the script lets time pass.
    pub due: Micros,
    /// Whether it waits for the script to release or deliver it.
    pub is_held: bool,
}

impl Flying {
    fn is_meant(&self, pattern: &Pattern) -> bool {
        pattern.means(self.from, self.to, self.kind)
    }
}

/// What became of a datagram that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on its way.
    Flying,
    /// It is on its way, and waits.
    Held,
    /// The link is cut.
    Lost,
}

/// The network: every datagram on its way, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// On their way.
    pub flying: Vec<Flying>,
    /// Links on which everything is lost.
    cuts: Vec<(Address, Address)>,
    /// What is held as it is sent.
    holds: Vec<Pattern>,
    /// How long a datagram is on its way.
    pub latency: Micros,
}

impl Wire {
    /// A datagram is sent.
    pub fn send(
        &mut self,
        from: Address,
        to: Address,
        bytes: &[u8],
        now: Micros,
    ) -> (Fate, String) {
        let (kind, says) = text::datagram(bytes);
        let says = if says.is_empty() { says } else { format!(" {says}") };
        let line = format!("{}->{} {kind}{says}", text::end_name(from), text::end_name(to));
        if self.is_cut(from, to) {
            return (Fate::Lost, line);
        }
        let is_held = self.holds.iter().any(|hold| hold.means(from, to, kind));
        let due = now.plus(self.latency);
        let text = line.clone();
        self.flying.push(Flying { from, to, kind, text, bytes: bytes.into(), due, is_held });
        (if is_held { Fate::Held } else { Fate::Flying }, line)
    }

    /// Whether everything is lost between these.
    #[must_use]
    pub fn is_cut(&self, from: Address, to: Address) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// The places of what a pattern means, oldest first.
    #[must_use]
    pub fn meant(&self, pattern: &Pattern) -> Vec<usize> {
        let places = self.flying.iter().enumerate();
        places.filter(|(_, it)| it.is_meant(pattern)).map(|(place, _)| place).collect()
    }

    /// Takes out what a pattern means: so many, the oldest.
    pub fn take(&mut self, pattern: &Pattern, most: usize) -> Vec<Flying> {
        let mut taken = Vec::new();
        let mut left = Vec::new();
        for it in std::mem::take(&mut self.flying) {
            let is_taken = taken.len() < most && it.is_meant(pattern);
            if is_taken { taken.push(it) } else { left.push(it) }
        }
        self.flying = left;
        taken
    }

    /// Takes the oldest datagram out that is not held, due or not.
    pub fn take_oldest(&mut self) -> Option<Flying> {
        let place = self.flying.iter().position(|it| !it.is_held)?;
        Some(self.flying.remove(place))
    }

    /// Takes the datagram out that is due first, if it is due now.
    pub fn take_due(&mut self, now: Micros) -> Option<Flying> {
        let (due, place) = self.next_due()?;
        (due <= now).then(|| self.flying.remove(place))
    }

    /// When the next datagram is due.
    #[must_use]
    pub fn next_due(&self) -> Option<(Micros, usize)> {
        let places = self.flying.iter().enumerate();
        places.filter(|(_, it)| !it.is_held).map(|(place, it)| (it.due, place)).min()
    }

    /// From now on what a pattern means is held, and what of it is on its way.
    pub fn hold(&mut self, pattern: Pattern) -> usize {
        let mut count = 0;
        for it in self.flying.iter_mut().filter(|it| it.is_meant(&pattern)) {
            it.is_held = true;
            count += 1;
        }
        self.holds.push(pattern);
        count
    }

    /// Nothing is held any more that was to be by a pattern written so, or by any.
    pub fn release(&mut self, pattern: Option<&Pattern>, now: Micros) -> Option<usize> {
        let before = self.holds.len();
        self.holds.retain(|hold| pattern.is_some_and(|it| it.written() != hold.written()));
        if pattern.is_some() && before == self.holds.len() {
            return None;
        }
        let holds = std::mem::take(&mut self.holds);
        let mut count = 0;
        for it in self.flying.iter_mut().filter(|it| it.is_held) {
            it.is_held = holds.iter().any(|hold| it.is_meant(hold));
            if !it.is_held {
                it.due = now.plus(self.latency);
                count += 1;
            }
        }
        self.holds = holds;
        Some(count)
    }

    /// Cuts a link: what is on its way there is lost, unless it is held.
    pub fn cut(&mut self, from: Address, to: Address) -> usize {
        if from == to || self.is_cut(from, to) {
            return 0;
        }
        self.cuts.push((from, to));
        let before = self.flying.len();
        self.flying.retain(|it| it.is_held || (it.from, it.to) != (from, to));
        before - self.flying.len()
    }

    /// The links of a pattern work again.
    pub fn heal(&mut self, pattern: &Pattern) {
        self.cuts.retain(|(from, to)| !pattern.is_link(*from, *to));
    }
}
