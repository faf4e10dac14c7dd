//! Slices of Endpoints that somebody wrote by hand: for a Service without a selector, what stands
//! in its Endpoints is repeated in EndpointSlices, for readers that know only those.
//!
//! In: Services and Endpoints, from caches. Out: slices that belong to the Endpoints, one per
//! address family and set of ports, and an event about what has no room. Slices of others are
//! never touched. Follows upstream's `pkg/controller/endpointslicemirroring`.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use k8s_openapi::{
    api::{
        core::v1::{self, EndpointAddress, EndpointSubset, Endpoints, Service},
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use nodeplane_api::meta::Key;
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    recorder::{Recorder, Severity},
    write::{Hands, Write, WriteError},
};
use tokio_util::sync::CancellationToken;

use super::{
    MANAGED_BY, SERVICE_NAME, TRIGGER_TIME, row, service_of,
    slices::{self, PortsKey, deletion, identity, ports_key, some_ports},
};
use crate::controllers::{caches::Caches, ownership};

/// Us, as the writer of a slice.
pub(super) const US: &str = "endpointslicemirroring-controller.k8s.io";
/// Marks Endpoints that are not to be repeated.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Marks an object that old clients elect a leader by; it changes all the time.
const ELECTION: &str = "control-plane.alpha.kubernetes.io/leader";
/// What `kubectl apply` remembers in an object; it is about that object alone.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The most addresses of one subset that are repeated, and the most endpoints of one slice;
/// upstream's default for both.
const MOST: usize = 1000;

/// Runs the controller until `shutdown`.
pub(super) async fn run(hands: Hands, caches: Caches, recorder: Recorder, shutdown: CancellationToken) {
    let controller = Controller::new("endpoints-mirror", hands)
        .on(&caches.services, |service: &Service| vec![Key::of_meta(&service.metadata)])
        .on(&caches.endpoints, |endpoints: &Endpoints| vec![Key::of_meta(&endpoints.metadata)])
        .on(&caches.endpoint_slices, |slice: &EndpointSlice| service_of(slice, US).into_iter().collect());
    controller.run(1, Mirror { caches, recorder }, shutdown).await;
}

struct Mirror {
    caches: Caches,
    recorder: Recorder,
}

impl Reconcile for Mirror {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let (service, endpoints) = (self.caches.services.get(key), self.caches.endpoints.get(key));
        let slices = super::slices_of(&self.caches, key, US);
        let Some(endpoints) = endpoints.filter(|endpoints| is_mirrored(service.as_deref(), endpoints)) else {
            apply.all(&slices::delete(&slices)).await?;
            return Ok(Next::Wait);
        };
        let (writes, skipped) = plan(&endpoints, &slices);
        if skipped.too_many > 0 && !writes.is_empty() {
            let message = format!(
                "A max of {MOST} addresses can be mirrored to EndpointSlices per Endpoints subset. {} addresses were \
                 skipped",
                skipped.too_many
            );
            self.recorder.about(&*endpoints, Severity::Warning, "TooManyAddressesToMirror", message);
        }
        if skipped.invalid > 0 && !writes.is_empty() {
            let message = format!("Skipped {} invalid IP addresses when mirroring to EndpointSlices", skipped.invalid);
            self.recorder.about(&*endpoints, Severity::Warning, "InvalidIPAddress", message);
        }
        apply.all(&writes).await?;
        Ok(Next::Wait)
    }
}

/// Whether slices repeat these Endpoints: their Service is there and selects nothing by itself.
fn is_mirrored(service: Option<&Service>, endpoints: &Endpoints) -> bool {
    let selector = |service: &Service| service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
    let is_skipped = endpoints.labels().get(SKIP).map(String::as_str) == Some("true")
        || endpoints.annotations().contains_key(ELECTION);
    service.is_some_and(|service| selector(service).is_empty())
        && !is_skipped
        && endpoints.metadata.deletion_timestamp.is_none()
}

/// Addresses that no slice repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Skipped {
    too_many: usize,
    invalid: usize,
}

/// What makes the slices repeat the Endpoints. Slices grow before others go.
fn plan(endpoints: &Endpoints, existing: &[Arc<EndpointSlice>]) -> (Vec<Write>, Skipped) {
    let (mine, mut excess): (Vec<_>, Vec<_>) = existing.iter().partition(|slice| is_usable(slice, endpoints));
    let mut by_group: BTreeMap<(&str, PortsKey), Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in mine {
        let group = (slice.address_type.as_str(), ports_key(slice.ports.as_deref().unwrap_or_default()));
        by_group.entry(group).or_default().push(slice);
    }
    let (desired, skipped) = desired(endpoints);
    let mut writes = Vec::new();
    let mut empty: Vec<&EndpointSlice> = Vec::new();
    for ((family, key), group) in desired {
        let mut slices = by_group.remove(&(family, key)).unwrap_or_default();
        slices.sort_by_key(|slice| slice.name_any());
        let packed = slices::pack(&slices, group.endpoints, MOST);
        writes.extend(packed.kept.into_iter().filter_map(|(slice, held)| update(endpoints, slice, held)));
        writes.extend(packed.new.into_iter().map(|held| create(endpoints, family, &group.ports, held)));
        empty.extend(packed.empty);
    }
    let leftover = by_group.into_values().flatten().chain(empty);
    writes.extend(leftover.chain(excess.drain(..).map(|slice| &**slice)).map(deletion));
    (writes, skipped)
}

