//! The cluster: how many nodes, of which sizes, and what their disks hold.

use coracle::{EntryId, Index, Lease, MemberId, Term, Ticks, Timing, Write};

use super::Command;
use crate::network::NODES;
use crate::plan::{LogSize, Plan, Tables};
use crate::queue::Micros;
use crate::script::words::Words;
use crate::script::world::World;
use crate::script::{Done, Loudness, Stop};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "cluster",
        usage: "cluster NODES [spare NODES] [first-start NODES] [seed N] [heartbeat T] \
                [election MIN MAX] [log BYTES SLOTS] [datagram BYTES] [window BYTES] \
                [tables tiny|small|roomy] [lease PERMILLE] [latency T]",
        about: "makes nodes 1 to NODES with empty disks and starts them, and behind them spare \
                ones that know nobody and wait to be taken in; with `first-start` all are told \
                that this is one, and so many are started, the lowest ids; what is on its way takes \
                `latency` ticks when time passes; with a `lease` clocks drift by so many \
                thousandths at most",
        loudness: Loudness::Quiet,
        run: cluster,
    },
    Command {
        name: "form",
        usage: "form",
        about: "lets time pass until node 1 has formed the epoch and everybody is in it",
        loudness: Loudness::Events,
        run: form,
    },
    Command {
        name: "stored",
        usage: "stored NODE term TERM [vote NODE] [log RUNS]",
        about: "a node that is down finds that on its disk: these entries without content, behind \
                the first one, which names the members",
        loudness: Loudness::Events,
        run: stored,
    },
];

fn cluster(world: &mut World, words: &mut Words<'_>) -> Done {
    if !world.hosts.is_empty() {
        return Err(Stop::Misused("there is a cluster already".to_owned()));
    }
    let nodes = words.number("the number of nodes")?;
    let nodes = usize::try_from(nodes).ok().filter(|nodes| (1..=NODES).contains(nodes));
    let nodes = nodes.ok_or_else(|| Stop::Misused(format!("a cluster has 1 to {NODES} nodes")))?;
    let mut sizes = Sizes::default();
    while let Some(word) = words.take() {
        match word {
            "first-start" => {
                sizes.first_start = Some(words.number("how many of them are started")?);
            }
            "spare" => sizes.spare = words.number("the number of spare nodes")?,
            "seed" => sizes.seed = words.number("a seed")?,
            "heartbeat" => sizes.heartbeat = words.number("ticks")?,
            "election" => sizes.election = (words.number("ticks")?, words.number("ticks")?),
            "log" => sizes.log = (words.number("bytes")?, words.number("slots")?),
            "datagram" => sizes.datagram = words.number("bytes")?,
            "window" => sizes.window = words.number("bytes")?,
            "latency" => sizes.latency = words.number("ticks")?,
            "lease" => {
                let drift = words.number("the drift of clocks, in thousandths")?;
                let drift = u16::try_from(drift).map_err(|_| {
                    Stop::Misused(format!("no clock drifts by {drift} thousandths"))
                })?;
                sizes.lease = Some(Lease { drift_permille: drift });
            }
            "tables" => {
                sizes.tables = match words.word("a size")? {
                    "tiny" => Tables::Tiny,
                    "small" => Tables::Small,
                    "roomy" => Tables::Roomy,
                    other => return Err(Stop::Misused(format!("no tables are '{other}'"))),
                }
            }
            other => return Err(Stop::Misused(format!("a cluster has no '{other}'"))),
        }
    }
    let plan = sizes.plan(nodes)?;
    let nodes = plan.ids.len();
    *world = World::new(plan, nodes);
    world.loudness = Loudness::Quiet;
    world.wire.latency = Micros(sizes.latency);
    let present = sizes.first_start.and_then(|count| usize::try_from(count).ok());
    for place in 0..present.unwrap_or(nodes).min(nodes) {
        world.start(place)?;
        world.poll_all(place)?;
    }
    Ok(())
}

struct Sizes {
    first_start: Option<u64>,
    lease: Option<Lease>,
    spare: u64,
    seed: u64,
    heartbeat: u64,
    election: (u64, u64),
    log: (u64, u64),
    datagram: u64,
    window: u64,
    latency: u64,
    tables: Tables,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            first_start: None,
            lease: None,
            spare: 0,
            seed: 1,
            heartbeat: 20,
            election: (100, 200),
            log: (16 * 1024, 256),
            datagram: 1200,
            window: 64 * 1024,
            latency: 1,
            tables: Tables::Roomy,
        }
    }
}

