//! A range of IPv4 addresses. Pure.

use std::{fmt, net::Ipv4Addr, str::FromStr};

/// A range: its first address and the length of the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    first: u32,
    prefix: u8,
}

/// Text that is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IPv4 range such as 10.244.0.0/16")]
pub struct NotACidr(String);

impl Cidr {
    /// The range that `address` lies in. Longer prefixes than 32 bits are 32 bits.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self { first: u32::from(address) & mask(prefix), prefix }
    }

    /// A range of one address.
    pub fn host(address: Ipv4Addr) -> Self {
        Self::new(address, 32)
    }

    /// The first address.
    pub fn first(&self) -> Ipv4Addr {
        self.first.into()
    }

    /// The length of the prefix.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == self.first
    }

    /// Whether all of `other` lies in it.
    pub fn covers(&self, other: &Self) -> bool {
        other.prefix >= self.prefix && self.contains(other.first())
    }

    /// The addresses that hosts can have: neither the first, which names the network, nor the last, which means all of
    /// it.
    pub fn hosts(&self) -> impl DoubleEndedIterator<Item = Ipv4Addr> + use<> {
        let last = self.first | !mask(self.prefix);
        (self.first.saturating_add(1)..last).map(Ipv4Addr::from)
    }

    /// The node's own address in the range that it gives to pods: the first that a host can have.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.hosts().next()
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let read = || {
            let (address, prefix) = text.split_once('/')?;
            Some((address.parse().ok()?, prefix.parse().ok().filter(|prefix| *prefix <= 32)?))
        };
        read().map(|(address, prefix)| Self::new(address, prefix)).ok_or_else(|| NotACidr(text.to_owned()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().expect("a range")
    }

    #[test]
    fn reads_and_writes() {
        assert_eq!(cidr("10.244.3.7/24").to_string(), "10.244.3.0/24");
        assert_eq!(cidr("0.0.0.0/0").to_string(), "0.0.0.0/0");
        for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/0", "/", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Cidr>(), Err(NotACidr(text.to_owned())));
        }
    }

    #[test]
    fn knows_what_lies_in_it() {
        let range = cidr("10.244.0.0/16");
        assert!(range.contains(Ipv4Addr::new(10, 244, 255, 255)));
        assert!(!range.contains(Ipv4Addr::new(10, 245, 0, 0)));
        assert!(range.covers(&cidr("10.244.7.0/24")) && range.covers(&range));
        assert!(!range.covers(&cidr("10.0.0.0/8")) && !range.covers(&cidr("10.245.0.0/24")));
        assert!(cidr("0.0.0.0/0").contains(Ipv4Addr::BROADCAST));
    }

    #[test]
    fn the_first_and_the_last_are_nobodys() {
        let hosts: Vec<_> = cidr("10.0.0.8/29").hosts().map(|host| host.octets()[3]).collect();
        assert_eq!(hosts, [9, 10, 11, 12, 13, 14]);
        assert_eq!(cidr("10.0.0.8/29").gateway(), Some(Ipv4Addr::new(10, 0, 0, 9)));
        assert_eq!(cidr("10.0.0.8/32").gateway(), None);
        assert_eq!(cidr("10.0.0.8/31").gateway(), None);
        assert_eq!(cidr("255.255.255.0/24").hosts().next_back(), Some(Ipv4Addr::new(255, 255, 255, 254)));
    }
}
