//! Which backend a client had before: session affinity, which a Service asks for, and the flows of UDP sockets, which
//! every Service has. Written by the programs alone; least recently used go first.

use crate::{addr::Ipv4Be, plain};

/// [`AffKey::scope`]: the client is a network namespace ([`Client::cookie`]), in other words a pod.
pub const SCOPE_NETNS: u32 = 0;
/// [`AffKey::scope`]: the client is an address ([`Client::ipv4`], [`Client::ipv6`]), which is all that is known of
/// whoever sent a packet.
pub const SCOPE_ADDRESS: u32 = 2;

/// How long a UDP socket keeps its backend while idle, in seconds: what conntrack
/// gives a UDP stream (`nf_conntrack_udp_timeout_stream`), and with it every other proxy.
pub const UDP_FLOW_SECS: u32 = 120;

/// Who asks: wide enough for an IPv6 address.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Client([u32; 4]);

impl Client {
    /// A cookie of the kernel.
    #[inline(always)]
    pub const fn cookie(cookie: u64) -> Self {
        Self([cookie as u32, (cookie >> 32) as u32, 0, 0])
    }

    /// An IPv4 address, in the form that it has among IPv6 addresses: `::ffff:a.b.c.d`.
    #[inline(always)]
    pub const fn ipv4(addr: Ipv4Be) -> Self {
        Self([0, 0, 0xffff_u32.to_be(), addr.to_wire()])
    }

    /// An IPv6 address: its words as they lie in memory in network order.
    #[inline(always)]
    pub const fn ipv6(words: [u32; 4]) -> Self {
        Self(words)
    }
}

/// Who asked for what.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AffKey {
    /// What it is, [`AffKey::scope`] says.
    pub client: Client,
    /// The service id.
    pub service: u32,
    /// Of the `SCOPE_` constants.
    pub scope: u32,
}

/// A UDP socket and the Service that it sends to.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FlowKey {
    /// The socket's cookie.
    pub socket: u64,
    /// The service id.
    pub service: u32,
    /// Always zero.
    pub pad: u32,
}

/// What it got.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AffVal {
    /// Nanoseconds of the monotonic clock.
    pub last_used: u64,
    /// The backend id. It may be gone, and must be checked.
    pub backend: u32,
    /// Always zero.
    pub pad: u32,
}

plain!(Client = 16, AffKey = 16 + 4 + 4, FlowKey = 8 + 4 + 4, AffVal = 8 + 4 + 4);

#[cfg(test)]
mod tests;
