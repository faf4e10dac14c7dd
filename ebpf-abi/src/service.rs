//! Frontends, slots and backends: the three maps that carry the Services.
//!
//! A frontend names a service id and how many slots it has; slot `(service, index)` names a
//! backend id; the backend has the address. A frontend changes in one map write, so readers see
//! the old or the new one, and the agent keeps the ordering law while it writes: no slot ever
//! names a missing backend, no frontend counts more slots than are filled, no backend goes before
//! the last slot that names it.

use crate::{
    addr::{Ipv4Be, PortBe},
    plain,
};

/// IPPROTO_TCP.
pub const TCP: u8 = 6;
/// IPPROTO_UDP.
pub const UDP: u8 = 17;
/// In a frontend key: every protocol.
pub const ANY_PROTO: u8 = 0;

/// A service id that no service has.
pub const NO_SERVICE: u32 = 0;

/// What a client connects to. Key of the frontend map.
///
/// The key with [`PortBe::ANY`] and [`ANY_PROTO`] stands for all ports of an address that have no
/// entry of their own: they are refused.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SvcKey {
    /// Address of the Service.
    pub addr: Ipv4Be,
    /// Port of the Service.
    pub port: PortBe,
    /// [`TCP`], [`UDP`] or [`ANY_PROTO`].
    pub proto: u8,
    /// Always zero.
    pub pad: u8,
}

impl SvcKey {
    /// The key of one port.
    #[inline(always)]
    pub const fn new(addr: Ipv4Be, port: PortBe, proto: u8) -> Self {
        Self { addr, port, proto, pad: 0 }
    }

    /// The key of all other ports of `addr`.
    #[inline(always)]
    pub const fn any_port(addr: Ipv4Be) -> Self {
        Self::new(addr, PortBe::ANY, ANY_PROTO)
    }
}

/// Flag: connections of one client go to one backend ([`SvcVal::affinity_secs`]).
pub const FLAG_CLIENT_IP: u32 = 1 << 0;

/// A frontend: value of the frontend map.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SvcVal {
    /// Names the frontend's slots; [`NO_SERVICE`] for an any-port entry.
    pub service: u32,
    /// Slots `0..count` are filled. Zero means: refuse.
    pub count: u32,
    /// Of the `FLAG_` constants.
    pub flags: u32,
    /// How long a client may be idle before it loses its backend, in seconds; zero without
    /// [`FLAG_CLIENT_IP`].
    pub affinity_secs: u32,
}

/// Key of the slot map; its value is a backend id.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SlotKey {
    /// The service id of the frontend.
    pub service: u32,
    /// Counts from zero.
    pub index: u32,
}

/// One place that answers for one frontend: value of the backend map, whose key is the backend id.
///
/// A pod that answers for two frontends has two backends, so that the presence of a backend id
/// also says that its service still has it; session affinity depends on that.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BackendVal {
    /// The service id that it answers for.
    pub service: u32,
    /// Its address.
    pub addr: Ipv4Be,
    /// Its port.
    pub port: PortBe,
    /// [`TCP`] or [`UDP`].
    pub proto: u8,
    /// Always zero.
    pub pad: u8,
}

plain!(SvcKey = 4 + 2 + 1 + 1, SvcVal = 4 * 4, SlotKey = 4 + 4, BackendVal = 4 + 4 + 2 + 1 + 1);
