//! The program as a user meets it: real processes, real datagrams, standard input and output.

mod cluster;
mod node;
mod process;
