//! The one controller runtime: keys in, reconciled objects out.
//!
//! In: informers with a mapping from their objects to keys, and a [`Reconcile`]. Out: calls of
//! `reconcile(key)`, each key by one worker at a time, and its writes through [`Apply`]. A key is
//! not reconciled again before the caches show what was written for it (or a deadline passes), so
//! that a stale cache never leads to the same write twice. Knows no kind and decides nothing.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use kube::Resource;
use nodeplane_api::{kinds::Kind, meta, meta::Key};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::{
    informer::{Change, Informer, Mark, Object},
    queue::Queue,
    write::{Hands, Write, WriteError},
};

/// How long a key waits for the caches to show its own writes. The same as upstream's
/// `ExpectationsTimeout`.
const SEEN_DEADLINE: Duration = Duration::from_secs(300);
/// How soon a key whose writes are not seen yet is looked at again.
const SEEN_POLL: Duration = Duration::from_millis(100);
/// How often keys that nobody asks for any more are forgotten.
const SWEEP_PERIOD: Duration = Duration::from_secs(60);

/// What comes after a reconciliation that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, until something changes.
    Wait,
    /// Another look after this time.
    After(Duration),
}

impl Next {
    /// Another look after `delay`, if there is one.
    pub fn after(delay: Option<Duration>) -> Self {
        delay.map_or(Self::Wait, Self::After)
    }
}

/// Moves the world one step toward what one key asks for.
pub trait Reconcile<Q = Key>: Send + Sync + 'static {
    /// Looks at the caches and writes what is missing. Called for every key that changed, for all
    /// keys at each resync, and again after a failure. Must not assume anything about earlier
    /// calls.
    fn reconcile(&self, key: &Q, apply: &Apply) -> impl Future<Output = Result<Next, WriteError>> + Send;
}

/// What a controller can work on: mostly [`Key`]s of one kind.
pub trait WorkKey: Clone + Ord + Hash + fmt::Display + Send + Sync + 'static {}

impl<Q> WorkKey for Q where Q: Clone + Ord + Hash + fmt::Display + Send + Sync + 'static {}

/// Where the runtime looks whether a write is reflected yet.
trait View: Send + Sync {
    fn reflects(&self, kind: &Kind) -> bool;
    fn ready(&self) -> BoxFuture<'_, ()>;
    /// Returns when the cache stands still for ever, with its kind.
    fn ended(&self) -> BoxFuture<'_, &str>;
    fn mark(&self) -> Mark;
    fn has_seen(&self, revision: u64, since: Mark) -> bool;
    /// Whether this very object is gone or on its way out.
    fn is_leaving(&self, key: &Key, uid: &str) -> bool;
}

/// An informer, and the kind that it reflects.
struct Cache<K: Object> {
    group: String,
    kind: String,
    informer: Arc<Informer<K>>,
}

impl<K: Object> View for Cache<K> {
    fn reflects(&self, kind: &Kind) -> bool {
        self.kind == kind.kind && self.group == kind.group
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.informer.ready())
    }

    fn ended(&self) -> BoxFuture<'_, &str> {
        Box::pin(async {
            self.informer.ended().await;
            &*self.kind
        })
    }

    fn mark(&self) -> Mark {
        self.informer.mark()
    }

    fn has_seen(&self, revision: u64, since: Mark) -> bool {
        self.informer.has_seen(revision, since)
    }

    fn is_leaving(&self, key: &Key, uid: &str) -> bool {
        self.informer.get(key).is_none_or(|object| {
            object.meta().uid.as_deref() != Some(uid) || object.meta().deletion_timestamp.is_some()
        })
    }
}

/// What a cache must show before a key is reconciled again.
struct Expected {
    view: Arc<dyn View>,
    what: Sight,
}

enum Sight {
    Revision(u64, Mark),
    Leaving(Key, String),
}

impl Expected {
    fn is_seen(&self) -> bool {
        match &self.what {
            Sight::Revision(revision, since) => self.view.has_seen(*revision, *since),
            Sight::Leaving(key, uid) => self.view.is_leaving(key, uid),
        }
    }
}

struct Expectations {
    open: Vec<Expected>,
    since: Instant,
}

/// Carries out the writes of one reconciliation and notes what the caches must show next.
pub struct Apply {
    hands: Hands,
    views: Arc<[Arc<dyn View>]>,
    expected: Mutex<Vec<Expected>>,
}

impl Apply {
    /// One write; the server's answer.
    pub async fn one(&self, write: &Write) -> Result<Value, WriteError> {
        let answer = self.hands.apply(write).await;
        self.note(write, &answer);
        answer
    }

    /// All writes in order, up to the first failure.
    pub async fn all(&self, writes: &[Write]) -> Result<(), WriteError> {
        for write in writes {
            self.one(write).await?;
        }
        Ok(())
    }

