//! What DNS needs to know of the cluster, validated and without any Kubernetes type.
//!
//! Made by [`crate::observe`], consumed by [`super::Entry::new`].

use std::net::IpAddr;

/// One Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// How it is reached.
    pub kind: ServiceKind,
    /// Its ports, named or not.
    pub ports: Vec<Port>,
}

/// How a service is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// At its cluster addresses, one for each family.
    ClusterIp(Vec<IpAddr>),
    /// At the addresses of its endpoints.
    Headless,
    /// Under another name.
    ExternalName(String),
}

/// One port of a service or of a group of endpoints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Its name in lower case; empty when it has none.
    pub name: Box<str>,
    /// Its transport.
    pub protocol: Protocol,
    /// Its number.
    pub number: u16,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// One EndpointSlice: ready endpoints that share their ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SliceFacts {
    /// The ports of every endpoint in it.
    pub ports: Vec<Port>,
    /// The endpoints that are ready.
    pub endpoints: Vec<EndpointFacts>,
}

/// One endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointFacts {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its hostname, when it has one.
    pub hostname: Option<String>,
}

impl Protocol {
    /// The protocol of a Kubernetes object (`TCP`, `UDP`, `SCTP`; absent means TCP).
    pub fn from_api(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }

    /// The protocol of a label such as `_tcp`, in any case.
    pub fn from_label(label: &[u8]) -> Option<Self> {
        [(Self::Tcp, &b"_tcp"[..]), (Self::Udp, b"_udp"), (Self::Sctp, b"_sctp")]
            .into_iter()
            .find_map(|(protocol, text)| label.eq_ignore_ascii_case(text).then_some(protocol))
    }
}
