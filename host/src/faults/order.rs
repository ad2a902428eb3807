//! Orders to a node about its faults, as they are written in a line and read from one.
//!
//! A line has one order or several, with `;` between them, which are followed together or not at
//! all:
//!
//! ```text
//! heal                               no faults any more
//! cut TARGETS [in|out]               no datagram passes
//! join TARGETS [in|out]              they pass again
//! loss P TARGETS [in|out]            each is lost with probability P
//! duplicate P TARGETS [in|out]       each comes twice with probability P
//! delay SPAN[..SPAN] TARGETS [in|out]  each comes that much later, drawn anew for each
//! meet ID=HOST:PORT                  this is a peer too, and is there from now on
//! pause                              the node does nothing at all, but for orders
//! resume                             it goes on
//! ```
//!
//! `TARGETS` are `peers`, `clients` or the ids of peers (`2,3`); without `in` or `out` both
//! directions are meant. A probability is `0.3` or `30%`, a span `20ms`, `500us` or `1s`. Zero ends
//! a fault.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use coracle::NodeId;

use crate::timing::Span;

/// One order.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// End all faults.
    Heal,
    /// Do nothing at all until `Resume`.
    Pause,
    /// Go on.
    Resume,
    /// Count this node among the peers, at this address.
    Meet(NodeId, SocketAddr),
    /// Make or end a fault.
    Set {
        /// Which one.
        fault: Fault,
        /// On the way to whom.
        targets: Targets,
        /// In one direction; both without it.
        way: Option<Way>,
    },
}

/// What happens to datagrams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// None passes.
    Cut,
    /// They pass.
    Join,
    /// Each may be lost.
    Loss(Probability),
    /// Each may come twice.
    Duplicate(Probability),
    /// Each comes later.
    Delay(Delay),
}

/// The others whose datagrams are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// All peers.
    Peers,
    /// Everybody who is no peer.
    Clients,
    /// These peers.
    Nodes(Vec<NodeId>),
}

/// A direction, as the node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What it receives.
    In,
    /// What it sends.
    Out,
}

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Probability(f64);

/// A span drawn between two, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The shortest.
    pub shortest: Span,
    /// The longest; not below the shortest.
    pub longest: Span,
}

/// Why a line is no order; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrderError {
    /// It has none of the forms.
    Unknown,
    /// This is no probability.
    NotAProbability,
    /// This is no span of time, or one of more than an hour.
    NotASpan,
    /// This is no list of ids.
    NotATarget,
    /// This is no id with an address.
    NotAPeer,
    /// There is no such peer.
    NoPeer(NodeId),
}

/// Understands a line of orders.
///
/// # Errors
/// When one of them is none, or none is there.
pub fn parse_line(line: &str) -> Result<Vec<Order>, OrderError> {
    line.split(';').map(str::parse).collect()
}

/// Writes orders as one line.
pub fn to_line(orders: &[Order]) -> String {
    let orders: Vec<String> = orders.iter().map(Order::to_string).collect();
    orders.join("; ")
}

impl FromStr for Order {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, OrderError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (words, way) = match words.as_slice() {
            [words @ .., "in"] => (words, Some(Way::In)),
            [words @ .., "out"] => (words, Some(Way::Out)),
            words => (words, None),
        };
        let (fault, targets) = match *words {
            ["heal"] if way.is_none() => return Ok(Self::Heal),
            ["pause"] if way.is_none() => return Ok(Self::Pause),
            ["resume"] if way.is_none() => return Ok(Self::Resume),
            ["meet", peer] if way.is_none() => return parse_peer(peer),
            ["cut", targets] => (Fault::Cut, targets),
            ["join", targets] => (Fault::Join, targets),
            ["loss", probability, targets] => (Fault::Loss(probability.parse()?), targets),
            ["duplicate", probability, targets] => {
                (Fault::Duplicate(probability.parse()?), targets)
            }
            ["delay", delay, targets] => (Fault::Delay(delay.parse()?), targets),
            _ => return Err(OrderError::Unknown),
        };
        Ok(Self::Set { fault, targets: targets.parse()?, way })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fault, targets, way) = match self {
            Self::Heal => return f.write_str("heal"),
            Self::Pause => return f.write_str("pause"),
            Self::Resume => return f.write_str("resume"),
            Self::Meet(id, address) => return write!(f, "meet {id}={address}"),
            Self::Set { fault, targets, way } => (fault, targets, way),
        };
        match fault {
            Fault::Cut => write!(f, "cut {targets}")?,
            Fault::Join => write!(f, "join {targets}")?,
            Fault::Loss(Probability(loss)) => write!(f, "loss {loss} {targets}")?,
            Fault::Duplicate(Probability(twice)) => write!(f, "duplicate {twice} {targets}")?,
            Fault::Delay(delay) => write!(f, "delay {delay} {targets}")?,
        }
        match way {
            Some(Way::In) => f.write_str(" in"),
            Some(Way::Out) => f.write_str(" out"),
            None => Ok(()),
        }
    }
}

