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

use super::{Event, EventKind, List, Object, Part, Scope, part::Collector};
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
    /// Nor more than this many bytes of text, which live objects may share.
    pub(super) max_bytes: usize,
    /// Events a watcher may be behind before it is cut off.
    pub(super) queue: usize,
}

impl Default for Limits {
    /// 75 s: longer than the minute between two bookmarks, as in upstream's watch cache.
    fn default() -> Self {
        Self {
            min_events: 1024,
            max_age: Duration::from_secs(75),
            max_events: 1 << 16,
            max_bytes: 32 << 20,
            queue: 1024,
        }
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
    history: VecDeque<(Instant, Event)>,
    history_bytes: usize,
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
    scope: String,
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
            history_bytes: 0,
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

    /// One object.
    pub(super) fn get(&self, key: &str) -> Option<Object> {
        self.objects.get(key).cloned()
    }

    /// Starts over from a list. What happened in between is unknown: the history is empty and
    /// all watchers end, so that their clients list again.
    pub(super) fn reset(&mut self, objects: Vec<Object>, revision: u64) {
        self.objects = objects.into_iter().map(|object| (object.shared_key(), object)).collect();
        self.revision = revision;
        self.history.clear();
        self.history_bytes = 0;
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
        let Some(event) = event else { return };
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
        Some(Event::new(kind, object, previous))
    }

    fn delete(&mut self, key: &str, revision: u64) -> Option<Event> {
        if revision < self.revision || self.objects.get(key).is_none_or(|old| old.revision() >= revision) {
            self.revision = self.revision.max(revision);
            return None;
        }
        let previous = self.objects.remove(key)?;
        let object = previous.at_revision(revision);
        Some(Event::new(EventKind::Deleted, object, Some(previous)))
    }

    /// The watchers share one event. The history keeps its own, without what they make of it.
    fn publish(&mut self, event: &Event) {
        let mut shared = None;
        for scope in scopes(event.object.key()) {
            let Some(watchers) = self.watchers.get_mut(scope) else { continue };
            let shared = shared.get_or_insert_with(|| Arc::new(event.clone()));
            // A full queue cuts its watcher off; a closed one has gone by itself.
            watchers.retain(|watcher| {
                watcher.after >= event.revision && !watcher.queue.is_closed()
                    || watcher.queue.try_send(shared.clone()).is_ok()
            });
            if watchers.is_empty() {
                self.watchers.remove(scope);
            }
        }
    }

    fn remember(&mut self, event: Event, now: Instant) {
        self.history_bytes += event.object.weight();
        self.history.push_back((now, event));
        while let Some((at, oldest)) = self.history.front() {
            let spare = self.history.len() > self.limits.min_events;
            let expired = now.saturating_duration_since(*at) > self.limits.max_age;
            let is_full = self.history.len() > self.limits.max_events || self.history_bytes > self.limits.max_bytes;
            let may_go = is_full || (spare && expired);
            if !may_go {
                break;
            }
            self.history_after = oldest.revision;
            self.history_bytes -= oldest.object.weight();
            self.history.pop_front();
        }
    }

    /// The objects of a scope, as of now.
    pub(super) fn list(&self, scope: &Scope, part: &Part<'_>) -> List {
        let mut collector = Collector::new(part);
        // Nothing follows a break.
        let _ = self.range(scope, part.start).try_for_each(|object| collector.offer(object));
        collector.finish(self.revision, |last| self.count_after(scope, last))
    }

    /// The objects of a scope as of an older revision: what happened since is undone. `None` when
    /// the history does not go back far enough.
    pub(super) fn list_at(&self, scope: &Scope, part: &Part<'_>, revision: u64) -> Option<List> {
        if revision < self.history_after || revision > self.revision {
            return None;
        }
        let mut before: BTreeMap<&str, Option<&Object>> = BTreeMap::new();
        for event in self.events_after(revision) {
            let key = event.object.key();
            if contains(scope, key) && part.start.is_none_or(|start| key >= start) {
                before.entry(key).or_insert(event.previous.as_ref());
            }
        }
        let mut collector = Collector::new(part);
        let unchanged = self.range(scope, part.start).filter(|object| !before.contains_key(object.key()));
        let _ = merge(unchanged, before.values().copied().flatten()).try_for_each(|object| collector.offer(object));
        Some(collector.finish(revision, |last| {
            let changed = || before.range::<str, _>((Bound::Excluded(last), Bound::Unbounded));
            let made = changed().filter(|(key, _)| self.objects.contains_key(**key)).count();
            let was = changed().filter(|(_, object)| object.is_some()).count();
            self.count_after(scope, last) + was - made
        }))
    }

    /// How many objects a scope has.
    pub(super) fn count(&self, scope: &Scope) -> usize {
        self.range(scope, None).count()
    }

    fn range<'a>(&'a self, scope: &Scope, start: Option<&str>) -> impl Iterator<Item = &'a Object> + use<'a> {
        let end = end_of(scope);
        let from = start.map_or(scope, |start| start.max(scope)).min(&end);
        let range = (Bound::Included(from), Bound::Excluded(end.as_str()));
        self.objects.range::<str, _>(range).map(|(_, object)| object)
    }

    /// How many objects of a scope come after one of them. Counts entries and looks at none.
    fn count_after(&self, scope: &Scope, last: &str) -> usize {
        let end = end_of(scope);
        self.objects.range::<str, _>((Bound::Excluded(last), Bound::Excluded(end.as_str()))).count()
    }

    fn events_after(&self, revision: u64) -> impl Iterator<Item = &Event> {
        let from = self.history.partition_point(|(_, event)| event.revision <= revision);
        self.history.range(from..).map(|(_, event)| event)
    }

    /// Past events from the history, and a queue for the coming ones.
    pub(super) fn watch(&mut self, scope: &Scope, after: u64) -> Result<Subscription, StoreError> {
        if after < self.history_after {
            return Err(StoreError::Compacted { oldest: self.history_after });
        }
        let past = self.events_after(after).filter(|event| contains(scope, event.object.key()));
        let backlog = past.cloned().map(Arc::new).collect();
        let (sender, queue) = mpsc::channel(self.limits.queue);
        let watchers = self.watchers.entry(scope.to_owned()).or_default();
        watchers.retain(|watcher| !watcher.queue.is_closed());
        watchers.push(Watcher { after, queue: sender });
        Ok(Subscription { scope: scope.to_owned(), after, backlog, queue })
    }

    /// Forgets a watcher. Nobody else would, when nothing in its scope ever changes again.
    pub(super) fn leave(&mut self, subscription: &mut Subscription) {
        subscription.queue.close();
        if let Some(watchers) = self.watchers.get_mut(&subscription.scope) {
            watchers.retain(|watcher| !watcher.queue.is_closed());
            if watchers.is_empty() {
                self.watchers.remove(&subscription.scope);
            }
        }
    }

    /// Scopes that somebody watches.
    #[cfg(test)]
    pub(super) fn watched(&self) -> usize {
        self.watchers.len()
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

/// The first key after all of a scope.
fn end_of(scope: &Scope) -> String {
    // What comes after `/` in ASCII.
    scope.strip_suffix('/').map_or_else(|| format!("{scope}\0"), |parent| format!("{parent}0"))
}

/// Two sequences in key order as one.
fn merge<'a>(
    a: impl Iterator<Item = &'a Object>,
    b: impl Iterator<Item = &'a Object>,
) -> impl Iterator<Item = &'a Object> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(first), Some(second)) if second.key() < first.key() => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}

/// Every scope that a key is in.
fn scopes(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('/').map(|(at, _)| &key[..=at]).chain(std::iter::once(key))
}
