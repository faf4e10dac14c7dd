//! Reflects the cluster, as far as this node needs it.
//!
//! In: the API server. Out: caches of Services, EndpointSlices, this node's pods and this node, that are shown when they
//! are complete. Never writes to the API server, and does nothing with what it sees: the Service plane, DNS and pods
//! read it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, Client, runtime::watcher};
use nodeplane_client::{informer::Informer, services::Services};

/// What is reflected.
#[derive(Clone)]
pub struct Sources {
    /// All Services with their EndpointSlices.
    pub services: Services,
    /// The pods that are bound to this node.
    pub pods: Arc<Informer<Pod>>,
    /// This node, and nothing else.
    pub node: Arc<Informer<Node>>,
}

impl Sources {
    /// Starts to follow the API server. Must be called inside a tokio runtime.
    pub fn watch(client: &Client, node_name: &str) -> Self {
        let only = |selector: String| watcher::Config::default().fields(&selector);
        let (pods, nodes) = (Api::all(client.clone()), Api::all(client.clone()));
        Self {
            services: Services::watch(client),
            pods: Arc::new(Informer::start(pods, only(format!("spec.nodeName={node_name}")))),
            node: Arc::new(Informer::start(nodes, only(format!("metadata.name={node_name}")))),
        }
    }

    /// Returns when every cache has been complete once.
    pub async fn ready(&self) {
        tokio::join!(self.services.ready(), self.pods.ready(), self.node.ready());
    }

    /// Returns when one of the caches follows the API server no more.
    pub async fn ended(&self) {
        tokio::select! {
            () = self.services.ended() => {}
            () = self.pods.ended() => {}
            () = self.node.ended() => {}
        }
    }
}

#[cfg(test)]
mod tests;
