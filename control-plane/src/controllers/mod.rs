//! Move the cluster toward what was asked: objects in, objects out.
//!
//! In: a client and a [`ControllerConfig`]. Every controller decides in pure code (`plan`) from
//! the one set of [`caches`], and writes through the one controller runtime of the client crate.
//! Nothing here knows how objects are stored or served: controllers are ordinary API clients.

pub mod caches;
pub mod deployment;
pub mod endpoints;
pub mod events;
pub mod garbage;
pub mod namespace;
pub mod ownership;
pub mod pod_facts;
pub mod replicaset;
#[cfg(test)]
mod world;
