//! Runs step by step: what walks seldom reach, and what each mistake does there.

mod crash;
mod dead;
mod formation;
mod mistakes;
mod stage;
