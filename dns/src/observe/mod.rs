//! Reflects the cluster into the zone.
//!
//! In: informers of Services, EndpointSlices and Namespaces. Out: a new [`Zone`] after every
//! change, published at once: all changes that are known at that moment go into one new zone,
//! nothing waits for more. One task writes, readers never block. Never changes the cluster.

mod convert;
#[cfg(test)]
pub(crate) mod fake;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use k8s_openapi::api::{
    core::v1::{Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, runtime::watcher};
use nodeplane_api::meta::Key;
use nodeplane_client::informer::{Informer, Notice};
use tokio::sync::{broadcast, watch};
use tracing::{debug, info, trace};

pub use self::convert::{service_facts, slice_facts};
use crate::zone::{
    Entry, Settings, Zone,
    facts::{SliceFacts, Snapshot},
};

/// The informers that DNS reads. They may be shared with other readers.
#[derive(Clone)]
pub struct Sources {
    /// All Services.
    pub services: Arc<Informer<Service>>,
    /// All EndpointSlices.
    pub slices: Arc<Informer<EndpointSlice>>,
    /// All Namespaces.
    pub namespaces: Arc<Informer<Namespace>>,
}

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

impl Sources {
    /// Watches everything by itself, keeping only what DNS reads of each object.
    pub fn watch(client: &Client) -> Self {
        let services = Informer::start_trimmed(Api::all(client.clone()), watcher::Config::default(), trim_service);
        let slices = Informer::start_trimmed(Api::all(client.clone()), watcher::Config::default(), trim_slice);
        Self::shared(client, Arc::new(services), Arc::new(slices))
    }

    /// Reads informers that exist already, and watches namespaces by itself.
    pub fn shared(client: &Client, services: Arc<Informer<Service>>, slices: Arc<Informer<EndpointSlice>>) -> Self {
        let namespaces = Informer::start_trimmed(Api::all(client.clone()), watcher::Config::default(), trim_namespace);
        Self { services, slices, namespaces: Arc::new(namespaces) }
    }

    fn are_ready(&self) -> bool {
        self.services.is_ready() && self.slices.is_ready() && self.namespaces.is_ready()
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            namespaces: self.namespaces.with(|objects| objects.keys().map(|key| key.name.clone()).collect()),
            services: self
                .services
                .with(|objects| objects.values().filter_map(|object| service_facts(object)).collect()),
            slices: self.slices.with(|objects| objects.values().filter_map(|object| slice_facts(object)).collect()),
        }
    }
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

/// Which slices belong to which service, in both directions.
#[derive(Debug, Default)]
struct SliceIndex {
    owners: HashMap<(String, String), String>,
    slices: HashMap<(String, String), BTreeSet<String>>,
}

impl SliceIndex {
    fn of<'a>(slices: impl Iterator<Item = &'a EndpointSlice>) -> Self {
        let mut index = Self::default();
        for slice in slices {
            let Key { namespace, name } = Key::of(slice);
            index.moved(&namespace, &name, convert::service_of(slice).map(str::to_owned));
        }
        index
    }

    /// Notes the service that a slice belongs to now, and names those that it concerns.
    fn moved(&mut self, namespace: &str, slice: &str, owner: Option<String>) -> BTreeSet<String> {
        let mut concerned = BTreeSet::new();
        let key = (namespace.to_owned(), slice.to_owned());
        let old = match &owner {
            Some(owner) => self.owners.insert(key, owner.clone()),
            None => self.owners.remove(&key),
        };
        if let Some(old) = old {
            let key = (namespace.to_owned(), old.clone());
            if let Some(slices) = self.slices.get_mut(&key) {
                slices.remove(slice);
                if slices.is_empty() {
                    self.slices.remove(&key);
                }
            }
            concerned.insert(old);
        }
        if let Some(owner) = owner {
            self.slices.entry((namespace.to_owned(), owner.clone())).or_default().insert(slice.to_owned());
            concerned.insert(owner);
        }
        concerned
    }

    fn of_service(&self, namespace: &str, service: &str) -> impl Iterator<Item = &str> {
        self.slices.get(&(namespace.to_owned(), service.to_owned())).into_iter().flatten().map(String::as_str)
    }
}

/// Seconds since 1970, in the 32 bits that an SOA has for its serial.
#[expect(clippy::cast_possible_truncation, reason = "serials wrap around (RFC 1982)")]
fn unix_time() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as u32)
}

fn trim_service(service: &mut Service) {
    service.metadata.managed_fields = None;
    service.metadata.annotations = None;
    service.metadata.labels = None;
    service.metadata.owner_references = None;
    service.status = None;
    if let Some(spec) = &mut service.spec {
        spec.selector = None;
    }
}

fn trim_slice(slice: &mut EndpointSlice) {
    slice.metadata.managed_fields = None;
    slice.metadata.annotations = None;
    slice.metadata.owner_references = None;
    if let Some(labels) = &mut slice.metadata.labels {
        labels.retain(|label, _| label == convert::SERVICE_NAME);
    }
    for endpoint in &mut slice.endpoints {
        endpoint.target_ref = None;
        endpoint.node_name = None;
        endpoint.zone = None;
        endpoint.hints = None;
    }
}

fn trim_namespace(namespace: &mut Namespace) {
    namespace.metadata.managed_fields = None;
    namespace.metadata.annotations = None;
    namespace.metadata.labels = None;
    namespace.spec = None;
    namespace.status = None;
}

#[cfg(test)]
mod tests;
