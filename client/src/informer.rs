//! A list and watch of one kind, reflected into memory: one writer, many readers, swapped in
//! only when complete.
//!
//! In: an [`Api`] and a [`watcher::Config`]. Out: the objects of the kind, notices of what
//! changed, and whether a revision has been seen. Never writes to the API server, and never
//! shows half a list. `metadata.managedFields` is dropped: nobody here reads it and it is the
//! larger half of many objects.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::Hash,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use futures::{Stream, StreamExt};
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt, watcher},
};
use nodeplane_api::meta::Key;
use serde::de::DeserializeOwned;
use tokio::sync::{broadcast, watch};
use tracing::{debug, error, warn};

/// How many changed keys a slow subscriber may lag behind before it must look at everything.
const SUBSCRIBER_LAG: usize = 4096;

/// What an informer can reflect: typed objects, or dynamic ones with their metadata.
pub trait Object: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}

impl<K> Object for K where K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}

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

/// One difference between two moments.
#[derive(Debug)]
pub struct Change<'a, K> {
    /// Which object.
    pub key: &'a Key,
    /// As it was; absent when it is new.
    pub old: Option<&'a Arc<K>>,
    /// As it is; absent when it is gone.
    pub new: Option<&'a Arc<K>>,
}

type Handler<K> = Box<dyn Fn(&Change<'_, K>) + Send + Sync>;

/// A cache of one kind that follows the API server until it is dropped.
pub struct Informer<K: Object> {
    shared: Arc<Shared<K>>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared<K> {
    objects: RwLock<Objects<K>>,
    generation: watch::Sender<u64>,
    notices: Mutex<Notices>,
    /// Whether the task that follows has ended.
    ended: watch::Sender<bool>,
    /// Locked around every change, so that a handler added meanwhile misses nothing.
    handlers: Mutex<Vec<Handler<K>>>,
    /// The highest `resourceVersion` of any object seen.
    revision: AtomicU64,
    lists_begun: AtomicU64,
    /// The number of the newest list that is complete.
    lists_done: AtomicU64,
    /// Whether nobody reads any more; the task may still be about to notice.
    is_left: AtomicBool,
}

/// Who is told of changes one by one. Most informers have nobody, and need no memory for it.
enum Notices {
    Unheard,
    Heard(broadcast::Sender<Notice>),
    Ended,
}

/// A moment in the life of an informer, to ask later what it has seen since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u64);

impl<K: Object> Informer<K> {
    /// Starts to follow the objects of `api` that match `config`.
    pub fn start(api: Api<K>, config: watcher::Config) -> Self {
        Self::start_trimmed(api, config, |_| {})
    }

    /// Like [`Self::start`], and passes every object through `trim` before it is kept, to save
    /// memory on what no reader needs.
    pub fn start_trimmed(api: Api<K>, config: watcher::Config, trim: fn(&mut K)) -> Self {
        let shared = Arc::new(Shared {
            objects: RwLock::default(),
            generation: watch::Sender::new(0),
            notices: Mutex::new(Notices::Unheard),
            ended: watch::Sender::new(false),
            handlers: Mutex::default(),
            revision: AtomicU64::new(0),
            lists_begun: AtomicU64::new(0),
            lists_done: AtomicU64::new(0),
            is_left: AtomicBool::new(false),
        });
        let following = {
            let shared = shared.clone();
            async move {
                let _end = End(&shared);
                follow(api, config, trim, &shared).await;
            }
        };
        Self { task: tokio::spawn(following), shared }
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

    /// Returns when nothing follows the API server any more, because that or a handler panicked:
    /// from then on the cache stands still, and nobody should act on it.
    pub async fn ended(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.shared.ended.subscribe().wait_for(|ended| *ended).await;
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

    /// Which objects change from now on. Closed when the informer ends.
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        let mut notices = self.shared.notices();
        match &*notices {
            Notices::Heard(sender) => sender.subscribe(),
            Notices::Unheard => {
                let (sender, receiver) = broadcast::channel(SUBSCRIBER_LAG);
                *notices = Notices::Heard(sender);
                receiver
            }
            Notices::Ended => broadcast::channel(1).1,
        }
    }

    /// Calls `handler` with every object that is here now and then with every change, in order
    /// and without gaps; a list is told as its differences. The handler runs on the informer's
    /// task: it must be quick, must not block and must not add handlers.
    pub fn on_change(&self, handler: impl Fn(&Change<'_, K>) + Send + Sync + 'static) {
        let mut handlers = self.shared.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        let present: Vec<_> = self.with(|objects| objects.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
        for (key, object) in &present {
            handler(&Change { key, old: None, new: Some(object) });
        }
        handlers.push(Box::new(handler));
    }

    /// Now, for [`Self::has_seen`].
    pub fn mark(&self) -> Mark {
        Mark(self.shared.lists_begun.load(Ordering::SeqCst))
    }

    /// Whether the cache reflects at least `revision`: an object of that revision or a later one
    /// came by, or a list that began after `since` is complete. Revisions are those of one store
    /// and grow over all kinds.
    pub fn has_seen(&self, revision: u64, since: Mark) -> bool {
        self.shared.revision.load(Ordering::SeqCst) >= revision
            || self.shared.lists_done.load(Ordering::SeqCst) > since.0
    }

    fn read(&self) -> RwLockReadGuard<'_, Objects<K>> {
        self.shared.objects.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Object> Drop for Informer<K> {
    fn drop(&mut self) {
        self.shared.is_left.store(true, Ordering::SeqCst);
        self.task.abort();
    }
}

impl<K: Object> Shared<K> {
    /// Puts `new` in the place of the object with this key, and tells everybody. `seen` is the
    /// object that the change came with.
    fn set(&self, key: Key, new: Option<&Arc<K>>, seen: &K) {
        let handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        let old = {
            let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
            match new {
                Some(object) => objects.insert(key.clone(), object.clone()),
                None => objects.remove(&key),
            }
        };
        // Before the handlers: whoever they wake must find its own write seen.
        self.see(seen);
        let change = Change { key: &key, old: old.as_ref(), new };
        handlers.iter().for_each(|handler| handler(&change));
        drop(handlers);
        self.tell(Notice::Changed(key));
    }

    /// Puts a complete list in the place of everything.
    fn swap(&self, complete: &Objects<K>, list: u64) {
        let handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        let old = {
            let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *objects, complete.clone())
        };
        complete.values().for_each(|object| self.see(object));
        self.lists_done.store(list, Ordering::SeqCst);
        for change in differences(&old, complete) {
            handlers.iter().for_each(|handler| handler(&change));
        }
        drop(handlers);
        self.tell(Notice::Relisted);
    }

    fn tell(&self, notice: Notice) {
        // First, so that whoever is woken by the first list's notice finds the informer ready.
        self.generation.send_modify(|generation| *generation += 1);
        if let Notices::Heard(sender) = &*self.notices() {
            // Nobody listening any more is fine; the generation tells the others.
            let _ = sender.send(notice);
        }
    }

    fn notices(&self) -> MutexGuard<'_, Notices> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, object: &K) {
        if let Some(revision) = revision_of(object) {
            self.revision.fetch_max(revision, Ordering::SeqCst);
        }
    }
}

/// Tells that the task has ended, however it did.
struct End<'a, K>(&'a Shared<K>);

impl<K> Drop for End<'_, K> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(kind = std::any::type_name::<K>(), "following the API server ended in a panic");
        }
        self.0.ended.send_replace(true);
        *self.0.notices.lock().unwrap_or_else(PoisonError::into_inner) = Notices::Ended;
    }
}

