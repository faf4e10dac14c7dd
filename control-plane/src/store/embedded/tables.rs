//! The layout on disk, and single steps inside a transaction.
//!
//! Every change makes a new version of its key; old versions stay until they are compacted.
//!
//! | table    | key                | value                                           |
//! | -------- | ------------------ | ----------------------------------------------- |
//! | versions | (key, revision)    | the value, or nothing when the key was deleted  |
//! | log      | revision           | the key that changed                            |
//! | meta     | name               | newest revision, compacted revision             |
//!
//! How long keys live is kept beside ([`Lives`]).

use std::time::Duration;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::{
    Change, Entry, Page, StoreError,
    lives::{self, Lives, ReadLives},
};

const VERSIONS: TableDefinition<(&str, u64), Option<&[u8]>> = TableDefinition::new("versions");
const LOG: TableDefinition<u64, &str> = TableDefinition::new("log");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

const NEWEST: &str = "newest";
const COMPACTED: &str = "compacted";

/// The revision of a store that nobody has written to; 0 has a meaning of its own for clients.
const FIRST_REVISION: u64 = 1;

/// A change that somebody asks for.
#[derive(Debug)]
pub(super) enum Write {
    Create { key: String, value: Bytes, life: Option<Duration> },
    Update { key: String, value: Bytes, expected: u64, life: Option<Duration> },
    Delete { key: String, expected: u64 },
}

impl Write {
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Create { key, .. } | Self::Update { key, .. } | Self::Delete { key, .. } => key,
        }
    }

    /// Bytes that the change carries.
    pub(super) fn size(&self) -> usize {
        self.key().len() + self.value().map_or(0, Bytes::len)
    }

    fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Create { value, .. } | Self::Update { value, .. } => Some(value),
            Self::Delete { .. } => None,
        }
    }

    fn life(&self) -> Option<Duration> {
        match self {
            Self::Create { life, .. } | Self::Update { life, .. } => *life,
            Self::Delete { .. } => None,
        }
    }

    /// What the change replaces, given what is there, if it may.
    fn check(&self, current: Option<Entry>) -> Result<Option<Bytes>, StoreError> {
        match (self, current) {
            (Self::Create { .. }, None) => Ok(None),
            (Self::Create { .. }, Some(_)) => Err(StoreError::Exists),
            (Self::Update { .. } | Self::Delete { .. }, None) => Err(StoreError::NotFound),
            (Self::Update { expected, .. } | Self::Delete { expected, .. }, Some(current)) => {
                if current.revision == *expected {
                    Ok(Some(current.value))
                } else {
                    Err(StoreError::Conflict { current })
                }
            }
        }
    }
}

