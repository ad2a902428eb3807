//! Commands and reads, of the nodes themselves and of clients.

use coracle::{NodeId, ProposeError, ReadError};

use super::Command;
use crate::machine::{self, Change, KEYS, WRITE_STEP};
use crate::network::Address;
use crate::script::words::Words;
use crate::script::world::{ReadFate, World};
use crate::script::{Done, Loudness, Stop, text};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "propose",
        usage: "propose NODE [COUNT] [bytes BYTES]",
        about: "commands of the node's own, each of which adds one under key 0 and is BYTES longer \
                than it must be; those that are refused are told once for each reason",
        loudness: Loudness::Loud,
        run: propose,
    },
    Command {
        name: "read",
        usage: "read NODE",
        about: "a linearizable read of the node's own state",
        loudness: Loudness::Loud,
        run: read,
    },
    Command {
        name: "client",
        usage: "client NAME add KEY [bytes BYTES] | client NAME write KEY NUMBER | \
                client NAME get KEY | client NAME cancel | client NAME retry",
        about: "a client, `a` to `d`, asks in its session, gives up, or takes up again what it \
                gave up; a number that is written is taken times 1048576",
        loudness: Loudness::Loud,
        run: client,
    },
];

fn propose(world: &mut World, words: &mut Words<'_>) -> Done {
    let place = world.place(words.id()?)?;
    let count = words.maybe_number().unwrap_or(1);
    if count > MOST_COMMANDS {
        return Err(Stop::Misused(format!("at most {MOST_COMMANDS} commands")));
    }
    let bytes = bytes(words)?;
    words.end()?;
    let padding = vec![0x55; bytes];
    let mut refusals: Vec<(String, u64)> = Vec::new();
    for _ in 0..count {
        let operation = world.next_operation();
        let command =
            machine::Command { operation, key: 0, change: Change::Increment, padding: &padding };
        if let Err(error) = world.peer_mut(place)?.propose(&command) {
            let why = propose_error(error);
            match refusals.iter_mut().find(|(of, _)| *of == why) {
                Some((_, times)) => *times += 1,
                None => refusals.push((why, 1)),
            }
        }
    }
    world.observe(place)?;
    for (why, times) in refusals {
        let times = if times > 1 { format!(" ({times} times)") } else { String::new() };
        world.refuse(&(place + 1).to_string(), format!("{why}{times}"));
    }
    world.poll_all(place)
}

fn propose_error(error: ProposeError) -> String {
    match error {
        ProposeError::NotLeader(leader) => format!("not the leader, {} is", known(leader)),
        ProposeError::NotReady => "not ready".to_owned(),
        ProposeError::LogFull => "log full".to_owned(),
        ProposeError::TooLarge { limit } => format!("too large, the limit is {limit}"),
        other => format!("{other:?}"),
    }
}

fn known(leader: Option<NodeId>) -> String {
    text::node(leader)
}

fn read(world: &mut World, words: &mut Words<'_>) -> Done {
    let place = world.place(words.id()?)?;
    words.end()?;
    match world.peer_mut(place)?.read() {
        Ok(id) => {
            world.notes[place].reads.push((id, ReadFate::Waiting));
            world.say(&format!("{} begins read {}", place + 1, id.0));
        }
        Err(error) => {
            let why = match error {
                ReadError::NoLeader => "no leader is known".to_owned(),
                other => format!("{other:?}"),
            };
            world.refuse(&(place + 1).to_string(), why);
        }
    }
    world.observe(place)?;
    world.poll_all(place)
}

fn client(world: &mut World, words: &mut Words<'_>) -> Done {
    let name = words.word("a client")?;
    let Some(Address::Client(client)) = text::end(name) else {
        return Err(Stop::Misused(format!("'{name}' is no client: a, b, c or d")));
    };
    match words.word("what it does")? {
        "add" => {
            let key = key(words)?;
            let padding = bytes(words)?;
            words.end()?;
            world.client_change(client, key, Change::Increment, padding)
        }
        "write" => {
            let key = key(words)?;
            let number = words.number("a number")?.saturating_mul(WRITE_STEP);
            words.end()?;
            world.client_change(client, key, Change::Write(number), 0)
        }
        "get" => {
            let key = key(words)?;
            words.end()?;
            world.client_query(client, key)
        }
        "cancel" => words.end().and_then(|()| world.client_cancel(client)),
        "retry" => words.end().and_then(|()| world.client_retry(client)),
        other => Err(Stop::Misused(format!("no client does '{other}'"))),
    }
}

fn key(words: &mut Words<'_>) -> Result<u8, Stop> {
    let key = words.number("a key")?;
    let key = u8::try_from(key).ok().filter(|key| usize::from(*key) < KEYS);
    key.ok_or_else(|| Stop::Misused(format!("keys are 0 to {}", KEYS - 1)))
}

fn bytes(words: &mut Words<'_>) -> Result<usize, Stop> {
    if !words.has("bytes") {
        return Ok(0);
    }
    let bytes = words.number("bytes")?;
    let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= MOST_BYTES);
    bytes.ok_or_else(|| Stop::Misused(format!("at most {MOST_BYTES} bytes")))
}

/// No script proposes more at once.
const MOST_COMMANDS: u64 = 10_000;

/// No command of a script is longer.
const MOST_BYTES: usize = 1 << 16;
