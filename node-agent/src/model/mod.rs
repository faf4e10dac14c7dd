//! Kubernetes objects as validated plain facts.
//!
//! In: Services and EndpointSlices, complete lists of both. Out: an immutable [`Snapshot`] of
//! frontends and their backends, in a fixed order. A bad object rejects only itself (a bad port
//! only that port), with its key and the reason. Knows nothing of maps, ids or bytes, and never
//! waits or calls anybody.

mod service;
mod slice;

#[cfg(test)]
mod tests;

use std::{borrow::Borrow, collections::BTreeMap, fmt, net::Ipv4Addr};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Transport protocols that a Service can have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// One port of a Service: what clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// The Service.
    pub service: ObjectKey,
    /// Name of the port; empty when the Service's only port has none.
    pub port_name: String,
    /// ClusterIP.
    pub addr: Ipv4Addr,
    /// Port.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// With ClientIP affinity: for how many idle seconds a client keeps its backend.
    pub affinity_secs: Option<u32>,
    /// Who answers; sorted, each once. Empty means that connections are refused.
    pub backends: Vec<Backend>,
}

/// One place that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Backend {
    /// Address of the pod.
    pub addr: Ipv4Addr,
    /// Port of the container.
    pub port: u16,
}

/// Something that could not be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// `Service` or `EndpointSlice`.
    pub kind: &'static str,
    /// Which one.
    pub key: ObjectKey,
    /// Why, as half a sentence.
    pub reason: String,
}

/// All frontends of the cluster as this node must serve them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Sorted by address, port and protocol; each of those once.
    pub frontends: Vec<Frontend>,
    /// What was left out.
    pub rejected: Vec<Rejected>,
}

impl Snapshot {
    /// Takes complete lists over. `node_name` decides what `internalTrafficPolicy: Local` keeps.
    ///
    /// The result does not depend on the order of the lists. Of two Services with one address,
    /// port and protocol the older one has it, as the allocator would have decided.
    pub fn build<S, E>(
        services: impl IntoIterator<Item = S>,
        slices: impl IntoIterator<Item = E>,
        node_name: &str,
    ) -> Self
    where
        S: Borrow<Service>,
        E: Borrow<EndpointSlice>,
    {
        let mut rejected = Vec::new();
        let mut endpoints = slice::Endpoints::default();
        for slice in slices {
            endpoints.add(slice.borrow(), &mut rejected);
        }
        let services: Vec<S> = services.into_iter().collect();
        let mut services: Vec<&Service> = services.iter().map(Borrow::borrow).collect();
        services.sort_by_key(|service| (service.metadata.creation_timestamp.clone(), object_key(&service.metadata)));
        let mut frontends = BTreeMap::new();
        for service in services {
            for frontend in service::frontends(service, &endpoints, node_name, &mut rejected) {
                claim(&mut frontends, frontend, &mut rejected);
            }
        }
        rejected.sort_by(|a, b| (a.kind, &a.key, &a.reason).cmp(&(b.kind, &b.key, &b.reason)));
        Self { frontends: frontends.into_values().collect(), rejected }
    }
}

type Claims = BTreeMap<(Ipv4Addr, u16, Protocol), Frontend>;

fn claim(frontends: &mut Claims, frontend: Frontend, rejected: &mut Vec<Rejected>) {
    use std::collections::btree_map::Entry;
    match frontends.entry((frontend.addr, frontend.port, frontend.protocol)) {
        Entry::Vacant(free) => {
            free.insert(frontend);
        }
        Entry::Occupied(taken) => rejected.push(Rejected {
            kind: "Service",
            reason: format!(
                "{}:{}/{} already belongs to {}",
                frontend.addr,
                frontend.port,
                frontend.protocol,
                taken.get().service
            ),
            key: frontend.service,
        }),
    }
}

fn object_key(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> ObjectKey {
    ObjectKey { namespace: meta.namespace.clone().unwrap_or_default(), name: meta.name.clone().unwrap_or_default() }
}

/// Reads `protocol` of a port; absent means TCP.
fn protocol(name: Option<&str>) -> Result<Protocol, String> {
    match name.unwrap_or("TCP") {
        "TCP" => Ok(Protocol::Tcp),
        "UDP" => Ok(Protocol::Udp),
        other => Err(format!("protocol {other} is not supported")),
    }
}

/// Reads a port number, 1 to 65535.
fn port(number: i32) -> Result<u16, String> {
    u16::try_from(number).ok().filter(|port| *port != 0).ok_or_else(|| format!("{number} is not a port number"))
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind, self.key, self.reason)
    }
}
