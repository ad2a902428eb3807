//! What a script may expect, and wait for.

use coracle::{EntryId, Epoch, RoleName};

use super::pattern::Pattern;
use super::words::Words;
use super::world::{ReadFate, World};
use super::{Stop, text};

/// Something that is so or is not.
pub struct Condition {
    /// Its first word.
    pub name: &'static str,
    /// How it is written.
    pub usage: &'static str,
    /// What it means.
    pub about: &'static str,
    /// Whether it holds.
    check: fn(&World, &mut Words<'_>) -> Result<Held, Stop>,
}

/// Whether a condition holds, or what is so instead.
type Held = Result<(), String>;

/// Holds the words of a condition against the world.
pub fn check(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    if words.has("not") {
        let written = words.clone().rest();
        let held = one(world, words)?;
        return Ok(held.err().map(|_| ()).ok_or(format!("it is so: {written}")));
    }
    one(world, words)
}

fn one(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let name = words.word("a condition")?;
    let condition = CONDITIONS.iter().find(|condition| condition.name == name);
    let condition =
        condition.ok_or_else(|| Stop::Misused(format!("no condition is called '{name}'")))?;
    let held = (condition.check)(world, words).and_then(|held| words.end().map(|()| held));
    held.map_err(|stop| match stop {
        Stop::Misused(why) => Stop::Misused(format!("{why} (usage: {})", condition.usage)),
        Stop::Failed(_) | Stop::Broken(_) => stop,
    })
}

/// Every condition.
pub const CONDITIONS: &[Condition] = &[
    Condition {
        name: "leader",
        usage: "leader [NODE|none]",
        about: "that node leads, nobody does, or anybody does; of several the one of the latest term",
        check: leader,
    },
    Condition {
        name: "role",
        usage: "role NODES blank|follower|pre-candidate|candidate|leader|down",
        about: "that is what they are",
        check: role,
    },
    Condition {
        name: "condition",
        usage: "condition NODES blank|catching-up|ready|hopeless|halted",
        about: "that is how far they are on their way to be of use, or that there is no way",
        check: condition,
    },
    Condition {
        name: "epoch",
        usage: "epoch NODES NUMBER|none",
        about: "they are in that one of the epochs that any node was ever in, the first of which \
                is 1, or in none",
        check: epoch,
    },
    Condition {
        name: "life",
        usage: "life NODES NUMBER",
        about: "they are in that one of their lives, the first of which is 1: the next begins with \
                a restart from nothing, or when a node leaves a dead epoch",
        check: life,
    },
    Condition {
        name: "term",
        usage: "term NODES TERM",
        about: "they are in that term",
        check: |world, words| figure(world, words, |raft| raft.term().0),
    },
    Condition {
        name: "commit",
        usage: "commit NODES INDEX",
        about: "they know that to be committed, and no more",
        check: |world, words| figure(world, words, |raft| raft.commit().0),
    },
    Condition {
        name: "applied",
        usage: "applied NODES INDEX",
        about: "they have applied that, and no more",
        check: |world, words| figure(world, words, |raft| raft.applied().0),
    },
    Condition {
        name: "durable",
        usage: "durable NODES INDEX",
        about: "they know that to be on their disks, and no more",
        check: |world, words| figure(world, words, |raft| raft.durable_index().0),
    },
    Condition {
        name: "vote",
        usage: "vote NODE NODE|none",
        about: "the first has voted for the second in its term",
        check: vote,
    },
    Condition {
        name: "log",
        usage: "log NODE [RUNS]",
        about: "exactly these entries are in its log, or on its disk when it is down",
        check: log,
    },
    Condition {
        name: "logs-equal",
        usage: "logs-equal NODES",
        about: "their logs end with the same entries",
        check: logs_equal,
    },
    Condition {
        name: "members",
        usage: "members NODES WHO",
        about: "exactly these are the members in their logs: `1 2 3`, and `4:learner` for what is no \
                ordinary voter",
        check: members,
    },
    Condition {
        name: "value",
        usage: "value NODES KEY NUMBER",
        about: "the number under that key of their state machines",
        check: value,
    },
    Condition {
        name: "counter",
        usage: "counter NODE NAME NUMBER",
        about: "what the node has counted since it was started",
        check: counter,
    },
    Condition {
        name: "refused",
        usage: "refused WHY",
        about: "the last thing that a node refused was refused with this reason, or one that begins so",
        check: refused,
    },
    Condition {
        name: "read",
        usage: "read NODE waiting|ready|failed",
        about: "what has come of the last read that was begun there",
        check: read,
    },
    Condition {
        name: "told",
        usage: "told CLIENT WHAT",
        about: "what a client was told last, or how it begins",
        check: told,
    },
    Condition {
        name: "wire",
        usage: "wire FROM->TO [KINDS] COUNT",
        about: "so many datagrams are on their way",
        check: wire,
    },
];

/// The nodes that a word names: `all` that run, or a list.
pub fn nodes(world: &World, words: &mut Words<'_>) -> Result<Vec<usize>, Stop> {
    if words.has("all") {
        return Ok((0..world.hosts.len()).filter(|place| world.is_up(*place)).collect());
    }
    let list = words.word("all, or a list of nodes")?;
    let id = |word: &str| Words::new(word).id().and_then(|id| world.place(id));
    list.split(',').map(id).collect()
}

fn leader(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let leader = world.leader();
    let is_so = if words.has("none") {
        leader.is_none()
    } else if words.peek().is_some() {
        leader == Some(world.place(words.id()?)?)
    } else {
        leader.is_some()
    };
    let says = || leader.map_or("nobody leads".to_owned(), |it| format!("{} leads", it + 1));
    Ok(is_so.then_some(()).ok_or_else(says))
}

fn role(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    const ROLES: &[RoleName] = &[
        RoleName::Blank,
        RoleName::Follower,
        RoleName::PreCandidate,
        RoleName::Candidate,
        RoleName::Leader,
    ];
    let places = nodes(world, words)?;
    let name = words.word("a role")?;
    let role = ROLES.iter().find(|role| role.to_string() == name);
    if role.is_none() && name != "down" {
        return Err(Stop::Misused(format!("no role is called '{name}'")));
    }
    for place in places {
        let is = world.peer(place).ok().map(|peer| peer.raft().role());
        if is != role.copied() {
            let is = is.map_or("down".to_owned(), |role| role.to_string());
            return Ok(Err(format!("{} is {is}", place + 1)));
        }
    }
    Ok(Ok(()))
}

fn condition(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    const CONDITIONS: &[coracle::Condition] = &[
        coracle::Condition::Blank,
        coracle::Condition::CatchingUp,
        coracle::Condition::Ready,
        coracle::Condition::Hopeless,
        coracle::Condition::Halted,
    ];
    let places = nodes(world, words)?;
    let name = words.word("a condition")?;
    let name_of = |condition: coracle::Condition| condition.to_string().replace(' ', "-");
    if !CONDITIONS.iter().any(|of| name_of(*of) == name) {
        return Err(Stop::Misused(format!("no node is '{name}'")));
    }
    for place in places {
        let is = world.peer(place).map(|peer| name_of(peer.raft().condition()));
        let is = is.unwrap_or_else(|_| "down".to_owned());
        if is != name {
            return Ok(Err(format!("{} is {is}", place + 1)));
        }
    }
    Ok(Ok(()))
}

fn epoch(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let places = nodes(world, words)?;
    let expected = if words.has("none") { None } else { Some(words.number("an epoch")?) };
    for place in places {
        let epoch = world.peer(place)?.raft().hard_state().epoch;
        let is = world.epochs.iter().position(|of| *of == epoch && epoch != Epoch(0));
        let is = is.map(|before| before as u64 + 1);
        if is != expected {
            let is = is.map_or("none".to_owned(), |is| is.to_string());
            return Ok(Err(format!("that of {} is {is}", place + 1)));
        }
    }
    Ok(Ok(()))
}

fn life(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let places = nodes(world, words)?;
    let number = number(words)?;
    for place in places {
        let is = world.lives[place].len() as u64;
        if !number.has(is) {
            return Ok(Err(format!("{} is in its life {is}", place + 1)));
        }
    }
    Ok(Ok(()))
}

fn figure(
    world: &World,
    words: &mut Words<'_>,
    of: fn(&crate::peer::SimRaft) -> u64,
) -> Result<Held, Stop> {
    let places = nodes(world, words)?;
    let number = number(words)?;
    for place in places {
        let Ok(peer) = world.peer(place) else {
            return Ok(Err(format!("{} is down", place + 1)));
        };
        let is = of(peer.raft());
        if !number.has(is) {
            return Ok(Err(format!("that of {} is {is}", place + 1)));
        }
    }
    Ok(Ok(()))
}

fn vote(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let place = world.place(words.id()?)?;
    let whom = if words.has("none") { None } else { Some(words.id()?) };
    let vote = world.peer(place)?.raft().hard_state().vote.map(|vote| vote.id);
    Ok((vote == whom).then_some(()).ok_or_else(|| format!("its vote is for {}", text::node(vote))))
}

fn log(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let place = world.place(words.id()?)?;
    let expected: Vec<EntryId> = words.runs()?;
    let is = world.log(place);
    Ok((is == expected).then_some(()).ok_or_else(|| format!("its log is {}", text::runs(is))))
}

fn logs_equal(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let places = nodes(world, words)?;
    let logs: Vec<_> = places.iter().map(|place| (place, world.log(*place))).collect();
    let Some((first, longest)) = logs.iter().max_by_key(|(_, log)| log.len()) else {
        return Ok(Ok(()));
    };
    // A log whose front was dropped has fewer entries, and must have the same at its end.
    let last = world.log_ends(**first).1;
    for (place, log) in &logs {
        if !longest.ends_with(log) || world.log_ends(**place).1 != last {
            let (log, longest) = (world.log_text(**place), world.log_text(**first));
            return Ok(Err(format!(
                "that of {} is {log}, of {} {longest}",
                *place + 1,
                *first + 1
            )));
        }
    }
    Ok(Ok(()))
}

fn members(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let places = nodes(world, words)?;
    let expected = words.rest();
    for place in places {
        let is = text::members(&world.peer(place)?.raft().configuration().members);
        if is != expected {
            return Ok(Err(format!("those of {} are {is}", place + 1)));
        }
    }
    Ok(Ok(()))
}

fn value(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let places = nodes(world, words)?;
    let key = u8::try_from(words.number("a key")?).unwrap_or(0);
    let number = number(words)?;
    for place in places {
        let is = world.peer(place)?.machine().value(key);
        if !number.has(is) {
            return Ok(Err(format!("that of {} is {is}", place + 1)));
        }
    }
    Ok(Ok(()))
}

fn counter(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let place = world.place(words.id()?)?;
    let name = words.word("a counter")?;
    let number = number(words)?;
    let counters = world.peer(place)?.raft().counters();
    let found = counters.iter().find(|(of, _)| *of == name).map(|(_, is)| u64::from(is));
    let is = found.ok_or_else(|| Stop::Misused(format!("no counter is called '{name}'")))?;
    Ok(number.has(is).then_some(()).ok_or_else(|| format!("it is {is}")))
}

fn refused(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let why = words.rest();
    Ok(match &world.refused {
        Some(of) if of.starts_with(&why) => Ok(()),
        Some(of) => Err(format!("it was refused: {of}")),
        None => Err("nothing was refused".to_owned()),
    })
}

fn read(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let place = world.place(words.id()?)?;
    let fate = match words.word("a fate")? {
        "waiting" => ReadFate::Waiting,
        "ready" => ReadFate::Ready,
        "failed" => ReadFate::Failed,
        other => return Err(Stop::Misused(format!("no fate is called '{other}'"))),
    };
    let last = world.notes[place].reads.last();
    let (_, is) = last.ok_or_else(|| Stop::Misused(format!("{} has no read", place + 1)))?;
    Ok((*is == fate).then_some(()).ok_or_else(|| format!("it is {is:?}").to_lowercase()))
}

fn told(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let name = words.word("a client")?;
    let Some(crate::network::Address::Client(client)) = text::end(name) else {
        return Err(Stop::Misused(format!("'{name}' is no client: a, b, c or d")));
    };
    let expected = words.rest();
    let heard = world.clients.get(client).and_then(Option::as_ref);
    Ok(match heard.and_then(|asker| asker.heard.as_ref()) {
        Some(heard) if heard.starts_with(&expected) => Ok(()),
        Some(heard) => Err(format!("it was told: {heard}")),
        None => Err("it was told nothing".to_owned()),
    })
}

fn wire(world: &World, words: &mut Words<'_>) -> Result<Held, Stop> {
    let pattern = Pattern::read(words)?;
    let number = number(words)?;
    let is = world.wire.meant(&pattern).len() as u64;
    Ok(number.has(is).then_some(()).ok_or_else(|| format!("there are {is}")))
}

/// `5`, or `5+` for five and more.
struct Expected {
    least: u64,
    is_open: bool,
}

impl Expected {
    const fn has(&self, number: u64) -> bool {
        number == self.least || (self.is_open && number > self.least)
    }
}

fn number(words: &mut Words<'_>) -> Result<Expected, Stop> {
    let word = words.word("a number")?;
    let (digits, is_open) = word.strip_suffix('+').map_or((word, false), |digits| (digits, true));
    let least = digits.parse();
    let least = least.map_err(|_| Stop::Misused(format!("'{word}' is no number")))?;
    Ok(Expected { least, is_open })
}
