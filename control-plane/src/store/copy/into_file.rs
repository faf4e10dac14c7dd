//! Into a file of the embedded store.
//!
//! The file is written beside its place and moved there when it is whole: a copy that ends before
//! its time leaves what was there, and what it has written is thrown away by the next one.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{CopyError, Listener, Progress, Reading, Summary, compare, failed, first_key, lives};
use crate::store::{
    Entry, Store, StoreError,
    embedded::{EmbeddedStore, Import, OpenError},
    keys::Keys,
};

/// Copies a cluster into a file. What is there is replaced only when `overwrite` says so.
///
/// # Errors
/// As [`CopyError`]; the file is then as it was.
pub async fn into_file(
    source: &dyn Store,
    path: &Path,
    keys: &Keys,
    overwrite: bool,
    listener: &Listener<'_>,
) -> Result<Summary, CopyError> {
    // Held until the end, so that no server starts on it meanwhile.
    let before = if path.exists() { Some(EmbeddedStore::open(path)?) } else { None };
    let mut least = 0;
    if let Some(before) = &before {
        let read = failed("reading the target");
        let found = first_key(before, keys).await.map_err(&read)?;
        if let (Some(example), false) = (found, overwrite) {
            return Err(CopyError::NotEmpty { root: keys.root().to_owned(), example });
        }
        least = before.revision().await.map_err(&read)?;
    }
    let draft = path.with_extension("redb.copy");
    let outcome = write(source, &draft, keys, least, listener).await;
    if outcome.is_err() {
        // It may not even have been made.
        let _ = fs::remove_file(&draft);
        return outcome;
    }
    let in_place = fs::rename(&draft, path).and_then(|()| sync_parent(path));
    in_place.map_err(|source| CopyError::File { path: path.to_owned(), source })?;
    drop(before);
    outcome
}

async fn write(
    source: &dyn Store,
    draft: &Path,
    keys: &Keys,
    least: u64,
    listener: &Listener<'_>,
) -> Result<Summary, CopyError> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(CopyError::File { path: draft.to_owned(), source: error });
        }
        _ => {}
    }
    let lives = lives(source, keys).await?;
    let mut import = open(draft.to_owned()).await?;
    let (mut summary, mut progress) = (Summary::default(), Progress::new(listener));
    let mut reading = Reading::new(source, keys);
    while !reading.ended {
        let entries = reading.next().await.map_err(failed("reading the source"))?;
        for entry in &entries {
            summary.count(keys, &entry.key);
            summary.mortal += u64::from(lives.contains_key(&entry.key));
        }
        import = add(import, draft, with_lives(entries, &lives)).await?;
        progress.tell(|| format!("copied {} keys so far", summary.total()));
    }
    if summary.total() == 0 {
        return Err(CopyError::Nothing(keys.root().to_owned()));
    }
    summary.source_revision = reading.revision.unwrap_or(0);
    summary.target_revision = summary.source_revision.max(least);
    finish(import, draft, summary.target_revision).await?;
    listener("comparing both");
    let target = EmbeddedStore::open(draft)?;
    compare(source, &target, keys, &lives).await?;
    Ok(summary)
}

fn with_lives(entries: Vec<Entry>, lives: &HashMap<String, Duration>) -> Vec<(Entry, Option<Duration>)> {
    let with_life = |entry: Entry| {
        let life = lives.get(&entry.key).copied();
        (entry, life)
    };
    entries.into_iter().map(with_life).collect()
}

async fn open(draft: PathBuf) -> Result<Import, CopyError> {
    Ok(blocking(move || Import::create(&draft)).await??)
}

async fn add(mut import: Import, draft: &Path, entries: Vec<(Entry, Option<Duration>)>) -> Result<Import, CopyError> {
    let added = blocking(move || import.add(&entries).map(|()| import)).await?;
    added.map_err(|source| OpenError::Failed { path: draft.to_owned(), source }.into())
}

async fn finish(import: Import, draft: &Path, revision: u64) -> Result<(), CopyError> {
    let finished = blocking(move || import.finish(revision)).await?;
    finished.map_err(|source| OpenError::Failed { path: draft.to_owned(), source }.into())
}

/// Disks are waited for elsewhere.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, CopyError> {
    let broke = |error: tokio::task::JoinError| failed("writing the target")(StoreError::Unavailable(error.into()));
    tokio::task::spawn_blocking(work).await.map_err(broke)
}

/// The new name survives a power failure.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
