//! Objects from one served form to another, for kinds with several.
//!
//! In: an object in the stored form or in that of a view (the rows of [`kinds`](crate::kinds) say
//! which is which). Out: the same object in the other form. Pure functions that never fail: what
//! they cannot read is left out, as upstream does.

mod autoscaler;
mod event;
#[cfg(test)]
mod tests;

pub(crate) use self::{autoscaler::AUTOSCALER_V1, event::NEW_EVENT};
