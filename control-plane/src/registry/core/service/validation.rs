//! What is wrong with a Service (upstream `ValidateService` and `ValidateServiceUpdate`).

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use super::{
    super::{endpoints::refuse_special, node_ports::needs_health_check},
    is_externally_accessible,
    ports::{check_ports, check_reserved_ports},
};
use crate::registry::{fields::At, metadata::check_labels};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const BAD_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NOT_EXTERNAL: &str = "may only be set for externally-accessible services";
const ONLY_LOAD_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";

/// Everything wrong with a Service by itself.
pub(super) fn validate(service: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let spec = At::root(service).field("spec");
    check_type(&spec, &mut errors);
    check_ports(&spec, &mut errors);
    check_affinity(&spec, &mut errors);
    check_labels(&spec.field("selector"), &mut errors);
    check_cluster_ips(&spec, &mut errors);
    check_families(&spec, &mut errors);
    check_external(&spec, &mut errors);
    check_traffic(&spec, &mut errors);
    errors
}

/// Everything wrong with a change of a Service.
pub(super) fn validate_update(service: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let (spec, before) = (At::root(service).field("spec"), At::root(old).field("spec"));
    // A Service may turn headless or external and back only by changing its type.
    let both_have_type = |at: &At<'_>| at.field("type").text() != "ExternalName";
    if both_have_type(&spec) && both_have_type(&before) && before.field("clusterIP").is_set() {
        check_first_address_kept(&spec, &before, &mut errors);
    }
    let (class, old_class) = (spec.field("loadBalancerClass"), before.field("loadBalancerClass"));
    let is_balanced = |at: &At<'_>| at.field("type").text() == "LoadBalancer";
    if is_balanced(&spec) && is_balanced(&before) && class.value != old_class.value {
        errors.invalid(class.path, class.value.clone(), "may not change once set");
    }
    if needs_health_check(service) && needs_health_check(old) {
        let (now, before) = (spec.field("healthCheckNodePort"), before.field("healthCheckNodePort"));
        if now.integer() != before.integer() {
            errors.forbidden(now.path, "field is immutable");
        }
    }
    errors
}

fn check_first_address_kept(spec: &At<'_>, before: &At<'_>, errors: &mut FieldErrors) {
    let (now, old) = (spec.field("clusterIPs"), before.field("clusterIPs"));
    let first = |list: &At<'_>| list.value.get(0).cloned().unwrap_or_default();
    if first(&old).is_null() || first(&now) == first(&old) {
        return;
    }
    let path = format!("{}[0]", now.path);
    if first(&now).is_null() {
        errors.invalid_shown(path, "[]string(nil)", "primary clusterIP can not be unset");
    } else {
        errors.invalid(path, now.value.clone(), "may not change once set");
    }
}

fn check_type(spec: &At<'_>, errors: &mut FieldErrors) {
    let kind = spec.field("type");
    let cluster_ip = spec.field("clusterIP");
    match kind.text() {
        "" => errors.required(kind.path, ""),
        "LoadBalancer" | "NodePort" if cluster_ip.text() == "None" => {
            let words = format!("may not be set to 'None' for {} services", kind.text());
            errors.invalid("spec.clusterIPs[0]", "None", words);
        }
        "ExternalName" => check_external_name(spec, errors),
        "LoadBalancer" => check_reserved_ports(spec, errors),
        "ClusterIP" | "NodePort" => {}
        other => errors.not_supported(kind.path, other, &TYPES),
    }
}

fn check_external_name(spec: &At<'_>, errors: &mut FieldErrors) {
    let cluster_ips = spec.field("clusterIPs");
    if cluster_ips.len() > 0 || !matches!(spec.field("clusterIP").text(), "") {
        errors.forbidden(cluster_ips.path, "may not be set for ExternalName services");
    }
    for name in ["ipFamilies", "ipFamilyPolicy"] {
        let field = spec.field(name);
        if field.is_set() {
            errors.forbidden(field.path, "may not be set for ExternalName services");
        }
    }
    let name = spec.field("externalName");
    let plain = name.text().strip_suffix('.').unwrap_or(name.text());
    if plain.is_empty() {
        errors.required(name.path, "");
        return;
    }
    for words in names::subdomain(plain) {
        errors.invalid(name.path.clone(), name.text(), words);
    }
}

fn check_affinity(spec: &At<'_>, errors: &mut FieldErrors) {
    let affinity = spec.field("sessionAffinity");
    let config = spec.field("sessionAffinityConfig");
    match affinity.text() {
        "" => errors.required(affinity.path, ""),
        "ClientIP" => {
            let seconds = config.field("clientIP").field("timeoutSeconds");
            let value = seconds.integer().unwrap_or(0);
            if !(1..=86_400).contains(&value) {
                errors.invalid(seconds.path, value, "must be greater than 0 and less than 86400");
            }
        }
        "None" => {
            if config.is_set() {
                let words = "must not be set when session affinity is None";
                errors.forbidden(config.path, words);
            }
        }
        other => errors.not_supported(affinity.path, other, &["ClientIP", "None"]),
    }
}

fn check_cluster_ips(spec: &At<'_>, errors: &mut FieldErrors) {
    let (one, all) = (spec.field("clusterIP"), spec.field("clusterIPs"));
    if spec.field("type").text() == "ExternalName" {
        return;
    }
    if all.len() > 0 && all.value[0].as_str().unwrap_or_default() != one.text() {
        errors.invalid(all.path.clone(), all.value.clone(), "first value must match `clusterIP`");
    }
    if all.len() > 1 {
        errors.invalid(all.path.clone(), all.value.clone(), "may only hold one value: the cluster is not dual-stack");
    }
    for (index, address) in all.items().enumerate() {
        match address.text() {
            "None" if index == 0 => {}
            "None" => errors.invalid(address.path, "None", BAD_ADDRESS),
            text => check_address(&address, text, errors),
        }
    }
}

