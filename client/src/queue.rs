//! A work queue of keys: no key twice, none worked on twice at once, failures later.
//!
//! In: keys, now or after a delay. Out: [`Job`]s. A key that is added while it is worked on comes
//! again when the job is dropped. Semantics and backoff of client-go's `util/workqueue`.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// The delay after the first failure of a key; doubles with each further one.
pub const FIRST_DELAY: Duration = Duration::from_millis(5);
/// The longest delay after a failure.
pub const LONGEST_DELAY: Duration = Duration::from_secs(1000);

/// A queue of keys.
pub struct Queue<K> {
    state: Mutex<State<K>>,
    wake: Notify,
}

struct State<K> {
    ready: VecDeque<K>,
    /// Keys that want work: those in `ready`, and those that were added while worked on.
    wanted: HashSet<K>,
    working: HashSet<K>,
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
    /// An empty queue.
    pub fn new() -> Self {
        let state = State {
            ready: VecDeque::new(),
            wanted: HashSet::new(),
            working: HashSet::new(),
            later: BTreeSet::new(),
            due: HashMap::new(),
            failures: HashMap::new(),
            closed: false,
        };
        Self { state: Mutex::new(state), wake: Notify::new() }
    }

    /// Wants work on `key` now. Cheap when it is already wanted.
    pub fn add(&self, key: K) {
        if self.lock().want(key) {
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
            let due = match self.lock().take(Instant::now()) {
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
        state.working.remove(key);
        if state.wanted.contains(key) {
            state.ready.push_back(key.clone());
            drop(state);
            self.wake.notify_one();
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
    fn want(&mut self, key: K) -> bool {
        if self.closed || !self.wanted.insert(key.clone()) || self.working.contains(&key) {
            return false;
        }
        self.ready.push_back(key);
        true
    }

    fn take(&mut self, now: Instant) -> Taken<K> {
        if self.closed {
            return Taken::Closed;
        }
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.later.pop_first() {
                self.due.remove(&key);
                self.want(key);
            }
        }
        match self.ready.pop_front() {
            Some(key) => {
                self.wanted.remove(&key);
                self.working.insert(key.clone());
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
