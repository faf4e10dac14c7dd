//! Kubernetes objects as validated plain facts.
//!
//! In: one Service at a time, with the EndpointSlices that belong to it. Out: [`Services`]: the frontends of the whole
//! cluster with their backends, and which of them a change has touched. A bad object rejects only itself (a bad port
//! only that port), with its key and the reason. Knows nothing of maps, ids or bytes, and never waits or calls anybody.

mod service;
mod services;
mod slice;

#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr};

use nodeplane_api::meta::Key;

pub use self::services::Services;

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

/// What clients connect to. At any time it belongs to one Service at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listen {
    /// ClusterIP.
    pub addr: IpAddr,
    /// Port.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// The Service.
    pub service: ObjectKey,
    /// Name of the port; empty when the Service's only port has none.
    pub port_name: String,
    /// Where it is.
    pub at: Listen,
    /// With ClientIP affinity: for how many idle seconds a client keeps its backend.
    pub affinity_secs: Option<u32>,
    /// Who answers; sorted, each once. Empty means that connections are refused.
    pub backends: Vec<Backend>,
}

/// One place that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Backend {
    /// Address of the pod.
    pub addr: IpAddr,
    /// Port of the container.
    pub port: u16,
}

/// Something that could not be taken over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rejected {
    /// `Service` or `EndpointSlice`.
    pub kind: &'static str,
    /// Which one.
    pub key: ObjectKey,
    /// Why, as half a sentence.
    pub reason: String,
}

impl Rejected {
    /// A Service, or a part of it.
    pub fn service(key: &ObjectKey, reason: impl Into<String>) -> Self {
        Self { kind: "Service", key: key.clone(), reason: reason.into() }
    }
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

impl From<Key> for ObjectKey {
    fn from(Key { namespace, name }: Key) -> Self {
        Self { namespace, name }
    }
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

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", std::net::SocketAddr::new(self.addr, self.port), self.protocol)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind, self.key, self.reason)
    }
}
