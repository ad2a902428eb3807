//! Who is a member, and who leads.

use coracle::{Address, Change, ChangeError, NodeId, TransferError};

use super::Command;
use crate::script::words::Words;
use crate::script::world::World;
use crate::script::{Done, Loudness, Stop, text};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "change",
        usage: "change NODE add NODE [learner] | change NODE remove NODE | \
                change NODE promote NODE | change NODE demote NODE",
        about: "the first node, if it leads, begins to take the second one in as it is now, to take \
                it out, or to give or take it its vote",
        loudness: Loudness::Loud,
        run: change,
    },
    Command {
        name: "transfer",
        usage: "transfer NODE [NODE]",
        about: "the first node hands leadership over to the second one, or to whoever has most of \
                the log",
        loudness: Loudness::Loud,
        run: transfer,
    },
];

fn change(world: &mut World, words: &mut Words<'_>) -> Done {
    let place = world.place(words.id()?)?;
    let what = words.word("what is to change")?;
    let id = words.id()?;
    let change = match what {
        "add" => add(world, id, !words.has("learner"))?,
        "remove" => Change::Remove(id),
        "promote" => Change::Promote(id),
        "demote" => Change::Demote(id),
        other => return Err(Stop::Misused(format!("nobody is changed by '{other}'"))),
    };
    words.end()?;
    if let Err(error) = world.peer_mut(place)?.change(change) {
        world.refuse(&(place + 1).to_string(), change_error(error));
    }
    world.observe(place)?;
    world.poll_all(place)
}

/// Takes in the life that a node has now.
fn add(world: &World, id: NodeId, is_voter: bool) -> Result<Change, Stop> {
    let raft = world.peer(world.place(id)?)?.raft();
    let (member, datagram) = (raft.member(), raft.stated_datagram());
    Ok(Change::Add { member, datagram, address: Address::EMPTY, is_voter })
}

fn transfer(world: &mut World, words: &mut Words<'_>) -> Done {
    let place = world.place(words.id()?)?;
    let to = if words.peek().is_some() { Some(words.id()?) } else { None };
    words.end()?;
    match world.peer_mut(place)?.transfer(to) {
        Ok(to) => world.say(&format!("{} hands over to {to}", place + 1)),
        Err(error) => world.refuse(&(place + 1).to_string(), transfer_error(error)),
    }
    world.observe(place)?;
    world.poll_all(place)
}

fn change_error(error: ChangeError) -> String {
    match error {
        ChangeError::NotLeader(leader) => format!("not the leader, {} is", text::node(leader)),
        ChangeError::NotReady => "not ready".to_owned(),
        ChangeError::InProgress => "a change is under way".to_owned(),
        ChangeError::AlreadyMember => "it is a member already".to_owned(),
        ChangeError::UnknownMember => "no such member".to_owned(),
        ChangeError::NothingToDo => "nothing to do".to_owned(),
        ChangeError::LastVoter => "the last voter".to_owned(),
        ChangeError::TooManyMembers { capacity } => format!("no more than {capacity} members"),
        ChangeError::DatagramTooSmall { least } => format!("datagrams of less than {least} bytes"),
        ChangeError::FixedVoters => "the voters are fixed".to_owned(),
        ChangeError::LogFull => "log full".to_owned(),
        other => format!("{other:?}"),
    }
}

fn transfer_error(error: TransferError) -> String {
    match error {
        TransferError::NotLeader(leader) => format!("not the leader, {} is", text::node(leader)),
        TransferError::InProgress => "another one is under way".to_owned(),
        TransferError::UnknownMember => "no such member".to_owned(),
        TransferError::NotAVoter => "it does not vote".to_owned(),
        TransferError::Unreachable => "unreachable".to_owned(),
        other => format!("{other:?}"),
    }
}
