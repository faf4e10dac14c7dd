//! This machine as an object of the cluster: registered, alive, and honest about how it does.
//!
//! In: facts of the machine, and what the agent's parts say of themselves. Out: the Node, its status when that
//! changes, and a lease that is renewed all the time. Never touches pods, and never what others write into the Node:
//! its range of pod addresses comes from the server.

pub mod dns_slice;
pub mod facts;
pub mod health;
mod keeper;
mod lease;
pub mod object;

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

pub use self::{
    keeper::{Keeper, pod_range},
    lease::renew,
};

/// Who this node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Where the agent serves.
    pub port: u16,
}
