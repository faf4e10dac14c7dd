//! A store whose work is counted, whichever it is.
//!
//! In: operations. Out: the same operations on the store below, with how long they took. What the
//! store answers is not touched.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Changes, Entry, Page, Store, StoreError, keys::Keys};
use crate::metrics::storage::{Resource, done};

/// A store below, and whose keys it holds.
pub struct Measured {
    store: Arc<dyn Store>,
    keys: Keys,
}

impl Measured {
    /// Counts the work of a store with these keys.
    pub fn new(store: Arc<dyn Store>, keys: Keys) -> Self {
        Self { store, keys }
    }

    async fn timed<T>(
        &self,
        name: &'static str,
        key: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let since = Instant::now();
        let result = work.await;
        let place = key.strip_prefix(self.keys.objects());
        let on = place.map_or_else(Resource::other, Resource::of_object);
        // What the caller got wrong is no failure of the store.
        let has_failed = matches!(result, Err(StoreError::Unavailable(_) | StoreError::Full));
        done(name, on, has_failed, since.elapsed());
        result
    }
}

#[async_trait]
impl Store for Measured {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.timed("get", key, self.store.get(key)).await
    }

    async fn list(
        &self,
        prefix: &str,
        start: Option<&str>,
        revision: Option<u64>,
        limit: u64,
    ) -> Result<Page, StoreError> {
        self.timed("list", prefix, self.store.list(prefix, start, revision, limit)).await
    }

    async fn create_for(&self, key: &str, value: Bytes, life: Option<Duration>) -> Result<u64, StoreError> {
        self.timed("create", key, self.store.create_for(key, value, life)).await
    }

    async fn update_for(
        &self,
        key: &str,
        value: Bytes,
        expected: u64,
        life: Option<Duration>,
    ) -> Result<u64, StoreError> {
        self.timed("update", key, self.store.update_for(key, value, expected, life)).await
    }

    async fn delete(&self, key: &str, expected: u64) -> Result<u64, StoreError> {
        self.timed("delete", key, self.store.delete(key, expected)).await
    }

    async fn watch(&self, prefix: &str, after: u64) -> Result<Changes, StoreError> {
        self.store.watch(prefix, after).await
    }

    // Asked by every consistent read, and not by upstream: passed on as it is, without a future of
    // our own around it.
    fn revision<'a, 'b>(&'a self) -> Pin<Box<dyn Future<Output = Result<u64, StoreError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        self.store.revision()
    }

    fn known_revision(&self) -> Option<u64> {
        self.store.known_revision()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }

    async fn mortal(&self, prefix: &str) -> Result<Vec<(String, Duration)>, StoreError> {
        self.store.mortal(prefix).await
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        self.store.compact(revision).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{metrics::tests::sample, store::embedded::EmbeddedStore};

    #[tokio::test]
    async fn work_is_counted_by_operation_and_resource() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(EmbeddedStore::open(&dir.path().join("store.redb")).unwrap());
        // No other test stores any of these.
        let (store, key) = (Measured::new(store, Keys::new("/m")), "/m/objects/node.k8s.io/runtimeclasses/a");
        let first = store.create(key, Bytes::from_static(b"1")).await.unwrap();
        let second = store.update(key, Bytes::from_static(b"2"), first).await.unwrap();
        assert!(matches!(store.update(key, Bytes::new(), first).await, Err(StoreError::Conflict { .. })));
        assert_eq!(store.get(key).await.unwrap().unwrap().revision, second);
        assert_eq!(store.revision().await.unwrap(), second);
        let mut text = nodeplane_metrics::Text::default();
        crate::metrics::show(&mut text);
        let text = text.finish();
        let number = |metric: &str, operation: &str| {
            sample(&text, &format!("{metric}{{operation=\"{operation}\",type=\"runtimeclasses.node.k8s.io\"}}"))
        };
        let counts =
            ["create", "update", "get"].map(|operation| number("etcd_request_duration_seconds_count", operation));
        assert_eq!(counts, [1.0, 2.0, 1.0]);
        assert_eq!(number("etcd_request_errors_total", "update"), 0.0);
    }
}
