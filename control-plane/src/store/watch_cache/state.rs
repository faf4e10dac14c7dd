//! What the cache holds, and who wants to hear of changes.
//!
//! In: lists and changes, with the time as a parameter. Out: lists, and events into the bounded
//! queue of each watcher. Never does I/O and never waits.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{Event, EventKind, List, Object, Scope};
use crate::store::StoreError;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Events kept whatever their age.
    pub(super) min_events: usize,
    /// Events younger than this are kept too.
    pub(super) max_age: Duration,
    /// But never more than this.
    pub(super) max_events: usize,
    /// Events a watcher may be behind before it is cut off.
    pub(super) queue: usize,
}

impl Default for Limits {
    /// 75 s: longer than the minute between two bookmarks, as in upstream's watch cache.
    fn default() -> Self {
        Self { min_events: 1024, max_age: Duration::from_secs(75), max_events: 1 << 16, queue: 1024 }
    }
}

/// What one change did, when it was not known already.
pub(super) enum Update {
    /// The object is now this.
    Put(Object),
    /// The key is gone since a revision.
    Delete(String, u64),
    /// Something else changed at a revision.
    Elsewhere(u64),
}

/// The objects, the history and the watchers.
pub(super) struct State {
    limits: Limits,
    objects: BTreeMap<Arc<str>, Object>,
    revision: u64,
    /// Events in revision order; every one above `history_after` is there.
    history: VecDeque<(Instant, Arc<Event>)>,
    history_after: u64,
    /// By scope. A change looks up each scope that its key is in.
    watchers: HashMap<String, Vec<Watcher>>,
}

struct Watcher {
    after: u64,
    queue: mpsc::Sender<Arc<Event>>,
}

/// The receiving end of a watcher.
pub(super) struct Subscription {
    /// Events after this revision are delivered.
    pub(super) after: u64,
    backlog: VecDeque<Arc<Event>>,
    queue: mpsc::Receiver<Arc<Event>>,
}

impl State {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            objects: BTreeMap::new(),
            revision: 0,
            history: VecDeque::new(),
            history_after: 0,
            watchers: HashMap::new(),
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The cached object when it still has this revision, so that a relist shares it.
    pub(super) fn same(&self, key: &str, revision: u64) -> Option<Object> {
        self.objects.get(key).filter(|object| object.revision() == revision).cloned()
    }

    /// Starts over from a list. What happened in between is unknown: the history is empty and
    /// all watchers end, so that their clients list again.
    pub(super) fn reset(&mut self, objects: Vec<Object>, revision: u64) {
        self.objects = objects.into_iter().map(|object| (object.shared_key(), object)).collect();
        self.revision = revision;
        self.history.clear();
        self.history_after = revision;
        self.watchers.clear();
    }

    /// Takes one change in; one that is known already changes nothing.
    pub(super) fn apply(&mut self, update: Update, now: Instant) {
        let event = match update {
            Update::Put(object) => self.put(object),
            Update::Delete(key, revision) => self.delete(&key, revision),
            Update::Elsewhere(revision) => {
                self.revision = self.revision.max(revision);
                None
            }
        };
        let Some(event) = event.map(Arc::new) else { return };
        self.revision = event.revision;
        self.publish(&event);
        self.remember(event, now);
    }

    fn put(&mut self, object: Object) -> Option<Event> {
        let previous = self.objects.get(object.key()).cloned();
        let known = previous.as_ref().is_some_and(|old| old.revision() >= object.revision());
        if known || object.revision() < self.revision {
            return None;
        }
        self.objects.insert(object.shared_key(), object.clone());
        let kind = if previous.is_some() { EventKind::Modified } else { EventKind::Added };
        Some(Event { kind, revision: object.revision(), object, previous })
    }

    fn delete(&mut self, key: &str, revision: u64) -> Option<Event> {
        if revision < self.revision || self.objects.get(key).is_none_or(|old| old.revision() >= revision) {
            self.revision = self.revision.max(revision);
            return None;
        }
        let previous = self.objects.remove(key)?;
        let object = previous.at_revision(revision);
        Some(Event { kind: EventKind::Deleted, object, previous: Some(previous), revision })
    }

