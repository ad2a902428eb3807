//! The program as a user meets it: real processes, real datagrams, standard input and output.

mod bench;
mod client;
mod cluster;
mod control;
mod durable;
mod epochs;
mod examples;
mod forms;
mod inspect;
mod is_leader;
mod leaving;
mod logs;
mod members;
mod moves;
mod node;
mod process;
mod recovery;
mod relay;
mod replacing;
mod scratch;
mod snapshots;
mod status;
mod trio;