impl Sizes {
    fn plan(&self, founders: usize) -> Result<Plan, Stop> {
        let out_of = |what: &str| Stop::Misused(format!("{what} is out of its bounds"));
        let size = |number: u64, what: &str| {
            usize::try_from(number).ok().filter(|of| *of <= MOST_BYTES).ok_or_else(|| out_of(what))
        };
        let datagram = u16::try_from(self.datagram).ok().filter(|bytes| *bytes <= 2048);
        let datagram = datagram.ok_or_else(|| out_of("datagram"))?;
        let log = LogSize { bytes: size(self.log.0, "log")?, slots: size(self.log.1, "log")? };
        let spare = usize::try_from(self.spare).unwrap_or(usize::MAX);
        let nodes = founders.saturating_add(spare);
        if nodes > NODES {
            return Err(out_of("spare"));
        }
        let mut plan = Plan::new(self.seed);
        plan.founders = founders;
        plan.is_first_start = self.first_start.is_some();
        plan.lease = self.lease;
        plan.ids = (1..).map(coracle::NodeId).take(nodes).collect();
        plan.logs = vec![log; nodes];
        plan.datagrams = vec![datagram; nodes];
        plan.tables = self.tables;
        plan.window_bytes = size(self.window, "window")?;
        plan.tick = Micros(1);
        plan.timing = Timing {
            heartbeat: Ticks(self.heartbeat),
            election_min: Ticks(self.election.0),
            election_max: Ticks(self.election.1),
            retransmit_min: Ticks(1),
        };
        let habits = &mut plan.disk.habits;
        (habits.at_once, habits.failing) = (1000, 0);
        habits.snapshot_room = u64::MAX;
        (habits.hard_first, habits.snapshot_is_barrier) = (true, true);
        Ok(plan)
    }
}

fn form(world: &mut World, words: &mut Words<'_>) -> Done {
    words.end()?;
    world.place(coracle::NodeId(1))?;
    let most = Ticks(world.plan.timing.election_max.0.saturating_mul(5));
    let is_formed = |world: &World| {
        let founders = world.hosts.iter().take(world.plan.founders);
        let mut peers = founders.map(|host| host.peer.as_ref());
        Ok(peers.all(|peer| peer.is_some_and(|peer| peer.raft().commit() > Index::ZERO)))
    };
    if !world.run(most, Some(&is_formed))? {
        return Err(Stop::Failed(format!("no epoch was formed within {most} ticks")));
    }
    world.settle()
}

fn stored(world: &mut World, words: &mut Words<'_>) -> Done {
    let place = world.place(words.id()?)?;
    if world.is_up(place) {
        return Err(Stop::Misused(format!("node {} runs: crash it first", place + 1)));
    }
    if !words.has("term") {
        return Err(Stop::Misused("the term is missing".to_owned()));
    }
    let term = Term(words.number("a term")?);
    let vote = if words.has("vote") { Some(words.id()?) } else { None };
    let vote = vote.map(|id| world.place(id)).transpose()?;
    let entries = if words.has("log") { words.runs()? } else { Vec::new() };
    words.end()?;
    let hard = world.disks[place].0.borrow().durable().hard;
    let hard = hard.filter(|hard| hard.epoch != coracle::Epoch::default());
    let hard =
        hard.ok_or_else(|| Stop::Misused(format!("node {} has joined no epoch", place + 1)))?;
    let is_fit = entries.first().is_none_or(|first| first.index == Index(2))
        && entries.iter().all(|id| id.term <= term)
        && entries.windows(2).all(|two| two[0].term <= two[1].term);
    if !is_fit {
        return Err(Stop::Misused(
            "a log goes on at index 2, with terms that never fall, up to the term".to_owned(),
        ));
    }
    let vote = vote.map(|whom| {
        let hard = world.disks[whom].0.borrow().durable().hard.unwrap_or_default();
        MemberId { id: world.plan.ids[whom], incarnation: hard.incarnation }
    });
    let run: Vec<u8> = entries.iter().flat_map(|id| noop(id.term)).collect();
    let mut disk = world.disks[place].0.borrow_mut();
    let last: EntryId = entries.last().copied().unwrap_or_else(|| disk.durable().last());
    let write = Write {
        hard: Some(coracle::HardState { term, vote, ..hard }),
        first: if entries.is_empty() { last.index.next() } else { Index(2) },
        runs: [&run, &[]],
        last,
    };
    let written = disk.write(&write, None);
    written.map_err(|error| Stop::Failed(format!("nothing was stored: {error:?}")))?;
    let waiting = disk.waiting();
    disk.sync_some(waiting);
    Ok(())
}

/// An entry without content in its one encoding.
fn noop(term: Term) -> Vec<u8> {
    let mut body = Vec::new();
    let mut rest = term.0;
    while rest >= 0x80 {
        body.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    body.extend([rest as u8, NOOP]);
    let length = body.len() as u16;
    let mut entry = length.to_le_bytes().to_vec();
    entry.append(&mut body);
    entry
}

/// The kind of such an entry.
const NOOP: u8 = 0;

/// No log or window of a script is larger.
const MOST_BYTES: usize = 1 << 20;
