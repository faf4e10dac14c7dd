//! The Endpoints object of a service, for readers that do not know slices. Pure. Follows
//! upstream's `endpoints_controller.go`.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use nodeplane_api::meta::Key;
use nodeplane_client::write::Write;

use super::{
    TRIGGER_TIME,
    facts::{self, Backing, Facts, Port},
    row,
};
use crate::controllers::pod_facts;

/// Who writes an Endpoints object.
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const US: &str = "endpoint-controller";
/// Says that addresses were left out.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// The most addresses of an Endpoints object.
const MOST: usize = 1000;

/// What makes the Endpoints of a service as they should be.
pub(super) fn plan(facts: &Facts<'_>, existing: Option<&Endpoints>) -> Vec<Write> {
    if !facts::is_ours(facts.service) {
        return Vec::new();
    }
    let (subsets, truncated) = subsets(facts);
    let mut labels = facts::labels(facts.service);
    labels.insert(MANAGED_BY.to_owned(), US.to_owned());
    let mut annotations = existing.map(|existing| existing.annotations().clone()).unwrap_or_default();
    annotations.remove(OVER_CAPACITY);
    if truncated {
        annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    }
    if let Some(existing) = existing
        && existing.subsets == subsets
        && *existing.labels() == labels
        && *existing.annotations() == annotations
    {
        return Vec::new();
    }
    if let Some(time) = facts::trigger_time(facts) {
        annotations.insert(TRIGGER_TIME.to_owned(), time);
    }
    let metadata = ObjectMeta {
        name: facts.service.metadata.name.clone(),
        namespace: facts.service.namespace(),
        ..existing.map(|existing| existing.metadata.clone()).unwrap_or_default()
    };
    let metadata = ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..metadata };
    let endpoints = Endpoints { metadata, subsets };
    vec![match existing {
        Some(_) => Write::replace(row::<Endpoints>(), None, &endpoints),
        None => Write::create(row::<Endpoints>(), &endpoints),
    }]
}

/// What removes the Endpoints of a service that is gone, if they were ours.
pub(super) fn delete(existing: Option<&Endpoints>) -> Vec<Write> {
    let ours = existing.filter(|existing| existing.labels().get(MANAGED_BY).map(String::as_str) == Some(US));
    let deletion = |endpoints: &Endpoints| {
        let key = Key::of_meta(&endpoints.metadata);
        Write::delete(row::<Endpoints>(), key, endpoints.uid().unwrap_or_default())
    };
    ours.map(deletion).into_iter().collect()
}

/// Addresses by the ports that they share, and whether some were left out.
fn subsets(facts: &Facts<'_>) -> (Option<Vec<EndpointSubset>>, bool) {
    let tolerant = facts::publishes_not_ready(facts.service);
    let mut shown: Vec<_> =
        facts.backing.iter().filter(|backing| tolerant || !pod_facts::is_terminating(&backing.pod)).collect();
    let truncated = shown.len() > MOST;
    if truncated {
        // Those that serve are kept first.
        shown.sort_by_key(|backing| !pod_facts::is_ready(&backing.pod));
        shown.truncate(MOST);
    }
    let has_ports = facts.service.spec.as_ref().and_then(|spec| spec.ports.as_ref()).is_some_and(|p| !p.is_empty());
    let mut by_ports: BTreeMap<Vec<Port>, EndpointSubset> = BTreeMap::new();
    for backing in shown {
        let ports = backing.ports(facts.service);
        if ports.is_empty() && has_ports {
            continue;
        }
        let subset = by_ports.entry(ports).or_default();
        let side = if tolerant || pod_facts::is_ready(&backing.pod) {
            &mut subset.addresses
        } else {
            &mut subset.not_ready_addresses
        };
        side.get_or_insert_default().push(address(facts, backing));
    }
    let finish = |(ports, mut subset): (Vec<Port>, EndpointSubset)| {
        let ports: Vec<_> = ports.into_iter().map(port).collect();
        subset.ports = (!ports.is_empty()).then_some(ports);
        for side in [&mut subset.addresses, &mut subset.not_ready_addresses].into_iter().flatten() {
            side.sort_by(|a, b| a.ip.cmp(&b.ip));
        }
        subset
    };
    let subsets: Vec<_> = by_ports.into_iter().map(finish).collect();
    ((!subsets.is_empty()).then_some(subsets), truncated)
}

fn address(facts: &Facts<'_>, backing: &Backing) -> EndpointAddress {
    EndpointAddress {
        hostname: backing.hostname(facts.service),
        ip: backing.address.clone(),
        node_name: backing.node_name(),
        target_ref: Some(backing.reference()),
    }
}

fn port(port: Port) -> EndpointPort {
    EndpointPort {
        name: Some(port.name).filter(|name| !name.is_empty()),
        port: port.number,
        protocol: Some(port.protocol),
        app_protocol: port.app_protocol,
    }
}
