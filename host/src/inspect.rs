//! `coracle inspect`: what a node's data directory holds.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use coracle::{EntryId, EntryKind, HardState, Index, Members};
use coracle_disk::{DiskError, Identity, Kept, ReadOnly, Recovered, Summary, walk};
use serde::Serialize;

use crate::entries::content;
use crate::joining::place;
use crate::print::{failed, give};

/// `coracle inspect`.
#[derive(Args)]
pub struct InspectArguments {
    /// The data directory of a node that does not run
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Each entry of the log too, in words
    #[arg(long)]
    entries: bool,
    /// As one object of JSON on one line
    #[arg(long)]
    json: bool,
}

/// Shows what a directory holds, once every byte that counts is checked.
pub fn run(arguments: &InspectArguments) -> ExitCode {
    let report = match read(arguments) {
        Ok(report) => report,
        Err(why) => return failed(format_args!("error: {why}")),
    };
    if !arguments.json {
        return give(&report);
    }
    match serde_json::to_string(&report) {
        Ok(text) => give(&text),
        Err(error) => failed(format_args!("error: the answer cannot be written: {error}")),
    }
}

fn read(arguments: &InspectArguments) -> Result<Report, String> {
    look(&arguments.directory, arguments.entries).map(|(_, report)| report)
}

/// What a directory holds, and the same for people. Nothing is changed.
///
/// # Errors
/// Why no node can go on from it.
pub fn look(path: &Path, has_entries: bool) -> Result<(Recovered, Report), String> {
    let files = ReadOnly::look(path).map_err(|error| explain(&error))?;
    let recovered = Recovered::read(&files).map_err(|error| explain(&error))?;
    let (Some(identity), Some(hard)) = (recovered.identity, recovered.hard) else {
        let path = path.display();
        return Err(format!("{path} holds no node's state: nothing was ever confirmed in it"));
    };
    let report = Report::new(path, identity, &hard, &recovered, has_entries);
    Ok((recovered, report))
}

/// The error of a command that only reads.
fn explain(error: &DiskError) -> String {
    match error {
        DiskError::Io { file, doing, error, .. } => {
            format!("{file} cannot be {doing} ({error}); nothing was changed")
        }
        DiskError::InUse(_) => {
            format!("{error}. Stop its node first, or ask that with `coracle status`")
        }
        other => other.to_string(),
    }
}

/// All of it, in the order in which it is shown.
#[derive(Serialize)]
pub struct Report {
    directory: String,
    id: u32,
    incarnation: String,
    cluster: String,
    epoch: Option<String>,
    term: u64,
    vote: Option<Life>,
    /// Whether one copy of the hard state must be written again.
    state_repaired: bool,
    configuration: Option<Named>,
    snapshot: Option<Snapshot>,
    log: Log,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<Told>>,
}

#[derive(Serialize)]
struct Life {
    id: u32,
    incarnation: String,
}

/// The configuration that counts, which need not be committed (thesis 4.1).
#[derive(Serialize)]
struct Named {
    index: u64,
    /// None if the entry is not understood.
    members: Option<Vec<Member>>,
}

#[derive(Serialize)]
struct Member {
    id: u32,
    incarnation: String,
    part: String,
    datagram: u16,
    address: Option<String>,
}

