//! One service of the zone: its addresses, ports and endpoints, in the least memory.
//!
//! In: the facts of a service and of its slices. Out: an [`Entry`], or nothing for a service
//! without names. Equal facts in any order give equal entries.

use std::net::IpAddr;

use hickory_proto::rr::Name;

use super::facts::{Port, ServiceFacts, ServiceKind, SliceFacts};

/// The longest label that DNS allows, in bytes.
const MAX_LABEL: usize = 63;

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    body: Body,
    groups: Box<[Group]>,
}

/// How a service is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// At its own addresses and ports.
    ClusterIp {
        /// One for each family.
        addresses: Box<[IpAddr]>,
        /// Named or not.
        ports: Box<[Port]>,
    },
    /// At its endpoints.
    Headless,
    /// Under this name.
    External(Box<Name>),
}

/// Endpoints that share their ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The ports of every endpoint.
    pub ports: Box<[Port]>,
    /// The endpoints, sorted, none twice.
    pub endpoints: Box<[Endpoint]>,
}

/// One address of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    address: IpAddr,
    hostname: Option<Box<str>>,
}

impl Entry {
    /// The entry of a service with its slices; `None` if the service has no names (an
    /// ExternalName that is an address or no name at all).
    pub fn new<'a>(service: &ServiceFacts, slices: impl Iterator<Item = &'a SliceFacts>) -> Option<Self> {
        let body = match &service.kind {
            ServiceKind::ClusterIp(addresses) => Body::ClusterIp {
                addresses: addresses.as_slice().into(),
                ports: service.ports.clone().into_boxed_slice(),
            },
            ServiceKind::Headless => Body::Headless,
            ServiceKind::ExternalName(target) => Body::External(Box::new(external_name(target)?)),
        };
        let mut groups: Vec<Group> = match body {
            Body::External(_) => Vec::new(),
            _ => slices.map(Group::new).filter(|group| !group.endpoints.is_empty()).collect(),
        };
        groups.sort_unstable();
        groups.dedup();
        Some(Self { body, groups: groups.into_boxed_slice() })
    }

    /// How the service is reached.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Its endpoints in groups that share their ports.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// All its endpoints; one that is in two groups comes twice.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.groups.iter().flat_map(|group| group.endpoints.iter())
    }

    /// Whether the service's own name exists. A headless service without ready endpoints has
    /// no name (as in CoreDNS).
    pub fn exists(&self) -> bool {
        !matches!(self.body, Body::Headless) || !self.groups.is_empty()
    }

    /// Whether packets to the service, or to this address as its endpoint, arrive at `address`.
    pub fn serves(&self, address: IpAddr) -> bool {
        matches!(&self.body, Body::ClusterIp { addresses, .. } if addresses.contains(&address))
            || self.endpoints().any(|endpoint| endpoint.address == address)
    }
}

impl Group {
    fn new(slice: &SliceFacts) -> Self {
        let mut endpoints: Vec<Endpoint> = slice
            .endpoints
            .iter()
            .flat_map(|endpoint| {
                let hostname = endpoint.hostname.as_deref().filter(|name| is_label(name));
                let hostname = hostname.map(|name| name.to_ascii_lowercase().into_boxed_str());
                endpoint.addresses.iter().map(move |address| Endpoint { address: *address, hostname: hostname.clone() })
            })
            .collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        let mut ports = slice.ports.clone();
        ports.sort_unstable();
        Self { ports: ports.into_boxed_slice(), endpoints: endpoints.into_boxed_slice() }
    }
}

impl Endpoint {
    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its hostname in lower case, when it has one.
    pub fn hostname(&self) -> Option<&str> {
        self.hostname.as_deref()
    }

    /// Its label below the service's name: the hostname, else the dashed address.
    pub fn label(&self) -> String {
        self.hostname.as_deref().map_or_else(|| dashed(self.address), str::to_owned)
    }
}

/// An address as one label: `10-1-2-3`, `2001-db8--1`; a trailing dash gets a zero, because
/// no label may end with one.
pub fn dashed(address: IpAddr) -> String {
    let mut label = address.to_string().replace(['.', ':'], "-");
    if label.ends_with('-') {
        label.push('0');
    }
    label
}

/// The address that a label spells in the form of [`dashed`].
pub fn undashed(label: &[u8]) -> Option<IpAddr> {
    // A label may hold dots and colons of its own, and those spell nothing.
    let label = str::from_utf8(label).ok().filter(|label| !label.contains(['.', ':']))?;
    let dotted = label.replace('-', ".").parse().map(IpAddr::V4);
    dotted.ok().or_else(|| label.replace('-', ":").parse().map(IpAddr::V6).ok())
}

fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL).contains(&text.len()) && !text.contains('.')
}

fn external_name(target: &str) -> Option<Name> {
    if target.is_empty() || target.parse::<IpAddr>().is_ok() {
        return None;
    }
    let mut name = Name::from_ascii(target).ok()?;
    name.set_fqdn(true);
    (!name.is_root()).then(|| name.to_lowercase())
}
