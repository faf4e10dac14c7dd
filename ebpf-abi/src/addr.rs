//! Addresses whose byte order is part of the type.
//!
//! The values are kept exactly as they lie in packets and in the kernel's socket structures, so
//! that no program converts on its way; conversions happen at the border to people's notation.

use core::net::Ipv4Addr;

use crate::plain;

/// An IPv4 address in network byte order.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ipv4Be(u32);

/// A TCP or UDP port in network byte order.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PortBe(u16);

/// An Ethernet address, in the order in which its bytes are sent.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl Ipv4Be {
    /// Takes a word as it lies in memory in network order, such as `bpf_sock_addr::user_ip4`.
    #[inline(always)]
    pub const fn from_wire(word: u32) -> Self {
        Self(word)
    }

    /// The word as it must lie in memory.
    #[inline(always)]
    pub const fn to_wire(self) -> u32 {
        self.0
    }

    /// The value as a number of this machine: 10.0.0.1 is `0x0a00_0001`.
    #[inline(always)]
    pub const fn to_number(self) -> u32 {
        u32::from_be(self.0)
    }
}

impl PortBe {
    /// No port: in a frontend key it stands for every port.
    pub const ANY: Self = Self(0);

    /// Takes a half-word as it lies in memory in network order.
    #[inline(always)]
    pub const fn from_wire(word: u16) -> Self {
        Self(word)
    }

    /// The half-word as it must lie in memory.
    #[inline(always)]
    pub const fn to_wire(self) -> u16 {
        self.0
    }

    /// From a number of this machine.
    #[inline(always)]
    pub const fn new(port: u16) -> Self {
        Self(port.to_be())
    }

    /// As a number of this machine.
    #[inline(always)]
    pub const fn to_number(self) -> u16 {
        u16::from_be(self.0)
    }
}

impl From<Ipv4Addr> for Ipv4Be {
    fn from(addr: Ipv4Addr) -> Self {
        Self(u32::from_ne_bytes(addr.octets()))
    }
}

impl From<Ipv4Be> for Ipv4Addr {
    fn from(addr: Ipv4Be) -> Self {
        Self::from(addr.0.to_ne_bytes())
    }
}

impl core::fmt::Debug for Ipv4Be {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ipv4Addr::from(*self).fmt(f)
    }
}

impl core::fmt::Display for Ipv4Be {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&Ipv4Addr::from(*self), f)
    }
}

impl core::fmt::Debug for PortBe {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.to_number().fmt(f)
    }
}

impl core::fmt::Display for PortBe {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&self.to_number(), f)
    }
}

impl core::fmt::Debug for Mac {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

plain!(Ipv4Be = 4, PortBe = 2, Mac = 6);
