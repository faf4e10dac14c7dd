//! EndpointSlices of a service: which endpoints, packed with few writes. Pure. Follows upstream's
//! `staging/src/k8s.io/endpointslice/reconciler.go`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use k8s_openapi::{
    api::{
        core::v1::Service,
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use nodeplane_api::meta::Key;
use nodeplane_client::write::Write;

use super::{
    MANAGED_BY, SERVICE_NAME, TRIGGER_TIME, US,
    facts::{self, Backing, Facts, Port},
    row,
};
use crate::controllers::{ownership, pod_facts};

/// The most endpoints of a slice; upstream's default.
const MOST: usize = 100;

type Endpoints = Vec<Endpoint>;

/// What makes the slices of a service as they should be. Slices grow before others go, so that
/// no endpoint is missing in between.
pub(super) fn plan(facts: &Facts<'_>, existing: &[Arc<EndpointSlice>]) -> Vec<Write> {
    if !facts::is_ours(facts.service) {
        return Vec::new();
    }
    let (mine, excess): (Vec<_>, Vec<_>) = existing.iter().partition(|slice| is_usable(slice, facts.service));
    let mut by_ports: BTreeMap<PortsKey, Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in mine {
        by_ports.entry(ports_key(slice.ports.as_deref().unwrap_or_default())).or_default().push(slice);
    }
    let (mut writes, mut empty) = (Vec::new(), Vec::new());
    for (ports, endpoints) in desired(facts) {
        let mut slices = by_ports.remove(&ports_key(&ports)).unwrap_or_default();
        slices.sort_by_key(|slice| slice.name_any());
        let packed = pack(&slices, endpoints, MOST);
        for (slice, endpoints) in packed.kept {
            writes.extend(update(facts, slice, &ports, endpoints));
        }
        writes.extend(packed.new.into_iter().map(|endpoints| create(facts, &ports, endpoints)));
        empty.extend(packed.empty);
    }
    let leftover = by_ports.into_values().flatten().chain(empty);
    writes.extend(excess.into_iter().map(|slice| &**slice).chain(leftover).map(deletion));
    writes
}

/// What removes all slices of a service that is gone.
pub(super) fn delete(existing: &[Arc<EndpointSlice>]) -> Vec<Write> {
    existing.iter().map(|slice| deletion(slice)).collect()
}

pub(super) fn deletion(slice: &EndpointSlice) -> Write {
    Write::delete(row::<EndpointSlice>(), Key::of_meta(&slice.metadata), slice.uid().unwrap_or_default())
}

/// Whether a slice belongs to this very service and not to an earlier one of the same name.
fn is_usable(slice: &EndpointSlice, service: &Service) -> bool {
    slice.address_type == "IPv4"
        && slice.metadata.deletion_timestamp.is_none()
        && slice
            .metadata
            .owner_references
            .iter()
            .flatten()
            .any(|owner| Some(&owner.uid) == service.metadata.uid.as_ref())
}

/// Ports in an order of their own, to compare them by.
pub(super) type PortsKey = Vec<(Option<String>, Option<i32>, Option<String>, Option<String>)>;

pub(super) fn ports_key(ports: &[EndpointPort]) -> PortsKey {
    let key = |port: &EndpointPort| (port.name.clone(), port.port, port.protocol.clone(), port.app_protocol.clone());
    let mut keys: Vec<_> = ports.iter().map(key).collect();
    keys.sort();
    keys
}

/// The endpoints by their ports: pods may differ in what a named port means. A service without
/// any endpoint has one empty group.
fn desired(facts: &Facts<'_>) -> Vec<(Vec<EndpointPort>, Endpoints)> {
    let mut groups: BTreeMap<Vec<Port>, Endpoints> = BTreeMap::new();
    for backing in facts.backing {
        groups.entry(backing.ports(facts.service)).or_default().push(endpoint(facts.service, backing));
    }
    if groups.is_empty() {
        return vec![(Vec::new(), Vec::new())];
    }
    groups.into_iter().map(|(ports, endpoints)| (ports.into_iter().map(port).collect(), endpoints)).collect()
}

fn port(port: Port) -> EndpointPort {
    EndpointPort {
        name: Some(port.name),
        port: Some(port.number),
        protocol: Some(port.protocol),
        app_protocol: port.app_protocol,
    }
}

fn endpoint(service: &Service, backing: &Backing) -> Endpoint {
    let serving = pod_facts::is_ready(&backing.pod);
    let terminating = pod_facts::is_terminating(&backing.pod);
    Endpoint {
        addresses: vec![backing.address.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(facts::publishes_not_ready(service) || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: backing.hostname(service),
        node_name: backing.node_name(),
        target_ref: Some(backing.reference()),
        zone: backing.zone.clone(),
        ..Endpoint::default()
    }
}

/// Endpoints shared out to slices.
pub(super) struct Packed<'a> {
    /// Existing slices with what they shall hold.
    pub(super) kept: Vec<(&'a EndpointSlice, Endpoints)>,
    /// New slices.
    pub(super) new: Vec<Endpoints>,
    /// Existing slices that hold nothing any more.
    pub(super) empty: Vec<&'a EndpointSlice>,
}

/// Which endpoint this is, whatever its state.
pub(super) fn identity(endpoint: &Endpoint) -> (Option<&str>, &[String]) {
    (endpoint.target_ref.as_ref().and_then(|target| target.uid.as_deref()), &endpoint.addresses)
}

/// Shares endpoints out, `most` to a slice: each stays where it is; new ones go where a write is
/// due anyway, then where there is room, then into new slices.
pub(super) fn pack<'a>(existing: &[&'a EndpointSlice], endpoints: Endpoints, most: usize) -> Packed<'a> {
    let places = places(existing, &endpoints, most);
    let mut endpoints: Vec<_> = endpoints.into_iter().map(Some).collect();
    let mut take = |places: Vec<usize>| places.into_iter().filter_map(|at| endpoints[at].take()).collect();
    let mut kept: Vec<(_, Endpoints)> = existing.iter().copied().zip(places.into_iter().map(&mut take)).collect();
    let mut order: Vec<_> = (0..kept.len()).collect();
    order.sort_by_key(|slice| {
        let (before, now) = &kept[*slice];
        (before.endpoints == *now, std::cmp::Reverse(now.len()))
    });
    let mut unplaced = endpoints.into_iter().flatten();
    for slice in order {
        let room = most.saturating_sub(kept[slice].1.len());
        kept[slice].1.extend(unplaced.by_ref().take(room));
    }
    let unplaced: Endpoints = unplaced.collect();
    let new: Vec<_> = unplaced.chunks(most).map(<[_]>::to_vec).collect();
    let (mut kept, empty): (Vec<_>, Vec<_>) = kept.into_iter().partition(|(_, endpoints)| !endpoints.is_empty());
    let mut empty = empty.into_iter();
    if kept.is_empty() && new.is_empty() {
        // A service without endpoints keeps one slice that says so.
        kept.extend(empty.next());
        let new = if kept.is_empty() { vec![Vec::new()] } else { Vec::new() };
        return Packed { kept, new, empty: empty.map(|(slice, _)| slice).collect() };
    }
    Packed { kept, new, empty: empty.map(|(slice, _)| slice).collect() }
}

