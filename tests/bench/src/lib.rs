//! What one command costs three nodes in one thread, with no network between them: each datagram is
//! built into a buffer and handed to its receiver.

pub mod allocations;
mod cluster;
mod command;
mod figures;
mod mode;
mod node;
mod raft;
mod sealing;

pub use figures::Figures;
pub use mode::{Mode, Setup, run};
pub use sealing::Sealing;
