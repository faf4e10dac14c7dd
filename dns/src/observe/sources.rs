//! The informers that DNS reads, and all of them as facts.

use std::sync::Arc;

use k8s_openapi::api::{
    core::v1::{Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, runtime::watcher};
use nodeplane_client::informer::Informer;

use super::convert::{SERVICE_NAME, service_facts, slice_facts};
use crate::zone::facts::Snapshot;

/// The informers that DNS reads. They may be shared with other readers.
#[derive(Clone)]
pub struct Sources {
    /// All Services.
    pub services: Arc<Informer<Service>>,
    /// All EndpointSlices.
    pub slices: Arc<Informer<EndpointSlice>>,
    /// All Namespaces.
    pub namespaces: Arc<Informer<Namespace>>,
}

impl Sources {
    /// Watches everything by itself, keeping only what DNS reads of each object.
    pub fn watch(client: &Client) -> Self {
        let services = Informer::start_trimmed(Api::all(client.clone()), watcher::Config::default(), trim_service);
        let slices = Informer::start_trimmed(Api::all(client.clone()), watcher::Config::default(), trim_slice);
        Self::shared(client, Arc::new(services), Arc::new(slices))
    }

    /// Reads informers that exist already, and watches namespaces by itself.
    pub fn shared(client: &Client, services: Arc<Informer<Service>>, slices: Arc<Informer<EndpointSlice>>) -> Self {
        let namespaces = Informer::start_trimmed(Api::all(client.clone()), watcher::Config::default(), trim_namespace);
        Self { services, slices, namespaces: Arc::new(namespaces) }
    }

    pub(super) fn are_ready(&self) -> bool {
        self.services.is_ready() && self.slices.is_ready() && self.namespaces.is_ready()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            namespaces: self.namespaces.with(|objects| objects.keys().map(|key| key.name.clone()).collect()),
            services: self
                .services
                .with(|objects| objects.values().filter_map(|object| service_facts(object)).collect()),
            slices: self.slices.with(|objects| objects.values().filter_map(|object| slice_facts(object)).collect()),
        }
    }
}

fn trim_service(service: &mut Service) {
    service.metadata.managed_fields = None;
    service.metadata.annotations = None;
    service.metadata.labels = None;
    service.metadata.owner_references = None;
    service.status = None;
    if let Some(spec) = &mut service.spec {
        spec.selector = None;
    }
}

fn trim_slice(slice: &mut EndpointSlice) {
    slice.metadata.managed_fields = None;
    slice.metadata.annotations = None;
    slice.metadata.owner_references = None;
    if let Some(labels) = &mut slice.metadata.labels {
        labels.retain(|label, _| label == SERVICE_NAME);
    }
    for endpoint in &mut slice.endpoints {
        endpoint.target_ref = None;
        endpoint.node_name = None;
        endpoint.zone = None;
        endpoint.hints = None;
    }
}

fn trim_namespace(namespace: &mut Namespace) {
    namespace.metadata.managed_fields = None;
    namespace.metadata.annotations = None;
    namespace.metadata.labels = None;
    namespace.spec = None;
    namespace.status = None;
}