    /// Writes that do not depend on each other, in growing batches: see
    /// [`Hands::apply_in_batches`].
    pub async fn in_batches(
        &self,
        writes: &[Write],
        mut each: impl FnMut(&Write, &Result<Value, WriteError>),
    ) -> Result<(), (WriteError, usize)> {
        let noted = |write: &Write, answer: &Result<Value, WriteError>| {
            self.note(write, answer);
            each(write, answer);
        };
        self.hands.apply_in_batches(writes, noted).await
    }

    /// For questions to the server itself.
    pub fn hands(&self) -> &Hands {
        &self.hands
    }

    fn view(&self, kind: &Kind) -> Option<&Arc<dyn View>> {
        self.views.iter().find(|view| view.reflects(kind))
    }

    /// Notes what a write leads to, once it is answered.
    fn note(&self, write: &Write, answer: &Result<Value, WriteError>) {
        let (Ok(object), Some(view)) = (answer, self.view(write.kind())) else { return };
        let what = match write {
            Write::Delete { key, uid, .. } if !uid.is_empty() => Sight::Leaving(key.clone(), uid.clone()),
            Write::Create { .. } | Write::Replace { .. } | Write::Merge { .. } => {
                match meta::resource_version(object) {
                    // Marked after the answer: a list that begins while a write is under way may
                    // still be without it.
                    Some(revision) => Sight::Revision(revision, view.mark()),
                    None => return,
                }
            }
            Write::Delete { .. } | Write::DeleteAll { .. } | Write::Post { .. } => return,
        };
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).push(Expected { view: view.clone(), what });
    }
}

type Resync<Q> = (Duration, Box<dyn Fn() -> Vec<Q> + Send + Sync>);

/// A controller that is being put together.
pub struct Controller<Q = Key> {
    name: &'static str,
    hands: Hands,
    queue: Arc<Queue<Q>>,
    views: Vec<Arc<dyn View>>,
    resync: Option<Resync<Q>>,
}

impl<Q> fmt::Debug for Controller<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<Q: WorkKey> Controller<Q> {
    /// A controller that reads nothing yet. `name` is for logs and metrics.
    pub fn new(name: &'static str, hands: Hands) -> Self {
        Self { name, hands, queue: Arc::new(Queue::named(name)), views: Vec::new(), resync: None }
    }

    /// Reads `informer`, and works on `keys(object)` whenever an object changes: the keys of the
    /// object as it was and as it is.
    pub fn on<K>(self, informer: &Arc<Informer<K>>, keys: impl Fn(&K) -> Vec<Q> + Send + Sync + 'static) -> Self
    where
        K: Object + Resource<DynamicType = ()>,
    {
        let of_both = move |change: &Change<'_, K>| {
            let objects = change.old.into_iter().chain(change.new);
            objects.flat_map(|object| keys(object)).collect::<Vec<_>>()
        };
        self.on_change(informer, of_both)
    }

