//! The commands of scripts: one table, and a handler for each.

mod ask;
mod links;
mod members;
mod power;
mod setup;
mod show;
mod time;

use super::condition::CONDITIONS;
use super::words::Words;
use super::world::World;
use super::{Done, Loudness, Stop};

/// One command.
pub struct Command {
    /// Its first word.
    pub name: &'static str,
    /// How it is written.
    pub usage: &'static str,
    /// What it does.
    pub about: &'static str,
    /// How much is told of what it does.
    loudness: Loudness,
    run: fn(&mut World, &mut Words<'_>) -> Done,
}

/// Every command, by subject.
pub const COMMANDS: &[(&str, &[Command])] = &[
    ("The cluster", setup::COMMANDS),
    ("Time", time::COMMANDS),
    ("Datagrams", links::COMMANDS),
    ("Members and leadership", members::COMMANDS),
    ("Power and disks", power::COMMANDS),
    ("Questions", ask::COMMANDS),
    ("What is so", show::COMMANDS),
];

/// The command of this name.
#[must_use]
pub fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().flat_map(|(_, commands)| *commands).find(|command| command.name == name)
}

/// Every command and every condition with what it means, as `docs/scenarios.md` has it.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    for (subject, commands) in COMMANDS {
        let items = commands.iter().map(|it| (it.usage, it.about));
        section(&mut text, subject, items);
    }
    let conditions = CONDITIONS.iter().map(|it| (it.usage, it.about));
    section(&mut text, "Conditions", conditions);
    text
}

fn section<'a>(text: &mut String, subject: &str, items: impl Iterator<Item = (&'a str, &'a str)>) {
    text.push_str(&format!("\n### {subject}\n\n"));
    for (usage, about) in items {
        let usages: Vec<_> = if usage.contains("| NODES") {
            vec![format!("`{usage}`")]
        } else {
            usage.split(" | ").map(|one| format!("`{one}`")).collect()
        };
        wrap(text, &format!("- {}: {about}.", usages.join(", ")));
    }
}

/// Lines that are not longer than those of other pages.
fn wrap(text: &mut String, item: &str) {
    let mut length = 0;
    for word in item.split(' ') {
        if length > 0 && length + 1 + word.len() > LINE {
            text.push_str("\n ");
            length = 1;
        }
        if length > 0 {
            text.push(' ');
            length += 1;
        }
        text.push_str(word);
        length += word.len();
    }
    text.push('\n');
}

const LINE: usize = 98;

/// Carries out one line.
pub fn carry_out(world: &mut World, line: &str) -> Done {
    let mut words = Words::new(line);
    let loudness = if words.has("quiet") {
        Some(Loudness::Quiet)
    } else if words.has("loud") {
        Some(Loudness::Loud)
    } else {
        None
    };
    let name = words.word("a command")?;
    let command =
        command(name).ok_or_else(|| Stop::Misused(format!("no command is called '{name}'")))?;
    world.loudness = loudness.unwrap_or(command.loudness);
    // A refusal is that of the command just before: no other may pass for it.
    world.refused = world.refused.take().filter(|_| name == "expect");
    let done = (command.run)(world, &mut words);
    done.map_err(|stop| match stop {
        Stop::Misused(why) => Stop::Misused(format!("{why} (usage: {})", command.usage)),
        Stop::Failed(_) | Stop::Broken(_) => stop,
    })
}
