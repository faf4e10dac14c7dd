//! Kubernetes objects to facts. An object that makes no sense to DNS has no facts; it never
//! keeps another object from having them.

use std::net::IpAddr;

use k8s_openapi::api::{
    core::v1::{Service, ServicePort},
    discovery::v1::{Endpoint, EndpointPort, EndpointSlice},
};

use nodeplane_client::services::SERVICE_NAME;

use crate::zone::facts::{EndpointFacts, Port, Protocol, ServiceFacts, ServiceKind, SliceFacts};

/// What DNS knows of a Service; nothing as long as it has no address.
pub fn service_facts(service: &Service) -> Option<ServiceFacts> {
    let spec = service.spec.as_ref()?;
    let kind = if spec.type_.as_deref() == Some("ExternalName") {
        ServiceKind::ExternalName(spec.external_name.clone()?)
    } else {
        cluster_kind(spec.cluster_ip.as_deref(), spec.cluster_ips.as_deref().unwrap_or_default())?
    };
    Some(ServiceFacts { kind, ports: spec.ports.iter().flatten().filter_map(service_port).collect() })
}

/// What DNS knows of an EndpointSlice; nothing if it belongs to no service or holds no addresses.
/// Ready means `conditions.ready`, where absent is yes; publishNotReadyAddresses and terminating
/// pods are decided by whoever wrote the slice.
pub fn slice_facts(slice: &EndpointSlice) -> Option<SliceFacts> {
    if slice.address_type == "FQDN" || !slice.metadata.labels.as_ref()?.contains_key(SERVICE_NAME) {
        return None;
    }
    let ready =
        |endpoint: &&Endpoint| endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
    Some(SliceFacts {
        ports: slice.ports.iter().flatten().filter_map(endpoint_port).collect(),
        endpoints: slice.endpoints.iter().filter(ready).map(endpoint_facts).collect(),
    })
}

fn cluster_kind(first: Option<&str>, all: &[String]) -> Option<ServiceKind> {
    if first == Some("None") || all.first().is_some_and(|address| address == "None") {
        return Some(ServiceKind::Headless);
    }
    let texts: Vec<&str> =
        if all.is_empty() { first.into_iter().collect() } else { all.iter().map(String::as_str).collect() };
    let addresses: Vec<IpAddr> = texts.into_iter().filter_map(|text| text.parse().ok()).collect();
    (!addresses.is_empty()).then_some(ServiceKind::ClusterIp(addresses))
}

fn service_port(port: &ServicePort) -> Option<Port> {
    port_facts(port.name.as_deref(), port.protocol.as_deref(), port.port)
}

/// A port without a number stands for all ports, which no SRV record can say.
fn endpoint_port(port: &EndpointPort) -> Option<Port> {
    port_facts(port.name.as_deref(), port.protocol.as_deref(), port.port?)
}

fn port_facts(name: Option<&str>, protocol: Option<&str>, number: i32) -> Option<Port> {
    Some(Port {
        name: name.unwrap_or_default().to_ascii_lowercase().into_boxed_str(),
        protocol: Protocol::from_api(protocol)?,
        number: u16::try_from(number).ok()?,
    })
}

fn endpoint_facts(endpoint: &Endpoint) -> EndpointFacts {
    EndpointFacts {
        addresses: endpoint.addresses.iter().filter_map(|address| address.parse().ok()).collect(),
        hostname: endpoint.hostname.clone().filter(|hostname| !hostname.is_empty()),
    }
}
