//! Follows the ConfigMaps and Secrets that pods show, so that their volumes change within moments
//! of the objects.
//!
//! In: references. Out: [`Message::Refreshed`] when an object is not the one that the pod's volumes
//! show. Pods that refer to the same object share one watch; it ends with the last of them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures::StreamExt;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::{
    api::{PodApi, Reference},
    env::{Found, References},
    message::Message,
};

/// The version of an object; none when there is no such object.
type Version = Option<String>;

/// The first pause before the same difference is told again.
const AGAIN: Duration = Duration::from_secs(1);
/// No such pause is longer.
const LONGEST: Duration = Duration::from_secs(60);

/// The watches of a node.
pub struct Watches {
    api: Arc<dyn PodApi>,
    shared: Mutex<HashMap<(String, Reference), Weak<Watch>>>,
}

/// One object, followed.
struct Watch {
    /// Nothing until the first answer.
    version: watch::Receiver<Option<Version>>,
    task: AbortHandle,
}

impl Watches {
    /// None yet.
    pub fn new(api: Arc<dyn PodApi>) -> Self {
        Self { api, shared: Mutex::default() }
    }

    fn watch(&self, namespace: &str, reference: &Reference) -> Arc<Watch> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|_, watch| watch.strong_count() > 0);
        let key = (namespace.to_owned(), reference.clone());
        if let Some(watch) = shared.get(&key).and_then(Weak::upgrade) {
            return watch;
        }
        let (sender, version) = watch::channel(None);
        let mut versions = self.api.versions(namespace, reference);
        let follow = async move {
            while let Some(version) = versions.next().await {
                sender.send_replace(Some(version));
            }
        };
        let watch = Arc::new(Watch { version, task: tokio::spawn(follow).abort_handle() });
        shared.insert(key, Arc::downgrade(&watch));
        watch
    }

    /// How many objects are followed.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.values().filter(|watch| watch.strong_count() > 0).count()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The objects that one pod's volumes show, against those that there are.
#[derive(Clone)]
pub struct Shown {
    versions: Arc<Mutex<HashMap<Reference, Compared>>>,
    refresh: mpsc::UnboundedSender<Message>,
}

#[derive(Default)]
struct Compared {
    shown: Option<Version>,
    latest: Option<Version>,
    /// The difference that was told last when it was shown, and how often it came again.
    told: Option<(Version, Version)>,
    repeated: u32,
}

/// When a difference should be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tell {
    Now,
    After(Duration),
}

impl Compared {
    fn learn(&mut self, version: Version) -> Option<Tell> {
        self.latest = Some(version);
        // What only an environment shows is looked up when a container starts; one may wait for it.
        self.differs().then_some(Tell::Now)
    }

    /// A second look that found the same is no news: what it is behind may stay behind for long.
    fn show(&mut self, version: Version) -> Option<Tell> {
        self.shown = Some(version.clone());
        if !self.differs() {
            (self.told, self.repeated) = (None, 0);
            return None;
        }
        let difference = (self.latest.clone().flatten(), version);
        if self.told.as_ref() != Some(&difference) {
            (self.told, self.repeated) = (Some(difference), 0);
            return Some(Tell::Now);
        }
        let delay = AGAIN.saturating_mul(1 << self.repeated.min(16)).min(LONGEST);
        self.repeated += 1;
        Some(Tell::After(delay))
    }

    /// Whether there is something else than what is shown. A watch may be late: what it says is
    /// news only when it is newer than what was read.
    fn differs(&self) -> bool {
        match (&self.latest, &self.shown) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(latest), Some(shown)) => match (number(latest), number(shown)) {
                (Some(latest), Some(shown)) => latest > shown,
                _ => latest != shown,
            },
        }
    }
}

fn number(version: &Version) -> Option<u64> {
    version.as_deref()?.parse().ok()
}

impl Shown {
    /// Nothing is shown yet. Differences go to `refresh`.
    pub fn new(refresh: mpsc::UnboundedSender<Message>) -> Self {
        Self { versions: Arc::default(), refresh }
    }

    /// The pod's volumes show these objects from now on.
    pub fn show(&self, wanted: &References, found: &Found) {
        for reference in wanted.iter() {
            let meta = match &reference {
                Reference::ConfigMap(name) => found.config_maps.get(name).map(|object| &object.metadata),
                Reference::Secret(name) => found.secrets.get(name).map(|object| &object.metadata),
            };
            let version = meta.and_then(|meta| meta.resource_version.clone());
            let tell = self.versions().entry(reference).or_default().show(version);
            self.tell(tell);
        }
    }

    /// This is the object now.
    fn learn(&self, reference: &Reference, version: Version) {
        let tell = self.versions().entry(reference.clone()).or_default().learn(version);
        self.tell(tell);
    }

    fn tell(&self, tell: Option<Tell>) {
        match tell {
            None => {}
            Some(Tell::Now) => drop(self.refresh.send(Message::Refreshed)),
            Some(Tell::After(delay)) => {
                // It must not keep the worker's channel open.
                let refresh = self.refresh.downgrade();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    // The worker may be gone.
                    refresh.upgrade().map(|refresh| refresh.send(Message::Refreshed))
                });
            }
        }
    }

    fn versions(&self) -> MutexGuard<'_, HashMap<Reference, Compared>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The watches of one pod; they end when it is dropped.
pub struct Subscriptions {
    watches: Arc<Watches>,
    shown: Shown,
    followers: HashMap<Reference, AbortHandle>,
}

impl Subscriptions {
    /// None yet.
    pub fn new(watches: Arc<Watches>, shown: Shown) -> Self {
        Self { watches, shown, followers: HashMap::new() }
    }

    /// Follows exactly these objects of the namespace.
    pub fn set(&mut self, namespace: &str, wanted: &References) {
        let wanted: BTreeSet<Reference> = wanted.iter().collect();
        self.followers.retain(|reference, follower| {
            let keep = wanted.contains(reference);
            if !keep {
                follower.abort();
            }
            keep
        });
        for reference in wanted {
            if self.followers.contains_key(&reference) {
                continue;
            }
            let watch = self.watches.watch(namespace, &reference);
            let follower = tokio::spawn(follow(watch, reference.clone(), self.shown.clone())).abort_handle();
            self.followers.insert(reference, follower);
        }
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.followers.values().for_each(AbortHandle::abort);
    }
}

async fn follow(watch: Arc<Watch>, reference: Reference, shown: Shown) {
    let mut versions = watch.version.clone();
    versions.mark_changed();
    while versions.changed().await.is_ok() {
        if let Some(version) = versions.borrow_and_update().clone() {
            shown.learn(&reference, version);
        }
    }
}

#[cfg(test)]
mod tests;
