//! Runs the pods of this node as containers.
//!
//! In: the node's pods from an informer, what the container engine says, what probes find out.
//! Out: sandboxes and containers, files for them, pod statuses and events, logs. Decisions are
//! pure: [`machine`] holds the life of one pod, from [`message`]s to plans; a worker per pod does
//! what it plans; the manager sees to it that each pod has one. Nothing is kept on disk but the
//! pods' files: a restarted agent finds everything in the engine's labels. Never touches a
//! container that does not carry the node's label, and never ends one because the agent ends.

pub mod api;
pub mod backoff;
mod cleanup;
pub mod config;
pub mod container_spec;
pub mod context;
pub mod downward;
mod engine;
pub mod env;
pub mod files;
pub mod logs;
mod lookup;
pub mod machine;
mod manager;
pub mod message;
pub mod network;
pub mod paths;
pub mod pod;
pub mod probes;
mod pull_secrets;
pub mod reporter;
pub mod resources;
pub mod runtime;
pub mod status;
pub mod tokens;
pub mod volumes;
pub mod worker;

#[cfg(test)]
mod bed;
#[cfg(test)]
mod fixtures;

use std::{net::Ipv4Addr, sync::Arc};

use bytes::Bytes;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Pod;
use nodeplane_client::informer::Informer;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::{
    cleanup::{CleanupError, cleanup},
    logs::{LogError, LogRequest},
    manager::Timing,
};
use self::{
    context::Context,
    manager::{Adoption, Manager},
    runtime::RuntimeError,
};

/// The pods of this node.
pub struct Pods {
    context: Arc<Context>,
    objects: Arc<Informer<Pod>>,
    adoption: watch::Receiver<Adoption>,
    stopped: CancellationToken,
}

impl Pods {
    /// Runs the pods that `objects` shows, until `stop`.
    pub fn start(context: Arc<Context>, objects: Arc<Informer<Pod>>, stop: CancellationToken) -> Self {
        Self::start_with(context, objects, stop, Timing::default())
    }

    /// Like [`Self::start`], with other times than the usual ones.
    pub fn start_with(
        context: Arc<Context>,
        objects: Arc<Informer<Pod>>,
        stop: CancellationToken,
        timing: Timing,
    ) -> Self {
        let (told, adoption) = watch::channel(Adoption::default());
        let stopped = CancellationToken::new();
        let manager = Manager::new(context.clone(), objects.clone(), timing, told);
        let guard = stopped.clone().drop_guard();
        tokio::spawn(async move {
            manager.run(stop).await;
            drop(guard);
        });
        Self { context, objects, adoption, stopped }
    }

    /// Returns when no worker is left after `stop`. Containers keep running.
    pub async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Whether everything that ran before the agent has found its worker, and all pods theirs.
    pub fn is_adopted(&self) -> bool {
        self.adoption.borrow().complete
    }

    /// Returns when [`Self::is_adopted`], or when the pods are stopped.
    pub async fn adopted(&self) {
        // An error means that the manager has ended.
        let _ = self.adoption.clone().wait_for(|adoption| adoption.complete).await;
    }

    /// Addresses of the pods that ran before the agent started.
    pub fn live(&self) -> Vec<Ipv4Addr> {
        self.adoption.borrow().addresses.clone()
    }

    /// The log of a container; `container` may be empty when the pod has only one.
    ///
    /// # Errors
    /// When there is no such container, or it has no log yet, in Kubernetes' words.
    pub async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        request: LogRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, RuntimeError>>, LogError> {
        let key = nodeplane_api::meta::Key::new(namespace, pod);
        let object = self.objects.get(&key).ok_or_else(|| LogError::no_pod(pod))?;
        logs::read(self.context.runtime.as_ref(), &object, container, &request).await
    }
}
