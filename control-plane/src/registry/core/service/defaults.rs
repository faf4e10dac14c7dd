//! What a Service gets when the client left it out (upstream `core/v1/defaults.go` and the
//! Service REST's families of addresses).

use serde_json::{Value, json};

use super::is_externally_accessible;
use crate::registry::fields::{child, each, fill, is_unset, remove};

/// Seconds that a client keeps its backend.
const AFFINITY_SECONDS: i64 = 10_800;

/// Fills what is absent. Idempotent.
pub(super) fn fill_defaults(service: &mut Value) {
    let Some(spec) = child(service, "spec").filter(|spec| spec.is_object()) else { return };
    fill(spec, "sessionAffinity", "None");
    fill_affinity(spec);
    fill(spec, "type", "ClusterIP");
    for port in each(spec, "ports") {
        fill_port(port);
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    if is_externally_accessible(spec) {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        fill(spec, "internalTrafficPolicy", "Cluster");
        fill_families(spec);
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
    }
}

fn fill_affinity(spec: &mut Value) {
    if spec["sessionAffinity"] == "ClientIP" {
        if is_unset(spec["sessionAffinityConfig"]["clientIP"].get("timeoutSeconds")) {
            spec["sessionAffinityConfig"] = json!({ "clientIP": { "timeoutSeconds": AFFINITY_SECONDS } });
        }
    } else if spec["sessionAffinity"] == "None" {
        remove(spec, "sessionAffinityConfig");
    }
}

fn fill_port(port: &mut Value) {
    fill(port, "protocol", "TCP");
    if is_unset(port.get("targetPort")) || port["targetPort"] == 0 {
        let number = port["port"].clone();
        if number.is_number() {
            port["targetPort"] = number;
        }
    }
}

/// The cluster has one family of addresses, IPv4; a headless Service without selector may have
/// endpoints of both.
fn fill_families(spec: &mut Value) {
    let selectorless = spec["selector"].as_object().is_none_or(serde_json::Map::is_empty);
    let is_headless = spec["clusterIP"] == "None" || spec["clusterIPs"][0] == "None";
    if is_headless && selectorless && is_unset(spec.get("ipFamilyPolicy")) {
        fill(spec, "ipFamilyPolicy", "RequireDualStack");
    }
    fill(spec, "ipFamilyPolicy", "SingleStack");
    let families = spec["ipFamilies"].as_array().map_or(0, Vec::len);
    if families > 0 {
        return;
    }
    let both = is_headless && selectorless && spec["ipFamilyPolicy"] == "RequireDualStack";
    spec["ipFamilies"] = if both { json!(["IPv4", "IPv6"]) } else { json!(["IPv4"]) };
}
