//! Reflects the store into the cache: list once, then follow one watch for ever.
//!
//! In: the store. Out: updates of the state in revision order. A broken watch goes on from the
//! last revision seen; only a compacted one leads to a new list.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, stream::Peekable};
use tracing::{error, info, warn};

use super::{Inner, Object, state::Update};
use crate::{
    metrics::storage::{Resource, received},
    store::{Change, Changes, Entry, StoreError, keys::Keys},
};

/// Entries that are read at once. Two copies of a whole store would not fit the memory that the
/// cache is to need. Tests need several pieces, and have few objects.
const PIECE: u64 = if cfg!(test) { 500 } else { 4096 };

/// Changes taken in under one lock at most.
pub(super) const BATCH: usize = 256;

/// Time between two attempts: the first one, doubled up to the last one.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Follows the store until it is dropped.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut pause = RETRY.0;
    loop {
        match relist(&inner).await {
            Ok(()) => {
                pause = RETRY.0;
                follow(&inner).await;
            }
            Err(error) => {
                warn!(%error, "listing the store failed");
                pause = rest(pause).await;
            }
        }
    }
}

async fn rest(pause: Duration) -> Duration {
    tokio::time::sleep(pause).await;
    (pause * 2).min(RETRY.1)
}

/// Reads all objects as of one revision. Objects that are cached already are shared.
async fn relist(inner: &Arc<Inner>) -> Result<(), StoreError> {
    let (mut objects, mut start, mut at) = (Vec::new(), None, None);
    let revision = loop {
        let page = inner.store.list(inner.keys.objects(), start.as_deref(), at, PIECE).await?;
        let (remaining, revision) = (page.remaining, page.revision);
        (start, at) = (page.entries.last().map(|last| format!("{}\0", last.key)), Some(revision));
        let known = inner.clone();
        let decoding = tokio::task::spawn_blocking(move || decode_all(&known, page.entries));
        objects.extend(decoding.await.map_err(|error| StoreError::Unavailable(error.into()))?);
        if remaining == 0 {
            break revision;
        }
    };
    info!(revision, objects = objects.len(), "listed the store");
    inner.write().reset(objects, revision);
    inner.progress.send_replace(revision);
    Ok(())
}

fn decode_all(known: &Inner, entries: Vec<Entry>) -> Vec<Object> {
    let cached = |entry: &Entry| known.read().same(&entry.key, entry.revision);
    entries.into_iter().filter_map(|entry| cached(&entry).or_else(|| decode(&entry))).collect()
}

/// Follows changes; returns when the store has forgotten some of them.
async fn follow(inner: &Inner) {
    let mut pause = RETRY.0;
    loop {
        let after = inner.read().revision();
        let ended = match inner.store.watch(inner.keys.root(), after).await {
            Ok(changes) => drain(inner, changes).await,
            Err(error) => error,
        };
        if inner.read().revision() > after {
            pause = RETRY.0;
        }
        if let StoreError::Compacted { oldest } = ended {
            warn!(after, oldest, "the store has forgotten changes, listing again");
            return;
        }
        warn!(after, error = %ended, "the watch of the store broke, watching again");
        pause = rest(pause).await;
    }
}

/// Takes changes in until the watch ends, as many at a time as are there.
async fn drain(inner: &Inner, changes: Changes) -> StoreError {
    let mut changes = changes.peekable();
    while let Some(batch) = next_batch(&mut changes).await {
        let mut failure = None;
        let mut updates = Vec::with_capacity(batch.len());
        for change in batch {
            match change {
                Ok(change) => updates.push(update(change, &inner.keys)),
                Err(error) => failure = Some(error),
            }
        }
        take_in(inner, updates);
        if let Some(error) = failure {
            return error;
        }
    }
    StoreError::Unavailable(anyhow::anyhow!("the watch ended"))
}

/// The changes that are there, at least one; not many more than a batch. A revision is never cut in
/// two: when a lease of etcd ends, all its keys go at one revision, and whoever has seen it has to
/// have seen them all.
pub(super) async fn next_batch(changes: &mut Peekable<Changes>) -> Option<Vec<Result<Change, StoreError>>> {
    let mut batch = vec![changes.next().await?];
    while let Some(next) = Pin::new(&mut *changes).peek().now_or_never().flatten() {
        let revision = |change: Option<&Result<Change, StoreError>>| Some(change?.as_ref().ok()?.revision);
        if batch.len() >= BATCH && revision(Some(next)) != revision(batch.last()) {
            break;
        }
        batch.extend(changes.next().await);
    }
    Some(batch)
}

fn take_in(inner: &Inner, updates: Vec<Update>) {
    let now = Instant::now();
    let mut state = inner.write();
    for update in updates {
        state.apply(update, now);
    }
    let revision = state.revision();
    drop(state);
    inner.progress.send_replace(revision);
}

fn update(change: Change, keys: &Keys) -> Update {
    if !change.key.starts_with(keys.objects()) {
        return Update::Elsewhere(change.revision);
    }
    received(Resource::of_object(&change.key[keys.objects().len()..]));
    let Some(value) = change.value else { return Update::Delete(change.key, change.revision) };
    let entry = Entry { key: change.key, value, revision: change.revision };
    // What cannot be shown does not exist for readers.
    decode(&entry).map_or_else(|| Update::Delete(entry.key.clone(), entry.revision), Update::Put)
}

/// The object in an entry; one that is not readable is reported and left out.
pub(super) fn decode(entry: &Entry) -> Option<Object> {
    Object::decode(entry).inspect_err(|error| error!(%error, "left out an unreadable object")).ok()
}