#[derive(Serialize)]
struct Snapshot {
    index: u64,
    term: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Log {
    base: u64,
    base_term: u64,
    last: u64,
    last_term: u64,
    count: u64,
    bytes: usize,
    records: u64,
    first_segment: u64,
    last_segment: u64,
    torn_bytes: u64,
}

#[derive(Serialize)]
struct Told {
    index: u64,
    term: u64,
    what: String,
}

impl Report {
    fn new(
        path: &Path,
        identity: Identity,
        hard: &HardState,
        recovered: &Recovered,
        has_entries: bool,
    ) -> Self {
        let vote =
            hard.vote.map(|vote| Life { id: vote.id.0, incarnation: vote.incarnation.to_string() });
        Self {
            directory: path.display().to_string(),
            id: identity.id.0,
            incarnation: hard.incarnation.to_string(),
            cluster: format!("{:016x}", identity.cluster.0),
            epoch: (hard.epoch.0 != 0).then(|| hard.epoch.to_string()),
            term: hard.term.0,
            vote,
            state_repaired: recovered.summary.is_state_repaired,
            configuration: configuration(recovered),
            snapshot: recovered.snapshot.as_ref().map(|kept| {
                let Kept { applied: EntryId { term, index }, length, .. } = kept;
                Snapshot { index: index.0, term: term.0, bytes: *length }
            }),
            log: Log::new(recovered),
            entries: has_entries.then(|| entries(recovered)),
        }
    }
}

impl Log {
    fn new(recovered: &Recovered) -> Self {
        let Recovered { base, last, run, summary, .. } = recovered;
        let Summary { segments: (first_segment, last_segment), records, torn, .. } = *summary;
        Self {
            base: base.index.0,
            base_term: base.term.0,
            last: last.index.0,
            last_term: last.term.0,
            count: last.index.since(base.index),
            bytes: run.len(),
            records,
            first_segment,
            last_segment,
            torn_bytes: torn,
        }
    }
}

/// The last configuration of the log, or else that of the snapshot, for people.
fn configuration(recovered: &Recovered) -> Option<Named> {
    let (index, members) = members(recovered)?;
    let member = |member: coracle::Member| Member {
        id: member.member.id.0,
        incarnation: member.member.incarnation.to_string(),
        part: member.part.to_string(),
        datagram: member.datagram,
        address: place(&member.address).map(|address| address.to_string()),
    };
    let members = members.map(|members| members.into_iter().map(member).collect());
    Some(Named { index: index.0, members })
}

/// The members that count, which need not be committed, and the entry that names them. None of them
/// if that is not understood.
pub fn members(recovered: &Recovered) -> Option<(Index, Option<Vec<coracle::Member>>)> {
    let stored = walk(&recovered.run, recovered.base.index.next()).flatten();
    let entries = stored.filter_map(|stored| stored.entry());
    let last = entries.filter(|entry| entry.kind == EntryKind::Configuration).last();
    let kept = || recovered.snapshot.as_ref().map(|kept| (kept.configuration, &*kept.members));
    let (index, bytes) = last.map(|entry| (entry.id.index, entry.data)).or_else(kept)?;
    Some((index, Members::parse(bytes).map(|members| members.iter().collect())))
}

fn entries(recovered: &Recovered) -> Vec<Told> {
    let stored = walk(&recovered.run, recovered.base.index.next()).flatten();
    let told = stored.map(|stored| {
        let what = match stored.entry() {
            Some(entry) => content(Some(entry)),
            None => format!("of the kind {}, which this program does not know", stored.kind),
        };
        Told { index: stored.id.index.0, term: stored.id.term.0, what }
    });
    told.collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, incarnation, cluster, term, log, .. } = self;
        writeln!(f, "directory     {}", self.directory)?;
        writeln!(f, "node          {id}, incarnation {incarnation}")?;
        writeln!(f, "cluster       {cluster}")?;
        writeln!(f, "epoch         {}", self.epoch.as_deref().unwrap_or("none yet"))?;
        writeln!(f, "term          {term}")?;
        match &self.vote {
            None => writeln!(f, "vote          none in this term")?,
            Some(Life { id, incarnation }) => {
                writeln!(f, "vote          for node {id}, incarnation {incarnation}")?;
            }
        }
        let copies = if self.state_repaired {
            "one copy is not as it was written; the next start writes it again"
        } else {
            "both copies are as they were written"
        };
        writeln!(f, "state         {copies}")?;
        match &self.configuration {
            None => writeln!(f, "members       not known yet")?,
            Some(named) => write!(f, "{named}")?,
        }
        match &self.snapshot {
            None => writeln!(f, "snapshot      none")?,
            Some(Snapshot { index, term, bytes }) => {
                write!(f, "snapshot      up to index {index} of term {term}, ")?;
                writeln!(f, "{bytes} bytes, its checksum is right")?;
            }
        }
        write!(f, "{log}")?;
        if let Some(entries) = &self.entries {
            write!(f, "\n\n     index    term  entry")?;
            for Told { index, term, what } in entries {
                write!(f, "\n{index:>10}  {term:>6}  {what}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.index;
        let Some(members) = &self.members else {
            return writeln!(f, "members       entry {index} names them and is not understood");
        };
        writeln!(f, "members       {}, as entry {index} names them", members.len())?;
        for Member { id, incarnation, part, address, .. } in members {
            let address = address.as_deref().unwrap_or("no address");
            writeln!(f, "{id:>10}  {part}, {address}, incarnation {incarnation}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, base_term, last, last_term, count, bytes, records, .. } = self;
        if *count == 0 {
            writeln!(f, "log           empty, behind index {base} of term {base_term}")?;
        } else {
            let first = base + 1;
            let count = some(*count, "entry", "entries");
            write!(f, "log           index {first} to {last} (term {last_term}), ")?;
            writeln!(f, "{count}, {bytes} bytes, behind index {base} of term {base_term}")?;
        }
        let records = some(*records, "record", "records");
        match (self.first_segment, self.last_segment) {
            (0, _) => writeln!(f, "segments      none; the next start begins one")?,
            (first, last) if first == last => writeln!(f, "segments      {first}, {records}")?,
            (first, last) => writeln!(f, "segments      {first} to {last}, {records}")?,
        }
        match self.torn_bytes {
            0 => write!(f, "torn          nothing"),
            torn => write!(
                f,
                "torn          {torn} bytes behind the last record, never confirmed; the next start \
                 cuts them off"
            ),
        }
    }
}

fn some(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
