//! A store whose watches break when the test says so.

use async_trait::async_trait;
use bytes::Bytes;
use futures::future;
use tokio::sync::watch::{Receiver, Sender, channel};

use super::*;
use crate::store::{Changes, Entry, Page};

/// Passes everything on, except that watches fail while it is cut.
pub(super) struct Flaky<S> {
    pub(super) store: S,
    cut: Sender<bool>,
}

impl<S> Flaky<S> {
    pub(super) fn new(store: S) -> Self {
        Self { store, cut: channel(false).0 }
    }

    /// Breaks all watches and refuses new ones, until they are mended.
    pub(super) fn set_cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

async fn cut(mut state: Receiver<bool>) {
    // The store is gone together with its watches.
    let _ = state.wait_for(|cut| *cut).await;
}

fn broken() -> StoreError {
    StoreError::Unavailable(anyhow::anyhow!("cut"))
}

#[async_trait]
impl<S: Store> Store for Flaky<S> {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.store.get(key).await
    }

    async fn list(
        &self,
        prefix: &str,
        start: Option<&str>,
        revision: Option<u64>,
        limit: u64,
    ) -> Result<Page, StoreError> {
        self.store.list(prefix, start, revision, limit).await
    }

    async fn create_for(&self, key: &str, value: Bytes, life: Option<Duration>) -> Result<u64, StoreError> {
        self.store.create_for(key, value, life).await
    }

    async fn update_for(
        &self,
        key: &str,
        value: Bytes,
        expected: u64,
        life: Option<Duration>,
    ) -> Result<u64, StoreError> {
        self.store.update_for(key, value, expected, life).await
    }

    async fn delete(&self, key: &str, expected: u64) -> Result<u64, StoreError> {
        self.store.delete(key, expected).await
    }

    async fn watch(&self, prefix: &str, after: u64) -> Result<Changes, StoreError> {
        if *self.cut.borrow() {
            return Err(broken());
        }
        let changes = self.store.watch(prefix, after).await?;
        let end = cut(self.cut.subscribe());
        Ok(changes.take_until(end).chain(futures::stream::once(future::ready(Err(broken())))).boxed())
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.store.revision().await
    }

    async fn mortal(&self, prefix: &str) -> Result<Vec<(String, Duration)>, StoreError> {
        self.store.mortal(prefix).await
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        self.store.compact(revision).await
    }
}
