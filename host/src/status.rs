//! `coracle status`: how a node is, as it says itself.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use coracle::{Counters, Epoch, Gauge, Limits, PeerStatus, ProgressStatus, Status};
use serde::{Serialize, Serializer};

use crate::client::{Failure, Session};
use crate::print::{complain, failed, print};
use crate::roster::any_address;
use crate::servers::{ServersArguments, server};
use crate::timing::Span;

/// `coracle status`.
#[derive(Args)]
pub struct StatusArguments {
    /// The node to ask; else whichever answers first of those in CORACLE_SERVERS, or of the ports
    /// 50051 to 50055 of this machine
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
    /// As one object of JSON on one line; spans are in microseconds
    #[arg(long)]
    json: bool,
    /// Again and again, so often, until it is ended [default: 1s]
    #[arg(
        long,
        value_name = "SPAN",
        num_args = 0..=1,
        require_equals = false,
        default_missing_value = "1s"
    )]
    watch: Option<Span>,
    /// How long to wait for the answer
    #[arg(long, value_name = "SPAN", default_value = "3s")]
    timeout: Span,
}

/// Shows how a node is.
pub fn run(arguments: &StatusArguments) -> ExitCode {
    let servers = match &arguments.server {
        Some(name) => any_address(name).map(|address| vec![server(address)]),
        None => ServersArguments::default().look_up(),
    };
    let session = servers.and_then(|servers| Session::new(&servers));
    let mut session = match session {
        Ok(session) => session,
        Err(why) => return failed(format_args!("error: {why}")),
    };
    session.limit(arguments.timeout.into());
    let Some(interval) = arguments.watch else {
        return match show(arguments, &mut session) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => failed(why),
        };
    };
    loop {
        match show(arguments, &mut session) {
            Ok(()) => {}
            Err(Silence::Output(_)) => return ExitCode::SUCCESS,
            Err(why @ Silence::Node(_)) => complain(why),
        }
        thread::sleep(Duration::from(interval));
    }
}

/// Why there is nothing to see.
enum Silence {
    Node(Failure),
    Output(io::Error),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(Failure::Refused(why) | Failure::Unknown(why)) => write!(f, "error: {why}"),
            Self::Output(error) => write!(f, "error: the status cannot be written: {error}"),
        }
    }
}

fn show(arguments: &StatusArguments, session: &mut Session) -> Result<(), Silence> {
    let status = session.status_of_any().map_err(Silence::Node)?;
    let peers = session.peers().map_err(Silence::Node)?;
    let report = Report::new(&status, &peers);
    let text = if arguments.json {
        serde_json::to_string(&report).map_err(|error| Silence::Output(error.into()))?
    } else if arguments.watch.is_some() && io::stdout().is_terminal() {
        format!("{CLEAR}{report}")
    } else {
        report.to_string()
    };
    match print(&text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe && arguments.watch.is_none() => {
            Ok(())
        }
        printed => printed.map_err(Silence::Output),
    }
}

/// All of it, in the order in which it is shown.
#[derive(Serialize)]
struct Report {
    id: u32,
    incarnation: String,
    epoch: Option<String>,
    role: String,
    condition: String,
    term: u64,
    leader: Option<u32>,
    commit: u64,
    applied: u64,
    durable: u64,
    log: Log,
    limits: Fill,
    members: u8,
    expected: u8,
    answered: u8,
    peers: Vec<Peer>,
    #[serde(serialize_with = "by_name")]
    counters: Counters,
}

#[derive(Serialize)]
struct Log {
    first: u64,
    last: u64,
    last_term: u64,
    bytes: u32,
    capacity: u32,
}

/// What is taken of what there is.
#[derive(Serialize)]
struct Fill {
    log_entries: Part,
    uncommitted_bytes: Part,
    window_bytes: u32,
    members: Part,
    sessions: Part,
    pending: Part,
}

#[derive(Serialize)]
struct Part {
    used: u32,
    bound: u32,
}

#[derive(Serialize)]
struct Peer {
    id: u32,
    incarnation: Option<String>,
    answered: bool,
    progress: Option<Progress>,
}

#[derive(Serialize)]
struct Progress {
    matched: u64,
    next: u64,
    in_flight: u32,
    in_flight_bytes: u32,
    round_trip: Option<u64>,
    silent_for: u64,
}

