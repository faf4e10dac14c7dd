//! What a translated socket asked for, so that `getpeername` and `recvfrom` can say it again.
//! Written by the programs alone; least recently used go first.

use crate::{
    addr::{Ipv4Be, PortBe},
    plain,
};

/// A socket and the backend it talks to.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ReverseKey {
    /// The socket's cookie.
    pub cookie: u64,
    /// The backend's address.
    pub addr: Ipv4Be,
    /// The backend's port.
    pub port: PortBe,
    /// Always zero.
    pub pad: u16,
}

/// The Service that it asked for.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ReverseVal {
    /// The Service's address.
    pub addr: Ipv4Be,
    /// The Service's port.
    pub port: PortBe,
    /// Always zero.
    pub pad: u16,
}

plain!(ReverseKey = 8 + 4 + 2 + 2, ReverseVal = 4 + 2 + 2);
