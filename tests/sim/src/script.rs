//! Scenarios: the protocol as golden text. A script says what happens to a cluster, and beneath each
//! command stands what came of it. `docs/scenarios.md` is the language.
//!
//! The cluster is the real core on the simulator's machines, disks and clocks. Nothing happens but
//! what the script says, so that a run depends on the script alone; after every step the invariants
//! of the simulator are checked.

mod client;
mod commands;
mod condition;
mod file;
mod medium;
mod pattern;
mod step;
mod text;
mod time;
mod wire;
mod words;
mod world;

pub use commands::{COMMANDS, Command, command, reference};
pub use condition::{CONDITIONS, Condition};
pub use file::{Ran, Script, ScriptError};

use crate::invariants::Violation;

/// Why a command was not carried out to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The command makes no sense. Nothing has happened.
    Misused(String),
    /// What the script expects is not so.
    Failed(String),
    /// An invariant does not hold.
    Broken(Violation),
}

/// Whether a command was carried out.
pub type Done = Result<(), Stop>;

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Broken(violation)
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Misused(why) | Self::Failed(why) => f.write_str(why),
            Self::Broken(violation) => write!(f, "breaks {violation}"),
        }
    }
}

/// What a script tells of what happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// Nothing.
    Quiet,
    /// Who campaigns, leads and follows, what is taken back, and what askers are told.
    #[default]
    Events,
    /// Every datagram and every write too.
    Loud,
}
