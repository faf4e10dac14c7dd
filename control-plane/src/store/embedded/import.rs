//! A new file that is filled with what another store holds.
//!
//! In: entries with their revisions, in any order. Out: a store whose newest revision is given, and
//! that remembers nothing from before. Not durable, and no store at all, until it is finished.

use std::{path::Path, time::Duration};

use redb::{Database, Durability};

use super::{CACHE_BYTES, Entry, OpenError, make_file, seconds_now, tables::Batch};

/// A store in the making.
pub struct Import(Database);

impl Import {
    /// Makes the file (mode 0600), which must not be there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> Result<Self, OpenError> {
        let failed = |source: redb::Error| OpenError::Failed { path: path.to_owned(), source };
        make_file(path).map_err(|error| failed(error.into()))?;
        let made = Database::builder().set_cache_size(CACHE_BYTES).create(path);
        made.map(Self).map_err(|error| failed(error.into()))
    }

    /// Puts entries in; those with a life begin it now.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn add(&mut self, entries: &[(Entry, Option<Duration>)]) -> Result<(), redb::Error> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::None)?;
        let mut batch = Batch::new(&transaction, seconds_now())?;
        for (entry, life) in entries {
            batch.import(entry, *life)?;
        }
        drop(batch);
        Ok(transaction.commit()?)
    }

    /// Makes it a store with this newest revision, and durable.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish(self, revision: u64) -> Result<(), redb::Error> {
        let transaction = self.0.begin_write()?;
        Batch::new(&transaction, seconds_now())?.begin_at(revision)?;
        Ok(transaction.commit()?)
    }
}
