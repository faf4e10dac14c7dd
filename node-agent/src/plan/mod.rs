//! Desired bytes, their difference from what is there, and the order of operations. Pure.
//!
//! In: [frontends](crate::model::Frontend), all of them or those that have changed, and what the maps hold
//! ([`Held`]). Out: the operations that make the maps hold what the frontends say. The only room between the two
//! worlds: it reads plain facts and writes bytes, and never does I/O.

mod bytes;
mod held;
mod ids;
mod image;
mod order;
mod probe;
mod room;

#[cfg(test)]
mod tests;

pub use self::{
    held::Held,
    image::{Contradiction, Image},
    order::Op,
    probe::Probe,
    room::{Limits, admit},
};