impl Report {
    fn new(status: &Status, peers: &[PeerStatus]) -> Self {
        Self {
            id: status.member.id.0,
            incarnation: status.member.incarnation.to_string(),
            epoch: (status.epoch != Epoch(0)).then(|| status.epoch.to_string()),
            role: status.role.to_string(),
            condition: status.condition.to_string(),
            term: status.term.0,
            leader: status.leader.map(|id| id.0),
            commit: status.commit.0,
            applied: status.applied.0,
            durable: status.durable.0,
            log: Log {
                first: status.base.index.next().0,
                last: status.last.index.0,
                last_term: status.last.term.0,
                bytes: status.log_bytes,
                capacity: status.log_capacity,
            },
            limits: Fill::new(&status.limits, status.log_capacity),
            members: status.members,
            expected: status.expected,
            answered: status.answered,
            peers: peers.iter().map(Peer::new).collect(),
            counters: status.counters,
        }
    }
}

impl Fill {
    fn new(limits: &Limits, log_capacity: u32) -> Self {
        let part = |Gauge { used, bound }| Part { used, bound };
        let Limits { log_entries, uncommitted_bytes, window_bytes, members, sessions, pending } =
            *limits;
        Self {
            log_entries: part(log_entries),
            uncommitted_bytes: Part { used: uncommitted_bytes, bound: log_capacity },
            window_bytes,
            members: part(members),
            sessions: part(sessions),
            pending: part(pending),
        }
    }
}

impl Peer {
    fn new(peer: &PeerStatus) -> Self {
        let incarnation = peer.member.incarnation;
        let progress = |progress: ProgressStatus| Progress {
            matched: progress.matched.0,
            next: progress.next.0,
            in_flight: progress.in_flight,
            in_flight_bytes: progress.in_flight_bytes,
            round_trip: progress.round_trip.map(|span| span.0),
            silent_for: progress.silent_for.0,
        };
        Self {
            id: peer.member.id.0,
            incarnation: (incarnation.0 != 0).then(|| incarnation.to_string()),
            answered: peer.has_answered,
            progress: peer.progress.map(progress),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, incarnation, role, condition, term, .. } = self;
        let epoch = self.epoch.as_deref().unwrap_or("none yet");
        writeln!(f, "node          {id}, incarnation {incarnation}")?;
        writeln!(f, "epoch         {epoch}")?;
        writeln!(f, "role          {role} in term {term}")?;
        writeln!(f, "condition     {condition}")?;
        match self.leader {
            Some(leader) => writeln!(f, "leader        node {leader}")?,
            None => writeln!(f, "leader        not known")?,
        }
        let Self { commit, applied, durable, .. } = self;
        writeln!(f, "entries       committed {commit}, applied {applied}, durable {durable}")?;
        self.log.fmt(f)?;
        let Self { members, expected, answered, .. } = self;
        writeln!(
            f,
            "members       {members}; started with {expected}; {answered} others answered"
        )?;
        self.limits.fmt(f)?;
        let Counters { elections, leaderships, heartbeats, .. } = &self.counters;
        writeln!(f, "elections     stood for {elections}, won {leaderships}")?;
        writeln!(f, "heartbeats    {heartbeats} rounds sent")?;
        if !self.peers.is_empty() {
            writeln!(f, "\n{PEERS}")?;
        }
        for peer in &self.peers {
            peer.fmt(f)?;
        }
        f.write_str("\ncounters")?;
        for (name, count) in self.counters.iter() {
            write!(f, "\n  {name:<18} {count:>10}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, last_term, bytes, capacity } = self;
        let fill = 100.0 * f64::from(*bytes) / f64::from((*capacity).max(1));
        f.write_str("log           ")?;
        if last < first {
            f.write_str("empty")?;
        } else {
            write!(f, "{first} to {last}, the last of term {last_term}")?;
        }
        writeln!(f, "; {bytes} of {capacity} bytes ({fill:.1}%)")
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log_entries, uncommitted_bytes, window_bytes, members, sessions, pending } =
            self;
        writeln!(f, "room          {log_entries} entries, {uncommitted_bytes} bytes uncommitted")?;
        writeln!(f, "              {members} members, {sessions} sessions, {pending} requests")?;
        writeln!(f, "              {window_bytes} bytes in flight to each follower")
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { used, bound } = self;
        write!(f, "{used} of {bound}")
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let incarnation = self.incarnation.as_deref().unwrap_or("unknown");
        let answered = if self.answered { "yes" } else { "no" };
        let mut line = format!("{:>10}  {incarnation:<16}  {answered:<8}", self.id);
        if let Some(Progress { matched, next, round_trip, silent_for, in_flight_bytes, .. }) =
            &self.progress
        {
            let round_trip =
                round_trip.map_or_else(|| "-".to_owned(), |span| Span(span).to_string());
            let silent = Span(silent_for / 1000 * 1000);
            // A string takes whatever is written to it.
            let _written = write!(
                line,
                "  {matched:>10}  {next:>10}  {in_flight_bytes:>9}  {round_trip:>10}  {silent:>10}"
            );
        }
        writeln!(f, "{}", line.trim_end())
    }
}

fn by_name<S: Serializer>(counters: &Counters, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counters.iter())
}

