//! NetworkPolicies (upstream `ValidateNetworkPolicy`).

use std::net::IpAddr;

use nodeplane_api::{names, status::FieldErrors};
use serde_json::{Value, json};

use crate::registry::{
    Strategy,
    fields::{At, each, fill, object_mut},
    pod_template::refuse_all,
    workload::check_label_selector,
};

const TYPES: [&str; 2] = ["Ingress", "Egress"];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// The strategy of NetworkPolicies.
pub(super) struct NetworkPolicyStrategy;

impl Strategy for NetworkPolicyStrategy {
    fn default(&self, policy: &mut Value) {
        let Some(spec) = object_mut(policy, "spec") else { return };
        for rules in ["ingress", "egress"] {
            for rule in each(spec, rules) {
                each(rule, "ports").for_each(|port| fill(port, "protocol", "TCP"));
            }
        }
        let is_empty = |field: &str| spec[field].as_array().is_none_or(Vec::is_empty);
        if is_empty("policyTypes") {
            spec["policyTypes"] = if is_empty("egress") { json!(["Ingress"]) } else { json!(TYPES) };
        }
    }

    fn counts_generations(&self) -> bool {
        true
    }

    fn validate(&self, policy: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(policy).field("spec");
        check_label_selector(&spec.field("podSelector"), &mut errors);
        for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
            for rule in spec.field(rules).items() {
                rule.field("ports").items().for_each(|port| check_port(&port, &mut errors));
                rule.field(peers).items().for_each(|peer| check_peer(&peer, &mut errors));
            }
        }
        check_types(&spec.field("policyTypes"), &mut errors);
        errors
    }
}

fn check_types(types: &At<'_>, errors: &mut FieldErrors) {
    if types.len() > TYPES.len() {
        let given: Vec<String> = types.items().map(|kind| format!("{:?}", kind.text())).collect();
        let shown = format!("[]networking.PolicyType{{{}}}", given.join(", "));
        errors.invalid_shown(types.path.clone(), shown, "may not specify more than two policyTypes");
        return;
    }
    for kind in types.items().filter(|kind| !TYPES.contains(&kind.text())) {
        errors.not_supported(kind.path.clone(), kind.text(), &TYPES);
    }
}

fn check_port(rule: &At<'_>, errors: &mut FieldErrors) {
    let protocol = rule.field("protocol");
    if protocol.is_set() && !PROTOCOLS.contains(&protocol.text()) {
        errors.not_supported(protocol.path.clone(), protocol.text(), &PROTOCOLS);
    }
    let (port, end) = (rule.field("port"), rule.field("endPort"));
    match (port.value, end.integer()) {
        (Value::Number(_), last) => {
            let first = port.integer().unwrap_or(0);
            refuse_all(&port, names::port_number(first), errors);
            let Some(last) = last else { return };
            if last < first {
                errors.invalid(end.path.clone(), last, "must be greater than or equal to `port`");
            }
            refuse_all(&end, names::port_number(last), errors);
        }
        (Value::String(name), last) => {
            if let Some(last) = last {
                errors.invalid(end.path, last, "may not be specified when `port` is non-numeric");
            }
            refuse_all(&port, names::port_name(name), errors);
        }
        (_, Some(last)) => errors.invalid(end.path, last, "may not be specified when `port` is not specified"),
        (_, None) => {}
    }
}

fn check_peer(peer: &At<'_>, errors: &mut FieldErrors) {
    let selectors = ["podSelector", "namespaceSelector"].map(|field| peer.field(field));
    let block = peer.field("ipBlock");
    for selector in selectors.iter().filter(|selector| selector.is_set()) {
        check_label_selector(selector, errors);
    }
    if block.is_set() {
        check_block(&block, errors);
    }
    let has_selector = selectors.iter().any(At::is_set);
    match (has_selector, block.is_set()) {
        (false, false) => errors.required(peer.path.clone(), "must specify a peer"),
        (true, true) => errors.forbidden(peer.path.clone(), "may not specify both ipBlock and another peer"),
        _ => {}
    }
}

fn check_block(block: &At<'_>, errors: &mut FieldErrors) {
    let whole = block.field("cidr");
    if whole.text().is_empty() {
        errors.required(whole.path, "");
        return;
    }
    let Some(range) = check_range(&whole, errors) else { return };
    for except in block.field("except").items() {
        let Some(part) = check_range(&except, errors) else { continue };
        if !contains(range, part.0) || part.1 <= range.1 {
            errors.invalid(except.path.clone(), except.text(), "must be a strict subset of `cidr`");
        }
    }
}

/// An address and how many of its bits count.
type Range = (IpAddr, u32);

fn check_range(range: &At<'_>, errors: &mut FieldErrors) -> Option<Range> {
    let parsed = range.text().split_once('/').and_then(|(address, length)| {
        let (address, length) = (address.parse::<IpAddr>().ok()?, length.parse::<u32>().ok()?);
        (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length))
    });
    if parsed.is_none() {
        let words = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        errors.invalid(range.path.clone(), range.text(), words);
    }
    parsed
}

fn contains((network, length): Range, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let bits = u32::from(network) ^ u32::from(address);
            bits.checked_shr(32 - length).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let bits = u128::from(network) ^ u128::from(address);
            bits.checked_shr(128 - length).unwrap_or(0) == 0
        }
        _ => false,
    }
}
