//! The file, open, and opened again after the disk failed.
//!
//! In: what to do in the database. Out: what came of it. After one failed read or write redb
//! refuses everything until it is opened again; a disk that was full must not end the cluster.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use redb::{Database, DatabaseError, Error};
use tracing::{error, info};

/// Opens the database; called again after a failure.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// The one database that all share.
#[derive(Clone)]
pub(super) struct File(Arc<Shared>);

struct Shared {
    open: Opener,
    /// None while it could not be opened again.
    database: RwLock<Option<Database>>,
    /// What the last write failed with, until one succeeds.
    trouble: Mutex<Option<String>>,
}

impl File {
    /// Opens the database.
    pub(super) fn open(open: Opener) -> Result<Self, DatabaseError> {
        let database = RwLock::new(Some(open()?));
        Ok(Self(Arc::new(Shared { open, database, trouble: Mutex::default() })))
    }

    /// Reads. Nothing of the database may outlive `read`.
    pub(super) fn read<T, E: From<Error>>(&self, read: impl FnOnce(&Database) -> Result<T, E>) -> Result<T, E> {
        let database = self.0.database.read().unwrap_or_else(PoisonError::into_inner);
        read(database.as_ref().ok_or_else(closed)?)
    }

    /// Writes; called by the writer alone. When the disk fails the file is opened again, so that
    /// the next write meets the disk as it is then.
    pub(super) fn write<T>(&self, write: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Error> {
        if self.0.database.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            self.reopen();
        }
        let outcome = self.read(write);
        let mut trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *trouble = outcome.as_ref().err().map(ToString::to_string);
        drop(trouble);
        if matches!(outcome, Err(Error::Io(_) | Error::PreviousIo)) {
            self.reopen();
        }
        outcome
    }

    /// Why the last write failed; none when it did not.
    pub(super) fn trouble(&self) -> Option<String> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reopen(&self) {
        let mut database = self.0.database.write().unwrap_or_else(PoisonError::into_inner);
        // The old one holds the file's lock.
        *database = None;
        match (self.0.open)() {
            Ok(opened) => {
                info!("the store's file is open again");
                *database = Some(opened);
            }
            Err(error) => error!(%error, "the store's file cannot be opened again"),
        }
    }
}

fn closed() -> Error {
    Error::Io(io::Error::other("the store's file could not be opened again after the disk failed"))
}
