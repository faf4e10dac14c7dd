//! The store of a single server: one file, by redb.
//!
//! In: operations of the [`Store`] trait. Out: answers from snapshots, changes that are on disk
//! before they are acknowledged. Reads run on blocking threads, writes on the one writer thread.
//! A watch reads the log from where it is, in memory what is new and on disk what is not; nothing
//! is queued for it, so that it has no gaps, no duplicates and no memory to run out of. A file has
//! one server at a time.

mod file;
mod import;
mod lives;
mod recent;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::VecDeque,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use redb::{Database, DatabaseError, ReadableDatabase};
use tokio::sync::{mpsc, oneshot, watch};

pub use self::import::Import;
use self::{
    file::{File, Opener},
    recent::Recent,
    tables::{Batch, Snapshot, Write},
    writer::{Request, Work, Writer},
};
use super::{Change, Changes, Entry, MAX_VALUE_BYTES, Page, Store, StoreError};

/// Memory for pages of the file. It fills up as old versions pile up, and more of it makes neither
/// reads nor writes faster: the system keeps the file in memory anyway.
const CACHE_BYTES: usize = 16 << 20;
/// Requests that may wait for the writer.
const QUEUE: usize = 4096;
/// Changes that a watch reads at a time.
const WATCH_CHUNK: usize = 500;

/// How much history is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Changes younger than this are kept...
    pub age: Duration,
    /// ...but never more than this many, to bound the file.
    pub changes: u64,
}

impl Default for Retention {
    /// 5 minutes, as the API server of upstream keeps in etcd.
    fn default() -> Self {
        Self { age: Duration::from_secs(300), changes: 50_000 }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server has it.
    #[error("{0} is in use by another server")]
    InUse(PathBuf),
    /// It cannot be read or written.
    #[error("opening {path}: {source}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: redb::Error,
    },
}

