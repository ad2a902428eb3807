//! How fast a cluster is: spans of time as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use coracle::{Ticks, Timing};

/// The spans that drive a node.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct TimingArguments {
    /// How often a leader says that it is there [default: 50ms]
    #[arg(long, value_name = "SPAN")]
    pub heartbeat: Option<Span>,
    /// The silence after which a node stands for election, drawn anew each time [default: three to
    /// six heartbeats]
    #[arg(long, value_name = "SPAN..SPAN")]
    pub election: Option<SpanRange>,
}

impl TimingArguments {
    /// The spans in the core's form.
    ///
    /// # Errors
    /// Says why they do not go together.
    pub fn timing(&self) -> Result<Timing, String> {
        let heartbeat = self.heartbeat.unwrap_or(HEARTBEAT);
        let usual = Timing::from_heartbeat(Ticks(heartbeat.0));
        let between =
            SpanRange { min: Span(usual.election_min.0), max: Span(usual.election_max.0) };
        let SpanRange { min, max } = self.election.unwrap_or(between);
        if heartbeat.0 < SHORTEST.0 || max.0 > LONGEST.0 {
            return Err(format!("spans must be from {SHORTEST} to {LONGEST}"));
        }
        if min.0 <= heartbeat.0 {
            return Err(format!(
                "the shortest election timeout ({min}) must be longer than the heartbeat \
                 ({heartbeat}), or every heartbeat comes too late"
            ));
        }
        if max.0 < min.0 {
            return Err(format!(
                "the longest election timeout ({max}) is below the shortest ({min})"
            ));
        }
        Ok(Timing {
            heartbeat: Ticks(heartbeat.0),
            election_min: Ticks(min.0),
            election_max: Ticks(max.0),
            retransmit_min: Ticks(RETRANSMIT_MIN.0),
        })
    }
}

/// A span of time, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

/// A span that lies between two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRange {
    /// The shortest.
    pub min: Span,
    /// The longest.
    pub max: Span,
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_micros(span.0)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no span of time: write 50ms, 1.5s or 500us");
        let at = text.find(|letter: char| letter.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(at);
        let digits = match unit {
            "us" => 0,
            "ms" => 3,
            "s" => 6,
            _ => return Err(wrong()),
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let (whole, part) = match number.split_once('.') {
            Some((whole, part)) if is_number(part) => (whole, part),
            Some(_) => return Err(wrong()),
            None => (number, ""),
        };
        if !is_number(whole) || part.len() > digits {
            return Err(wrong());
        }
        let padded = format!("{whole}{part}{}", "0".repeat(digits - part.len()));
        padded.parse().map(Self).map_err(|_| wrong())
    }
}

impl FromStr for SpanRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (min, max) = text
            .split_once("..")
            .ok_or_else(|| format!("{text:?} is no range: write 150ms..300ms"))?;
        Ok(Self { min: min.parse()?, max: max.parse()? })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = match self.0 {
            micros if micros >= 1_000_000 => ("s", 1_000_000),
            micros if micros >= 1000 => ("ms", 1000),
            _ => ("us", 1),
        };
        let (whole, part) = (self.0 / size, self.0 % size);
        if part == 0 {
            return f.pad(&format!("{whole}{unit}"));
        }
        let width = size.ilog10() as usize;
        let part = format!("{part:0width$}");
        f.pad(&format!("{whole}.{}{unit}", part.trim_end_matches('0')))
    }
}

const HEARTBEAT: Span = Span(50_000);
const RETRANSMIT_MIN: Span = Span(100);
const SHORTEST: Span = Span(1000);
const LONGEST: Span = Span(3_600_000_000);

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(heartbeat: &str, election: &str) -> Result<(u64, u64, u64), String> {
        let arguments = TimingArguments {
            heartbeat: (!heartbeat.is_empty()).then(|| heartbeat.parse().unwrap()),
            election: (!election.is_empty()).then(|| election.parse().unwrap()),
        };
        let Timing { heartbeat, election_min, election_max, .. } = arguments.timing()?;
        Ok((heartbeat.0, election_min.0, election_max.0))
    }

    #[test]
    fn a_span_has_a_number_and_a_unit() {
        for (text, micros) in [
            ("50ms", 50_000),
            ("1.5s", 1_500_000),
            ("500us", 500),
            ("0.1ms", 100),
            ("6s", 6_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Span(micros)), "{text}");
        }
        for text in
            ["", "50", "ms", "-5ms", "5 ms", "1.5us", ".5s", "1.s", "1e3ms", "5m", "1.0001ms"]
        {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert!(format!("{}s", u64::MAX).parse::<Span>().is_err());
        assert!("150ms".parse::<SpanRange>().is_err());
    }

    #[test]
    fn a_span_is_shown_as_it_is_written() {
        for text in ["50ms", "1.5s", "500us", "1.05s", "6s", "1.001ms"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn elections_follow_the_heartbeat_unless_they_are_given() {
        assert_eq!(timing("", ""), Ok((50_000, 150_000, 300_000)));
        assert_eq!(timing("5ms", ""), Ok((5000, 15_000, 30_000)));
        assert_eq!(timing("6s", "20s..30s"), Ok((6_000_000, 20_000_000, 30_000_000)));
        assert_eq!(timing("", "51ms..51ms"), Ok((50_000, 51_000, 51_000)));
    }

    #[test]
    fn spans_that_do_not_go_together_are_refused_with_the_reason() {
        let shorter = timing("200ms", "150ms..300ms").unwrap_err();
        assert!(shorter.contains("(150ms) must be longer than the heartbeat (200ms)"), "{shorter}");
        assert!(timing("50ms", "50ms..300ms").is_err());
        let swapped = timing("50ms", "300ms..150ms").unwrap_err();
        assert!(swapped.contains("(150ms) is below the shortest (300ms)"), "{swapped}");
        assert!(timing("999us", "").unwrap_err().contains("from 1ms to 3600s"));
        assert_eq!(timing("1ms", ""), Ok((1000, 3000, 6000)));
        assert!(timing("1ms", "2ms..3600s").is_ok());
        assert!(timing("1ms", "2ms..3600.1s").is_err());
    }
}
