//! Objects by kind, namespace and name, on top of the store and its cache.
//!
//! In: kinds and names. Out: objects with their revision, and the store's decisions in the words
//! of the API. Never knows what is right or wrong about an object.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use nodeplane_api::{
    kinds::{self, Kind},
    meta::Key,
    status::Status,
};
use serde_json::Value;

use super::admission::Lookup;
use crate::store::{
    Store, StoreError,
    keys::Keys,
    object::{Object, encode, set_revision},
    watch_cache::{Freshness, WatchCache},
};

/// How long whoever has just written waits for the cache before asking the store.
const CACHED_WITHIN: Duration = Duration::from_millis(100);

/// The store and its cache.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn Store>,
    cache: WatchCache,
    keys: Keys,
}

impl Objects {
    /// The objects of the cluster that has these keys in a store, and the cache of them.
    pub fn new(store: Arc<dyn Store>, cache: WatchCache, keys: Keys) -> Self {
        Self { store, cache, keys }
    }

    /// Whether the store does its work, and says so in time.
    ///
    /// # Errors
    /// What it failed with.
    pub async fn check(&self, within: Duration) -> Result<(), StoreError> {
        let late = || StoreError::Unavailable(anyhow::anyhow!("no answer within {} s", within.as_secs()));
        tokio::time::timeout(within, self.store.check()).await.unwrap_or_else(|_| Err(late()))
    }

    /// The cache.
    pub fn cache(&self) -> &WatchCache {
        &self.cache
    }

    /// Where in the store what lies.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Prefix of the keys of a kind's objects in one namespace (empty: all), ending in `/`. All
    /// rows of a stored kind have the same.
    pub fn collection(&self, kind: &Kind, namespace: &str) -> String {
        let stored = kind.stored();
        self.keys.collection(stored.group, stored.plural, namespace)
    }

    /// The key of one object.
    pub fn key(&self, kind: &Kind, namespace: &str, name: &str) -> String {
        self.collection(kind, namespace) + name
    }

    /// The key of an object as messages show it.
    pub fn shown_key(&self, key: &str) -> String {
        self.keys.shown(key)
    }

    /// The newest state of an object.
    ///
    /// # Errors
    /// 404 when it does not exist.
    pub async fn newest(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Object, Status> {
        self.find(kind, namespace, name).await?.ok_or_else(|| Status::not_found(kind, name))
    }

    /// The newest state of an object, if there is one: from the cache when that is known to have
    /// it, else from the store itself.
    ///
    /// # Errors
    /// 500 and 503.
    pub async fn find(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Option<Object>, Status> {
        let key = self.key(kind, namespace, name);
        if let Some(newest) = self.store.known_revision()
            && let Some(found) = self.cache.since(&key, newest)
        {
            return Ok(found);
        }
        let entry = self.store.get(&key).await.map_err(|error| refusal(kind, name, error))?;
        entry.map(|entry| Object::decode(&entry).map_err(Status::internal)).transpose()
    }

    /// The state of an object at a revision that has happened, or later, if there is one.
    ///
    /// # Errors
    /// 500 and 503.
    pub async fn find_since(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        revision: u64,
    ) -> Result<Option<Object>, Status> {
        // When the cache is late the store is asked.
        let _ = self.cache.wait_until(revision, CACHED_WITHIN).await;
        match self.cache.since(&self.key(kind, namespace, name), revision) {
            Some(found) => Ok(found),
            None => self.find(kind, namespace, name).await,
        }
    }

    /// An object from the cache.
    ///
    /// # Errors
    /// 404 when it does not exist, 504 when the cache does not get fresh enough in time.
    pub async fn cached(&self, kind: &Kind, namespace: &str, name: &str, fresh: Freshness) -> Result<Object, Status> {
        let key = self.key(kind, namespace, name);
        let found = self.cache.get(&key, fresh).await.map_err(|error| refusal(kind, name, error))?;
        found.ok_or_else(|| Status::not_found(kind, name))
    }

    /// Stores a new object, and gives it back with its revision. One with a `life` goes by itself
    /// when that is over.
    pub async fn create(&self, key: &str, mut value: Value, life: Option<Duration>) -> Result<Value, StoreError> {
        let bytes = encode(&mut value);
        let revision = self.store.create_for(key, bytes, life).await?;
        set_revision(&mut value, revision);
        Ok(value)
    }

    /// Replaces an object that still has this revision, and gives it back with its new one. A
    /// `life` begins anew.
    pub async fn update(
        &self,
        key: &str,
        mut value: Value,
        expected: u64,
        life: Option<Duration>,
    ) -> Result<Value, StoreError> {
        let bytes = encode(&mut value);
        let revision = self.store.update_for(key, bytes, expected, life).await?;
        set_revision(&mut value, revision);
        Ok(value)
    }

    /// Removes an object that still has this revision.
    pub async fn delete(&self, key: &str, expected: u64) -> Result<u64, StoreError> {
        self.store.delete(key, expected).await
    }
}

#[async_trait]
impl Lookup for Objects {
    async fn known(&self, kind: &'static Kind, key: &Key) -> Option<Object> {
        let key = self.key(kind, &key.namespace, &key.name);
        // Whoever gets no answer here asks for the newest state.
        self.cache.get(&key, Freshness::Any).await.ok().flatten()
    }

    async fn newest(&self, kind: &'static Kind, key: &Key) -> Result<Option<Object>, Status> {
        self.find(kind, &key.namespace, &key.name).await
    }

    async fn all(&self, kind: &'static Kind, namespace: &str) -> Result<Vec<Object>, Status> {
        let list = self.cache.list(&self.collection(kind, namespace), Freshness::Any).await;
        list.map(|list| list.objects).map_err(|error| refusal(kind, "", error))
    }

    async fn replace(&self, kind: &'static Kind, old: &Object, value: Value) -> Result<bool, Status> {
        match self.update(old.key(), value, old.revision(), None).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. } | StoreError::NotFound) => Ok(false),
            Err(error) => Err(refusal(kind, old.name(), error)),
        }
    }
}

/// A store's decision about one object as a client reads it.
pub fn refusal(kind: &Kind, name: &str, error: StoreError) -> Status {
    match error {
        StoreError::Exists => Status::already_exists(kind, name),
        StoreError::NotFound => Status::not_found(kind, name),
        StoreError::Conflict { .. } => Status::stale(kind, name),
        StoreError::Compacted { .. } => Status::expired("The resourceVersion for the provided list is too old."),
        StoreError::Future { asked, newest } => {
            let words = format!("Too large resource version: {asked}, current: {newest}");
            Status::timeout(format!("Timeout: {words}"), 1).with_cause(
                "ResourceVersionTooLarge",
                "Too large resource version",
                "",
            )
        }
        // Upstream hands etcd's own words on as they are.
        StoreError::TooLarge => Status::failure("etcdserver: request is too large"),
        StoreError::Full => Status::failure("etcdserver: mvcc: database space exceeded"),
        StoreError::Unavailable(source) => Status::unavailable(format!("the store is unavailable: {source:#}")),
    }
}

/// A row of the table that the server itself needs.
///
/// # Errors
/// 500 when the table lacks it.
pub fn known(group: &str, version: &str, plural: &str) -> Result<&'static Kind, Status> {
    kinds::by_plural(group, version, plural).ok_or_else(|| Status::internal(format!("no kind {plural}")))
}
