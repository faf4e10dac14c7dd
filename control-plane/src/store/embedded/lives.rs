//! Keys that are deleted by themselves, and when.
//!
//! | table  | key         | value                              |
//! | ------ | ----------- | ---------------------------------- |
//! | lives  | key         | when the key is deleted            |
//! | deaths | (time, key) | nothing: the same in order of time |
//!
//! Times are seconds since 1970: they outlive the process.

use std::time::Duration;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

const LIVES: TableDefinition<&str, u64> = TableDefinition::new("lives");
const DEATHS: TableDefinition<(u64, &str), ()> = TableDefinition::new("deaths");

/// The lives of all keys, for the writer.
pub(super) struct Lives<'t> {
    lives: Table<'t, &'static str, u64>,
    deaths: Table<'t, (u64, &'static str), ()>,
    now: u64,
}

impl<'t> Lives<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction, now: u64) -> Result<Self, redb::Error> {
        Ok(Self { lives: transaction.open_table(LIVES)?, deaths: transaction.open_table(DEATHS)?, now })
    }

    /// A key begins a new life, or goes on without an end.
    pub(super) fn set(&mut self, key: &str, life: Option<Duration>) -> Result<(), redb::Error> {
        let known = self.lives.remove(key)?.map(|dies_at| dies_at.value());
        if let Some(dies_at) = known {
            self.deaths.remove((dies_at, key))?;
        }
        if let Some(life) = life {
            let dies_at = death(self.now, life);
            self.lives.insert(key, dies_at)?;
            self.deaths.insert((dies_at, key), ())?;
        }
        Ok(())
    }

    /// The key whose life is over for the longest time. It has none any more.
    pub(super) fn take_dead(&mut self) -> Result<Option<String>, redb::Error> {
        let first = self.deaths.first()?.map(|(id, _)| (id.value().0, id.value().1.to_owned()));
        let Some((dies_at, key)) = first.filter(|(dies_at, _)| *dies_at <= self.now) else { return Ok(None) };
        self.deaths.remove((dies_at, key.as_str()))?;
        self.lives.remove(key.as_str())?;
        Ok(Some(key))
    }

    /// When the next key dies; that may be past.
    pub(super) fn next_death(&self) -> Result<Option<u64>, redb::Error> {
        Ok(self.deaths.first()?.map(|(id, _)| id.value().0))
    }
}

/// The lives of all keys, for readers.
pub(super) type ReadLives = ReadOnlyTable<&'static str, u64>;

/// Opens the table.
pub(super) fn read(transaction: &ReadTransaction) -> Result<ReadLives, redb::Error> {
    Ok(transaction.open_table(LIVES)?)
}

/// The keys of a prefix that have an end, and when that is.
pub(super) fn under(lives: &ReadLives, prefix: &str) -> Result<Vec<(String, u64)>, redb::Error> {
    let mut found = Vec::new();
    for life in lives.range(prefix..)? {
        let (key, dies_at) = life?;
        if !key.value().starts_with(prefix) {
            break;
        }
        found.push((key.value().to_owned(), dies_at.value()));
    }
    Ok(found)
}

/// When a key dies that lives for so long from now on. Long lives end together, once a minute at
/// most, so that their end costs few writes.
fn death(now: u64, life: Duration) -> u64 {
    let seconds = life.as_secs() + u64::from(life.subsec_nanos() > 0);
    let grain = (seconds / 20).clamp(1, 60);
    // The second that has begun does not count.
    (now + 1 + seconds).next_multiple_of(grain)
}