/// For each slice, which of the endpoints are in it already, in its order.
fn places(existing: &[&EndpointSlice], endpoints: &[Endpoint], most: usize) -> Vec<Vec<usize>> {
    let mut unplaced: HashMap<_, Vec<usize>> = HashMap::with_capacity(endpoints.len());
    for (at, endpoint) in endpoints.iter().enumerate().rev() {
        unplaced.entry(identity(endpoint)).or_default().push(at);
    }
    let mut places = Vec::with_capacity(existing.len());
    for slice in existing {
        let held = slice.endpoints.iter().take(most);
        places.push(held.filter_map(|old| unplaced.get_mut(&identity(old))?.pop()).collect());
    }
    places
}

fn update(facts: &Facts<'_>, slice: &EndpointSlice, ports: &[EndpointPort], endpoints: Endpoints) -> Option<Write> {
    let labels = labels(facts.service);
    if slice.endpoints == endpoints && *slice.labels() == labels {
        return None;
    }
    let mut slice = EndpointSlice { endpoints, ports: some_ports(ports), ..slice.clone() };
    slice.metadata.labels = Some(labels);
    note_trigger(facts, &mut slice.metadata);
    Some(Write::replace(row::<EndpointSlice>(), None, &slice))
}

fn create(facts: &Facts<'_>, ports: &[EndpointPort], endpoints: Endpoints) -> Write {
    let mut metadata = ObjectMeta {
        generate_name: Some(format!("{}-", facts.service.name_any())),
        namespace: facts.service.namespace(),
        labels: Some(labels(facts.service)),
        owner_references: Some(vec![ownership::controller_reference(facts.service)]),
        ..ObjectMeta::default()
    };
    note_trigger(facts, &mut metadata);
    let slice = EndpointSlice { address_type: "IPv4".to_owned(), endpoints, metadata, ports: some_ports(ports) };
    Write::create(row::<EndpointSlice>(), &slice)
}

pub(super) fn some_ports(ports: &[EndpointPort]) -> Option<Vec<EndpointPort>> {
    (!ports.is_empty()).then(|| ports.to_vec())
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = facts::labels(service);
    labels.insert(SERVICE_NAME.to_owned(), service.name_any());
    labels.insert(MANAGED_BY.to_owned(), US.to_owned());
    labels
}

fn note_trigger(facts: &Facts<'_>, meta: &mut ObjectMeta) {
    if let Some(time) = facts::trigger_time(facts) {
        meta.annotations.get_or_insert_default().insert(TRIGGER_TIME.to_owned(), time);
    }
}