/// Whether a slice belongs to these very Endpoints and not to earlier ones of the same name.
fn is_usable(slice: &EndpointSlice, endpoints: &Endpoints) -> bool {
    let owner = ownership::controller_of(&slice.metadata);
    slice.metadata.deletion_timestamp.is_none()
        && owner.is_some_and(|owner| Some(&owner.uid) == endpoints.metadata.uid.as_ref())
}

/// What slices of one family and one set of ports hold.
#[derive(Default)]
struct Group {
    ports: Vec<EndpointPort>,
    endpoints: Vec<Endpoint>,
}

fn desired(endpoints: &Endpoints) -> (BTreeMap<(&'static str, PortsKey), Group>, Skipped) {
    let mut groups: BTreeMap<(&'static str, PortsKey), Group> = BTreeMap::new();
    let mut skipped = Skipped::default();
    for subset in endpoints.subsets.iter().flatten() {
        let ports: Vec<_> = subset.ports.iter().flatten().map(port).collect();
        let all = addresses(subset);
        skipped.too_many += all.clone().count().saturating_sub(MOST);
        for (address, ready) in all.take(MOST) {
            let Some(family) = family(&address.ip) else {
                skipped.invalid += 1;
                continue;
            };
            let group = groups.entry((family, ports_key(&ports))).or_default();
            group.ports.clone_from(&ports);
            group.endpoints.push(endpoint(address, ready));
        }
    }
    for group in groups.values_mut() {
        without_repetitions(&mut group.endpoints);
    }
    (groups, skipped)
}

/// The addresses of a subset, those that serve first.
fn addresses(subset: &EndpointSubset) -> impl Iterator<Item = (&EndpointAddress, bool)> + Clone {
    let ready = subset.addresses.iter().flatten().map(|address| (address, true));
    ready.chain(subset.not_ready_addresses.iter().flatten().map(|address| (address, false)))
}

fn family(ip: &str) -> Option<&'static str> {
    Some(match ip.parse().ok()? {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    })
}

/// Of what is named twice, the first stays: the one that serves.
fn without_repetitions(endpoints: &mut Vec<Endpoint>) {
    let owned = |endpoint: &Endpoint| {
        let (target, addresses) = identity(endpoint);
        (target.map(str::to_owned), addresses.to_vec())
    };
    let mut seen = HashSet::new();
    endpoints.retain(|endpoint| seen.insert(owned(endpoint)));
}

fn endpoint(address: &EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone().filter(|hostname| !hostname.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

fn port(port: &v1::EndpointPort) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        app_protocol: port.app_protocol.clone(),
    }
}

fn update(endpoints: &Endpoints, slice: &EndpointSlice, held: Vec<Endpoint>) -> Option<Write> {
    let (labels, annotations) = (labels(endpoints), annotations(endpoints));
    if slice.endpoints == held && *slice.labels() == labels && *slice.annotations() == annotations {
        return None;
    }
    let mut slice = EndpointSlice { endpoints: held, ..slice.clone() };
    slice.metadata.labels = Some(labels);
    slice.metadata.annotations = Some(annotations);
    Some(Write::replace(row::<EndpointSlice>(), None, &slice))
}

fn create(endpoints: &Endpoints, family: &str, ports: &[EndpointPort], held: Vec<Endpoint>) -> Write {
    let metadata = ObjectMeta {
        generate_name: Some(format!("{}-", endpoints.name_any())),
        namespace: endpoints.namespace(),
        labels: Some(labels(endpoints)),
        annotations: Some(annotations(endpoints)),
        owner_references: Some(vec![ownership::controller_reference(endpoints)]),
        ..ObjectMeta::default()
    };
    let slice = EndpointSlice { address_type: family.to_owned(), endpoints: held, metadata, ports: some_ports(ports) };
    Write::create(row::<EndpointSlice>(), &slice)
}

/// The labels of the Endpoints, and those of a slice.
fn labels(endpoints: &Endpoints) -> BTreeMap<String, String> {
    let mut labels = endpoints.labels().clone();
    labels.insert(SERVICE_NAME.to_owned(), endpoints.name_any());
    labels.insert(MANAGED_BY.to_owned(), US.to_owned());
    labels
}

/// The annotations of the Endpoints that hold for a slice, too.
fn annotations(endpoints: &Endpoints) -> BTreeMap<String, String> {
    let mut annotations = endpoints.annotations().clone();
    annotations.retain(|name, _| ![TRIGGER_TIME, LAST_APPLIED].contains(&name.as_str()));
    annotations
}

#[cfg(test)]
mod tests;
