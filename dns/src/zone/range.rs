//! Ranges of addresses, and the names of addresses under `in-addr.arpa` and `ip6.arpa`.
//!
//! In: `10.96.0.0/16` and the labels of a question. Out: which address the name spells, and
//! whether it lies in a reverse zone that is ours. Reverse zones are cut at octets and nibbles:
//! a /12 is sixteen zones of two labels (RFC 1035 3.5, RFC 3596 2.5).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A range of addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    address: IpAddr,
    prefix: u8,
}

/// Text that is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a range of addresses such as 10.96.0.0/16")]
pub struct RangeError(String);

/// A name below `in-addr.arpa` or `ip6.arpa`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReverseName {
    /// What the labels spell.
    pub spells: Spells,
    /// When the name lies in one of our reverse zones: how many labels the apex of that zone
    /// has, those of `in-addr.arpa` included.
    pub apex: Option<usize>,
}

/// What the labels of a reverse name spell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spells {
    /// A whole address.
    Address(IpAddr),
    /// The beginning of addresses.
    Prefix,
    /// Nothing that can exist.
    Nonsense,
}

impl Range {
    /// The range of `prefix` bits around `address`; `None` if the prefix is too long.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= width(address)).then(|| Self { address: mask(address, prefix), prefix })
    }

    /// Whether `address` is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && mask(address, self.prefix) == self.address
    }

    /// How many labels its reverse zones have in front of `in-addr.arpa` or `ip6.arpa`.
    fn labels(&self) -> usize {
        let bits = if self.address.is_ipv4() { 8 } else { 4 };
        usize::from(self.prefix.div_ceil(bits))
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let parse = || {
            let (address, prefix) = text.split_once('/')?;
            Self::new(address.parse().ok()?, prefix.parse().ok()?)
        };
        parse().ok_or_else(|| RangeError(text.to_owned()))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Reads the labels of a name (first label first); `None` if it is no reverse name.
pub fn reverse_name(labels: &[&[u8]], zones: &[Range]) -> Option<ReverseName> {
    let (rest, family) = labels.split_at(labels.len().checked_sub(2)?);
    if !family[1].eq_ignore_ascii_case(b"arpa") {
        return None;
    }
    let spelled = if family[0].eq_ignore_ascii_case(b"in-addr") {
        spelled_v4(rest)
    } else if family[0].eq_ignore_ascii_case(b"ip6") {
        spelled_v6(rest)
    } else {
        return None;
    };
    let Spelled { address, known, whole } = spelled;
    let zone = zones.iter().filter(|zone| zone.labels() <= known && zone.contains(address)).max_by_key(|z| z.prefix);
    let spells = match (known == rest.len(), whole) {
        (false, _) => Spells::Nonsense,
        (true, true) => Spells::Address(address),
        (true, false) => Spells::Prefix,
    };
    Some(ReverseName { spells, apex: zone.map(|zone| zone.labels() + family.len()) })
}

struct Spelled {
    /// The address with zeros for what is not spelled.
    address: IpAddr,
    /// How many labels, counted from the right, make sense.
    known: usize,
    /// Whether they are all of an address.
    whole: bool,
}

fn spelled_v4(labels: &[&[u8]]) -> Spelled {
    let mut octets = [0u8; 4];
    let mut known = 0;
    for (octet, label) in octets.iter_mut().zip(labels.iter().rev()) {
        let Some(value) = decimal(label) else { break };
        *octet = value;
        known += 1;
    }
    Spelled { address: Ipv4Addr::from(octets).into(), known, whole: known == octets.len() }
}

fn spelled_v6(labels: &[&[u8]]) -> Spelled {
    let mut octets = [0u8; 16];
    let mut known = 0;
    for (place, label) in labels.iter().rev().take(32).enumerate() {
        let Some(value) = nibble(label) else { break };
        octets[place / 2] |= if place % 2 == 0 { value << 4 } else { value };
        known += 1;
    }
    Spelled { address: Ipv6Addr::from(octets).into(), known, whole: known == 32 }
}

fn decimal(label: &[u8]) -> Option<u8> {
    let text = str::from_utf8(label).ok()?;
    let plain = text.len() == 1 || !text.starts_with('0');
    (plain && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn nibble(label: &[u8]) -> Option<u8> {
    let [digit] = label else { return None };
    char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

#[cfg(test)]
mod tests;
