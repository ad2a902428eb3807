//! Crashes and restarts, and disks that are slow or lost.

use super::Command;
use crate::disk::Habits;
use crate::script::condition::nodes;
use crate::script::words::Words;
use crate::script::world::{Trap, World};
use crate::script::{Done, Loudness, Stop, text};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "crash",
        usage: "crash NODES [keep COUNT] | crash NODE before KIND | crash NODE after KIND | \
                crash NODE in-write",
        about: "the power goes now, and of the writes that are not done the first COUNT survive; \
                or just before or after it sends its next datagram of that kind, all of whose \
                reasons are written; or in its next write, which is lost",
        loudness: Loudness::Loud,
        run: crash,
    },
    Command {
        name: "restart",
        usage: "restart NODES",
        about: "they start from what their disks hold, or as another life where nothing is stored",
        loudness: Loudness::Loud,
        run: restart,
    },
    Command {
        name: "wipe",
        usage: "wipe NODES",
        about: "the disks of nodes that are down are replaced by empty ones",
        loudness: Loudness::Loud,
        run: wipe,
    },
    Command {
        name: "disk",
        usage: "disk NODES hold|go | disk NODE sync [COUNT] [late] | disk NODE tell [COUNT] | \
                disk NODE fail",
        about: "`hold`: writes are not done until `sync`, which the node hears of at once or, with \
                `late`, when it is told; `go`: writes are done as they are asked for; `fail`: all \
                writes fail",
        loudness: Loudness::Loud,
        run: disk,
    },
];

fn crash(world: &mut World, words: &mut Words<'_>) -> Done {
    let places = nodes(world, words)?;
    let mut kept = 0;
    match words.take() {
        None => {}
        Some("keep") if world.is_volatile() => world.must_have_disks()?,
        Some("keep") => kept = words.number("how many writes")?,
        Some(when @ ("before" | "after")) => {
            let name = words.word("a kind of datagram")?;
            let kind = text::kind(name);
            let kind =
                kind.ok_or_else(|| Stop::Misused(format!("no datagram is called '{name}'")))?;
            words.end()?;
            let trap = if when == "before" { Trap::Before(kind) } else { Trap::After(kind) };
            places.iter().for_each(|place| world.notes[*place].trap = Some(trap));
            return Ok(());
        }
        Some("in-write") => {
            words.end()?;
            let arm = |place: &usize| {
                world.disks[*place].0.borrow_mut().habits.crash_in_write = true;
            };
            places.iter().for_each(arm);
            return Ok(());
        }
        Some(other) => return Err(Stop::Misused(format!("nobody crashes '{other}'"))),
    }
    words.end()?;
    for place in places {
        world.peer(place)?;
        let lost = world.disks[place].0.borrow().waiting().saturating_sub(kept);
        world.crash(place, kept);
        if lost > 0 {
            world.say(&format!("{}: writes lost: {lost}", place + 1));
        }
    }
    Ok(())
}

fn restart(world: &mut World, words: &mut Words<'_>) -> Done {
    let places = nodes(world, words)?;
    words.end()?;
    for place in places {
        if world.is_up(place) {
            return Err(Stop::Misused(format!("node {} runs", place + 1)));
        }
        world.start(place)?;
        world.poll_all(place)?;
    }
    Ok(())
}

fn wipe(world: &mut World, words: &mut Words<'_>) -> Done {
    let places = nodes(world, words)?;
    words.end()?;
    world.must_have_disks()?;
    for place in places {
        if world.is_up(place) {
            return Err(Stop::Misused(format!("node {} runs: crash it first", place + 1)));
        }
        world.disks[place].0.borrow_mut().wipe();
    }
    Ok(())
}

fn disk(world: &mut World, words: &mut Words<'_>) -> Done {
    let places = nodes(world, words)?;
    let what = words.word("what its disk does")?;
    let count = words.maybe_number().unwrap_or(u64::MAX);
    let is_late = words.has("late");
    words.end()?;
    world.must_have_disks()?;
    for place in places {
        let habits = |set: fn(&mut Habits)| set(&mut world.disks[place].0.borrow_mut().habits);
        match what {
            "hold" => {
                habits(|habits| habits.at_once = 0);
                // What is done already needs no receipt.
                let _nobody_hears = world.disks[place].0.borrow_mut().sync_some(0);
            }
            "fail" => habits(|habits| habits.failing = 1000),
            "go" => {
                habits(|habits| (habits.at_once, habits.failing) = (1000, 0));
                if world.is_up(place) {
                    sync(world, place, u64::MAX, false)?;
                }
            }
            "sync" => sync(world, place, count, is_late)?,
            "tell" => tell(world, place, count)?,
            other => return Err(Stop::Misused(format!("no disk does '{other}'"))),
        }
    }
    Ok(())
}

fn sync(world: &mut World, place: usize, count: u64, is_late: bool) -> Done {
    let mut disk = world.disks[place].0.borrow_mut();
    let count = count.min(disk.waiting());
    let receipts = disk.sync_some(count);
    drop(disk);
    world.tell(Loudness::Loud, &format!("{}: writes done: {count}", place + 1));
    world.notes[place].receipts.extend(receipts);
    if is_late { Ok(()) } else { tell(world, place, u64::MAX) }
}

fn tell(world: &mut World, place: usize, count: u64) -> Done {
    world.peer(place)?;
    let receipts = &mut world.notes[place].receipts;
    let count = receipts.len().min(usize::try_from(count).unwrap_or(usize::MAX));
    let told: Vec<_> = receipts.drain(..count).collect();
    for receipt in told {
        world.peer_mut(place)?.durable(receipt);
        world.observe(place)?;
    }
    world.poll_all(place)
}
