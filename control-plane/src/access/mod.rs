//! Who may do what.
//!
//! In: a [`Caller`] and what it asks for. Out: a [`Permit`], which only this room makes, which
//! holds both, and without which nothing is read or written. Every [`Authorizer`] says allow or
//! nothing; one that allows is enough. What a caller may write into an object is not decided
//! here, but by admission. Never changes anything.

mod authority;
mod caller;
#[cfg(test)]
pub(crate) mod cases;
mod everybody;
pub mod node;
mod request;
mod rules;
#[cfg(test)]
mod tests;

pub use self::{
    authority::{Asked, Authority, Authorizer, Decision, Permit},
    caller::{AUTHENTICATED, Caller, MASTERS, MONITORING, NODES, UNAUTHENTICATED},
    request::{Attributes, Limits, Request},
    rules::{PathRule, ResourceRule, Rules},
};
