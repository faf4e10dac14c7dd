//! Desired bytes, their difference from what is there, and the order of operations. Pure.
//!
//! In: a [`Snapshot`](crate::model::Snapshot), the ids in use, and the [`Image`] of the maps as they
//! are. Out: the image that they should be, and the operations between the two. The only room
//! between the two worlds: it reads plain facts and writes bytes, and never does I/O.

mod desired;
mod ids;
mod image;
mod order;
mod probe;

#[cfg(test)]
mod tests;

pub use self::{
    desired::desired,
    ids::Ids,
    image::{Contradiction, Image},
    order::{Op, diff},
    probe::Probe,
};
