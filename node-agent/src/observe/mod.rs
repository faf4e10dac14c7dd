//! Reflects the cluster, as far as this node needs it, and feeds the Service plane.
//!
//! In: the API server. Out: caches of Services, EndpointSlices, this node's pods and this node; and a Service plane
//! that says what they say, once every one of them has been complete. Never writes to the API server. The caches are
//! shared: DNS and pods read them as well.

mod feed;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, Client, runtime::watcher};
use nodeplane_client::{informer::Informer, services::Services};

pub use self::feed::{Feed, Progress};

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
}

#[cfg(test)]
mod tests;
