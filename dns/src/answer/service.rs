//! What a service, its endpoints and its ports have: A, AAAA, SRV and CNAME.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hickory_proto::rr::{Name, RData, Record, RecordType, rdata};

use super::{Found, address_record_of, record, ttl, under};
use crate::{
    reply::address_record,
    zone::{
        Entry, Zone,
        entry::{self, Body, Endpoint},
        facts::{Port, Protocol},
    },
};

/// `service.namespace.svc`.
pub(super) fn at_service(zone: &Zone, name: &Name, key: &str, wanted: RecordType) -> Found {
    let Some(entry) = zone.service(key).filter(|entry| entry.exists()) else { return Found::NoName };
    match (entry.body(), wanted) {
        (Body::External(target), _) => Found::Alias((**target).clone()),
        (Body::ClusterIp { addresses, .. }, RecordType::A | RecordType::AAAA) => {
            address_records(zone, name, addresses.iter().copied(), wanted)
        }
        (Body::Headless, RecordType::A | RecordType::AAAA) => {
            address_records(zone, name, entry.endpoints().map(Endpoint::address), wanted)
        }
        (_, RecordType::SRV) => srv_records(zone, name, name, &targets(entry, |_| true)),
        _ => Found::NoData,
    }
}

/// `endpoint.service.namespace.svc`, also for services with a cluster address.
pub(super) fn at_endpoint(zone: &Zone, name: &Name, key: &str, label: &[u8], wanted: RecordType) -> Found {
    let Some(entry) = zone.service(key) else { return Found::NoName };
    let called = Called::new(label);
    if !entry.endpoints().any(|endpoint| called.is(endpoint)) {
        return Found::NoName;
    }
    match wanted {
        RecordType::A | RecordType::AAAA => {
            let endpoints = entry.endpoints().filter(|endpoint| called.is(endpoint));
            address_records(zone, name, endpoints.map(Endpoint::address), wanted)
        }
        RecordType::SRV => {
            let targets = endpoint_targets(entry, |_| true, |endpoint| called.is(endpoint));
            srv_records(zone, name, &name.base_name(), &targets)
        }
        _ => Found::NoData,
    }
}

/// `_proto.service.namespace.svc`: exists when a named port of that protocol is below it.
pub(super) fn at_protocol(zone: &Zone, key: &str, protocol: Protocol) -> Found {
    let named = |port: &Port| !port.name.is_empty() && port.protocol == protocol;
    Found::existing(zone.service(key).is_some_and(|entry| !targets(entry, named).is_empty()))
}

/// `_port._proto.service.namespace.svc`: named ports only.
pub(super) fn at_port(
    zone: &Zone,
    name: &Name,
    key: &str,
    port: &str,
    protocol: Protocol,
    wanted: RecordType,
) -> Found {
    let Some(entry) = zone.service(key) else { return Found::NoName };
    let targets = targets(entry, |known| *known.name == *port && known.protocol == protocol);
    if targets.is_empty() {
        return Found::NoName;
    }
    match wanted {
        RecordType::SRV => srv_records(zone, name, &name.base_name().base_name(), &targets),
        _ => Found::NoData,
    }
}

/// One address and port behind a service; without a label it is the service's own.
struct Target {
    label: Option<String>,
    address: IpAddr,
    port: u16,
}

/// What the label of a question asks an endpoint to be called.
struct Called<'a> {
    label: &'a [u8],
    /// The address that the label spells, to compare without writing every endpoint's out.
    address: Option<IpAddr>,
}

impl<'a> Called<'a> {
    fn new(label: &'a [u8]) -> Self {
        let address = entry::undashed(label);
        let canonical = address.filter(|address| label.eq_ignore_ascii_case(entry::dashed(*address).as_bytes()));
        Self { label, address: canonical }
    }

    fn is(&self, endpoint: &Endpoint) -> bool {
        match endpoint.hostname() {
            Some(hostname) => self.label.eq_ignore_ascii_case(hostname.as_bytes()),
            None => self.address == Some(endpoint.address()),
        }
    }
}

/// Each address of the wanted family once.
fn address_records(zone: &Zone, name: &Name, addresses: impl Iterator<Item = IpAddr>, wanted: RecordType) -> Found {
    let addresses: BTreeSet<IpAddr> = addresses.filter(|address| address_record_of(wanted, *address)).collect();
    Found::records(addresses.into_iter().map(|address| address_record(name, ttl(zone), address)).collect())
}

fn targets(entry: &Entry, wanted: impl Fn(&Port) -> bool) -> Vec<Target> {
    match entry.body() {
        Body::ClusterIp { addresses, ports } => addresses
            .iter()
            .flat_map(|address| ports.iter().map(move |port| (*address, port)))
            .filter(|(_, port)| wanted(port))
            .map(|(address, port)| Target { label: None, address, port: port.number })
            .collect(),
        Body::Headless => endpoint_targets(entry, wanted, |_| true),
        Body::External(_) => Vec::new(),
    }
}

fn endpoint_targets(entry: &Entry, wanted: impl Fn(&Port) -> bool, chosen: impl Fn(&Endpoint) -> bool) -> Vec<Target> {
    let mut targets = Vec::new();
    for group in entry.groups() {
        for endpoint in group.endpoints.iter().filter(|endpoint| chosen(endpoint)) {
            let of_port =
                |port: &Port| Target { label: Some(endpoint.label()), address: endpoint.address(), port: port.number };
            targets.extend(group.ports.iter().filter(|port| wanted(port)).map(of_port));
        }
    }
    targets
}

/// One record for each name and port, with the addresses of the names. `service` is the name of
/// the service as it was asked for. The weight is that of CoreDNS: an equal share of 100 for
/// each address and port, at least 1.
fn srv_records(zone: &Zone, owner: &Name, service: &Name, targets: &[Target]) -> Found {
    let weight = u16::try_from(100 / targets.len().max(1)).unwrap_or(100).max(1);
    let mut ports: BTreeSet<(Option<&str>, u16)> = BTreeSet::new();
    let mut addresses: BTreeMap<Option<&str>, BTreeSet<IpAddr>> = BTreeMap::new();
    for Target { label, address, port } in targets {
        ports.insert((label.as_deref(), *port));
        addresses.entry(label.as_deref()).or_default().insert(*address);
    }
    let name_of = |label: Option<&str>| label.map_or_else(|| Some(service.clone()), |label| under(label, service));
    let answers: Vec<Record> = ports
        .into_iter()
        .filter_map(|(label, port)| Some(rdata::SRV::new(0, weight, port, name_of(label)?)))
        .map(|data| record(owner, zone, RData::SRV(data)))
        .collect();
    if answers.is_empty() {
        return Found::NoData;
    }
    let mut additional = Vec::new();
    for (label, addresses) in addresses {
        let Some(name) = name_of(label) else { continue };
        additional.extend(addresses.into_iter().map(|address| address_record(&name, ttl(zone), address)));
    }
    Found::Records { answers, additional }
}