/// A store in one file.
pub struct EmbeddedStore {
    reader: Reader,
    requests: Option<mpsc::Sender<Request>>,
    newest: watch::Receiver<u64>,
    recent: Arc<Recent>,
    writer: Option<JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Opens the file, or makes it (mode 0600). Blocks while a file that was not closed is
    /// checked.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, Retention::default())
    }

    /// The same with another retention.
    pub fn open_with(path: &Path, retention: Retention) -> Result<Self, OpenError> {
        make_file(path).map_err(|error| OpenError::Failed { path: path.to_owned(), source: error.into() })?;
        let name = path.to_owned();
        Self::start(path, Box::new(move || Database::builder().set_cache_size(CACHE_BYTES).create(&name)), retention)
    }

    fn start(path: &Path, open: Opener, retention: Retention) -> Result<Self, OpenError> {
        let failed = |source: redb::Error| OpenError::Failed { path: path.to_owned(), source };
        let file = match File::open(open) {
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(OpenError::InUse(path.to_owned())),
            opened => opened.map_err(|error| failed(error.into()))?,
        };
        let revision = file.read(prepare).map_err(failed)?;
        let (newest, receiver) = watch::channel(revision);
        let recent = Arc::new(Recent::new(revision));
        let (requests, queue) = mpsc::channel(QUEUE);
        let reader = Reader(file.clone());
        let writer = Writer::new(file, queue, newest, recent.clone(), retention);
        let writer = writer.map_err(|error| failed(error.into()))?;
        let writer = thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run());
        let writer = writer.map_err(|error| failed(error.into()))?;
        Ok(Self { reader, requests: Some(requests), newest: receiver, recent, writer: Some(writer) })
    }

    async fn request(&self, work: Work) -> Result<u64, StoreError> {
        let gone = || unavailable(anyhow::anyhow!("the writer has stopped"));
        let (answer, answered) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send(Request { work, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for EmbeddedStore {
    /// Waits for the writer, so that the file is free when no watch is left either.
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so.
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let key = key.to_owned();
        self.reader.read(move |snapshot| Ok(snapshot.get(&key)?)).await
    }

    async fn list(
        &self,
        prefix: &str,
        start: Option<&str>,
        revision: Option<u64>,
        limit: u64,
    ) -> Result<Page, StoreError> {
        let (prefix, start) = (prefix.to_owned(), start.map(str::to_owned));
        let read = move |snapshot: &Snapshot| {
            let revision = revision.filter(|revision| *revision > 0).unwrap_or(snapshot.newest());
            snapshot.check_readable(revision)?;
            Ok(snapshot.list(&prefix, start.as_deref(), revision, limit)?)
        };
        self.reader.read(read).await
    }

    async fn create_for(&self, key: &str, value: Bytes, life: Option<Duration>) -> Result<u64, StoreError> {
        check_size(&value)?;
        self.request(Work::Write(Write::Create { key: key.to_owned(), value, life })).await
    }

    async fn update_for(
        &self,
        key: &str,
        value: Bytes,
        expected: u64,
        life: Option<Duration>,
    ) -> Result<u64, StoreError> {
        check_size(&value)?;
        self.request(Work::Write(Write::Update { key: key.to_owned(), value, expected, life })).await
    }

    async fn delete(&self, key: &str, expected: u64) -> Result<u64, StoreError> {
        self.request(Work::Write(Write::Delete { key: key.to_owned(), expected })).await
    }

    async fn watch(&self, prefix: &str, after: u64) -> Result<Changes, StoreError> {
        self.reader.read(move |snapshot| check_watchable(snapshot, after)).await?;
        let tail = Tail {
            reader: self.reader.clone(),
            newest: self.newest.clone(),
            recent: self.recent.clone(),
            prefix: Arc::from(prefix),
            position: after,
            chunk: VecDeque::new(),
            ended: false,
        };
        Ok(stream::unfold(tail, Tail::next).boxed())
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        Ok(*self.newest.borrow())
    }

    fn known_revision(&self) -> Option<u64> {
        Some(*self.newest.borrow())
    }

    async fn check(&self) -> Result<(), StoreError> {
        match self.reader.0.trouble() {
            None => self.reader.read(|_| Ok(())).await,
            Some(trouble) => Err(unavailable(anyhow::anyhow!("the last write failed: {trouble}"))),
        }
    }

    async fn mortal(&self, prefix: &str) -> Result<Vec<(String, Duration)>, StoreError> {
        let prefix = prefix.to_owned();
        let found = self.reader.read(move |snapshot| Ok(snapshot.mortal(&prefix)?)).await?;
        let now = seconds_now();
        let left = |dies_at: u64| Duration::from_secs(dies_at.saturating_sub(now));
        Ok(found.into_iter().map(|(key, dies_at)| (key, left(dies_at))).collect())
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        self.request(Work::Compact(revision)).await.map(drop)
    }
}

/// Reads from snapshots.
#[derive(Clone)]
struct Reader(File);

impl Reader {
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = self.0.clone();
        let reading = tokio::task::spawn_blocking(move || {
            file.read(|database| {
                let transaction = database.begin_read().map_err(|error| ReadError::Disk(error.into()))?;
                read(&Snapshot::new(&transaction)?)
            })
        });
        match reading.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(ReadError::Refused(error))) => Err(error),
            Ok(Err(ReadError::Disk(error))) => Err(unavailable(error)),
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// A read that failed, or that may not be.
enum ReadError {
    Disk(redb::Error),
    Refused(StoreError),
}

impl From<redb::Error> for ReadError {
    fn from(error: redb::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// A watch: a place in the log.
struct Tail {
    reader: Reader,
    newest: watch::Receiver<u64>,
    recent: Arc<Recent>,
    prefix: Arc<str>,
    /// Everything up to this revision is delivered or in the chunk.
    position: u64,
    chunk: VecDeque<Change>,
    ended: bool,
}

impl Tail {
    async fn next(mut self) -> Option<(Result<Change, StoreError>, Self)> {
        while !self.ended {
            if let Some(change) = self.chunk.pop_front() {
                return Some((Ok(change), self));
            }
            if let Err(error) = self.advance().await {
                self.ended = true;
                return Some((Err(error), self));
            }
        }
        None
    }

    /// Waits for changes after the position and reads some.
    async fn advance(&mut self) -> Result<(), StoreError> {
        let position = self.position;
        let gone = |_| unavailable(anyhow::anyhow!("the writer has stopped"));
        self.newest.wait_for(|newest| *newest > position).await.map_err(gone)?;
        if let Some((changes, upto)) = self.recent.changes(&self.prefix, position, WATCH_CHUNK) {
            self.chunk.extend(changes);
            self.position = upto;
            return Ok(());
        }
        let prefix = self.prefix.clone();
        let read = move |snapshot: &Snapshot| {
            check_watchable(snapshot, position)?;
            Ok(snapshot.changes(&prefix, position, WATCH_CHUNK)?)
        };
        let (changes, upto) = self.reader.read(read).await?;
        self.chunk.extend(changes);
        self.position = upto;
        Ok(())
    }
}

/// A watch may start in the future, but not in what has been compacted.
fn check_watchable(snapshot: &Snapshot, after: u64) -> Result<(), ReadError> {
    if after < snapshot.compacted() {
        return Err(StoreError::Compacted { oldest: snapshot.compacted() }.into());
    }
    Ok(())
}

fn check_size(value: &Bytes) -> Result<(), StoreError> {
    if value.len() > MAX_VALUE_BYTES { Err(StoreError::TooLarge) } else { Ok(()) }
}

/// The file is private from its first byte, and its name survives a power failure.
fn make_file(path: &Path) -> io::Result<()> {
    let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match new {
        Ok(_) => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the tables when they are missing, and gives the newest revision.
fn prepare(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let newest = Batch::new(&transaction, seconds_now())?.newest();
    transaction.commit()?;
    Ok(newest)
}

/// Seconds since 1970.
fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn unavailable(error: impl Into<anyhow::Error>) -> StoreError {
    StoreError::Unavailable(error.into())
}
