//! What becomes of datagrams.

use super::Command;
use crate::network::Address;
use crate::queue::Micros;
use crate::script::pattern::Pattern;
use crate::script::words::Words;
use crate::script::world::World;
use crate::script::{Done, Loudness, Stop, text};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "wire",
        usage: "wire [FROM->TO [KINDS]]",
        about: "shows what is on its way",
        loudness: Loudness::Loud,
        run: wire,
    },
    Command {
        name: "deliver",
        usage: "deliver FROM->TO [KINDS] [COUNT]",
        about: "these arrive, held or not: the oldest COUNT, or all that are on their way now",
        loudness: Loudness::Loud,
        run: deliver,
    },
    Command {
        name: "drop",
        usage: "drop FROM->TO [KINDS] [COUNT]",
        about: "these are lost",
        loudness: Loudness::Loud,
        run: drop_some,
    },
    Command {
        name: "duplicate",
        usage: "duplicate FROM->TO [KINDS] [COUNT]",
        about: "these are on their way a second time, behind everything else",
        loudness: Loudness::Loud,
        run: duplicate,
    },
    Command {
        name: "delay",
        usage: "delay FROM->TO [KINDS] TICKS",
        about: "these arrive so much later when time passes",
        loudness: Loudness::Loud,
        run: delay,
    },
    Command {
        name: "hold",
        usage: "hold FROM->TO [KINDS]",
        about: "these wait from now on, and those on their way too, until they are released or \
                delivered by name",
        loudness: Loudness::Loud,
        run: hold,
    },
    Command {
        name: "release",
        usage: "release [FROM->TO [KINDS]]",
        about: "the hold that was written so ends, or every hold does",
        loudness: Loudness::Loud,
        run: release,
    },
    Command {
        name: "cut",
        usage: "cut FROM->TO",
        about: "everything is lost that is sent there from now on, and what is on its way unless \
                it is held",
        loudness: Loudness::Loud,
        run: cut,
    },
    Command {
        name: "partition",
        usage: "partition NODES | NODES [| NODES]...",
        about: "all links between these groups are cut, both ways",
        loudness: Loudness::Loud,
        run: partition,
    },
    Command {
        name: "heal",
        usage: "heal [FROM->TO]",
        about: "these links, or all, work again",
        loudness: Loudness::Loud,
        run: heal,
    },
];

fn wire(world: &mut World, words: &mut Words<'_>) -> Done {
    let pattern = if words.peek().is_some() { Pattern::read(words)? } else { Pattern::all() };
    words.end()?;
    let lines: Vec<_> = (world.wire.meant(&pattern).into_iter())
        .map(|place| {
            let it = &world.wire.flying[place];
            format!("{}{}", it.text, if it.is_held { " (held)" } else { "" })
        })
        .collect();
    lines.iter().for_each(|line| world.say(line));
    if lines.is_empty() {
        world.say("nothing");
    }
    Ok(())
}

/// A pattern and how many, of which there must be some.
fn some(world: &World, words: &mut Words<'_>) -> Result<(Pattern, usize), Stop> {
    let pattern = Pattern::read(words)?;
    let most = words.maybe_number().map_or(usize::MAX, |most| most as usize);
    words.end()?;
    exist(world, &pattern)?;
    Ok((pattern, most))
}

fn exist(world: &World, pattern: &Pattern) -> Done {
    if world.wire.meant(pattern).is_empty() {
        let written = pattern.written();
        return Err(Stop::Failed(format!("nothing is on its way that is {written}")));
    }
    Ok(())
}

fn deliver(world: &mut World, words: &mut Words<'_>) -> Done {
    let (pattern, most) = some(world, words)?;
    let taken = world.wire.take(&pattern, most);
    taken.iter().try_for_each(|it| world.arrive(it))
}