impl FromStr for Targets {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, OrderError> {
        match text {
            "peers" => Some(Self::Peers),
            "clients" => Some(Self::Clients),
            ids => ids.split(',').map(parse_id).collect::<Option<_>>().map(Self::Nodes),
        }
        .ok_or(OrderError::NotATarget)
    }
}

fn parse_peer(text: &str) -> Result<Order, OrderError> {
    let (id, address) = text.split_once('=').ok_or(OrderError::NotAPeer)?;
    let (id, address) = (parse_id(id), address.parse().ok());
    id.zip(address).map(|(id, address)| Order::Meet(id, address)).ok_or(OrderError::NotAPeer)
}

fn parse_id(text: &str) -> Option<NodeId> {
    parse_digits(text).and_then(|id| u32::try_from(id).ok()).map(NodeId)
}

/// Decimal digits and nothing else; the library would also take a sign.
fn parse_digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peers => f.write_str("peers"),
            Self::Clients => f.write_str("clients"),
            Self::Nodes(ids) => {
                let ids: Vec<String> = ids.iter().map(NodeId::to_string).collect();
                f.write_str(&ids.join(","))
            }
        }
    }
}

impl Probability {
    /// Whether it never happens.
    pub const fn is_zero(self) -> bool {
        self.0 <= 0.0
    }

    /// Whether it happens, for a number that was drawn from all 32-bit ones.
    pub fn covers(self, drawn: u32) -> bool {
        f64::from(drawn) < self.0 * TWO_TO_32
    }
}

impl FromStr for Probability {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, OrderError> {
        let (digits, scale) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, 100.0));
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let number: Option<f64> = if is_plain { digits.parse().ok() } else { None };
        let probability = number.ok_or(OrderError::NotAProbability)? / scale;
        if probability > 1.0 {
            return Err(OrderError::NotAProbability);
        }
        Ok(Self(probability))
    }
}

/// As a percentage, for people.
impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = format!("{:.4}", self.0 * 100.0);
        write!(f, "{}%", percent.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Delay {
    /// Whether it is none at all.
    pub fn is_zero(self) -> bool {
        self.longest == Span(0)
    }
}

impl Default for Delay {
    fn default() -> Self {
        Self { shortest: Span(0), longest: Span(0) }
    }
}

impl FromStr for Delay {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, OrderError> {
        let (shortest, longest) = text.split_once("..").unwrap_or((text, text));
        let (shortest, longest) = (parse_span(shortest)?, parse_span(longest)?);
        if shortest > longest {
            return Err(OrderError::NotASpan);
        }
        Ok(Self { shortest, longest })
    }
}

fn parse_span(text: &str) -> Result<Span, OrderError> {
    let span = if text == "0" { Ok(Span(0)) } else { text.parse() };
    span.ok().filter(|span| *span <= LONGEST_DELAY).ok_or(OrderError::NotASpan)
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shortest, longest } = self;
        if longest == shortest {
            write!(f, "{shortest}")
        } else {
            write!(f, "{shortest}..{longest}")
        }
    }
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("this is no order"),
            Self::NotAProbability => {
                f.write_str("a probability is a number from 0 to 1, or from 0% to 100%")
            }
            Self::NotASpan => f.write_str(
                "a delay is a span as 20ms, 500us or 1s, or two, as 5ms..20ms, of an hour at most",
            ),
            Self::NotATarget => f.write_str("the targets are peers, clients or ids, as 2,3"),
            Self::NotAPeer => f.write_str("a peer has the form ID=IP:PORT"),
            Self::NoPeer(id) => write!(f, "node {id} is no peer"),
        }
    }
}

