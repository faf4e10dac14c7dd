//! Which backend a client had before. Written by the programs alone; least recently used go first.

use crate::plain;

/// [`AffKey::scope`]: the client is a network namespace (its cookie), in other words a pod.
pub const SCOPE_NETNS: u32 = 0;
/// [`AffKey::scope`]: the client is one unconnected UDP socket (its cookie).
pub const SCOPE_SOCKET: u32 = 1;

/// How long an unconnected UDP socket keeps its backend while idle, in seconds: what conntrack
/// gives a UDP stream (`nf_conntrack_udp_timeout_stream`), and with it every other proxy.
pub const UDP_FLOW_SECS: u32 = 120;

/// Who asked for what.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AffKey {
    /// A cookie, as [`AffKey::scope`] says.
    pub client: u64,
    /// The service id.
    pub service: u32,
    /// Of the `SCOPE_` constants.
    pub scope: u32,
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

plain!(AffKey = 8 + 4 + 4, AffVal = 8 + 4 + 4);
