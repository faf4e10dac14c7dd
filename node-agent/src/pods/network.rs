//! What the pods' room wants of the network.

use std::net::Ipv4Addr;

use async_trait::async_trait;

/// Why a pod is not connected.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NetworkError(pub String);

/// Connects sandboxes to the cluster.
#[async_trait]
pub trait PodNetwork: Send + Sync + 'static {
    /// Takes note that a pod which outlived the agent has this address. Comes before anything else
    /// is asked.
    async fn adopt(&self, uid: &str, address: Ipv4Addr);
    /// The address of a pod: the one it has, or a free one.
    async fn address(&self, uid: &str) -> Result<Ipv4Addr, NetworkError>;
    /// Connects the network namespace of process `pid`. May be repeated.
    async fn connect(&self, uid: &str, address: Ipv4Addr, pid: i32) -> Result<(), NetworkError>;
    /// Takes the pod's link away; its address stays its own. May be repeated.
    async fn disconnect(&self, uid: &str) -> Result<(), NetworkError>;
    /// Gives the pod's address back.
    async fn release(&self, uid: &str);
}