impl std::error::Error for OrderError {}

const TWO_TO_32: f64 = 4_294_967_296.0;
/// An hour.
const LONGEST_DELAY: Span = Span(3600 * 1_000_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for line in [
            "heal",
            "pause",
            "resume",
            "cut 3",
            "cut 2,3 in",
            "join peers out",
            "cut clients",
            "loss 0.3 peers out",
            "duplicate 1 4294967295",
            "delay 5ms..20ms clients in",
            "delay 500us 2",
            "heal; cut 3; loss 0.05 peers out",
            "meet 4=127.0.0.1:7; meet 5=[::1]:8; cut 4",
        ] {
            assert_eq!(to_line(&parse_line(line).unwrap()), line);
        }
    }

    #[test]
    fn a_number_may_be_written_in_more_than_one_way() {
        let order = |line: &str| parse_line(line).unwrap();
        assert_eq!(order("loss 30% peers"), order(" loss  0.3 peers "));
        assert_eq!(order("loss 0 peers"), order("loss 0.0% peers"));
        assert_eq!(order("delay 1s 2"), order("delay 1000ms..1000000us 2"));
        assert_eq!(order("delay 0 2"), order("delay 0us..0ms 2"));
    }

    #[test]
    fn everything_else_is_refused() {
        for (line, error) in [
            ("", OrderError::Unknown),
            ("heal;", OrderError::Unknown),
            ("heal in", OrderError::Unknown),
            ("heal 2", OrderError::Unknown),
            ("frob 2", OrderError::Unknown),
            ("cut", OrderError::Unknown),
            ("meet", OrderError::Unknown),
            ("meet 4=127.0.0.1:7 in", OrderError::Unknown),
            ("meet 4", OrderError::NotAPeer),
            ("meet x=127.0.0.1:7", OrderError::NotAPeer),
            ("meet 4=127.0.0.1", OrderError::NotAPeer),
            ("cut 2 3", OrderError::Unknown),
            ("cut 2 sideways", OrderError::Unknown),
            ("cut in", OrderError::Unknown),
            ("cut two", OrderError::NotATarget),
            ("cut 2,", OrderError::NotATarget),
            ("cut +2", OrderError::NotATarget),
            ("cut 4294967296", OrderError::NotATarget),
            ("loss 1.01 peers", OrderError::NotAProbability),
            ("loss 101% peers", OrderError::NotAProbability),
            ("loss -0.1 peers", OrderError::NotAProbability),
            ("loss nan peers", OrderError::NotAProbability),
            ("loss inf peers", OrderError::NotAProbability),
            ("loss 1e-3 peers", OrderError::NotAProbability),
            ("loss . peers", OrderError::NotAProbability),
            ("loss % peers", OrderError::NotAProbability),
            ("delay 20 peers", OrderError::NotASpan),
            ("delay 20ms..5ms peers", OrderError::NotASpan),
            ("delay 3601s peers", OrderError::NotASpan),
            ("delay 99999999999999999999s peers", OrderError::NotASpan),
            ("delay 18446744073709551615s peers", OrderError::NotASpan),
            ("delay ..5ms peers", OrderError::NotASpan),
            ("cut 2; frob", OrderError::Unknown),
        ] {
            assert_eq!(parse_line(line), Err(error), "{line}");
        }
        assert!(parse_line("delay 3600s peers; loss 100% peers").is_ok());
    }

    #[test]
    fn a_probability_covers_its_share_and_its_borders() {
        let covers = |text: &str, drawn| text.parse::<Probability>().unwrap().covers(drawn);
        assert!(!covers("0", 0));
        assert!(covers("1", u32::MAX));
        assert!(covers("50%", (1 << 31) - 1));
        assert!(!covers("50%", 1 << 31));
    }

    #[test]
    fn people_read_percentages() {
        let shown = |text: &str| text.parse::<Probability>().unwrap().to_string();
        assert_eq!(shown("0.3"), "30%");
        assert_eq!(shown("2.5%"), "2.5%");
        assert_eq!(shown("1"), "100%");
        assert_eq!(shown("0"), "0%");
    }
}
