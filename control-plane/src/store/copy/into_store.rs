//! Into a store that counts its revisions for itself: etcd.
//!
//! As long as the copy is not whole, a key says so, and servers do not start on it. It is made
//! before anything else is touched and goes last.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::{CopyError, Listener, Progress, Reading, Summary, compare, failed, first_key, lives};
use crate::store::{Entry, Store, StoreError, keys::Keys};

/// Writes at a time. etcd commits those that come together at once.
const AT_ONCE: usize = 128;
/// Writes of one key between two looks at the revision.
const ROUND: u64 = 32;

/// Copies a cluster into a store. What is there is removed only when `overwrite` says so.
///
/// # Errors
/// As [`CopyError`]. Once something has been written, the target is marked as unfinished.
pub async fn into_store(
    source: &dyn Store,
    target: &dyn Store,
    keys: &Keys,
    overwrite: bool,
    listener: &Listener<'_>,
) -> Result<Summary, CopyError> {
    let write = failed("writing the target");
    check_empty(target, keys, overwrite).await?;
    let lives = lives(source, keys).await?;
    let mut reading = Reading::new(source, keys);
    let first = reading.next().await.map_err(failed("reading the source"))?;
    if first.is_empty() {
        return Err(CopyError::Nothing(keys.root().to_owned()));
    }
    let source_revision = reading.revision.unwrap_or(0);
    let mark = mark(target, keys).await.map_err(&write)?;
    clear(target, keys, listener).await.map_err(&write)?;
    raise(target, keys, source_revision, listener).await.map_err(&write)?;

    let mut summary = Summary { source_revision, ..Summary::default() };
    let (mut entries, mut progress) = (first, Progress::new(listener));
    loop {
        for entry in &entries {
            summary.count(keys, &entry.key);
            summary.mortal += u64::from(lives.contains_key(&entry.key));
        }
        put(target, entries, &lives).await.map_err(&write)?;
        progress.tell(|| format!("copied {} keys so far", summary.total()));
        if reading.ended {
            break;
        }
        entries = reading.next().await.map_err(failed("reading the source"))?;
    }
    listener("comparing both");
    compare(source, target, keys, &lives).await?;
    // What a revision from before would show was never the cluster's state.
    summary.target_revision = target.delete(&keys.copying(), mark).await.map_err(&write)?;
    target.compact(summary.target_revision).await.map_err(&write)?;
    Ok(summary)
}

async fn check_empty(target: &dyn Store, keys: &Keys, overwrite: bool) -> Result<(), CopyError> {
    let read = failed("reading the target");
    if overwrite {
        return Ok(());
    }
    if target.get(&keys.copying()).await.map_err(&read)?.is_some() {
        return Err(CopyError::Unfinished);
    }
    match first_key(target, keys).await.map_err(&read)? {
        Some(example) => Err(CopyError::NotEmpty { root: keys.root().to_owned(), example }),
        None => Ok(()),
    }
}

/// Says that the target is not whole. Gives the revision of the mark.
async fn mark(target: &dyn Store, keys: &Keys) -> Result<u64, StoreError> {
    match target.create(&keys.copying(), Bytes::new()).await {
        Err(StoreError::Exists) => {}
        made => return made,
    }
    let found = target.get(&keys.copying()).await?;
    found.map(|entry| entry.revision).ok_or(StoreError::NotFound)
}

/// Removes all but the mark.
async fn clear(target: &dyn Store, keys: &Keys, listener: &Listener<'_>) -> Result<(), StoreError> {
    let mark = keys.copying();
    let (mut reading, mut progress, mut removed) = (Reading::new(target, keys), Progress::new(listener), 0);
    while !reading.ended {
        let entries = reading.next().await?.into_iter().filter(|entry| entry.key != mark);
        let removals = entries.map(|entry| async move { remove(target, &entry).await });
        removed += stream::iter(removals).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?.len();
        progress.tell(|| format!("removed {removed} keys of the target so far"));
    }
    Ok(())
}

/// One that is about to go by itself may have gone.
async fn remove(target: &dyn Store, entry: &Entry) -> Result<(), StoreError> {
    match target.delete(&entry.key, entry.revision).await {
        Ok(_) | Err(StoreError::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes until the store has counted up to a revision.
async fn raise(target: &dyn Store, keys: &Keys, revision: u64, listener: &Listener<'_>) -> Result<(), StoreError> {
    let mut progress = Progress::new(listener);
    loop {
        let now = target.revision().await?;
        if now >= revision {
            return Ok(());
        }
        let lack = revision - now;
        progress.tell(|| format!("counting up to revision {revision}: {now}"));
        // Each makes its key, changes it and removes it again.
        let writers = lack.div_ceil(ROUND).min(AT_ONCE as u64);
        let rounds = (0..writers).map(|writer| count(target, format!("{}/{writer}", keys.copying()), lack.min(ROUND)));
        stream::iter(rounds).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    }
}

/// At least `writes` writes of one key, which is gone afterwards.
async fn count(target: &dyn Store, key: String, writes: u64) -> Result<(), StoreError> {
    let mut revision = target.create(&key, Bytes::new()).await?;
    for _ in 2..writes {
        revision = target.update(&key, Bytes::new(), revision).await?;
    }
    target.delete(&key, revision).await.map(drop)
}

async fn put(target: &dyn Store, entries: Vec<Entry>, lives: &HashMap<String, Duration>) -> Result<(), StoreError> {
    let puts = entries.into_iter().map(|entry| {
        let life = lives.get(&entry.key).copied();
        async move { target.create_for(&entry.key, entry.value, life).await }
    });
    stream::iter(puts).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await.map(drop)
}
