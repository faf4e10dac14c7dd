//! All of a cluster from one store into another, while no server uses either.
//!
//! In: a source as of one revision, and where to. Out: the same keys with the same values there,
//! compared one by one, or an error and a target that no server takes for whole. What is under the
//! root is carried whatever it is: objects, claims, and what may come later; keys that go by
//! themselves go on to do so. Knows nothing of Kubernetes.
//!
//! Clients keep their `resourceVersion`s over such a move, so these never go back: every revision
//! of the target that anybody can read is at least the last one of the source. A file is given the
//! very revisions of the source. etcd counts for itself: it is written to until it has counted far
//! enough, and forgets all before the copy, so that who asks for an older one is told that it is
//! gone, and lists again.

mod into_file;
mod into_store;

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

pub use self::{into_file::into_file, into_store::into_store};
use super::{Entry, Store, StoreError, embedded::OpenError, keys::Keys};

/// Entries that are read, and written, at a time.
const PIECE: u64 = 1000;
/// Time between two reports.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// A key that was about to go lives at least this long in its new place.
const LEAST_LIFE: Duration = Duration::from_secs(1);

/// Hears how far a copy is, in sentences.
pub type Listener<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Objects.
    pub objects: u64,
    /// Claims on what only one may have.
    pub claims: u64,
    /// Anything else.
    pub others: u64,
    /// How many of these go by themselves.
    pub mortal: u64,
    /// The revision of the source that was copied.
    pub source_revision: u64,
    /// The revision of the target now.
    pub target_revision: u64,
}

impl Summary {
    fn count(&mut self, keys: &Keys, key: &str) {
        if key.starts_with(keys.objects()) {
            self.objects += 1;
        } else if key.starts_with(&keys.all_claims()) {
            self.claims += 1;
        } else {
            self.others += 1;
        }
    }

    fn total(&self) -> u64 {
        self.objects + self.claims + self.others
    }
}

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is a cluster in the target.
    #[error("there is something below {root} in the target already: {example}")]
    NotEmpty {
        /// The root of the keys.
        root: String,
        /// A key that is there.
        example: String,
    },
    /// A copy into the target has ended before its time.
    #[error("a copy into the target has not come to its end")]
    Unfinished,
    /// There is nothing to copy.
    #[error("there is nothing below {0} in the source")]
    Nothing(String),
    /// The two are not the same.
    #[error("{key} is not the same in both: something has written to one of them meanwhile")]
    Different {
        /// The first key that differs.
        key: String,
    },
    /// A store failed.
    #[error("{what}: {source}")]
    Store {
        /// What was done.
        what: &'static str,
        /// How it failed.
        source: StoreError,
    },
    /// The target cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file of the target cannot be written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Says what was done when a store failed.
fn failed(what: &'static str) -> impl Fn(StoreError) -> CopyError {
    move |source| CopyError::Store { what, source }
}

/// Everything of a cluster as of one revision, piece by piece.
struct Reading<'a> {
    store: &'a dyn Store,
    root: String,
    revision: Option<u64>,
    start: Option<String>,
    ended: bool,
}

impl<'a> Reading<'a> {
    fn new(store: &'a dyn Store, keys: &Keys) -> Self {
        Self { store, root: keys.root().to_owned(), revision: None, start: None, ended: false }
    }

    /// The next entries, and none at the end.
    async fn next(&mut self) -> Result<Vec<Entry>, StoreError> {
        if self.ended {
            return Ok(Vec::new());
        }
        let page = self.store.list(&self.root, self.start.as_deref(), self.revision, PIECE).await?;
        self.revision = Some(page.revision);
        self.ended = page.remaining == 0;
        self.start = page.entries.last().map(|last| format!("{}\0", last.key));
        Ok(page.entries)
    }
}

/// The entries of a reading one by one, without what belongs to the copy itself.
struct Walk<'a> {
    reading: Reading<'a>,
    piece: std::vec::IntoIter<Entry>,
    own: String,
}

impl<'a> Walk<'a> {
    fn new(store: &'a dyn Store, keys: &Keys) -> Self {
        Self { reading: Reading::new(store, keys), piece: Vec::new().into_iter(), own: keys.copying() }
    }

    async fn next(&mut self) -> Result<Option<Entry>, StoreError> {
        loop {
            match self.piece.next() {
                Some(entry) if entry.key.starts_with(&self.own) => {}
                Some(entry) => return Ok(Some(entry)),
                None if self.reading.ended => return Ok(None),
                None => self.piece = self.reading.next().await?.into_iter(),
            }
        }
    }
}

/// Compares two stores as they are now. Keys that go by themselves may have gone from either.
async fn compare(
    source: &dyn Store,
    target: &dyn Store,
    keys: &Keys,
    lives: &HashMap<String, Duration>,
) -> Result<(), CopyError> {
    let (mut ours, mut theirs) = (Walk::new(source, keys), Walk::new(target, keys));
    let read = failed("comparing");
    let (mut left, mut right) = (ours.next().await.map_err(&read)?, theirs.next().await.map_err(&read)?);
    loop {
        let (key, is_left, is_right) = match (&left, &right) {
            (None, None) => return Ok(()),
            (Some(left), None) => (left.key.clone(), true, false),
            (None, Some(right)) => (right.key.clone(), false, true),
            (Some(left), Some(right)) => {
                let least = (&left.key).min(&right.key);
                (least.clone(), *least == left.key, *least == right.key)
            }
        };
        let is_same = match (&left, &right) {
            (Some(left), Some(right)) if is_left && is_right => left.value == right.value,
            _ => lives.contains_key(&key),
        };
        if !is_same {
            return Err(CopyError::Different { key });
        }
        if is_left {
            left = ours.next().await.map_err(&read)?;
        }
        if is_right {
            right = theirs.next().await.map_err(&read)?;
        }
    }
}

/// The keys of the source that go by themselves, and the time they have left.
async fn lives(source: &dyn Store, keys: &Keys) -> Result<HashMap<String, Duration>, CopyError> {
    let mortal = source.mortal(keys.root()).await.map_err(failed("reading the source"))?;
    Ok(mortal.into_iter().map(|(key, left)| (key, left.max(LEAST_LIFE))).collect())
}

/// The first key of a cluster, if there is one.
async fn first_key(store: &dyn Store, keys: &Keys) -> Result<Option<String>, StoreError> {
    Ok(store.list(keys.root(), None, None, 1).await?.entries.pop().map(|entry| entry.key))
}

/// Tells how far it is, now and then.
struct Progress<'a> {
    listener: &'a Listener<'a>,
    last: Instant,
}

impl<'a> Progress<'a> {
    fn new(listener: &'a Listener<'a>) -> Self {
        Self { listener, last: Instant::now() }
    }

    fn tell(&mut self, sentence: impl FnOnce() -> String) {
        if self.last.elapsed() >= REPORT_EVERY {
            self.last = Instant::now();
            (self.listener)(&sentence());
        }
    }
}
