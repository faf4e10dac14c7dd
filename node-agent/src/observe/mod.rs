//! Reflects the cluster, as far as this node needs it, and feeds the Service plane.
//!
//! In: the API server. Out: caches of Services, EndpointSlices, this node's pods and this node; and a Service plane
//! that says what they say, once every one of them has been complete. Never writes to the API server. The caches are
//! shared: DNS and pods read them as well.

mod feed;

use std::sync::Arc;

use k8s_openapi::api::{
    core::v1::{Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, runtime::watcher};
use nodeplane_client::informer::Informer;

pub use self::feed::{Feed, Progress};

/// Labels of Services that say who serves them; no reader asks for others.
const SERVICE_LABELS: [&str; 2] = ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"];
/// The label of a slice that says whose it is; no reader asks for others.
const SLICE_LABEL: &str = "kubernetes.io/service-name";

/// What is reflected.
#[derive(Clone)]
pub struct Sources {
    /// All Services.
    pub services: Arc<Informer<Service>>,
    /// All EndpointSlices.
    pub slices: Arc<Informer<EndpointSlice>>,
    /// The pods that are bound to this node.
    pub pods: Arc<Informer<Pod>>,
    /// This node, and nothing else.
    pub node: Arc<Informer<Node>>,
}

impl Sources {
    /// Starts to follow the API server. Must be called inside a tokio runtime.
    pub fn watch(client: &Client, node_name: &str) -> Self {
        let only = |selector: String| watcher::Config::default().fields(&selector);
        let (all, pods, nodes) = (watcher::Config::default, Api::all(client.clone()), Api::all(client.clone()));
        Self {
            services: Arc::new(Informer::start_trimmed(Api::all(client.clone()), all(), trim_service)),
            slices: Arc::new(Informer::start_trimmed(Api::all(client.clone()), all(), trim_slice)),
            pods: Arc::new(Informer::start(pods, only(format!("spec.nodeName={node_name}")))),
            node: Arc::new(Informer::start(nodes, only(format!("metadata.name={node_name}")))),
        }
    }

    /// Returns when every cache has been complete once.
    pub async fn ready(&self) {
        tokio::join!(self.services.ready(), self.slices.ready(), self.pods.ready(), self.node.ready());
    }
}

/// Keeps what the Service plane, DNS and the environment of containers read.
fn trim_service(service: &mut Service) {
    service.metadata.annotations = None;
    service.metadata.owner_references = None;
    service.status = None;
    if let Some(labels) = &mut service.metadata.labels {
        labels.retain(|label, _| SERVICE_LABELS.contains(&label.as_str()));
    }
    if let Some(spec) = &mut service.spec {
        spec.selector = None;
    }
}

/// Keeps what the Service plane and DNS read.
fn trim_slice(slice: &mut EndpointSlice) {
    slice.metadata.annotations = None;
    slice.metadata.owner_references = None;
    if let Some(labels) = &mut slice.metadata.labels {
        labels.retain(|label, _| label == SLICE_LABEL);
    }
    for endpoint in &mut slice.endpoints {
        endpoint.target_ref = None;
        endpoint.zone = None;
        endpoint.hints = None;
    }
}

#[cfg(test)]
mod tests;
