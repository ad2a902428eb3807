//! Storage on files that lose whatever a power cut can lose.

mod crash;
mod damage;
mod directory;
mod fake;
mod full;
mod node;
mod script;
