//! Ranges of IPv4 addresses, as flags name them.

use std::{fmt, net::Ipv4Addr, str::FromStr};

/// `10.96.0.0/16`: all addresses with the same leading bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    network: Ipv4Addr,
    length: u8,
}

impl Range {
    /// The first address and the number of leading bits.
    pub fn pair(self) -> (Ipv4Addr, u8) {
        (self.network, self.length)
    }

    /// The address `n` after the first one; nothing when that is outside.
    pub fn nth(self, n: u32) -> Option<Ipv4Addr> {
        self.network.to_bits().checked_add(n).map(Ipv4Addr::from_bits).filter(|address| self.contains(*address))
    }

    /// The last address.
    pub fn last(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | !mask(self.length))
    }

    /// Whether an address is inside.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.length) == self.network.to_bits()
    }

    /// Whether some address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network) || other.contains(self.network)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write an IPv4 range such as 10.96.0.0/16";
        let (address, length) = text.split_once('/').ok_or(format!("there is no prefix length; {example}"))?;
        let address: Ipv4Addr = address.parse().map_err(|_| format!("{address:?} is no IPv4 address; {example}"))?;
        let length: u8 = length
            .parse()
            .ok()
            .filter(|length| *length <= 32)
            .ok_or(format!("{length:?} is no prefix length from 0 to 32; {example}"))?;
        let range = Self { network: Ipv4Addr::from_bits(address.to_bits() & mask(length)), length };
        if range.network != address {
            return Err(format!("{address} is an address inside of a range; write the range as {range}"));
        }
        Ok(range)
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}
