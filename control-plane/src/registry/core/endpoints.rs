//! Endpoints and EndpointSlices (upstream `ValidateEndpoints`, `ValidateEndpointSlice`).

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use super::service::check_protocol;
use crate::registry::{
    Strategy,
    fields::{At, each, fill},
    metadata::check_immutable,
};

const MAX_ENDPOINTS: usize = 1000;
const MAX_PORTS: usize = 20_000;
const MAX_ADDRESSES: usize = 100;
const BAD_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/// The strategy of Endpoints.
pub(super) struct EndpointsStrategy;

impl Strategy for EndpointsStrategy {
    fn default(&self, endpoints: &mut Value) {
        for subset in each(endpoints, "subsets") {
            for port in each(subset, "ports") {
                fill(port, "protocol", "TCP");
            }
        }
    }

    fn validate(&self, endpoints: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        for subset in At::root(endpoints).field("subsets").items() {
            check_subset(&subset, &mut errors);
        }
        errors
    }
}

fn check_subset(subset: &At<'_>, errors: &mut FieldErrors) {
    let (ready, others) = (subset.field("addresses"), subset.field("notReadyAddresses"));
    if ready.len() + others.len() == 0 {
        errors.required(subset.path.clone(), "must specify `addresses` or `notReadyAddresses`");
    }
    for address in ready.items().chain(others.items()) {
        let ip = address.field("ip");
        match ip.text().parse::<IpAddr>() {
            Err(_) => errors.invalid(ip.path.clone(), ip.text(), BAD_ADDRESS),
            Ok(found) => refuse_special(&ip, found, errors),
        }
        let host = address.field("hostname");
        if !host.text().is_empty() {
            for words in names::label_1123(host.text()) {
                errors.invalid(host.path.clone(), host.text(), words);
            }
        }
    }
    let ports = subset.field("ports");
    for port in ports.items() {
        let name = port.field("name");
        match name.text() {
            "" if ports.len() > 1 => errors.required(name.path, ""),
            "" => {}
            text => {
                for words in names::label_1123(text) {
                    errors.invalid(name.path.clone(), text, words);
                }
            }
        }
        let number = port.field("port");
        for words in names::port_number(number.integer().unwrap_or(0)) {
            errors.invalid(number.path.clone(), number.integer().unwrap_or(0), words);
        }
        check_protocol(&port.field("protocol"), errors);
    }
}

/// Refuses addresses that nobody else can reach.
pub(super) fn refuse_special(at: &At<'_>, address: IpAddr, errors: &mut FieldErrors) {
    let refused = if address.is_unspecified() {
        format!("may not be unspecified ({address})")
    } else if address.is_loopback() {
        "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()
    } else if is_link_local(address) {
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()
    } else if is_link_local_multicast(address) {
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned()
    } else {
        return;
    };
    errors.invalid(at.path.clone(), at.value.clone(), refused);
}

fn is_link_local_multicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
        IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The strategy of EndpointSlices.
pub(in crate::registry) struct EndpointSliceStrategy;

impl Strategy for EndpointSliceStrategy {
    fn counts_generations(&self) -> bool {
        true
    }

    fn default(&self, slice: &mut Value) {
        for port in each(slice, "ports") {
            if port.get("name").is_none() {
                port["name"] = "".into();
            }
            fill(port, "protocol", "TCP");
        }
    }

    fn validate(&self, slice: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let root = At::root(slice);
        let kind = root.field("addressType");
        match kind.text() {
            "" => errors.required(kind.path.clone(), ""),
            "IPv4" | "IPv6" | "FQDN" => {}
            other => errors.not_supported(kind.path.clone(), other, &["FQDN", "IPv4", "IPv6"]),
        }
        let endpoints = root.field("endpoints");
        if endpoints.len() > MAX_ENDPOINTS {
            errors.too_many(endpoints.path.clone(), endpoints.len(), MAX_ENDPOINTS);
        }
        for endpoint in endpoints.items().take(MAX_ENDPOINTS) {
            check_endpoint(&endpoint, kind.text(), &mut errors);
        }
        check_slice_ports(&root.field("ports"), &mut errors);
        errors
    }

    fn validate_update(&self, slice: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let (now, before) = (At::root(slice).field("addressType"), At::root(old).field("addressType"));
        check_immutable(&now, &before, &mut errors);
        errors
    }
}

fn check_endpoint(endpoint: &At<'_>, kind: &str, errors: &mut FieldErrors) {
    let addresses = endpoint.field("addresses");
    match addresses.len() {
        0 => errors.required(addresses.path.clone(), "must contain at least 1 address"),
        count if count > MAX_ADDRESSES => errors.too_many(addresses.path.clone(), count, MAX_ADDRESSES),
        _ => {}
    }
    for address in addresses.items() {
        let text = address.text();
        let parsed = text.parse::<IpAddr>();
        match (kind, parsed) {
            ("IPv4", _) if text.parse::<Ipv4Addr>().is_err() => {
                errors.invalid(address.path, text, "must be a valid IPv4 address");
            }
            ("IPv6", _) if text.parse::<Ipv6Addr>().is_err() => {
                errors.invalid(address.path, text, "must be a valid IPv6 address");
            }
            ("IPv4" | "IPv6", Ok(found)) => refuse_special(&address, found, errors),
            ("FQDN", _) => {
                for words in names::subdomain(text) {
                    errors.invalid(address.path.clone(), text, words);
                }
            }
            _ => {}
        }
    }
    for (field, rule) in [("nodeName", names::subdomain as fn(&str) -> Vec<String>), ("hostname", names::label_1123)] {
        let at = endpoint.field(field);
        if at.is_set() {
            for words in rule(at.text()) {
                errors.invalid(at.path.clone(), at.text(), words);
            }
        }
    }
}

fn check_slice_ports(ports: &At<'_>, errors: &mut FieldErrors) {
    if ports.len() > MAX_PORTS {
        errors.too_many(ports.path.clone(), ports.len(), MAX_PORTS);
        return;
    }
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let name = port.field("name");
        if !name.text().is_empty() {
            for words in names::label_1123(name.text()) {
                errors.invalid(name.path.clone(), name.text(), words);
            }
        }
        if !seen.insert(name.text()) {
            errors.duplicate(name.path.clone(), name.text());
        }
        check_protocol(&port.field("protocol"), errors);
        let app_protocol = port.field("appProtocol");
        if app_protocol.is_set() {
            for words in names::qualified(app_protocol.text()) {
                errors.invalid(app_protocol.path.clone(), app_protocol.text(), words);
            }
        }
    }
}
