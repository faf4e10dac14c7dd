//! A map that is cheap to copy: copies share all parts that did not change since.
//!
//! A copy costs one reference count per shard, a change one copied shard. Writers work on a
//! copy of their own and publish it whole.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

/// With 10,000 keys, a change copies some 40 of them.
const SHARDS: usize = 256;

type Shard<K, V> = Arc<HashMap<K, V, RandomState>>;

#[derive(Debug)]
pub(super) struct Shards<K, V> {
    shards: Box<[Shard<K, V>]>,
    hasher: RandomState,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        let hasher = RandomState::new();
        let empty = Arc::new(HashMap::with_hasher(hasher.clone()));
        Self { shards: vec![empty; SHARDS].into_boxed_slice(), hasher }
    }
}

impl<K, V> Clone for Shards<K, V> {
    fn clone(&self) -> Self {
        Self { shards: self.shards.clone(), hasher: self.hasher.clone() }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, V> {
    pub(super) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shards[self.shard_of(key)].get(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let shard = self.shard_of(&key);
        Arc::make_mut(&mut self.shards[shard]).insert(key, value);
    }

    pub(super) fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let shard = self.shard_of(key);
        if self.shards[shard].contains_key(key) {
            Arc::make_mut(&mut self.shards[shard]).remove(key);
        }
    }

    /// Changes the value of `key` in place, beginning with the default; it is removed when
    /// `change` returns true.
    pub(super) fn update(&mut self, key: &K, change: impl FnOnce(&mut V) -> bool)
    where
        V: Default,
    {
        let shard = self.shard_of(key);
        let shard = Arc::make_mut(&mut self.shards[shard]);
        if change(shard.entry(key.clone()).or_default()) {
            shard.remove(key);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    #[expect(clippy::cast_possible_truncation, reason = "only the low bits choose the shard")]
    fn shard_of<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        self.hasher.hash_one(key) as usize % SHARDS
    }
}
