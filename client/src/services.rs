//! Services and the EndpointSlices behind them, joined: for whoever serves them or answers for them by name.
//!
//! In: an API server. Out: both caches, the slices of each Service, and for every reader of its own the keys of the
//! Services that it has to look at again, because they or a slice of theirs came, changed or went. A list that is
//! read anew is told as its differences, too. Decides nothing about what an object means, and never shows a slice
//! under a Service that it no longer belongs to.

mod index;
mod trim;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{Api, Client, runtime::watcher};
use nodeplane_api::meta::Key;
use tokio::sync::Notify;

use self::index::SliceIndex;
use crate::informer::Informer;

#[cfg(test)]
mod tests;

/// The label by which a slice says which Service it belongs to.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The Service that a slice belongs to.
pub fn service_of(slice: &EndpointSlice) -> Option<Key> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(Key::new(slice.metadata.namespace.clone().unwrap_or_default(), name.as_str()))
}

/// Both caches, and who reads them. Clones share everything.
#[derive(Clone)]
pub struct Services {
    /// All Services.
    pub objects: Arc<Informer<Service>>,
    /// All EndpointSlices.
    pub slices: Arc<Informer<EndpointSlice>>,
    joined: Arc<Joined>,
}

#[derive(Default)]
struct Joined {
    index: Mutex<SliceIndex>,
    readers: Mutex<Vec<Weak<Reader>>>,
}

#[derive(Default)]
struct Reader {
    stale: Mutex<BTreeSet<Key>>,
    wake: Notify,
}

/// What one reader has to look at again.
pub struct Changes(Arc<Reader>);

impl Services {
    /// Starts to follow the API server, and keeps of every object what the readers of this house read. Must be called
    /// inside a tokio runtime.
    pub fn watch(client: &Client) -> Self {
        let (services, slices) = (Api::all(client.clone()), Api::all(client.clone()));
        let all = watcher::Config::default;
        Self::join(
            Arc::new(Informer::start_trimmed(services, all(), trim::service)),
            Arc::new(Informer::start_trimmed(slices, all(), trim::slice)),
        )
    }

    /// Joins two informers that others may read as well.
    pub fn join(objects: Arc<Informer<Service>>, slices: Arc<Informer<EndpointSlice>>) -> Self {
        let joined = Arc::<Joined>::default();
        let told = joined.clone();
        objects.on_change(move |change| told.mark(std::slice::from_ref(change.key)));
        let told = joined.clone();
        slices.on_change(move |change| {
            let owner = |slice: Option<&Arc<EndpointSlice>>| slice.and_then(|slice| service_of(slice));
            let (old, new) = (owner(change.old), owner(change.new));
            lock(&told.index).moved(&change.key.name, old.as_ref(), new.as_ref());
            told.mark(&old.into_iter().chain(new).collect::<Vec<_>>());
        });
        Self { objects, slices, joined }
    }

    /// Whether the first lists of both are complete.
    pub fn are_ready(&self) -> bool {
        self.objects.is_ready() && self.slices.is_ready()
    }

    /// Returns when the first lists of both are complete; their keys have been told by then.
    pub async fn ready(&self) {
        tokio::join!(self.objects.ready(), self.slices.ready());
    }

    /// Returns when one of the two follows the API server no more: nobody should act on what they hold.
    pub async fn ended(&self) {
        tokio::select! {
            () = self.objects.ended() => {}
            () = self.slices.ended() => {}
        }
    }

    /// The slices that belong to a Service now, in the order of their names.
    pub fn slices_of(&self, service: &Key) -> Vec<Arc<EndpointSlice>> {
        let names = lock(&self.joined.index).of(service);
        let slices = names.into_iter().filter_map(|name| self.slices.get(&Key::new(service.namespace.as_str(), name)));
        // The cache may be ahead of the index; the change is about to be told.
        slices.filter(|slice| service_of(slice).as_ref() == Some(service)).collect()
    }

    /// A reader to whom everything that is here now is new.
    pub fn follow(&self) -> Changes {
        let reader = Arc::<Reader>::default();
        // First, so that nothing is missed in between.
        lock(&self.joined.readers).push(Arc::downgrade(&reader));
        let mut present = lock(&self.joined.index).services();
        present.extend(self.objects.with(|objects| objects.keys().cloned().collect::<Vec<_>>()));
        reader.mark(&present);
        Changes(reader)
    }
}

impl Joined {
    fn mark(&self, keys: &[Key]) {
        lock(&self.readers).retain(|reader| reader.upgrade().is_some_and(|reader| reader.mark(keys)));
    }
}

impl Reader {
    /// True, for a reader that is there.
    fn mark(&self, keys: &[Key]) -> bool {
        lock(&self.stale).extend(keys.iter().cloned());
        self.wake.notify_one();
        true
    }
}

impl Changes {
    /// Returns when there is something to look at again. May be dropped and called again.
    pub async fn changed(&self) {
        while lock(&self.0.stale).is_empty() {
            self.0.wake.notified().await;
        }
    }

    /// All Services to look at again; from here on they are new only if something happens to them.
    pub fn take(&self) -> BTreeSet<Key> {
        std::mem::take(&mut *lock(&self.0.stale))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
