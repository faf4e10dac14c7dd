//! Where objects are kept: an ordered map of keys with a revision per change.
//!
//! In: keys such as `/registry/pods/default/web-1` and opaque bytes. Out: the same, with the
//! revision of the last change, and a stream of every change after a revision. The store knows
//! nothing of Kubernetes; the watch cache above it does.

pub mod copy;
pub mod embedded;
pub mod etcd;
pub mod keys;
pub mod measured;
pub mod object;
pub mod watch_cache;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

/// The largest value in bytes: what etcd takes by default in one request (1.5 MiB), less some
/// room for the key and the conditions.
pub const MAX_VALUE_BYTES: usize = (3 << 19) - 4096;

/// A key with its newest value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The whole key.
    pub key: String,
    /// The value as it was written.
    pub value: Bytes,
    /// Revision of the write that made this value (etcd's `mod_revision`).
    pub revision: u64,
}

/// Part of a prefix, in key order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The revision at which all entries were read.
    pub revision: u64,
    /// Keys that follow the last entry under the same prefix.
    pub remaining: u64,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The whole key.
    pub key: String,
    /// The revision of this change.
    pub revision: u64,
    /// The value after the change; `None` when the key was deleted.
    pub value: Option<Bytes>,
    /// The value before the change; `None` when the key was created.
    pub previous: Option<Bytes>,
}

/// A failed store operation, by what the caller should do next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `create` on a key that exists.
    #[error("the key exists")]
    Exists,
    /// The key does not exist.
    #[error("the key does not exist")]
    NotFound,
    /// The key has another revision than expected; `current` is its newest entry.
    #[error("the key has changed since")]
    Conflict {
        /// The newest entry.
        current: Entry,
    },
    /// The revision has been compacted away; `oldest` is the first one that is still known.
    #[error("revision compacted; the oldest one kept is {oldest}")]
    Compacted {
        /// Oldest revision that can still be read or watched from.
        oldest: u64,
    },
    /// The revision has not happened yet.
    #[error("revision {asked} has not happened; the newest is {newest}")]
    Future {
        /// The revision asked for.
        asked: u64,
        /// The newest revision.
        newest: u64,
    },
    /// The value is larger than the store takes.
    #[error("the value is larger than the store takes")]
    TooLarge,
    /// The store takes nothing more until somebody makes room; nothing was written.
    #[error("the store is full")]
    Full,
    /// The store did not answer; whether the operation took effect is unknown.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] anyhow::Error),
}

/// Changes in revision order; ends after the first error.
pub type Changes = BoxStream<'static, Result<Change, StoreError>>;

/// An ordered, revisioned key-value store. Revisions are cluster-wide, start above 0 and grow
/// with every change; all operations are linearizable.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The newest entry of a key.
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// At most `limit` entries (0: all) whose key starts with `prefix` and is `>= start` (when
    /// given), as of `revision` (`None` or 0: the newest).
    async fn list(
        &self,
        prefix: &str,
        start: Option<&str>,
        revision: Option<u64>,
        limit: u64,
    ) -> Result<Page, StoreError>;

    /// Writes a key that does not exist yet, and returns the new revision.
    async fn create(&self, key: &str, value: Bytes) -> Result<u64, StoreError> {
        self.create_for(key, value, None).await
    }

    /// The same for a key that the store deletes by itself: not before its `life` is over, and
    /// not much later.
    async fn create_for(&self, key: &str, value: Bytes, life: Option<Duration>) -> Result<u64, StoreError>;

    /// Replaces a key whose revision is `expected`, and returns the new revision.
    async fn update(&self, key: &str, value: Bytes, expected: u64) -> Result<u64, StoreError> {
        self.update_for(key, value, expected, None).await
    }

    /// The same with a new `life`, which begins now. Without one the key stays.
    async fn update_for(
        &self,
        key: &str,
        value: Bytes,
        expected: u64,
        life: Option<Duration>,
    ) -> Result<u64, StoreError>;

    /// Deletes a key whose revision is `expected`, and returns the revision of the deletion.
    async fn delete(&self, key: &str, expected: u64) -> Result<u64, StoreError>;

    /// Every change under `prefix` with a revision above `after`, past ones first. `after` may lie
    /// in the future. [`StoreError::Compacted`] comes from the call or as the first item.
    async fn watch(&self, prefix: &str, after: u64) -> Result<Changes, StoreError>;

    /// The newest revision.
    async fn revision(&self) -> Result<u64, StoreError>;

    /// The newest revision, when the store knows it without asking anybody.
    fn known_revision(&self) -> Option<u64> {
        None
    }

    /// Whether the store does its work.
    async fn check(&self) -> Result<(), StoreError> {
        self.revision().await.map(drop)
    }

    /// The keys under `prefix` that the store deletes by itself, with the time they have left.
    async fn mortal(&self, prefix: &str) -> Result<Vec<(String, Duration)>, StoreError>;

    /// Forgets what happened before `revision`; newest values stay. The store can still be listed
    /// at `revision` and watched after it. Nothing to do when it is forgotten already.
    async fn compact(&self, revision: u64) -> Result<(), StoreError>;
}
