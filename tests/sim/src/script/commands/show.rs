//! What is so, told or expected.

use coracle::Condition;

use super::Command;
use crate::script::condition::{check, nodes};
use crate::script::words::Words;
use crate::script::world::{World, standing_text};
use crate::script::{Done, Loudness, Stop, text};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "expect",
        usage: "expect [not] CONDITION",
        about: "the script fails unless that is so",
        loudness: Loudness::Events,
        run: expect,
    },
    Command {
        name: "status",
        usage: "status [NODES]",
        about: "role, term and leader, vote, log as runs of TERM.INDEX, how much of it is \
                committed, applied and durable, and whether it is hopeless or halted",
        loudness: Loudness::Events,
        run: status,
    },
    Command {
        name: "log",
        usage: "log NODES",
        about: "their logs alone, or what is on their disks when they are down",
        loudness: Loudness::Events,
        run: log,
    },
    Command {
        name: "members",
        usage: "members NODE",
        about: "the members as its log says, what each counts for unless it is an ordinary voter, \
                and the entry that says so",
        loudness: Loudness::Events,
        run: members,
    },
    Command {
        name: "progress",
        usage: "progress NODE",
        about: "how far a leader knows each follower to be",
        loudness: Loudness::Events,
        run: progress,
    },
    Command {
        name: "counters",
        usage: "counters NODE [NAMES]",
        about: "what it has counted since it was started, of these or of all that are not zero",
        loudness: Loudness::Events,
        run: counters,
    },
];

fn expect(world: &mut World, words: &mut Words<'_>) -> Done {
    let written = words.clone().rest();
    check(world, words)?
        .map_err(|why| Stop::Failed(format!("it is not as expected: {written}; {why}")))
}

fn status(world: &mut World, words: &mut Words<'_>) -> Done {
    let places = if words.peek().is_some() {
        nodes(world, words)?
    } else {
        (0..world.hosts.len()).collect()
    };
    words.end()?;
    for place in places {
        let log = world.log_text(place);
        let line = match world.peer(place) {
            Err(_) => format!("{}: down, log {log}", place + 1),
            Ok(peer) => {
                let raft = peer.raft();
                let standing = standing_text((raft.role(), raft.term(), raft.leader()));
                let vote = text::node(raft.hard_state().vote.map(|vote| vote.id));
                let (commit, applied) = (raft.commit(), raft.applied());
                let durable = raft.durable_index();
                let despair = match raft.condition() {
                    it @ (Condition::Hopeless | Condition::Halted) => format!(", {it}"),
                    Condition::Blank | Condition::CatchingUp | Condition::Ready => String::new(),
                };
                format!(
                    "{}: {standing}, vote {vote}, log {log}, commit {commit}, applied {applied}, \
                     durable {durable}{despair}",
                    place + 1
                )
            }
        };
        world.say(&line);
    }
    Ok(())
}

fn log(world: &mut World, words: &mut Words<'_>) -> Done {
    let places = nodes(world, words)?;
    words.end()?;
    for place in places {
        let line = format!("{}: {}", place + 1, world.log_text(place));
        world.say(&line);
    }
    Ok(())
}

fn members(world: &mut World, words: &mut Words<'_>) -> Done {
    let place = world.place(words.id()?)?;
    words.end()?;
    let configuration = world.peer(place)?.raft().configuration();
    let (index, members) = (configuration.index, text::members(&configuration.members));
    world.say(&format!("{members}, by entry {index}"));
    Ok(())
}

fn progress(world: &mut World, words: &mut Words<'_>) -> Done {
    let place = world.place(words.id()?)?;
    words.end()?;
    let peers: Vec<_> = world.peer(place)?.raft().peers().collect();
    for peer in peers {
        let Some(progress) = peer.progress else {
            return Err(Stop::Failed(format!("{} does not lead", place + 1)));
        };
        let (id, matched, next) = (peer.member.id, progress.matched, progress.next);
        let silent = progress.silent_for;
        world.say(&format!("{id}: matched {matched}, next {next}, silent for {silent}"));
    }
    Ok(())
}

fn counters(world: &mut World, words: &mut Words<'_>) -> Done {
    let place = world.place(words.id()?)?;
    let mut names = Vec::new();
    while let Some(name) = words.take() {
        names.push(name);
    }
    let all: Vec<_> = world.peer(place)?.raft().counters().iter().collect();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|(of, _)| of != *name)) {
        return Err(Stop::Misused(format!("no counter is called '{unknown}'")));
    }
    for (name, count) in all {
        if names.contains(&name) || (names.is_empty() && count > 0) {
            world.say(&format!("{name} {count}"));
        }
    }
    Ok(())
}
