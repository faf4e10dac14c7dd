//! Facts as bytes. What has no IPv4 address has none: the maps hold no other.

use std::net::{IpAddr, Ipv4Addr};

use nodeplane_ebpf_abi::{
    addr::{Ipv4Be, PortBe},
    service::{BackendVal, FLAG_CLIENT_IP, SvcKey, SvcVal, TCP, UDP},
};

use crate::model::{Backend, Frontend, Listen, Protocol};

/// Who a backend of a service is.
pub(super) type Place = (Ipv4Be, PortBe);

pub(super) fn svc_key(at: &Listen) -> Option<SvcKey> {
    Some(SvcKey::new(ipv4(at.addr)?.into(), PortBe::new(at.port), proto(at.protocol)))
}

/// The value of a frontend that has `count` slots.
pub(super) fn svc_val(frontend: &Frontend, service: u32, count: u32) -> SvcVal {
    let flags = if frontend.affinity_secs.is_some() { FLAG_CLIENT_IP } else { 0 };
    SvcVal { service, count, flags, affinity_secs: frontend.affinity_secs.unwrap_or(0) }
}

/// Who answers for a frontend, in its order.
pub(super) fn places(frontend: &Frontend) -> impl Iterator<Item = Place> {
    frontend.backends.iter().filter_map(|Backend { addr, port }| Some((ipv4(*addr)?.into(), PortBe::new(*port))))
}

pub(super) fn backend_val((addr, port): Place, service: u32, proto: u8) -> BackendVal {
    BackendVal { service, addr, port, proto, pad: 0 }
}

fn proto(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => TCP,
        Protocol::Udp => UDP,
    }
}

fn ipv4(addr: IpAddr) -> Option<Ipv4Addr> {
    match addr {
        IpAddr::V4(addr) => Some(addr),
        IpAddr::V6(_) => None,
    }
}