    /// Reads `informer`, and works on `keys(change)` whenever an object changes: for mappings that
    /// care what changed.
    pub fn on_change<K>(
        self,
        informer: &Arc<Informer<K>>,
        keys: impl Fn(&Change<'_, K>) -> Vec<Q> + Send + Sync + 'static,
    ) -> Self
    where
        K: Object + Resource<DynamicType = ()>,
    {
        let queue = self.queue.clone();
        informer.on_change(move |change| keys(change).into_iter().for_each(|key| queue.add(key)));
        self.reads(informer)
    }

    /// Reads an informer of untyped objects of `kind`, and works on `keys(change)` whenever one
    /// changes.
    pub fn on_untyped<K: Object>(
        mut self,
        kind: &Kind,
        informer: &Arc<Informer<K>>,
        keys: impl Fn(&Change<'_, K>) -> Vec<Q> + Send + Sync + 'static,
    ) -> Self {
        let queue = self.queue.clone();
        informer.on_change(move |change| keys(change).into_iter().for_each(|key| queue.add(key)));
        let (group, kind) = (kind.group.to_owned(), kind.kind.to_owned());
        self.views.push(Arc::new(Cache { group, kind, informer: informer.clone() }));
        self
    }

    /// Reads `informer` without reacting to it.
    pub fn reads<K>(mut self, informer: &Arc<Informer<K>>) -> Self
    where
        K: Object + Resource<DynamicType = ()>,
    {
        let (group, kind) = (K::group(&()).into_owned(), K::kind(&()).into_owned());
        self.views.push(Arc::new(Cache { group, kind, informer: informer.clone() }));
        self
    }

    /// Works on all of `keys()` once per `period`, for what no event tells.
    pub fn resync(mut self, period: Duration, keys: impl Fn() -> Vec<Q> + Send + Sync + 'static) -> Self {
        self.resync = Some((period, Box::new(keys)));
        self
    }

    /// Waits for all informers and then reconciles with `workers` at once, until `shutdown`.
    /// Reconciliations that run are finished.
    ///
    /// # Panics
    /// When an informer has panicked: its cache stands still, and acting on it would do harm.
    pub async fn run(self, workers: usize, reconcile: impl Reconcile<Q>, shutdown: CancellationToken) {
        let views: Arc<[Arc<dyn View>]> = self.views.into();
        let frozen = frozen(&views);
        tokio::pin!(frozen);
        tokio::select! {
            _ = futures::future::join_all(views.iter().map(|view| view.ready())) => {}
            kind = &mut frozen => panic!("controller {}: the informer of {kind} ended", self.name),
            () = shutdown.cancelled() => return,
        }
        info!(controller = self.name, workers, "caches complete, controller starts");
        let runtime = Runtime {
            name: self.name,
            hands: self.hands,
            views: views.clone(),
            queue: self.queue,
            expectations: Mutex::new(HashMap::new()),
            reconcile,
        };
        let working = futures::future::join_all((0..workers).map(|_| runtime.work()));
        let resyncing = resync(&runtime.queue, self.resync);
        tokio::pin!(working);
        tokio::select! {
            _ = &mut working => return,
            () = resyncing => {}
            () = runtime.sweep_now_and_then() => {}
            kind = &mut frozen => panic!("controller {}: the informer of {kind} ended", runtime.name),
            () = shutdown.cancelled() => {}
        }
        runtime.queue.close();
        working.await;
        debug!(controller = runtime.name, "controller ended");
    }
}

/// Returns when one of the caches stands still for ever, with its kind.
async fn frozen(views: &[Arc<dyn View>]) -> &str {
    match views {
        [] => std::future::pending().await,
        _ => futures::future::select_all(views.iter().map(|view| view.ended())).await.0,
    }
}

/// Never returns.
async fn resync<Q: WorkKey>(queue: &Queue<Q>, resync: Option<Resync<Q>>) {
    let Some((period, keys)) = resync else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        keys().into_iter().for_each(|key| queue.add(key));
    }
}

struct Runtime<Q, R> {
    name: &'static str,
    hands: Hands,
    views: Arc<[Arc<dyn View>]>,
    queue: Arc<Queue<Q>>,
    expectations: Mutex<HashMap<Q, Expectations>>,
    reconcile: R,
}

impl<Q: WorkKey, R: Reconcile<Q>> Runtime<Q, R> {
    async fn work(&self) {
        while let Some(job) = self.queue.next().await {
            let key = job.key();
            if !self.is_seen(key) {
                self.queue.add_after(key.clone(), SEEN_POLL);
                continue;
            }
            let span = info_span!("reconcile", controller = self.name, %key);
            self.reconcile(key).instrument(span).await;
        }
    }

    async fn reconcile(&self, key: &Q) {
        let apply = Apply { hands: self.hands.clone(), views: self.views.clone(), expected: Mutex::default() };
        let result = self.reconcile.reconcile(key, &apply).await;
        self.expect(key, apply.expected.into_inner().unwrap_or_else(PoisonError::into_inner));
        match result {
            Ok(next) => {
                self.queue.forget(key);
                if let Next::After(delay) = next {
                    self.queue.add_after(key.clone(), delay);
                }
            }
            Err(WriteError::NamespaceTerminating(message)) => {
                debug!(message, "nothing to do in a namespace on its way out");
                self.queue.forget(key);
            }
            Err(error) => {
                let stale = error.is_staleness();
                let delay = self.queue.add_failed(key.clone());
                if stale {
                    debug!(%error, ?delay, "planned on old facts; trying again");
                } else {
                    warn!(%error, ?delay, "reconciliation failed; trying again");
                }
            }
        }
    }

    fn expect(&self, key: &Q, open: Vec<Expected>) {
        if !open.is_empty() {
            let mut expectations = self.expectations.lock().unwrap_or_else(PoisonError::into_inner);
            expectations.insert(key.clone(), Expectations { open, since: Instant::now() });
        }
    }

    /// Never returns.
    async fn sweep_now_and_then(&self) {
        loop {
            tokio::time::sleep(SWEEP_PERIOD).await;
            self.sweep();
        }
    }

    /// Forgets what the caches show by now: the key of an object that is gone never comes again to
    /// be forgotten by itself.
    fn sweep(&self) {
        let mut expectations = self.expectations.lock().unwrap_or_else(PoisonError::into_inner);
        expectations.retain(|_, waiting| {
            waiting.open.retain(|expected| !expected.is_seen());
            !waiting.open.is_empty() && waiting.since.elapsed() < SEEN_DEADLINE
        });
        expectations.shrink_to_fit();
    }

    /// Whether the caches show what was written for this key.
    fn is_seen(&self, key: &Q) -> bool {
        let mut expectations = self.expectations.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = expectations.get_mut(key) else { return true };
        waiting.open.retain(|expected| !expected.is_seen());
        if !waiting.open.is_empty() && waiting.since.elapsed() < SEEN_DEADLINE {
            return false;
        }
        if !waiting.open.is_empty() {
            warn!(controller = self.name, %key, "caches do not show what was written; going on without");
        }
        expectations.remove(key);
        true
    }
}

#[cfg(test)]
mod tests;
