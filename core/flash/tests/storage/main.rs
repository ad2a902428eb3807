//! The flash storage on simulated NOR flash.

mod crash;
mod damage;
mod full;
mod node;
mod nor;
mod script;
