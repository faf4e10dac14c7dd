//! Keeps the cluster's truth: serves it ([`http`], [`registry`]), stores it ([`store`]), moves
//! it toward what was asked ([`controllers`], [`scheduler`]), lets pods in ([`tokens`]). [`server`] puts these together as
//! [`config`] says, with the objects that every cluster has ([`bootstrap`]). What happens is counted
//! in [`metrics`].

pub mod access;
pub mod bootstrap;
pub mod config;
pub mod controllers;
mod go_duration;
pub mod http;
pub mod metrics;
pub mod pki;
pub mod registry;
pub mod scheduler;
pub mod server;
pub mod store;
pub mod tokens;
