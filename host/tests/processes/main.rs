//! The program as a user meets it: real processes, real datagrams, standard input and output.

mod cluster;
mod forms;
mod node;
mod process;