/// Everything as of the moment the transaction began.
pub(super) struct Snapshot {
    versions: redb::ReadOnlyTable<(&'static str, u64), Option<&'static [u8]>>,
    log: redb::ReadOnlyTable<u64, &'static str>,
    lives: ReadLives,
    newest: u64,
    compacted: u64,
}

impl Snapshot {
    pub(super) fn new(transaction: &ReadTransaction) -> Result<Self, redb::Error> {
        let meta = transaction.open_table(META)?;
        Ok(Self {
            versions: transaction.open_table(VERSIONS)?,
            log: transaction.open_table(LOG)?,
            lives: lives::read(transaction)?,
            newest: number(&meta, NEWEST)?.unwrap_or(FIRST_REVISION),
            compacted: number(&meta, COMPACTED)?.unwrap_or(0),
        })
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Entry>, redb::Error> {
        version_at(&self.versions, key, u64::MAX)
    }

    /// What has been compacted, and what has not happened.
    pub(super) fn check_readable(&self, revision: u64) -> Result<(), StoreError> {
        if revision < self.compacted {
            return Err(StoreError::Compacted { oldest: self.compacted });
        }
        if revision > self.newest {
            return Err(StoreError::Future { asked: revision, newest: self.newest });
        }
        Ok(())
    }

    /// The entries of a prefix as of `revision`, which must be readable.
    pub(super) fn list(
        &self,
        prefix: &str,
        start: Option<&str>,
        revision: u64,
        limit: u64,
    ) -> Result<Page, redb::Error> {
        let mut pager = Pager { page: Page { entries: Vec::new(), revision, remaining: 0 }, limit, found: None };
        let from = start.map_or(prefix, |start| start.max(prefix));
        for version in self.versions.range((from, 0)..)? {
            let (id, value) = version?;
            let (key, at) = id.value();
            if !key.starts_with(prefix) {
                break;
            }
            pager.see(key, at, value.value());
        }
        Ok(pager.finish())
    }

    /// The changes of a prefix after `after`, from at most `limit` changes of any key; and the
    /// revision up to which this is everything.
    pub(super) fn changes(&self, prefix: &str, after: u64, limit: usize) -> Result<(Vec<Change>, u64), redb::Error> {
        let mut changes = Vec::new();
        let mut upto = after;
        for logged in self.log.range(after + 1..)?.take(limit) {
            let (revision, key) = logged?;
            upto = revision.value();
            if key.value().starts_with(prefix) {
                changes.push(self.change(key.value(), upto)?);
            }
        }
        Ok((changes, upto))
    }

    /// The keys of a prefix that have an end, and when that is.
    pub(super) fn mortal(&self, prefix: &str) -> Result<Vec<(String, u64)>, redb::Error> {
        lives::under(&self.lives, prefix)
    }

    /// Versions and log entries on disk.
    #[cfg(test)]
    pub(super) fn len(&self) -> Result<(u64, u64), redb::Error> {
        use redb::ReadableTableMetadata;
        Ok((self.versions.len()?, self.log.len()?))
    }

    fn change(&self, key: &str, revision: u64) -> Result<Change, redb::Error> {
        let previous = version_at(&self.versions, key, revision - 1)?.map(|entry| entry.value);
        let value = version_at(&self.versions, key, revision)?.map(|entry| entry.value);
        Ok(Change { key: key.to_owned(), revision, value, previous })
    }
}

/// Makes a page out of versions in order of key and revision.
struct Pager {
    page: Page,
    limit: u64,
    /// The newest version so far of the key at hand; without its value when only counted.
    found: Option<Entry>,
}

impl Pager {
    fn see(&mut self, key: &str, at: u64, value: Option<&[u8]>) {
        if self.found.as_ref().is_some_and(|found| found.key != key) {
            self.take();
        }
        if at <= self.page.revision {
            let value = if self.is_full() { value.map(|_| &[][..]) } else { value };
            self.found = value.map(|value| entry(key, at, value));
        }
    }

    fn take(&mut self) {
        match self.found.take() {
            Some(_) if self.is_full() => self.page.remaining += 1,
            found => self.page.entries.extend(found),
        }
    }

    fn is_full(&self) -> bool {
        self.limit > 0 && self.page.entries.len() as u64 >= self.limit
    }

    fn finish(mut self) -> Page {
        self.take();
        self.page
    }
}

/// One transaction of the only writer.
pub(super) struct Batch<'t> {
    versions: Table<'t, (&'static str, u64), Option<&'static [u8]>>,
    log: Table<'t, u64, &'static str>,
    meta: Table<'t, &'static str, u64>,
    lives: Lives<'t>,
    newest: u64,
    compacted: u64,
    changes: Vec<Change>,
}

