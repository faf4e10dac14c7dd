//! The address ranges of the cluster, given to the programs when they are loaded.

use core::net::Ipv4Addr;

use crate::{addr::Ipv4Be, plain};

/// Name of the constant in the object that holds [`Ranges`].
pub const RANGES_SYMBOL: &str = "RANGES";

/// One range: an address belongs to it when its bits under `mask` are those of `net`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Range {
    /// First address.
    pub net: Ipv4Be,
    /// As an address: 255.255.0.0 for a /16.
    pub mask: Ipv4Be,
}

impl Range {
    /// No address belongs to it: no address under an empty mask is 255.255.255.255.
    pub const NONE: Self = Self { net: Ipv4Be::from_wire(u32::MAX), mask: Ipv4Be::from_wire(0) };

    /// The range of `net/prefix`; bits of `net` beyond the prefix are dropped, a prefix beyond 32
    /// is 32.
    pub fn new(net: Ipv4Addr, prefix: u8) -> Self {
        let mask = Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0));
        Self { net: Ipv4Addr::from(u32::from(net) & u32::from(mask)).into(), mask: mask.into() }
    }

    /// Whether `addr` belongs to the range.
    #[inline(always)]
    pub const fn contains(&self, addr: Ipv4Be) -> bool {
        addr.to_wire() & self.mask.to_wire() == self.net.to_wire()
    }
}

/// The ranges of the cluster.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ranges {
    /// ClusterIPs.
    pub services: Range,
    /// Pods of all nodes.
    pub pods: Range,
}

impl Ranges {
    /// Nothing is in range.
    pub const NONE: Self = Self { services: Range::NONE, pods: Range::NONE };
}

plain!(Range = 4 + 4, Ranges = 8 + 8);
