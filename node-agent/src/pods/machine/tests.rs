//! The machine in a simulated world: a fake engine, a clock that is set, and agents that die.

mod ends;
mod images;
mod inits;
mod properties;
mod restarts;
mod starts;
mod world;