impl<'t> Batch<'t> {
    /// Opens the tables; makes them in a new store. `now` is in seconds since 1970.
    pub(super) fn new(transaction: &'t WriteTransaction, now: u64) -> Result<Self, redb::Error> {
        let meta = transaction.open_table(META)?;
        let newest = number(&meta, NEWEST)?.unwrap_or(FIRST_REVISION);
        let compacted = number(&meta, COMPACTED)?.unwrap_or(0);
        let (versions, log) = (transaction.open_table(VERSIONS)?, transaction.open_table(LOG)?);
        let lives = Lives::new(transaction, now)?;
        Ok(Self { versions, log, meta, lives, newest, compacted, changes: Vec::new() })
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// One change; the outer error spoils the whole batch, the inner one only this change.
    pub(super) fn apply(&mut self, write: &Write) -> Result<Result<u64, StoreError>, redb::Error> {
        let key = write.key();
        let previous = match write.check(version_at(&self.versions, key, u64::MAX)?) {
            Ok(previous) => previous,
            Err(refused) => return Ok(Err(refused)),
        };
        self.lives.set(key, write.life())?;
        self.append(key, write.value().cloned(), previous).map(Ok)
    }

    /// A new version of a key.
    fn append(&mut self, key: &str, value: Option<Bytes>, previous: Option<Bytes>) -> Result<u64, redb::Error> {
        let revision = self.newest + 1;
        self.versions.insert((key, revision), value.as_deref())?;
        self.log.insert(revision, key)?;
        self.meta.insert(NEWEST, revision)?;
        self.newest = revision;
        self.changes.push(Change { key: key.to_owned(), revision, value, previous });
        Ok(revision)
    }

    /// Deletes keys whose life is over, at most `limit` of them. Gives the time of the next
    /// death, which has passed when there are more.
    pub(super) fn expire(&mut self, limit: usize) -> Result<Option<u64>, redb::Error> {
        for _ in 0..limit {
            let Some(key) = self.lives.take_dead()? else { break };
            let previous = version_at(&self.versions, &key, u64::MAX)?.map(|entry| entry.value);
            self.append(&key, None, previous)?;
        }
        self.lives.next_death()
    }

    /// What it has changed, in order.
    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// Puts an entry of another store in, as of its revision there.
    pub(super) fn import(&mut self, entry: &Entry, life: Option<Duration>) -> Result<(), redb::Error> {
        self.versions.insert((entry.key.as_str(), entry.revision), Some(entry.value.as_ref()))?;
        self.lives.set(&entry.key, life)
    }

    /// Declares a revision the newest one and everything before it forgotten.
    pub(super) fn begin_at(&mut self, revision: u64) -> Result<(), redb::Error> {
        self.meta.insert(NEWEST, revision)?;
        self.meta.insert(COMPACTED, revision)?;
        Ok(())
    }

    /// Declares everything before `revision` forgotten. [`Batch::clean`] frees the space.
    pub(super) fn compact(&mut self, revision: u64) -> Result<Result<u64, StoreError>, redb::Error> {
        if revision > self.newest {
            return Ok(Err(StoreError::Future { asked: revision, newest: self.newest }));
        }
        if revision > self.compacted {
            self.meta.insert(COMPACTED, revision)?;
            self.compacted = revision;
        }
        Ok(Ok(self.compacted))
    }

    /// Removes what nobody may read any more, at most `limit` changes of it. Says whether there
    /// is more. Of each key the version that is visible at the compacted revision stays.
    pub(super) fn clean(&mut self, limit: usize) -> Result<bool, redb::Error> {
        for _ in 0..limit {
            let Some((revision, key)) = self.oldest_forgotten()? else { return Ok(false) };
            self.remove_before(&key, revision)?;
            let deleted = self.versions.get((key.as_str(), revision))?.is_some_and(|value| value.value().is_none());
            if deleted {
                self.versions.remove((key.as_str(), revision))?;
            }
            self.log.remove(revision)?;
        }
        Ok(true)
    }

    fn oldest_forgotten(&self) -> Result<Option<(u64, String)>, redb::Error> {
        let oldest = self.log.first()?.map(|(revision, key)| (revision.value(), key.value().to_owned()));
        Ok(oldest.filter(|(revision, _)| *revision <= self.compacted))
    }

    /// Older changes are cleaned first, so this is one version or none.
    fn remove_before(&mut self, key: &str, revision: u64) -> Result<(), redb::Error> {
        self.versions.retain_in((key, 0)..(key, revision), |_, _| false)?;
        Ok(())
    }
}

/// The entry of a key as of a revision.
fn version_at(
    versions: &impl ReadableTable<(&'static str, u64), Option<&'static [u8]>>,
    key: &str,
    revision: u64,
) -> Result<Option<Entry>, redb::Error> {
    let Some(newest) = versions.range((key, 0)..=(key, revision))?.next_back() else { return Ok(None) };
    let (id, value) = newest?;
    Ok(value.value().map(|value| entry(key, id.value().1, value)))
}

fn entry(key: &str, revision: u64, value: &[u8]) -> Entry {
    Entry { key: key.to_owned(), value: Bytes::copy_from_slice(value), revision }
}

fn number(meta: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<Option<u64>, redb::Error> {
    Ok(meta.get(name)?.map(|number| number.value()))
}