const PEERS: &str = "      peer  incarnation       answered     matched        next  in flight  round trip  silent for";
/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

#[cfg(test)]
mod tests {
    use coracle::{EntryId, Incarnation, Index, MemberId, NodeId, RoleName, Term, Ticks};

    use super::*;

    fn report() -> Report {
        let member = |id, incarnation| MemberId { id: NodeId(id), incarnation };
        let status = Status {
            member: member(1, Incarnation(0xabc)),
            epoch: Epoch(0xdef),
            role: RoleName::Leader,
            condition: coracle::Condition::Ready,
            term: Term(2),
            leader: Some(NodeId(1)),
            commit: Index(7),
            applied: Index(6),
            base: EntryId { term: Term(1), index: Index(4) },
            last: EntryId { term: Term(2), index: Index(8) },
            durable: Index(8),
            log_bytes: 512,
            log_capacity: 4096,
            limits: Limits {
                log_entries: Gauge { used: 4, bound: 64 },
                uncommitted_bytes: 100,
                window_bytes: 65_536,
                members: Gauge { used: 3, bound: 9 },
                sessions: Gauge { used: 5, bound: 1024 },
                pending: Gauge { used: 6, bound: 256 },
            },
            members: 3,
            expected: 3,
            answered: 1,
            counters: Counters {
                elections: 3,
                leaderships: 1,
                heartbeats: 9,
                ..Counters::default()
            },
        };
        let (matched, next) = (Index(7), Index(9));
        let (round_trip, silent_for) = (Some(Ticks(1250)), Ticks(50_999));
        let (in_flight, in_flight_bytes) = (1, 64);
        let progress = Some(ProgressStatus {
            matched,
            next,
            in_flight,
            in_flight_bytes,
            round_trip,
            silent_for,
        });
        let peers = [
            PeerStatus { member: member(2, Incarnation(5)), has_answered: true, progress },
            PeerStatus { member: member(3, Incarnation(0)), has_answered: false, progress: None },
        ];
        Report::new(&status, &peers)
    }

    #[test]
    fn everything_is_shown() {
        let text = report().to_string();
        for line in [
            "node          1, incarnation 0000000000000abc",
            "epoch         0000000000000def",
            "role          leader in term 2",
            "condition     ready",
            "leader        node 1",
            "entries       committed 7, applied 6, durable 8",
            "log           5 to 8, the last of term 2; 512 of 4096 bytes (12.5%)",
            "members       3; started with 3; 1 others answered",
            "room          4 of 64 entries, 100 of 4096 bytes uncommitted",
            "              3 of 9 members, 5 of 1024 sessions, 6 of 256 requests",
            "              65536 bytes in flight to each follower",
            "elections     stood for 3, won 1",
            "heartbeats    9 rounds sent",
            "         2  0000000000000005  yes                7           9         64      1.25ms        50ms",
            "         3  unknown           no",
            "  elections                   3",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line:?} in\n{text}");
        }
        let indented = text.lines().filter(|line| line.starts_with("  ")).count();
        assert_eq!(indented, Counters::default().iter().count() + 5);
    }

    #[test]
    fn the_same_is_in_json() {
        let json: serde_json::Value = serde_json::to_value(report()).unwrap();
        assert_eq!(json["id"], 1);
        assert_eq!(json["epoch"], "0000000000000def");
        assert_eq!(json["log"]["first"], 5);
        assert_eq!(json["limits"]["sessions"]["bound"], 1024);
        assert_eq!(json["limits"]["uncommitted_bytes"]["used"], 100);
        assert_eq!(json["peers"][0]["progress"]["in_flight_bytes"], 64);
        assert_eq!(json["peers"][0]["progress"]["round_trip"], 1250);
        assert_eq!(json["peers"][1]["progress"], serde_json::Value::Null);
        assert_eq!(json["counters"]["heartbeats"], 9);
    }
}
