//! Test beds, from a bare network namespace to a cluster.

pub mod cluster;
pub mod host;
pub mod image;
pub mod netns;
pub mod wait;
