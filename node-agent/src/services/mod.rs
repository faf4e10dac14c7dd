//! Keeps the maps at what the Services of the cluster say.
//!
//! In: what [`observe`](crate::observe) reflects. Out: a kernel that does it. The room where the way from objects to
//! packets is walked: [`model`](crate::model) makes facts, [`plan`](crate::plan) operations, and
//! [`dataplane`](crate::dataplane) does them; here is only when and in which thread. Nothing is removed before every
//! first list is complete, and no pod ever waits for a write of Services.

mod feed;
mod plane;

#[cfg(test)]
mod tests;

pub use self::{
    feed::{Feed, Progress},
    plane::{ServicePlane, Stats},
};
