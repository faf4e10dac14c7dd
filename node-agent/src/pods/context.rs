//! What all workers share.

use std::{net::Ipv4Addr, sync::Arc};

use super::{
    api::PodApi, files::ClusterDns, network::PodNetwork, paths::Paths, resources::Allocatable,
    runtime::ContainerRuntime,
};

/// The rooms around, and the facts of the node.
pub struct Context {
    /// Runs containers.
    pub runtime: Arc<dyn ContainerRuntime>,
    /// Connects pods.
    pub network: Arc<dyn PodNetwork>,
    /// Knows objects, takes statuses.
    pub api: Arc<dyn PodApi>,
    /// Where files lie.
    pub paths: Paths,
    /// The cluster's DNS.
    pub dns: ClusterDns,
    /// The node's address.
    pub host: Ipv4Addr,
    /// What the node gives to pods.
    pub allocatable: Allocatable,
}
