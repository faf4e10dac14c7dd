//! The nouns of the cluster: Kubernetes types, keys, selectors, quantities, patches, and the
//! one table of kinds ([`kinds::KINDS`]).
//!
//! Everything here is a value or a pure function on values. This crate never does I/O, never
//! reads a clock and never draws randomness; what depends on them takes them as a parameter.
//!
//! Objects travel through the control plane as [`serde_json::Value`]; the typed structs of
//! [`k8s_openapi`] (Kubernetes 1.33) are used to check their shape and by every reader.

pub mod apply;
pub mod columns;
mod conversions;
pub mod cron;
pub mod disruption;
pub mod documents;
pub mod kinds;
pub mod meta;
pub mod names;
pub mod patch;
pub mod protobuf;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod status;
pub mod usage;

pub use k8s_openapi;
