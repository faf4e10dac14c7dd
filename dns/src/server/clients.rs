//! Who may ask.
//!
//! The address that pods ask at is one of this machine's, so whoever can send packets to the machine
//! could ask there as well: for the names of the cluster, and for all others at our cost.

use std::net::IpAddr;

use crate::zone::range::Range;

/// Those who may ask: some ranges, and this machine itself.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    ranges: Vec<Range>,
    own: Vec<IpAddr>,
}

impl Clients {
    /// Whoever is in `ranges`; and this machine, which asks from a loopback address, or from the
    /// very address that it asks at, of `own`.
    pub fn new(ranges: Vec<Range>, own: Vec<IpAddr>) -> Self {
        Self { ranges, own }
    }

    /// Whether this client may.
    pub fn may_ask(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        client.is_loopback() || self.own.contains(&client) || self.ranges.iter().any(|range| range.contains(client))
    }
}

#[cfg(test)]
mod tests;
