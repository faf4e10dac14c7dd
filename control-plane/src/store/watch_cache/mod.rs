//! The newest state of every object in memory, and what happened to it lately.
//!
//! In: one store watch over everything of the cluster, so that progress is the same for all
//! kinds: when the cache has seen revision R, it has seen every change up to R. What is no object
//! (claims) only moves that revision on; it is neither read nor kept. Out: lists and
//! watches of a [`Scope`], shared objects, no copy per reader. Writes go to the [`Store`] itself.
//! Knows no selectors: a list takes a test, and events carry the previous object, so that the HTTP
//! layer can choose.

mod event;
mod feed;
mod part;
mod state;
#[cfg(test)]
mod tests;

use std::{
    pin::Pin,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt};
use tokio::{sync::watch, task::JoinHandle};

pub use self::{
    event::{Event, EventKind},
    part::{Keep, Part},
};
use self::{
    part::Collector,
    state::{State, Subscription},
};
pub use super::object::Object;
use super::{Store, StoreError, keys::Keys};

/// How long a reader waits for the cache to reach a revision.
const FRESH_WITHIN: Duration = Duration::from_secs(3);

/// How long a consistent read waits before it asks the store itself. The newest revision may
/// belong to a key outside the cluster's root, and then the cache never hears of it.
const STORE_READ_AFTER: Duration = Duration::from_millis(500);

/// Entries that a list with a limit reads from the store at a time, at least.
const STORE_PIECE: usize = 500;

/// Which objects: a key path. When it ends in `/` everything below it, otherwise that one key.
///
/// `…/pods/` is every pod, `…/pods/default/` those of a namespace and
/// `…/pods/default/web` a single one (and not `web-1`).
pub type Scope = str;

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// What is there, however old (`resourceVersion=0`).
    Any,
    /// Not older than a revision (`resourceVersionMatch=NotOlderThan`).
    AtLeast(u64),
    /// As of exactly a revision (`resourceVersionMatch=Exact`, and pages after the first one).
    Exact(u64),
    /// Everything that was acknowledged before the call (`resourceVersion` unset).
    Newest,
}

/// Objects of a scope as of one revision, in key order.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// The objects.
    pub objects: Vec<Object>,
    /// The revision at which the list is exact.
    pub revision: u64,
    /// Whether more objects would belong to it, had there been no limit.
    pub has_more: bool,
    /// How many these are; only known when there is no test to pass.
    pub remaining: Option<usize>,
}

/// A running cache. Cloning shares it; it stops when the last clone and the last watch are gone.
#[derive(Clone)]
pub struct WatchCache {
    inner: Arc<Inner>,
    _feed: Arc<Feed>,
}

impl WatchCache {
    /// Starts to follow all objects that have these keys. Returns at once; the first reads wait
    /// for the first list, see [`WatchCache::is_ready`].
    pub fn start(store: Arc<dyn Store>, keys: &Keys) -> Self {
        let inner = Arc::new(Inner {
            state: RwLock::new(State::new(state::Limits::default())),
            progress: watch::channel(0).0,
            keys: keys.clone(),
            store,
        });
        let task = tokio::spawn(feed::run(inner.clone()));
        Self { inner, _feed: Arc::new(Feed(task)) }
    }

    /// Whether the first list has arrived.
    pub fn is_ready(&self) -> bool {
        self.revision() > 0
    }

    /// The newest revision that the cache has seen; 0 before the first list.
    pub fn revision(&self) -> u64 {
        *self.inner.progress.borrow()
    }

    /// Waits until the cache has seen `revision`, at most `within`. [`StoreError::Future`] when
    /// it has not by then; [`StoreError::Unavailable`] when there was no first list yet.
    pub async fn wait_until(&self, revision: u64, within: Duration) -> Result<(), StoreError> {
        let mut progress = self.inner.progress.subscribe();
        let reached = progress.wait_for(|seen| *seen >= revision.max(1));
        if tokio::time::timeout(within, reached).await.is_ok() {
            return Ok(());
        }
        match self.revision() {
            0 => Err(StoreError::Unavailable(anyhow::anyhow!("the first list of the store has not arrived"))),
            newest => Err(StoreError::Future { asked: revision, newest }),
        }
    }

    /// All objects of `scope`.
    pub async fn list(&self, scope: &Scope, fresh: Freshness) -> Result<List, StoreError> {
        self.list_part(scope, &Part::default(), fresh).await
    }

    /// Some objects of `scope`. What a part leaves out costs little: with a limit and no test, no
    /// object is looked at that is not given out, save one.
    pub async fn list_part(&self, scope: &Scope, part: &Part<'_>, fresh: Freshness) -> Result<List, StoreError> {
        match fresh {
            Freshness::Any => self.wait_until(0, FRESH_WITHIN).await?,
            Freshness::AtLeast(revision) => self.wait_until(revision, FRESH_WITHIN).await?,
            Freshness::Exact(revision) => return self.list_exact(scope, part, revision).await,
            Freshness::Newest => {
                let newest = self.inner.store.revision().await?;
                if self.wait_until(newest, STORE_READ_AFTER).await.is_err() {
                    return self.inner.list_store(scope, part, None).await;
                }
            }
        }
        Ok(self.inner.read().list(scope, part))
    }

