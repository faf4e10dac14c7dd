//! One Service: its ClusterIP, its ports, and who answers for each.
//!
//! Rules as kube-proxy has them: no frontend without a ClusterIP (headless, ExternalName), none for
//! Services that name another proxy or declare themselves headless by label; NodePort and
//! LoadBalancer Services have their ClusterIP like any other.

use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};

use super::{Frontend, Listen, ObjectKey, Protocol, Rejected, port, protocol, slice::Endpoints};

/// Services with this label belong to the proxy that it names.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
/// Services with this label want no proxy.
const HEADLESS: &str = "service.kubernetes.io/headless";
/// `sessionAffinityConfig.clientIP.timeoutSeconds` when absent: three hours.
const DEFAULT_AFFINITY_SECS: i32 = 10_800;
/// The longest that the API allows: a day.
const MAX_AFFINITY_SECS: i32 = 86_400;

/// The frontends of a Service; what is wrong with it goes to `rejected`.
pub(super) fn frontends(
    key: &ObjectKey,
    service: &Service,
    endpoints: &Endpoints,
    node_name: &str,
    rejected: &mut Vec<Rejected>,
) -> Vec<Frontend> {
    let Some(spec) = service.spec.as_ref().filter(|spec| wanted(service, spec)) else { return Vec::new() };
    let common = cluster_ip(spec).and_then(|addr| Ok((addr, affinity_secs(spec)?, local_node(spec, node_name)?)));
    let (addr, affinity_secs, only_node) = match common {
        Ok((Some(addr), affinity_secs, only_node)) => (addr, affinity_secs, only_node),
        Ok((None, ..)) => return Vec::new(),
        Err(reason) => {
            rejected.push(Rejected::service(key, reason));
            return Vec::new();
        }
    };
    let mut out = Vec::new();
    for service_port in spec.ports.iter().flatten() {
        match read_port(service_port) {
            Ok((number, protocol)) => {
                let port_name = service_port.name.clone().unwrap_or_default();
                let backends = endpoints.of(&port_name, protocol, only_node);
                out.push(Frontend {
                    service: key.clone(),
                    port_name,
                    at: Listen { addr: addr.into(), port: number, protocol },
                    affinity_secs,
                    backends,
                });
            }
            Err(reason) => rejected.push(Rejected::service(key, format!("port {}: {reason}", service_port.port))),
        }
    }
    out
}

fn read_port(service_port: &ServicePort) -> Result<(u16, Protocol), String> {
    Ok((port(service_port.port)?, protocol(service_port.protocol.as_deref())?))
}

fn wanted(service: &Service, spec: &ServiceSpec) -> bool {
    let labels = service.metadata.labels.as_ref();
    let has_label = |name| labels.is_some_and(|labels| labels.contains_key(name));
    spec.type_.as_deref() != Some("ExternalName") && !has_label(OTHER_PROXY) && !has_label(HEADLESS)
}

/// The IPv4 ClusterIP. None when there is none: headless, not yet allocated, or IPv6 only.
fn cluster_ip(spec: &ServiceSpec) -> Result<Option<Ipv4Addr>, String> {
    let all = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    for text in all.filter(|text| !text.is_empty() && *text != "None") {
        match text.parse() {
            Ok(IpAddr::V4(addr)) if addr.is_unspecified() || addr.is_loopback() || addr.is_multicast() => {
                return Err(format!("clusterIP {addr} cannot be an address of a Service"));
            }
            Ok(IpAddr::V4(addr)) => return Ok(Some(addr)),
            Ok(IpAddr::V6(_)) => {}
            Err(_) => return Err(format!("clusterIP {text:?} is not an IP address")),
        }
    }
    Ok(None)
}

fn affinity_secs(spec: &ServiceSpec) -> Result<Option<u32>, String> {
    match spec.session_affinity.as_deref().unwrap_or("None") {
        "None" | "" => Ok(None),
        "ClientIP" => {
            let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
            let secs = config.and_then(|client_ip| client_ip.timeout_seconds).unwrap_or(DEFAULT_AFFINITY_SECS);
            let in_bounds = u32::try_from(secs).ok().filter(|_| (1..=MAX_AFFINITY_SECS).contains(&secs));
            in_bounds.map(Some).ok_or_else(|| format!("session affinity of {secs} s is not between 1 s and a day"))
        }
        other => Err(format!("session affinity {other:?} is unknown")),
    }
}

/// The node whose endpoints alone may answer. None when all may.
fn local_node<'a>(spec: &ServiceSpec, node_name: &'a str) -> Result<Option<&'a str>, String> {
    match spec.internal_traffic_policy.as_deref().unwrap_or("Cluster") {
        "Cluster" | "" => Ok(None),
        "Local" => Ok(Some(node_name)),
        other => Err(format!("internalTrafficPolicy {other:?} is unknown")),
    }
}
