//! Time passes, for one node or for all.

use coracle::{RoleName, Ticks};

use super::Command;
use crate::clock::TRUE_RATE;
use crate::queue::Micros;
use crate::script::condition::{check, nodes};
use crate::script::words::Words;
use crate::script::world::World;
use crate::script::{Done, Loudness, Stop};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "tick",
        usage: "tick NODES TICKS",
        about: "time passes for these nodes alone; nothing arrives",
        loudness: Loudness::Loud,
        run: tick,
    },
    Command {
        name: "campaign",
        usage: "campaign NODE",
        about: "time passes for this node alone until its election timeout; nothing arrives",
        loudness: Loudness::Loud,
        run: campaign,
    },
    Command {
        name: "elect",
        usage: "elect NODE",
        about: "the others' time passes until they may vote, this node campaigns, everything \
                arrives, and the node must lead",
        loudness: Loudness::Events,
        run: elect,
    },
    Command {
        name: "settle",
        usage: "settle",
        about: "everything arrives, and what follows from it, in no time",
        loudness: Loudness::Loud,
        run: settle,
    },
    Command {
        name: "run",
        usage: "run TICKS",
        about: "time passes for all, and datagrams arrive when they are due",
        loudness: Loudness::Events,
        run,
    },
    Command {
        name: "until",
        usage: "until [not] CONDITION [within TICKS]",
        about: "time passes for all until that is so, and tells how much; within 20 of the \
                longest election timeouts, unless said otherwise",
        loudness: Loudness::Events,
        run: until,
    },
    Command {
        name: "pause",
        usage: "pause NODES",
        about: "they do nothing while time passes, and leave unread what arrives",
        loudness: Loudness::Events,
        run: |world, words| {
            let places = nodes(world, words)?;
            words.end()?;
            places.iter().for_each(|place| world.hosts[*place].paused_until = NEVER);
            Ok(())
        },
    },
    Command {
        name: "resume",
        usage: "resume NODES",
        about: "they go on: they find that so much time has passed, and then read what arrived",
        loudness: Loudness::Loud,
        run: resume,
    },
    Command {
        name: "clock",
        usage: "clock NODES NUMBER/64",
        about: "their clocks run so fast from now on when time passes for all; 64/64 is right",
        loudness: Loudness::Events,
        run: clock,
    },
];

fn tick(world: &mut World, words: &mut Words<'_>) -> Done {
    let places = nodes(world, words)?;
    let span = Ticks(words.number("ticks")?);
    words.end()?;
    places.into_iter().try_for_each(|place| world.tick(place, span))
}

fn campaign(world: &mut World, words: &mut Words<'_>) -> Done {
    let place = world.place(words.id()?)?;
    words.end()?;
    may_campaign(world, place)?;
    world.campaign(place)?;
    Ok(())
}

fn elect(world: &mut World, words: &mut Words<'_>) -> Done {
    let place = world.place(words.id()?)?;
    words.end()?;
    may_campaign(world, place)?;
    world.forget_leaders(place)?;
    world.campaign(place)?;
    world.settle()?;
    if world.leader() == Some(place) {
        return Ok(());
    }
    let role = world.peer(place)?.raft().role();
    Err(Stop::Failed(format!("{} was not elected, it is {role}", place + 1)))
}

fn may_campaign(world: &World, place: usize) -> Done {
    match world.peer(place)?.raft().role() {
        RoleName::Follower | RoleName::PreCandidate | RoleName::Candidate => Ok(()),
        role @ (RoleName::Leader | RoleName::Blank) => {
            Err(Stop::Failed(format!("{} is {role} and does not campaign", place + 1)))
        }
    }
}

fn settle(world: &mut World, words: &mut Words<'_>) -> Done {
    words.end()?;
    world.settle()
}

fn run(world: &mut World, words: &mut Words<'_>) -> Done {
    let span = Ticks(words.number("ticks")?);
    words.end()?;
    world.run(span, None)?;
    Ok(())
}

fn until(world: &mut World, words: &mut Words<'_>) -> Done {
    let written = words.rest();
    let (condition, most) = match written.split_once(" within ") {
        None => (written.as_str(), world.plan.timing.election_max.0.saturating_mul(20)),
        Some((condition, most)) => {
            let mut most_words = Words::new(most);
            let most = most_words.number("ticks")?;
            most_words.end()?;
            (condition, most)
        }
    };
    let is_so = |world: &World| Ok(check(world, &mut Words::new(condition))?.is_ok());
    let begin = world.now;
    if world.run(Ticks(most), Some(&is_so))? {
        let took = world.now.since(begin).0;
        world.say(&format!("after {took} ticks"));
        return Ok(());
    }
    let why = check(world, &mut Words::new(condition))?.err().unwrap_or_default();
    Err(Stop::Failed(format!("not within {most} ticks: {condition}; {why}")))
}

fn resume(world: &mut World, words: &mut Words<'_>) -> Done {
    let places = nodes(world, words)?;
    words.end()?;
    for place in places {
        world.hosts[place].paused_until = Micros(0);
        if world.is_up(place) {
            world.wake(place)?;
        }
        for unread in std::mem::take(&mut world.notes[place].unread) {
            world.arrive(&unread)?;
        }
    }
    Ok(())
}

fn clock(world: &mut World, words: &mut Words<'_>) -> Done {
    let places = nodes(world, words)?;
    let rate = words.word("a rate")?;
    let number = rate.strip_suffix("/64").and_then(|number| number.parse().ok());
    let number = number.filter(|number| (1..=64 * TRUE_RATE).contains(number));
    let number = number.ok_or_else(|| Stop::Misused(format!("'{rate}' is no rate")))?;
    words.end()?;
    let now = world.now;
    places.iter().for_each(|place| world.hosts[*place].clock.set_rate(now, number));
    Ok(())
}

const NEVER: Micros = Micros(u64::MAX);
