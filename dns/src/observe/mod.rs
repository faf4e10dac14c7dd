//! Reflects the cluster into the zone.
//!
//! In: informers of Services, EndpointSlices and Namespaces. Out: a new [`Zone`] after every
//! change, published at once: all changes that are known at that moment go into one new zone,
//! nothing waits for more. One task writes, readers never block. Never changes the cluster.

mod convert;
#[cfg(test)]
pub(crate) mod fake;
mod index;
mod sources;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use nodeplane_api::meta::Key;
use nodeplane_client::informer::Notice;
use tokio::sync::{broadcast, watch};
use tracing::{debug, info, trace};

use self::index::SliceIndex;
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
    settings: Arc<Settings>,
    zone: Published,
    synced: watch::Sender<bool>,
    slices: SliceIndex,
}

/// What has to be looked at again.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stale {
    everything: bool,
    namespaces: bool,
    services: BTreeSet<(String, String)>,
    slices: BTreeSet<(String, String)>,
}

impl Observer {
    /// An observer whose zone is empty until [`Self::run`].
    pub fn new(sources: Sources, settings: Arc<Settings>) -> Self {
        let zone = Arc::new(ArcSwap::from_pointee(Zone::empty(settings.clone())));
        Self { sources, settings, zone, synced: watch::Sender::new(false), slices: SliceIndex::default() }
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
    pub async fn run(mut self) {
        let mut services = self.sources.services.subscribe();
        let mut slices = self.sources.slices.subscribe();
        let mut namespaces = self.sources.namespaces.subscribe();
        // What changed before the subscription began is only in the caches.
        let mut stale = Stale { everything: true, ..Stale::default() };
        loop {
            drain(&mut services, |notice| stale.note(Kind::Service, notice));
            drain(&mut slices, |notice| stale.note(Kind::Slice, notice));
            drain(&mut namespaces, |notice| stale.note(Kind::Namespace, notice));
            self.refresh(std::mem::take(&mut stale));
            let open = tokio::select! {
                notice = services.recv() => stale.note_received(Kind::Service, notice),
                notice = slices.recv() => stale.note_received(Kind::Slice, notice),
                notice = namespaces.recv() => stale.note_received(Kind::Namespace, notice),
            };
            if !open {
                return;
            }
        }
    }

    fn refresh(&mut self, stale: Stale) {
        let synced = self.sources.are_ready();
        if stale.everything {
            self.rebuild(synced);
        } else {
            self.update(stale, synced);
        }
        // Told after the zone is published, so that whoever is told finds it.
        self.synced.send_if_modified(|known| !std::mem::replace(known, synced) && synced);
    }

    fn rebuild(&mut self, synced: bool) {
        self.slices = self.sources.slices.with(|objects| SliceIndex::of(objects.values().map(|object| &**object)));
        let zone = Zone::build(self.settings.clone(), &self.sources.snapshot(), unix_time(), synced);
        info!(services = zone.len(), synced, "zone rebuilt");
        self.zone.store(Arc::new(zone));
    }

    fn update(&mut self, stale: Stale, synced: bool) {
        let Stale { everything: _, namespaces, mut services, slices } = stale;
        for (namespace, name) in slices {
            let slice = self.sources.slices.get(&Key::new(namespace.as_str(), name.as_str()));
            let owner = slice.as_deref().and_then(convert::service_of).map(str::to_owned);
            services.extend(
                self.slices.moved(&namespace, &name, owner).into_iter().map(|owner| (namespace.clone(), owner)),
            );
        }
        let mut zone = Zone::clone(&self.zone.load());
        if namespaces {
            self.sources.namespaces.with(|objects| zone.set_namespaces(objects.keys().map(|key| key.name.as_str())));
        }
        for (namespace, name) in &services {
            zone.put(namespace, name, self.entry(namespace, name));
        }
        zone.mark(unix_time(), synced);
        trace!(changed = services.len(), services = zone.len(), "zone updated");
        self.zone.store(Arc::new(zone));
    }

    fn entry(&self, namespace: &str, name: &str) -> Option<Entry> {
        let service = service_facts(&*self.sources.services.get(&Key::new(namespace, name))?)?;
        let slices: Vec<SliceFacts> = self
            .slices
            .of_service(namespace, name)
            .filter_map(|slice| slice_facts(&*self.sources.slices.get(&Key::new(namespace, slice))?))
            // The cache may be ahead of the index; the notice of that change is on its way.
            .filter(|slice| slice.service == name)
            .collect();
        Entry::new(&service, slices.iter())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Service,
    Slice,
    Namespace,
}

impl Stale {
    fn note(&mut self, kind: Kind, notice: Option<Notice>) {
        match (kind, notice) {
            (Kind::Namespace, _) => self.namespaces = true,
            (_, None | Some(Notice::Relisted)) => self.everything = true,
            (Kind::Service, Some(Notice::Changed(key))) => {
                self.services.insert((key.namespace, key.name));
            }
            (Kind::Slice, Some(Notice::Changed(key))) => {
                self.slices.insert((key.namespace, key.name));
            }
        }
    }

    /// Notes what was received; false when the informer is gone.
    fn note_received(&mut self, kind: Kind, received: Result<Notice, broadcast::error::RecvError>) -> bool {
        match received {
            Ok(notice) => self.note(kind, Some(notice)),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                debug!(missed, "too many changes at once; looking at everything");
                self.note(kind, None);
            }
            Err(broadcast::error::RecvError::Closed) => return false,
        }
        true
    }
}

/// Passes on every notice that is there; nothing stands for notices that were lost.
fn drain(notices: &mut broadcast::Receiver<Notice>, mut note: impl FnMut(Option<Notice>)) {
    loop {
        match notices.try_recv() {
            Ok(notice) => note(Some(notice)),
            Err(broadcast::error::TryRecvError::Lagged(_)) => note(None),
            Err(_) => return,
        }
    }
}

/// Seconds since 1970, in the 32 bits that an SOA has for its serial.
#[expect(clippy::cast_possible_truncation, reason = "serials wrap around (RFC 1982)")]
fn unix_time() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as u32)
}

#[cfg(test)]
mod tests;
