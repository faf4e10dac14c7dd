//! What the pods' room wants of the API server, and what wants to be said there.
//!
//! A trait, so that everything above it runs in tests without a server.

#[cfg(test)]
pub(crate) mod fake;
mod kubernetes;

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodStatus, Secret, Service};

pub use self::kubernetes::KubernetesApi;
use super::runtime::PodId;

/// Why the API server did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// The pod is gone, or another one has its name.
    #[error("the pod is gone")]
    Gone,
    /// Anything else; may be tried again.
    #[error("{0}")]
    Failed(String),
}

/// A token for a service account, bound to a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenWish {
    /// Service account.
    pub account: String,
    /// Whom the token is for; the API server when empty.
    pub audience: String,
    /// How long it should hold, seconds.
    pub seconds: i64,
}

/// A token that was granted.
#[derive(Clone)]
pub struct Token {
    /// What authenticates.
    pub text: String,
    /// Until when; none when the server does not say.
    pub expires: Option<Timestamp>,
}

/// An object that a pod's environment or volumes show.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// A ConfigMap by its name.
    ConfigMap(String),
    /// A Secret by its name.
    Secret(String),
}

/// The API server as pods need it.
#[async_trait]
pub trait PodApi: Send + Sync + 'static {
    /// Makes the pod's object show the status. The revision of the object that does; 0 when the
    /// server does not say.
    async fn write_status(&self, pod: &PodId, status: &PodStatus) -> Result<u64, ApiError>;
    /// Removes the pod's object at once.
    async fn delete(&self, pod: &PodId) -> Result<(), ApiError>;
    /// Reads a ConfigMap.
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<ConfigMap>, ApiError>;
    /// Reads a Secret.
    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>, ApiError>;
    /// The versions of a ConfigMap or Secret, from the present one on; none while there is no such
    /// object. Goes on through interruptions.
    fn versions(&self, namespace: &str, reference: &Reference) -> BoxStream<'static, Option<String>>;
    /// Asks for a token. That it cannot be had says nothing about the pod.
    async fn token(&self, pod: &PodId, wish: &TokenWish) -> Result<Token, ApiError>;
    /// All services.
    fn services(&self) -> Vec<Arc<Service>>;
    /// Records an event about a pod, or about one of its containers.
    fn event(&self, pod: &Pod, container: &str, warning: bool, reason: &str, message: &str);
}