fn check_address(at: &At<'_>, text: &str, errors: &mut FieldErrors) {
    if text.parse::<IpAddr>().is_err() {
        errors.invalid(at.path.clone(), text, BAD_ADDRESS);
    } else if text.parse::<Ipv4Addr>().is_err() && at.path.starts_with("spec.clusterIPs") {
        errors.invalid(at.path.clone(), text, "expected an IPv4 value as indicated by `ipFamilies[0]`");
    }
}

fn check_families(spec: &At<'_>, errors: &mut FieldErrors) {
    if spec.field("type").text() == "ExternalName" {
        return;
    }
    let (policy, families) = (spec.field("ipFamilyPolicy"), spec.field("ipFamilies"));
    let is_headless_without_selector = spec.field("clusterIP").text() == "None" && spec.field("selector").len() == 0;
    match policy.text() {
        "" | "SingleStack" | "PreferDualStack" => {}
        "RequireDualStack" if is_headless_without_selector => {}
        "RequireDualStack" => {
            let words = "this cluster is not configured for dual-stack services";
            errors.invalid(policy.path.clone(), policy.text(), words);
        }
        other => {
            let supported = ["PreferDualStack", "RequireDualStack", "SingleStack"];
            errors.not_supported(policy.path, other, &supported);
        }
    }
    let mut seen = BTreeSet::new();
    for family in families.items() {
        match family.text() {
            "IPv4" => {}
            "IPv6" if is_headless_without_selector => {}
            "IPv6" => errors.invalid(family.path.clone(), "IPv6", "not configured on this cluster"),
            other => errors.not_supported(family.path.clone(), other, &["IPv4", "IPv6"]),
        }
        if !seen.insert(family.text()) {
            errors.duplicate(family.path.clone(), family.text());
        }
    }
}

fn check_external(spec: &At<'_>, errors: &mut FieldErrors) {
    let is_load_balancer = spec.field("type").text() == "LoadBalancer";
    for address in spec.field("externalIPs").items() {
        match address.text().parse() {
            Ok(found) => refuse_special(&address, found, errors),
            Err(_) => errors.invalid(address.path.clone(), address.text(), BAD_ADDRESS),
        }
    }
    // Upstream writes this path with a capital letter.
    let path = format!("{}.LoadBalancerSourceRanges", spec.path);
    let ranges = At { path, ..spec.field("loadBalancerSourceRanges") };
    if ranges.len() > 0 && !is_load_balancer {
        errors.forbidden(ranges.path.clone(), ONLY_LOAD_BALANCER);
    }
    for range in ranges.items().filter(|range| !is_cidr(range.text().trim())) {
        errors.invalid(
            range.path.clone(),
            range.text(),
            "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        );
    }
    let allocate = spec.field("allocateLoadBalancerNodePorts");
    match (is_load_balancer, allocate.is_set()) {
        (true, false) => errors.required(allocate.path, ""),
        (false, true) => errors.forbidden(allocate.path, ONLY_LOAD_BALANCER),
        _ => {}
    }
    let class = spec.field("loadBalancerClass");
    if class.is_set() && !is_load_balancer {
        errors.forbidden(class.path.clone(), ONLY_LOAD_BALANCER);
    }
    for words in class.value.as_str().map(names::qualified).unwrap_or_default() {
        errors.invalid(class.path.clone(), class.text(), words);
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    match (address.parse::<IpAddr>(), length.parse::<u8>()) {
        (Ok(IpAddr::V4(_)), Ok(length)) => length <= 32,
        (Ok(IpAddr::V6(_)), Ok(length)) => length <= 128,
        _ => false,
    }
}

fn check_traffic(spec: &At<'_>, errors: &mut FieldErrors) {
    let kind = spec.field("type").text();
    let external = spec.field("externalTrafficPolicy");
    match external.text() {
        "" if is_externally_accessible(spec.value) => errors.required(external.path, ""),
        "" => {}
        text if !is_externally_accessible(spec.value) => errors.invalid(external.path, text, NOT_EXTERNAL),
        "Cluster" | "Local" => {}
        text => errors.not_supported(external.path, text, &["Cluster", "Local"]),
    }
    check_health_port(spec, errors);
    let internal = spec.field("internalTrafficPolicy");
    match internal.text() {
        "" if matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer") => errors.required(internal.path, ""),
        "" | "Cluster" | "Local" => {}
        text => errors.not_supported(internal.path, text, &["Cluster", "Local"]),
    }
    let distribution = spec.field("trafficDistribution");
    if distribution.is_set() && distribution.text() != "PreferClose" {
        errors.not_supported(distribution.path.clone(), distribution.text(), &["PreferClose"]);
    }
}

fn check_health_port(spec: &At<'_>, errors: &mut FieldErrors) {
    let port = spec.field("healthCheckNodePort");
    let number = port.integer().unwrap_or(0);
    let is_checked =
        spec.field("type").text() == "LoadBalancer" && spec.field("externalTrafficPolicy").text() == "Local";
    if !is_checked && number != 0 {
        let words = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.invalid(port.path, number, words);
    } else if is_checked && number == 0 {
        errors.required(port.path, "");
    } else if is_checked {
        for words in names::port_number(number) {
            errors.invalid(port.path.clone(), number, words);
        }
    }
}
