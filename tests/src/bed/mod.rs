//! Test beds, from a bare network namespace to a cluster.

pub mod cgroup;
pub mod cluster;
pub mod host;
pub mod image;
pub mod leftovers;
pub mod netns;
pub mod process;
pub mod wait;
