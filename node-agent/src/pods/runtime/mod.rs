//! What runs containers, in the nouns of the container runtime interface: sandbox, container,
//! image, logs.
//!
//! In: specifications without a trace of Kubernetes objects. Out: facts about what runs. The
//! labels on sandboxes and containers ([`labels`]) are the agent's only memory across restarts.
//! A runtime never decides anything: no back-off, no policy, no order.

pub mod docker;
pub mod fake;
pub mod labels;
mod nouns;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;

pub use self::nouns::*;

/// Why the runtime did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The runtime does not answer.
    #[error("cannot connect to the container runtime: {0}")]
    Unavailable(String),
    /// There is no such container or image.
    #[error("{0}")]
    NotFound(String),
    /// A command took too long.
    #[error("{0}")]
    TimedOut(String),
    /// The runtime answered that it cannot, in its own words.
    #[error("{0}")]
    Refused(String),
}

/// Runs containers.
#[async_trait]
pub trait ContainerRuntime: Send + Sync + 'static {
    /// Which engine this is; also tells whether it answers.
    async fn version(&self) -> Result<RuntimeVersion, RuntimeError>;

    /// All pods of which anything exists.
    async fn pods(&self) -> Result<Vec<PodRecord>, RuntimeError>;

    /// Everything that exists of one pod.
    async fn observe(&self, uid: &str) -> Result<Observed, RuntimeError>;

    /// Creates and starts a sandbox, replacing a dead one of the same attempt. Tries to leave nothing behind when it
    /// does not start.
    async fn run_sandbox(&self, spec: &SandboxSpec) -> Result<Sandbox, RuntimeError>;

    /// Creates a container in a sandbox, replacing a dead one of the same attempt. Its id.
    async fn create_container(&self, pod: &PodId, sandbox: &str, spec: &ContainerSpec) -> Result<String, RuntimeError>;

    /// Starts a created container.
    async fn start_container(&self, id: &str) -> Result<(), RuntimeError>;

    /// Asks a sandbox or container to end and ends it after `grace`. A container that has ended
    /// or does not exist is no error.
    async fn stop(&self, id: &str, grace: Duration) -> Result<(), RuntimeError>;

    /// Removes a sandbox or container, running or not. One that does not exist is no error.
    async fn remove(&self, id: &str) -> Result<(), RuntimeError>;

    /// Runs a command in a running container to its end.
    ///
    /// # Errors
    /// [`RuntimeError::TimedOut`] when `timeout` passes.
    async fn exec(&self, id: &str, command: &[String], timeout: Duration) -> Result<ExecResult, RuntimeError>;

    /// The log of a container as it wrote it. Pieces may end within a line.
    fn logs(&self, id: &str, options: &LogOptions) -> BoxStream<'static, Result<Bytes, RuntimeError>>;

    /// The image with this reference, if it is present.
    async fn image(&self, reference: &str) -> Result<Option<Image>, RuntimeError>;

    /// Fetches an image from its registry.
    async fn pull(&self, reference: &str, credentials: Option<&Credentials>) -> Result<Image, RuntimeError>;

    /// UIDs of pods in which a container started, ended or went, from this call on. Ends when the
    /// engine goes away.
    fn events(&self) -> BoxStream<'static, String>;
}

/// When Docker and Kubernetes say that something has not happened.
pub(crate) fn timestamp(text: Option<&str>) -> Option<Timestamp> {
    let time: Timestamp = text?.parse().ok()?;
    (time > Timestamp::UNIX_EPOCH).then_some(time)
}
