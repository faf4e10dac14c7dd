//! Who gets into maps that do not hold everybody.

use std::{collections::BTreeSet, net::IpAddr};

use nodeplane_ebpf_abi::maps;

use crate::model::{Frontend, ObjectKey, Rejected};

/// How many entries the maps have for Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of the frontend map. A Service takes one for each port, and one for all other ports of its address.
    pub frontends: usize,
    /// Of the slot map.
    pub slots: usize,
    /// Of the backend map.
    pub backends: usize,
}

impl Limits {
    /// Of the kernel's maps. One entry of each is the self-test's.
    pub const MAPS: Self = Self {
        frontends: maps::FRONTENDS.capacity as usize - 1,
        slots: maps::SLOTS.capacity as usize - 1,
        backends: maps::BACKENDS.capacity as usize - 1,
    };

    /// How many backends there may be, each in a slot.
    pub(super) fn answering(&self) -> usize {
        self.slots.min(self.backends)
    }
}

/// Takes Services, each with its frontends and the oldest first, as long as there is room for them. Those that would
/// exceed a map are left out whole, so that nobody who comes later can take anything from those that are served.
pub fn admit<'a>(
    services: impl Iterator<Item = (&'a ObjectKey, Vec<&'a Frontend>)>,
    limits: &Limits,
) -> (Vec<&'a Frontend>, Vec<Rejected>) {
    let (mut admitted, mut rejected) = (Vec::new(), Vec::new());
    let (mut ports, mut backends) = (0, 0);
    let mut addresses: BTreeSet<IpAddr> = BTreeSet::new();
    for (key, frontends) in services {
        let own: usize = frontends.iter().map(|frontend| frontend.backends.len()).sum();
        let fresh: BTreeSet<IpAddr> =
            frontends.iter().map(|frontend| frontend.at.addr).filter(|addr| !addresses.contains(addr)).collect();
        let entries = ports + frontends.len() + addresses.len() + fresh.len();
        let full = if entries > limits.frontends {
            format!("{} ports: the node serves {} at most", frontends.len(), limits.frontends)
        } else if backends + own > limits.answering() {
            format!("{own} endpoints: the node has {} at most", limits.answering())
        } else {
            ports += frontends.len();
            backends += own;
            addresses.extend(fresh);
            admitted.extend(frontends);
            continue;
        };
        rejected.push(Rejected::service(key, format!("no room for {full}")));
    }
    admitted.sort_unstable_by_key(|frontend| frontend.at);
    (admitted, rejected)
}
