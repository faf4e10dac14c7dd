//! The only writer: a thread that takes in whatever has queued up and commits it at once.
//!
//! In: changes and compactions, each with the address for its answer. Out: one durable commit per
//! batch, then the newest revision to all watches, then the answers. A disk that syncs slowly
//! makes the batches larger, not the writers slower. Also forgets what is past its retention, and
//! deletes what is past its life: some of it with each batch, and by itself when nobody writes.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use redb::Database;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{
        mpsc::{self, error::TryRecvError},
        oneshot, watch,
    },
    time::timeout,
};
use tracing::{debug, error};

use super::{
    Retention, StoreError,
    file::File,
    recent::Recent,
    seconds_now,
    tables::{Batch, Write},
    unavailable,
};

/// Requests in one commit at most.
const BATCH_REQUESTS: usize = 512;
/// Bytes in one commit, roughly.
const BATCH_BYTES: usize = 8 << 20;
/// Forgotten changes that one commit removes.
const CLEAN: usize = 1000;
/// Keys past their life that one commit deletes.
const EXPIRE: usize = 500;
/// The longest rest before a look at the clock, which somebody may set.
const LOOK_EVERY: u64 = 60;
/// Time between two marks for the retention by age.
const MARK_EVERY: Duration = Duration::from_secs(10);
/// Automatic compactions forget at least this many changes at once.
const COMPACT_AT_LEAST: u64 = 100;

/// Something for the writer to do, and where the answer goes: the revision of a change.
pub(super) struct Request {
    pub(super) work: Work,
    pub(super) answer: oneshot::Sender<Result<u64, StoreError>>,
}

/// What there is to do.
pub(super) enum Work {
    /// Change a key.
    Write(Write),
    /// Forget what happened before a revision.
    Compact(u64),
}

impl Work {
    fn size(&self) -> usize {
        match self {
            Self::Write(write) => write.size(),
            Self::Compact(_) => 0,
        }
    }
}

/// The writer's side of the store.
pub(super) struct Writer {
    file: File,
    requests: mpsc::Receiver<Request>,
    newest: watch::Sender<u64>,
    recent: Arc<Recent>,
    retention: Retention,
    /// Which revision was the newest when, for the retention by age.
    marks: VecDeque<(Instant, u64)>,
    /// Whether forgotten changes are still on disk.
    unclean: bool,
    /// When the next key dies, in seconds since 1970.
    next_death: Option<u64>,
    /// For the time that the writer waits.
    clock: Runtime,
}

impl Writer {
    pub(super) fn new(
        file: File,
        requests: mpsc::Receiver<Request>,
        newest: watch::Sender<u64>,
        recent: Arc<Recent>,
        retention: Retention,
    ) -> io::Result<Self> {
        let clock = Builder::new_current_thread().enable_time().build()?;
        let (marks, unclean, next_death) = (VecDeque::new(), true, None);
        Ok(Self { file, requests, newest, recent, retention, marks, unclean, next_death, clock })
    }

    /// Works until nobody can send requests any more.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.next_batch() {
            let (work, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|each| (each.work, each.answer)).unzip();
            let results = self.commit(&work, Instant::now()).unwrap_or_else(|error| {
                error!(%error, requests = work.len(), "a commit failed");
                // What fails waits for the next request instead of spinning.
                (self.unclean, self.next_death) = (false, None);
                work.iter().map(|_| Err(unavailable(anyhow::anyhow!("the commit failed: {error}")))).collect()
            });
            for (answer, result) in answers.into_iter().zip(results) {
                // Who has gone away does not want to know.
                let _ = answer.send(result);
            }
        }
    }

    /// Waits for something to do; takes the requests that queued up.
    fn next_batch(&mut self) -> Option<Vec<Request>> {
        let mut batch = self.first_request()?;
        let mut bytes: usize = batch.iter().map(|request| request.work.size()).sum();
        while batch.len() < BATCH_REQUESTS && bytes < BATCH_BYTES {
            match self.requests.try_recv() {
                Ok(request) => {
                    bytes += request.work.size();
                    batch.push(request);
                }
                Err(TryRecvError::Disconnected) if batch.is_empty() => return None,
                Err(_) => break,
            }
        }
        Some(batch)
    }

    /// Waits for a request, but not while there is cleaning to do, nor longer than until a key
    /// dies. Nothing when nobody can send requests any more.
    fn first_request(&mut self) -> Option<Vec<Request>> {
        if self.unclean {
            return Some(Vec::new());
        }
        let Some(next_death) = self.next_death else { return self.requests.blocking_recv().map(|one| vec![one]) };
        let rest = next_death.saturating_sub(seconds_now()).min(LOOK_EVERY);
        let (clock, requests) = (&self.clock, &mut self.requests);
        match clock.block_on(async { timeout(Duration::from_secs(rest), requests.recv()).await }) {
            Ok(request) => request.map(|one| vec![one]),
            Err(_) => Some(Vec::new()),
        }
    }

    /// Does a batch of work in one transaction; durable when this returns.
    fn commit(&mut self, work: &[Work], now: Instant) -> Result<Vec<Result<u64, StoreError>>, redb::Error> {
        let file = self.file.clone();
        file.write(|database| self.commit_in(database, work, now))
    }

    fn commit_in(
        &mut self,
        database: &Database,
        work: &[Work],
        now: Instant,
    ) -> Result<Vec<Result<u64, StoreError>>, redb::Error> {
        let transaction = database.begin_write()?;
        let mut batch = Batch::new(&transaction, seconds_now())?;
        let mut results = Vec::with_capacity(work.len());
        for work in work {
            results.push(match work {
                Work::Write(write) => batch.apply(write)?,
                Work::Compact(revision) => batch.compact(*revision)?,
            });
        }
        let next_death = batch.expire(EXPIRE)?;
        if let Some(revision) = self.forgettable(batch.newest(), batch.compacted(), now) {
            debug!(revision, newest = batch.newest(), "compacting");
            // Between the compacted and the newest revision: never refused.
            let _ = batch.compact(revision)?;
        }
        let unclean = batch.clean(CLEAN)?;
        let (newest, compacted) = (batch.newest(), batch.compacted());
        let changes = batch.into_changes();
        transaction.commit()?;
        (self.unclean, self.next_death) = (unclean, next_death);
        self.recent.push(changes, newest, compacted);
        self.newest.send_if_modified(|seen| std::mem::replace(seen, newest) != newest);
        Ok(results)
    }

    /// The revision to compact to: older than the retention by age, and leaving no more changes
    /// than the retention by count.
    pub(super) fn forgettable(&mut self, newest: u64, compacted: u64, now: Instant) -> Option<u64> {
        if self.marks.back().is_none_or(|(at, _)| now.duration_since(*at) >= MARK_EVERY) {
            self.marks.push_back((now, newest));
        }
        let is_old = |at: Instant| now.duration_since(at) > self.retention.age;
        // The newest of the old marks stays at the front.
        while self.marks.get(1).is_some_and(|(at, _)| is_old(*at)) {
            self.marks.pop_front();
        }
        let by_age = self.marks.front().filter(|(at, _)| is_old(*at)).map_or(0, |(_, revision)| *revision);
        let by_count = newest.saturating_sub(self.retention.changes);
        let revision = by_age.max(by_count);
        (revision >= compacted + COMPACT_AT_LEAST).then_some(revision)
    }
}