    async fn list_exact(&self, scope: &Scope, part: &Part<'_>, revision: u64) -> Result<List, StoreError> {
        // When the cache does not get there, the store knows whether the revision is real.
        if self.wait_until(revision, STORE_READ_AFTER).await.is_ok()
            && let Some(list) = self.inner.read().list_at(scope, part, revision)
        {
            return Ok(list);
        }
        self.inner.list_store(scope, part, Some(revision)).await
    }

    /// How many objects of `scope` there are, as far as the cache knows.
    pub fn count(&self, scope: &Scope) -> usize {
        self.inner.read().count(scope)
    }

    /// One object by its key, and `None` when it does not exist.
    pub async fn get(&self, key: &str, fresh: Freshness) -> Result<Option<Object>, StoreError> {
        Ok(self.list(key, fresh).await?.objects.pop())
    }

    /// One object as of a revision or later, when the cache has got there: the inner `None` when it
    /// does not exist. Never waits.
    pub fn since(&self, key: &str, revision: u64) -> Option<Option<Object>> {
        let state = self.inner.read();
        (state.revision() >= revision.max(1)).then(|| state.get(key))
    }

    /// Every event of `scope` with a revision above `after`, past ones first.
    /// [`StoreError::Compacted`] (410 Gone) when `after` is older than the history kept.
    pub async fn watch(&self, scope: &Scope, after: u64) -> Result<Watch, StoreError> {
        self.wait_until(0, FRESH_WITHIN).await?;
        let subscription = self.inner.write().watch(scope, after)?;
        Ok(self.watch_of(subscription))
    }

    /// A list and every event after it, without a gap between the two. `Exact` is not possible
    /// and means `AtLeast`.
    pub async fn list_and_watch(&self, scope: &Scope, fresh: Freshness) -> Result<(List, Watch), StoreError> {
        let list = match fresh {
            Freshness::Exact(revision) => self.list(scope, Freshness::AtLeast(revision)).await?,
            fresh => self.list(scope, fresh).await?,
        };
        let watch = self.watch(scope, list.revision).await?;
        Ok((list, watch))
    }

    fn watch_of(&self, subscription: Subscription) -> Watch {
        Watch { seen: subscription.after, subscription, inner: self.inner.clone(), _feed: self._feed.clone() }
    }
}

/// A stream of events. It ends when the watcher was too slow or the cache had to start over; the
/// client then watches again from the last revision it saw, or lists again.
pub struct Watch {
    subscription: Subscription,
    seen: u64,
    inner: Arc<Inner>,
    _feed: Arc<Feed>,
}

impl Watch {
    /// The next event; `None` at the end. Cancel safe: a dropped call loses nothing.
    pub async fn next_event(&mut self) -> Option<Arc<Event>> {
        self.next().await
    }

    /// The next event when there is one already.
    pub fn try_next_event(&mut self) -> Option<Arc<Event>> {
        self.next().now_or_never().flatten()
    }

    /// The revision up to which this watcher has been given everything, for a bookmark.
    pub fn revision(&self) -> u64 {
        // Events are queued and the revision is raised under the same lock.
        let state = self.inner.read();
        if self.subscription.is_drained() && !self.subscription.is_cut() {
            return self.seen.max(state.revision());
        }
        self.seen
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Ok(mut state) = self.inner.state.write() {
            state.leave(&mut self.subscription);
        }
    }
}

impl Stream for Watch {
    type Item = Arc<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Arc<Event>>> {
        let next = self.subscription.poll(context);
        if let Poll::Ready(Some(event)) = &next {
            self.seen = self.seen.max(event.revision);
        }
        next
    }
}

struct Inner {
    state: RwLock<State>,
    progress: watch::Sender<u64>,
    keys: Keys,
    store: Arc<dyn Store>,
}

impl Inner {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no holder of the lock panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("no holder of the lock panics")
    }

    /// A list from the store itself, which knows no tests: it is read in pieces.
    async fn list_store(&self, scope: &Scope, part: &Part<'_>, at: Option<u64>) -> Result<List, StoreError> {
        let piece = part.limit.map_or(0, |limit| limit.max(STORE_PIECE) as u64);
        let mut collector = Collector::new(part);
        let (mut start, mut at) = (part.start.map(str::to_owned), at);
        loop {
            let page = self.store.list(scope, start.as_deref(), at, piece).await?;
            let entries = page.entries.iter().filter(|entry| state::contains(scope, &entry.key));
            let is_full = entries.filter_map(feed::decode).any(|object| collector.offer(&object).is_break());
            let last = page.entries.last().filter(|_| page.remaining > 0 && !is_full);
            let Some(last) = last else {
                return Ok(collector.finish(page.revision, |last| {
                    let later = page.entries.iter().filter(|entry| *entry.key > *last);
                    later.count() + usize::try_from(page.remaining).unwrap_or(usize::MAX)
                }));
            };
            (start, at) = (Some(format!("{}\0", last.key)), Some(page.revision));
        }
    }
}

/// The task that feeds the cache; dropping it stops the task.
struct Feed(JoinHandle<()>);

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.abort();
    }
}