fn drop_some(world: &mut World, words: &mut Words<'_>) -> Done {
    let (pattern, most) = some(world, words)?;
    for it in world.wire.take(&pattern, most) {
        world.tell(Loudness::Loud, &format!("loses {}", it.text));
    }
    Ok(())
}

fn duplicate(world: &mut World, words: &mut Words<'_>) -> Done {
    let (pattern, most) = some(world, words)?;
    for place in world.wire.meant(&pattern).into_iter().take(most) {
        let copy = world.wire.flying[place].clone();
        world.tell(Loudness::Loud, &format!("doubles {}", copy.text));
        world.wire.flying.push(copy);
    }
    Ok(())
}

fn delay(world: &mut World, words: &mut Words<'_>) -> Done {
    let pattern = Pattern::read(words)?;
    let span = Micros(words.number("ticks")?);
    words.end()?;
    exist(world, &pattern)?;
    for place in world.wire.meant(&pattern) {
        let it = &mut world.wire.flying[place];
        it.due = it.due.plus(span);
        let line = format!("delays {}", it.text);
        world.tell(Loudness::Loud, &line);
    }
    Ok(())
}

fn hold(world: &mut World, words: &mut Words<'_>) -> Done {
    let pattern = Pattern::read(words)?;
    words.end()?;
    let count = world.wire.hold(pattern);
    if count > 0 {
        world.tell(Loudness::Loud, &format!("holds {count} on their way"));
    }
    Ok(())
}

fn release(world: &mut World, words: &mut Words<'_>) -> Done {
    let pattern = if words.peek().is_some() { Some(Pattern::read(words)?) } else { None };
    words.end()?;
    let released = world.wire.release(pattern.as_ref(), world.now);
    let released =
        released.ok_or_else(|| Stop::Failed("no hold was written like that".to_owned()))?;
    world.tell(Loudness::Loud, &format!("releases {released}"));
    Ok(())
}

fn cut(world: &mut World, words: &mut Words<'_>) -> Done {
    let pattern = Pattern::links(words)?;
    words.end()?;
    let lost = ends(world)
        .iter()
        .filter(|(from, to)| pattern.is_link(*from, *to))
        .map(|(from, to)| world.wire.cut(*from, *to))
        .sum::<usize>();
    tell_lost(world, lost);
    Ok(())
}

fn partition(world: &mut World, words: &mut Words<'_>) -> Done {
    let written = words.rest();
    let mut groups = Vec::new();
    for group in written.split('|') {
        let list = group.trim().split(',').map(text::end).collect::<Option<Vec<_>>>();
        let list = list.ok_or_else(|| Stop::Misused(format!("'{group}' is no list of nodes")))?;
        groups.push(list);
    }
    if groups.len() < 2 {
        return Err(Stop::Misused("there must be two groups at least".to_owned()));
    }
    let group_of = |end: Address| groups.iter().position(|group| group.contains(&end));
    let mut lost = 0;
    for (from, to) in ends(world) {
        if let (Some(one), Some(other)) = (group_of(from), group_of(to))
            && one != other
        {
            lost += world.wire.cut(from, to);
        }
    }
    tell_lost(world, lost);
    Ok(())
}

fn tell_lost(world: &mut World, lost: usize) {
    if lost > 0 {
        world.tell(Loudness::Loud, &format!("loses {lost} on their way"));
    }
}

/// Every pair of ends.
fn ends(world: &World) -> Vec<(Address, Address)> {
    let nodes = (0..world.hosts.len()).map(Address::Node);
    let ends: Vec<_> = nodes.chain((0..world.clients.len()).map(Address::Client)).collect();
    ends.iter().flat_map(|from| ends.iter().map(|to| (*from, *to))).collect()
}

fn heal(world: &mut World, words: &mut Words<'_>) -> Done {
    let pattern = if words.peek().is_some() { Pattern::links(words)? } else { Pattern::all() };
    words.end()?;
    world.wire.heal(&pattern);
    Ok(())
}
