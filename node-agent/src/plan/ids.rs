//! Names for services and backends in the maps: small numbers that never change while their owner
//! lives, also across a restart of the agent.

use std::collections::BTreeMap;

use nodeplane_ebpf_abi::{
    addr::{Ipv4Be, PortBe},
    service::{NO_SERVICE, SvcKey},
};

use super::{Image, desired};
use crate::model::Snapshot;

/// Ids above this are not given out: they are the self-test's.
pub(super) const LAST: u32 = u32::MAX - 16;

/// Who a backend is: one place that answers for one service id.
pub(super) type Place = (u32, Ipv4Be, PortBe);

/// The ids in use.
///
/// Numbers are given upwards and come round only after four billion, so that what the programs
/// remember under an old id (affinity, turns) is not taken for a new owner's.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ids {
    services: Pool<SvcKey>,
    backends: Pool<Place>,
}

impl Ids {
    /// The ids that the maps of an earlier agent hold.
    pub fn restore(image: &Image) -> Self {
        let mut ids = Self::default();
        for (key, value) in &image.frontends {
            if value.service != NO_SERVICE {
                ids.services.keep(*key, value.service);
            }
        }
        for (id, value) in &image.backends {
            ids.backends.keep((value.service, value.addr, value.port), *id);
        }
        ids
    }

    /// Gives an id to all that the snapshot holds and have none, and takes back the others'.
    pub fn assign(&mut self, snapshot: &Snapshot) {
        let keys = snapshot.frontends.iter().map(desired::svc_key);
        self.services.assign(keys);
        let mut places = Vec::new();
        for frontend in &snapshot.frontends {
            let Some(service) = self.service(&desired::svc_key(frontend)) else { continue };
            places.extend(frontend.backends.iter().map(|b| (service, b.addr.into(), PortBe::new(b.port))));
        }
        self.backends.assign(places.into_iter());
    }

    /// The id of a frontend.
    pub(super) fn service(&self, key: &SvcKey) -> Option<u32> {
        self.services.ids.get(key).copied()
    }

    /// The id of a backend.
    pub(super) fn backend(&self, place: &Place) -> Option<u32> {
        self.backends.ids.get(place).copied()
    }
}

/// Ids of one kind of owner.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pool<K> {
    ids: BTreeMap<K, u32>,
    owners: BTreeMap<u32, K>,
    last: u32,
}

impl<K> Default for Pool<K> {
    fn default() -> Self {
        Self { ids: BTreeMap::new(), owners: BTreeMap::new(), last: 0 }
    }
}

impl<K: Ord + Copy> Pool<K> {
    /// Takes an id over. Of two owners with one id, or two ids of one owner, the first stays: the
    /// other one gets a new id, and its old entries go with the next difference.
    fn keep(&mut self, owner: K, id: u32) {
        if id == 0 || id > LAST || self.ids.contains_key(&owner) || self.owners.contains_key(&id) {
            return;
        }
        self.ids.insert(owner, id);
        self.owners.insert(id, owner);
        self.last = self.last.max(id);
    }

    fn assign(&mut self, wanted: impl Iterator<Item = K> + Clone) {
        let live: std::collections::BTreeSet<K> = wanted.clone().collect();
        self.ids.retain(|owner, _| live.contains(owner));
        self.owners.retain(|_, owner| live.contains(owner));
        for owner in wanted {
            if !self.ids.contains_key(&owner) {
                let id = self.free();
                self.keep(owner, id);
            }
        }
    }

    /// The next number that nobody has. There are more numbers than map entries, so it ends.
    fn free(&self) -> u32 {
        let mut id = self.last;
        loop {
            id = if id >= LAST { 1 } else { id + 1 };
            if !self.owners.contains_key(&id) {
                return id;
            }
        }
    }
}
