//! Reflects the cluster into the zone.
//!
//! In: informers of Services, EndpointSlices and Namespaces. Out: a new [`Zone`] after every
//! change, published at once: all changes that are known at that moment go into one new zone,
//! nothing waits for more. One task writes, readers never block. Never changes the cluster.

mod convert;
#[cfg(test)]
pub(crate) mod fake;
mod sources;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use nodeplane_api::meta::Key;
use tokio::sync::watch;
use tracing::{info, trace};

pub use self::{
    convert::{service_facts, slice_facts},
    sources::Sources,
};
use crate::zone::{Entry, Settings, Zone, facts::SliceFacts};

/// The zone as it is now, for readers.
pub type Published = Arc<ArcSwap<Zone>>;

/// Keeps a published zone equal to the cluster.
pub struct Observer {
    sources: Sources,
    zone: Published,
    synced: watch::Sender<bool>,
}

impl Observer {
    /// An observer whose zone is empty until [`Self::run`].
    pub fn new(sources: Sources, settings: Arc<Settings>) -> Self {
        let zone = Arc::new(ArcSwap::from_pointee(Zone::empty(settings)));
        Self { sources, zone, synced: watch::Sender::new(false) }
    }

    /// The zone as it is now, for readers.
    pub fn zone(&self) -> Published {
        self.zone.clone()
    }

    /// Whether the zone has been complete once.
    pub fn synced(&self) -> watch::Receiver<bool> {
        self.synced.subscribe()
    }

    /// Follows the informers until they are gone.
    pub async fn run(self) {
        let changes = self.sources.services.follow();
        let mut namespaces = self.sources.namespaces.generation();
        namespaces.mark_changed();
        loop {
            // Asked first: what is complete by now is in what is taken next.
            let synced = self.sources.are_ready();
            let renamed = namespaces.has_changed().unwrap_or_default();
            namespaces.mark_unchanged();
            self.update(&changes.take(), renamed, synced);
            tokio::select! {
                () = changes.changed() => {}
                // The sender lives as long as the informer that we hold.
                _ = namespaces.changed() => namespaces.mark_changed(),
                () = self.sources.ready(), if !synced => {}
                () = self.sources.ended() => return,
            }
        }
    }

    fn update(&self, services: &BTreeSet<Key>, namespaces: bool, synced: bool) {
        let mut zone = Zone::clone(&self.zone.load());
        if namespaces {
            self.sources.namespaces.with(|objects| zone.set_namespaces(objects.keys().map(|key| key.name.as_str())));
        }
        for key in services {
            zone.put(&key.namespace, &key.name, self.entry(key));
        }
        zone.mark(unix_time(), synced);
        trace!(changed = services.len(), services = zone.len(), "zone updated");
        let size = zone.len();
        self.zone.store(Arc::new(zone));
        // Told after the zone is published, so that whoever is told finds it.
        if self.synced.send_if_modified(|known| !std::mem::replace(known, synced) && synced) {
            info!(services = size, "the zone is complete");
        }
    }

    fn entry(&self, key: &Key) -> Option<Entry> {
        let service = service_facts(&*self.sources.services.objects.get(key)?)?;
        let slices: Vec<SliceFacts> =
            self.sources.services.slices_of(key).iter().filter_map(|slice| slice_facts(slice)).collect();
        Entry::new(&service, slices.iter())
    }
}

/// Seconds since 1970, in the 32 bits that an SOA has for its serial.
#[expect(clippy::cast_possible_truncation, reason = "serials wrap around (RFC 1982)")]
fn unix_time() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as u32)
}

#[cfg(test)]
mod tests;
