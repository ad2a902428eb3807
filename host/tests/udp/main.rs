//! Real processes with a network between them that loses, doubles, delays, reorders and cuts.

mod book;
mod cluster;
mod homework;
mod loss;
mod namespace;
#[allow(dead_code, reason = "it is shared with the other tests of processes")]
#[path = "../processes/process.rs"]
mod process;
mod storm;
mod trouble;
