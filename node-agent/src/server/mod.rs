//! What the API server and operators ask of this node.
//!
//! In: HTTPS calls with a certificate of the cluster's authority, and programs of this machine on a Unix socket. Out:
//! logs of containers, the node's pods, health, metrics, and the live state as JSON. Whatever it tells it reads from a
//! [`View`]. Never changes anything.

mod admin;
mod answer;
mod authn;
mod identity;
mod listen;
pub mod logs;
pub mod metrics;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use self::logs::{LogStream, LogWish};
pub use self::{
    admin::{dump, serve as serve_admin, socket},
    identity::{IdentityError, tls},
    listen::serve,
};
use crate::pods::LogError;

/// What can be seen of the agent.
#[async_trait]
pub trait View: Send + Sync + 'static {
    /// The pods that are bound to this node.
    fn pods(&self) -> Vec<Arc<Pod>>;
    /// What is wrong with the node; nothing when it is well.
    fn complaint(&self) -> Option<String>;
    /// Numbers about the agent.
    fn metrics(&self) -> metrics::Metrics;
    /// The live state, for people who look for a fault.
    async fn dump(&self) -> Value;
    /// The log of a container.
    async fn logs(&self, wish: LogWish) -> Result<LogStream, LogError>;
}
