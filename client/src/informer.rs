//! A list and watch of one kind, reflected into memory: one writer, many readers, swapped in
//! only when complete.

use std::{collections::HashMap, fmt::Debug, hash::Hash, sync::Arc};

use futures::StreamExt;
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt, watcher},
};
use nodeplane_api::meta::Key;
use serde::de::DeserializeOwned;
use tokio::sync::{broadcast, watch};
use tracing::{debug, warn};

/// How many changed keys a slow subscriber may lag behind before it must look at everything.
const SUBSCRIBER_LAG: usize = 4096;

/// What an informer can reflect.
pub trait Object: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}

impl<K> Object for K where K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}

/// The objects of one kind as of one moment.
pub type Objects<K> = HashMap<Key, Arc<K>>;

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// This object was added, changed or removed.
    Changed(Key),
    /// Anything may have changed: a list was completed.
    Relisted,
}

/// A cache of one kind that follows the API server until it is dropped.
pub struct Informer<K: Object> {
    shared: Arc<Shared<K>>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared<K> {
    objects: std::sync::RwLock<Objects<K>>,
    generation: watch::Sender<u64>,
    notices: broadcast::Sender<Notice>,
}

impl<K: Object> Informer<K> {
    /// Starts to follow the objects of `api` that match `config`.
    pub fn start(api: Api<K>, config: watcher::Config) -> Self {
        let shared = Arc::new(Shared {
            objects: std::sync::RwLock::default(),
            generation: watch::Sender::new(0),
            notices: broadcast::Sender::new(SUBSCRIBER_LAG),
        });
        let task = tokio::spawn(follow(api, config, shared.clone()));
        Self { shared, task }
    }

    /// Whether the first list is complete.
    pub fn is_ready(&self) -> bool {
        *self.shared.generation.borrow() > 0
    }

    /// Returns when the first list is complete.
    pub async fn ready(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.shared.generation.subscribe().wait_for(|generation| *generation > 0).await;
    }

    /// The object with this key.
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read().get(key).cloned()
    }

    /// All objects, in no order.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.read().values().cloned().collect()
    }

    /// Calls `f` with all objects, without copying them.
    pub fn with<R>(&self, f: impl FnOnce(&Objects<K>) -> R) -> R {
        f(&self.read())
    }

    /// A counter that grows with every change; 0 until the first list is complete. Coalesces.
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    /// Which objects change from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.shared.notices.subscribe()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Objects<K>> {
        self.shared.objects.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<K: Object> Drop for Informer<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<K> Shared<K> {
    fn change(&self, notice: Notice, change: impl FnOnce(&mut Objects<K>)) {
        change(&mut self.objects.write().unwrap_or_else(std::sync::PoisonError::into_inner));
        // Nobody subscribed is fine; the generation tells the others.
        let _ = self.notices.send(notice);
        self.generation.send_modify(|generation| *generation += 1);
    }
}

fn key_of<K: Resource>(object: &K) -> Key {
    let meta = object.meta();
    Key::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

async fn follow<K: Object>(api: Api<K>, config: watcher::Config, shared: Arc<Shared<K>>) {
    let mut events = watcher(api, config).default_backoff().boxed();
    // A list is collected aside and shown whole, so that readers never see half of it.
    let mut collected = Objects::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => collected = Objects::new(),
            Ok(watcher::Event::InitApply(object)) => {
                collected.insert(key_of(&object), Arc::new(object));
            }
            Ok(watcher::Event::InitDone) => {
                let complete = std::mem::take(&mut collected);
                debug!(kind = std::any::type_name::<K>(), objects = complete.len(), "list complete");
                shared.change(Notice::Relisted, |objects| *objects = complete);
            }
            Ok(watcher::Event::Apply(object)) => {
                let key = key_of(&object);
                shared.change(Notice::Changed(key.clone()), |objects| {
                    objects.insert(key, Arc::new(object));
                });
            }
            Ok(watcher::Event::Delete(object)) => {
                let key = key_of(&object);
                shared.change(Notice::Changed(key.clone()), |objects| {
                    objects.remove(&key);
                });
            }
            Err(error) => warn!(kind = std::any::type_name::<K>(), %error, "watch interrupted; trying again"),
        }
    }
}