fn differences<'a, K: Object>(
    old: &'a Objects<K>,
    new: &'a Objects<K>,
) -> impl Iterator<Item = Change<'a, K>> + use<'a, K> {
    let gone = old.iter().filter(|(key, _)| !new.contains_key(*key)).map(|(key, object)| Change {
        key,
        old: Some(object),
        new: None,
    });
    let here = new.iter().filter_map(|(key, object)| {
        let before = old.get(key);
        let same = before.is_some_and(|before| {
            before.meta().uid == object.meta().uid && before.meta().resource_version == object.meta().resource_version
        });
        (!same).then_some(Change { key, old: before, new: Some(object) })
    });
    gone.chain(here)
}

fn revision_of<K: Resource>(object: &K) -> Option<u64> {
    object.meta().resource_version.as_deref()?.parse().ok()
}

/// Whether the revision to watch from is gone and only a new list helps. kube's watcher starts
/// over by itself when the stream says so, but not when the watch request itself is refused.
fn is_expired(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410)
}

async fn follow<K: Object>(api: Api<K>, config: watcher::Config, trim: fn(&mut K), shared: &Shared<K>) {
    // Of its own: that of a watcher goes with the watcher.
    let mut pauses = watcher::DefaultBackoff::default();
    loop {
        until_expired(watcher(api.clone(), config.clone()), Reflection { shared, collected: Objects::new(), trim })
            .await;
        tokio::time::sleep(pauses.next().unwrap_or_default()).await;
    }
}

/// Follows one watcher until its revision is gone.
async fn until_expired<K: Object>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    mut reflection: Reflection<'_, K>,
) {
    let mut events = pin!(events.default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => reflection.take(event),
            // The server may end together with the last reader.
            Err(_) if reflection.shared.is_left.load(Ordering::SeqCst) => return,
            Err(error) => {
                warn!(kind = std::any::type_name::<K>(), %error, "watch interrupted; trying again");
                if is_expired(&error) {
                    return;
                }
            }
        }
    }
}

struct Reflection<'a, K: Object> {
    shared: &'a Shared<K>,
    /// A list is collected aside and shown whole, so that readers never see half of it.
    collected: Objects<K>,
    trim: fn(&mut K),
}

impl<K: Object> Reflection<'_, K> {
    fn take(&mut self, event: watcher::Event<K>) {
        match event {
            watcher::Event::Init => {
                self.collected = Objects::new();
                self.shared.lists_begun.fetch_add(1, Ordering::SeqCst);
            }
            watcher::Event::InitApply(object) => {
                let (key, object) = self.keep(object);
                self.collected.insert(key, object);
            }
            watcher::Event::InitDone => {
                let complete = std::mem::take(&mut self.collected);
                debug!(kind = std::any::type_name::<K>(), objects = complete.len(), "list complete");
                self.shared.swap(&complete, self.shared.lists_begun.load(Ordering::SeqCst));
            }
            watcher::Event::Apply(object) => {
                let (key, object) = self.keep(object);
                self.shared.set(key, Some(&object), &object);
            }
            watcher::Event::Delete(object) => {
                self.shared.set(Key::of_meta(object.meta()), None, &object);
            }
        }
    }

    fn keep(&self, mut object: K) -> (Key, Arc<K>) {
        object.meta_mut().managed_fields = None;
        (self.trim)(&mut object);
        (Key::of_meta(object.meta()), Arc::new(object))
    }
}

#[cfg(test)]
mod tests;
