//! A work queue of keys: no key twice, none worked on twice at once, failures later.
//!
//! In: keys, now or after a delay. Out: [`Job`]s. A key that is added while it is worked on comes
//! again when the job is dropped. Semantics and backoff of client-go's `util/workqueue`. A queue with
//! a name is measured.

mod measure;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use measure::Measures;
pub use measure::{depth, show};

/// The delay after the first failure of a key; doubles with each further one.
pub const FIRST_DELAY: Duration = Duration::from_millis(5);
/// The longest delay after a failure.
pub const LONGEST_DELAY: Duration = Duration::from_secs(1000);

/// A queue of keys.
pub struct Queue<K> {
    state: Mutex<State<K>>,
    wake: Notify,
    measures: Option<Arc<Measures>>,
}

struct State<K> {
    ready: VecDeque<K>,
    /// Keys that want work, since when: those in `ready`, and those that were added while worked on.
    wanted: HashMap<K, Instant>,
    /// Keys that are worked on, since when.
    working: HashMap<K, Instant>,
    later: BTreeSet<(Instant, K)>,
    /// The one entry of a key in `later`.
    due: HashMap<K, Instant>,
    failures: HashMap<K, u32>,
    closed: bool,
}

/// A key that is worked on until this is dropped.
pub struct Job<'a, K: Clone + Ord + Hash> {
    queue: &'a Queue<K>,
    key: K,
}

impl<K: Clone + Ord + Hash> Default for Queue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clone + Ord + Hash> Queue<K> {
    /// An empty queue that nobody measures.
    pub fn new() -> Self {
        Self::measured(None)
    }

    /// An empty queue that is measured under a name.
    pub fn named(name: &'static str) -> Self {
        Self::measured(Some(Measures::of(name)))
    }

    fn measured(measures: Option<Arc<Measures>>) -> Self {
        let state = State {
            ready: VecDeque::new(),
            wanted: HashMap::new(),
            working: HashMap::new(),
            later: BTreeSet::new(),
            due: HashMap::new(),
            failures: HashMap::new(),
            closed: false,
        };
        Self { state: Mutex::new(state), wake: Notify::new(), measures }
    }

    /// Wants work on `key` now. Cheap when it is already wanted.
    pub fn add(&self, key: K) {
        if self.lock().want(key, self.measures.as_deref()) {
            self.wake.notify_one();
        }
    }

    /// Wants work on `key` after `delay`. The earliest of several delays counts.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let mut state = self.lock();
        let at = Instant::now() + delay;
        match state.due.get(&key).copied() {
            Some(earlier) if earlier <= at => return,
            Some(later) => {
                state.later.remove(&(later, key.clone()));
            }
            None => {}
        }
        state.due.insert(key.clone(), at);
        state.later.insert((at, key));
        drop(state);
        // Whoever sleeps until the next due time must look again.
        self.wake.notify_one();
    }

    /// Wants work on `key` after its backoff, which grows until [`Self::forget`]. Returns the
    /// delay.
    pub fn add_failed(&self, key: K) -> Duration {
        let delay = {
            let mut state = self.lock();
            let failures = state.failures.entry(key.clone()).or_default();
            let delay = backoff(*failures);
            *failures = failures.saturating_add(1);
            delay
        };
        if let Some(measures) = &self.measures {
            measures.retries.inc();
        }
        self.add_after(key, delay);
        delay
    }

    /// The failures of `key` are over.
    pub fn forget(&self, key: &K) {
        self.lock().failures.remove(key);
    }

    /// The next key to work on; none when the queue is closed.
    pub async fn next(&self) -> Option<Job<'_, K>> {
        loop {
            // Registered before looking, so that an add in between is not lost.
            let woken = self.wake.notified();
            let due = match self.lock().take(Instant::now(), self.measures.as_deref()) {
                Taken::Key(key, more) => {
                    if more {
                        self.wake.notify_one();
                    }
                    return Some(Job { queue: self, key });
                }
                Taken::Closed => {
                    // Pass it on to the next worker that waits.
                    self.wake.notify_one();
                    return None;
                }
                Taken::NothingUntil(due) => due,
            };
            match due {
                Some(due) => tokio::select! { () = woken => {}, () = sleep_until(due) => {} },
                None => woken.await,
            }
        }
    }

    /// No more jobs: workers end after the ones they have.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
        self.wake.notify_waiters();
    }

    /// How many keys are ready to be worked on.
    pub fn len(&self) -> usize {
        self.lock().ready.len()
    }

    /// Whether no key is ready to be worked on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self, key: &K) {
        let mut state = self.lock();
        let since = state.working.remove(key);
        let is_wanted = state.wanted.contains_key(key);
        if is_wanted {
            state.ready.push_back(key.clone());
        }
        drop(state);
        if is_wanted {
            self.wake.notify_one();
        }
        let Some(measures) = &self.measures else { return };
        measures.depth.add(is_wanted.into());
        if let Some(since) = since {
            measures.end(since);
        }
    }
}

impl<K> Drop for Queue<K> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(measures) = &self.measures {
            // What nobody worked on waits no longer.
            measures.depth.add(-i64::try_from(state.ready.len()).unwrap_or(i64::MAX));
        }
    }
}

enum Taken<K> {
    /// A key, and whether there are more.
    Key(K, bool),
    NothingUntil(Option<Instant>),
    Closed,
}

impl<K: Clone + Ord + Hash> State<K> {
    /// Returns whether a worker can begin with it.
    fn want(&mut self, key: K, measures: Option<&Measures>) -> bool {
        if self.closed || self.wanted.contains_key(&key) {
            return false;
        }
        self.wanted.insert(key.clone(), Instant::now());
        let is_ready = !self.working.contains_key(&key);
        if is_ready {
            self.ready.push_back(key);
        }
        if let Some(measures) = measures {
            measures.adds.inc();
            measures.depth.add(is_ready.into());
        }
        is_ready
    }

    fn take(&mut self, now: Instant, measures: Option<&Measures>) -> Taken<K> {
        if self.closed {
            return Taken::Closed;
        }
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.later.pop_first() {
                self.due.remove(&key);
                self.want(key, measures);
            }
        }
        match self.ready.pop_front() {
            Some(key) => {
                let wanted = self.wanted.remove(&key).unwrap_or(now);
                self.working.insert(key.clone(), now);
                if let Some(measures) = measures {
                    measures.begin(now.saturating_duration_since(wanted), now);
                }
                Taken::Key(key, !self.ready.is_empty())
            }
            None => Taken::NothingUntil(self.later.first().map(|(at, _)| *at)),
        }
    }
}

impl<K: Clone + Ord + Hash> Job<'_, K> {
    /// What to work on.
    pub fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Clone + Ord + Hash> Drop for Job<'_, K> {
    fn drop(&mut self) {
        self.queue.done(&self.key);
    }
}

/// The delay after a failure with `failures` others before it.
fn backoff(failures: u32) -> Duration {
    FIRST_DELAY.saturating_mul(1_u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX)).min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests;
