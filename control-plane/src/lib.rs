//! Keeps the cluster's truth: serves it ([`http`], [`registry`]), stores it ([`store`]), moves
//! it toward what was asked ([`controllers`], [`scheduler`]).

pub mod controllers;
pub mod http;
pub mod pki;
pub mod registry;
pub mod scheduler;
pub mod store;