    fn publish(&mut self, event: &Arc<Event>) {
        for scope in scopes(event.object.key()) {
            let Some(watchers) = self.watchers.get_mut(scope) else { continue };
            // A full queue cuts its watcher off; a closed one has gone by itself.
            watchers.retain(|watcher| {
                watcher.after >= event.revision && !watcher.queue.is_closed()
                    || watcher.queue.try_send(event.clone()).is_ok()
            });
            if watchers.is_empty() {
                self.watchers.remove(scope);
            }
        }
    }

    fn remember(&mut self, event: Arc<Event>, now: Instant) {
        self.history.push_back((now, event));
        while let Some((at, oldest)) = self.history.front() {
            let spare = self.history.len() > self.limits.min_events;
            let expired = now.saturating_duration_since(*at) > self.limits.max_age;
            if !(spare && expired) && self.history.len() <= self.limits.max_events {
                break;
            }
            self.history_after = oldest.revision;
            self.history.pop_front();
        }
    }

    /// The objects of a scope, as of now.
    pub(super) fn list(&self, scope: &Scope, start: Option<&str>) -> List {
        List { objects: self.range(scope, start).cloned().collect(), revision: self.revision }
    }

    /// The objects of a scope as of an older revision: what happened since is undone. `None` when
    /// the history does not go back far enough.
    pub(super) fn list_at(&self, scope: &Scope, start: Option<&str>, revision: u64) -> Option<List> {
        if revision < self.history_after || revision > self.revision {
            return None;
        }
        let mut before: BTreeMap<&str, Option<&Object>> = BTreeMap::new();
        for event in self.events_after(revision) {
            let key = event.object.key();
            if contains(scope, key) && start.is_none_or(|start| key >= start) {
                before.entry(key).or_insert(event.previous.as_ref());
            }
        }
        let unchanged = self.range(scope, start).filter(|object| !before.contains_key(object.key()));
        let mut objects: Vec<Object> = unchanged.chain(before.values().copied().flatten()).cloned().collect();
        objects.sort_by(|a, b| a.key().cmp(b.key()));
        Some(List { objects, revision })
    }

    fn range<'a>(&'a self, scope: &'a Scope, start: Option<&str>) -> impl Iterator<Item = &'a Object> {
        let from = start.map_or(scope, |start| start.max(scope));
        let range = self.objects.range::<str, _>((Bound::Included(from), Bound::Unbounded));
        range.map(|(_, object)| object).take_while(|object| contains(scope, object.key()))
    }

    fn events_after(&self, revision: u64) -> impl Iterator<Item = &Arc<Event>> {
        let from = self.history.partition_point(|(_, event)| event.revision <= revision);
        self.history.range(from..).map(|(_, event)| event)
    }

    /// Past events from the history, and a queue for the coming ones.
    pub(super) fn watch(&mut self, scope: &Scope, after: u64) -> Result<Subscription, StoreError> {
        if after < self.history_after {
            return Err(StoreError::Compacted { oldest: self.history_after });
        }
        let past = self.events_after(after).filter(|event| contains(scope, event.object.key()));
        let backlog = past.cloned().collect();
        let (sender, queue) = mpsc::channel(self.limits.queue);
        let watchers = self.watchers.entry(scope.to_owned()).or_default();
        watchers.retain(|watcher| !watcher.queue.is_closed());
        watchers.push(Watcher { after, queue: sender });
        Ok(Subscription { after, backlog, queue })
    }
}

impl Subscription {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Arc<Event>>> {
        match self.backlog.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None => self.queue.poll_recv(context),
        }
    }

    /// Whether every event so far has been taken.
    pub(super) fn is_drained(&self) -> bool {
        self.backlog.is_empty() && self.queue.is_empty()
    }

    /// Whether no more events are queued.
    pub(super) fn is_cut(&self) -> bool {
        self.queue.is_closed()
    }
}

/// Whether a key is in a scope.
pub(super) fn contains(scope: &Scope, key: &str) -> bool {
    if scope.ends_with('/') { key.starts_with(scope) } else { key == scope }
}

/// Every scope that a key is in.
fn scopes(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('/').map(|(at, _)| &key[..=at]).chain(std::iter::once(key))
}
