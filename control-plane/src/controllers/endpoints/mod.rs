//! Keeps the addresses behind every Service: EndpointSlices, and Endpoints for older readers.
//!
//! In: Services with selectors, Pods, Nodes (for zones), from caches. Out: slices of at most 100
//! endpoints and one Endpoints object per Service; nothing when nothing changed. Slices that
//! another party manages are never touched. What belongs where is decided in [`slices`] and
//! [`legacy`]; Endpoints of Services without selectors are repeated in slices by [`mirror`].

mod facts;
mod legacy;
mod mirror;
mod slices;

use std::sync::Arc;

use k8s_openapi::api::{
    core::v1::{Endpoints, Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::ResourceExt;
use nodeplane_api::meta::Key;
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    informer::{Change, Informer},
    recorder::Recorder,
    write::{Hands, WriteError},
};
use tokio_util::sync::CancellationToken;

use super::caches::{Caches, row};

pub use facts::{Backing, Facts};

/// The service that a slice belongs to.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Who writes a slice.
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// Us, as the writer of a slice.
pub const US: &str = "endpointslice-controller.k8s.io";
/// When what led to the last change happened.
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// Marks what belongs to a service without a cluster IP.
const HEADLESS: &str = "service.kubernetes.io/headless";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Runs the controllers until `shutdown`.
pub async fn run(hands: Hands, caches: Caches, recorder: Recorder, shutdown: CancellationToken) {
    let mirror = mirror::run(hands.clone(), caches.clone(), recorder, shutdown.clone());
    let (of_pods, of_nodes) = (caches.services.clone(), caches.services.clone());
    let controller = Controller::new("endpoints", hands)
        .on(&caches.services, |service: &Service| vec![Key::of_meta(&service.metadata)])
        .on(&caches.pods, move |pod: &Pod| services_of(&of_pods, pod))
        .on(&caches.endpoint_slices, |slice: &EndpointSlice| service_of(slice, US).into_iter().collect())
        .on(&caches.endpoints, |endpoints: &Endpoints| vec![Key::of_meta(&endpoints.metadata)])
        .on_change(&caches.nodes, move |change| {
            if moves(change) { of_nodes.with(|services| services.keys().cloned().collect()) } else { Vec::new() }
        });
    tokio::join!(controller.run(2, Addresses { caches }, shutdown), mirror);
}

/// The services that select a pod.
fn services_of(services: &Informer<Service>, pod: &Pod) -> Vec<Key> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    services.with(|services| {
        let here = services.iter().filter(|(key, service)| key.namespace == namespace && facts::selects(service, pod));
        here.map(|(key, _)| key.clone()).collect()
    })
}

/// The service of a slice that `manager` writes.
fn service_of(slice: &EndpointSlice, manager: &str) -> Option<Key> {
    (slice.labels().get(MANAGED_BY).map(String::as_str) == Some(manager)).then_some(())?;
    Some(Key::new(slice.namespace()?, slice.labels().get(SERVICE_NAME)?))
}

/// The slices of a service that `manager` writes.
fn slices_of(caches: &Caches, service: &Key, manager: &str) -> Vec<Arc<EndpointSlice>> {
    let is_one = |slice: &&Arc<EndpointSlice>| service_of(slice, manager).as_ref() == Some(service);
    caches.endpoint_slices.with(|slices| slices.values().filter(is_one).cloned().collect())
}

/// Whether a node came, went or changed its zone.
fn moves(change: &Change<'_, Node>) -> bool {
    let zone = |node: &Arc<Node>| node.labels().get(ZONE).cloned();
    change.old.is_some() != change.new.is_some() || change.old.map(zone) != change.new.map(zone)
}

struct Addresses {
    caches: Caches,
}

impl Reconcile for Addresses {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let slices = slices_of(&self.caches, key, US);
        let endpoints = self.caches.endpoints.get(key);
        let Some(service) = self.caches.services.get(key) else {
            apply.all(&slices::delete(&slices)).await?;
            apply.all(&legacy::delete(endpoints.as_deref())).await?;
            return Ok(Next::Wait);
        };
        let backing = self.backing(&service);
        let facts = Facts { service: &service, backing: &backing };
        apply.all(&slices::plan(&facts, &slices)).await?;
        apply.all(&legacy::plan(&facts, endpoints.as_deref())).await?;
        Ok(Next::Wait)
    }
}

impl Addresses {
    fn backing(&self, service: &Service) -> Vec<Backing> {
        let pods: Vec<_> = self.caches.pods.with(|pods| {
            let here = pods.values().filter(|pod| pod.metadata.namespace == service.metadata.namespace);
            here.filter(|pod| facts::selects(service, pod)).cloned().collect()
        });
        let backed = pods.into_iter().filter_map(|pod| {
            let node = self.caches.nodes.get(&Key::new("", super::pod_facts::node(&pod)));
            Backing::of(service, pod, node.as_deref())
        });
        let mut backed: Vec<_> = backed.collect();
        backed.sort_by(|a, b| a.pod.metadata.name.cmp(&b.pod.metadata.name));
        backed
    }
}

#[cfg(test)]
mod tests;
