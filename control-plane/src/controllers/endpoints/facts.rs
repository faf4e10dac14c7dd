//! Which pods back a service, and on which ports. Pure. Follows upstream's
//! `staging/src/k8s.io/endpointslice`.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Container, Node, ObjectReference, Pod, Service, ServicePort},
    apimachinery::pkg::{apis::meta::v1::Time, util::intstr::IntOrString},
};
use kube::ResourceExt;

use super::{HEADLESS, ZONE};
use crate::controllers::pod_facts;

/// What endpoints are made from.
pub struct Facts<'a> {
    /// The service.
    pub service: &'a Service,
    /// The pods behind it, in a stable order.
    pub backing: &'a [Backing],
}

/// A pod that backs a service.
#[derive(Clone, Debug)]
pub struct Backing {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Its IPv4 address.
    pub address: String,
    /// The zone of its node.
    pub zone: Option<String>,
}

/// A port of a service as one pod serves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) protocol: String,
    pub(super) number: i32,
    pub(super) app_protocol: Option<String>,
}

impl Backing {
    /// The pod, if it can back the service: it has an address, has not ended, and its node is
    /// known. Pods on unknown nodes are shown only by services that publish what is not ready.
    pub fn of(service: &Service, pod: Arc<Pod>, node: Option<&Node>) -> Option<Self> {
        let known = node.is_some() || pod_facts::node(&pod).is_empty() || publishes_not_ready(service);
        if pod_facts::is_finished(&pod) || !known {
            return None;
        }
        let address = ipv4(&pod)?;
        let zone = node.and_then(|node| node.labels().get(ZONE).cloned());
        Some(Self { pod, address, zone })
    }

    /// A reference to the pod, as endpoints carry it.
    pub(super) fn reference(&self) -> ObjectReference {
        ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: self.pod.namespace(),
            name: Some(self.pod.name_any()),
            uid: self.pod.uid(),
            ..ObjectReference::default()
        }
    }

    /// The pod's host name, if the service gives it a DNS name.
    pub(super) fn hostname(&self, service: &Service) -> Option<String> {
        let spec = self.pod.spec.as_ref()?;
        let named = spec.subdomain.is_some() && spec.subdomain == service.metadata.name;
        spec.hostname.clone().filter(|hostname| named && !hostname.is_empty())
    }

    pub(super) fn node_name(&self) -> Option<String> {
        Some(pod_facts::node(&self.pod).to_owned()).filter(|node| !node.is_empty())
    }

    /// The ports of the service that this pod serves, in order. A named port that the pod does
    /// not have is left out.
    pub(super) fn ports(&self, service: &Service) -> Vec<Port> {
        let spec = service.spec.as_ref();
        let ports = spec.iter().flat_map(|spec| spec.ports.iter().flatten());
        let mut ports: Vec<_> = ports.filter_map(|port| resolve(port, &self.pod)).collect();
        ports.sort();
        ports
    }
}

fn ipv4(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let all = status.pod_ips.iter().flatten().map(|ip| &ip.ip).chain(&status.pod_ip);
    all.into_iter().find(|ip| ip.parse::<std::net::Ipv4Addr>().is_ok()).cloned()
}

fn resolve(port: &ServicePort, pod: &Pod) -> Option<Port> {
    let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    let number = match &port.target_port {
        None => port.port,
        Some(IntOrString::Int(0)) => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => named_port(pod, name, &protocol)?,
    };
    Some(Port {
        name: port.name.clone().unwrap_or_default(),
        protocol,
        number,
        app_protocol: port.app_protocol.clone(),
    })
}

/// The number of a container's port; sidecars (init containers that keep running) count.
fn named_port(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let spec = pod.spec.as_ref()?;
    let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(is_sidecar);
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let same = |port: &&k8s_openapi::api::core::v1::ContainerPort| {
        port.name.as_deref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
    };
    ports.into_iter().find(same).map(|port| port.container_port)
}

/// Whether the service has a selector and it selects the pod.
pub(super) fn selects(service: &Service, pod: &Pod) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| pod.labels().get(key) == Some(value))
    })
}

/// Whether this controller makes the service's endpoints.
pub(super) fn is_ours(service: &Service) -> bool {
    let Some(spec) = &service.spec else { return false };
    let selects = spec.selector.as_ref().is_some_and(|selector| !selector.is_empty());
    selects && spec.type_.as_deref() != Some("ExternalName") && service.metadata.deletion_timestamp.is_none()
}

pub(super) fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses) == Some(true)
}

/// The labels that endpoints inherit from their service, and the mark of a headless one.
pub(super) fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.labels().clone();
    labels.remove(HEADLESS);
    let cluster_ip = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()).unwrap_or_default();
    if matches!(cluster_ip, "" | "None") {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels
}

/// When what is to be written came about: the latest of the service's creation and the pods'
/// changes of readiness, in the format of the annotation.
pub(super) fn trigger_time(facts: &Facts<'_>) -> Option<String> {
    let time = |time: &Time| time.0;
    let created = facts.service.metadata.creation_timestamp.as_ref().map(time);
    let pods = facts.backing.iter().filter_map(|backing| {
        let ready = pod_facts::condition(&backing.pod, "Ready").and_then(|ready| ready.last_transition_time.as_ref());
        ready.or(backing.pod.metadata.creation_timestamp.as_ref()).map(time)
    });
    pods.chain(created).max().map(|latest: Timestamp| latest.to_string())
}
