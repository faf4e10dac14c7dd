//! Things that only one Service may hold, each claimed by a key of the store.
//!
//! A claim is a key ([`Keys::claims`]): made only if absent, so that several API
//! servers on one store never give an item twice, and neither a restart nor a crash forgets
//! one. Several attempts to write the same Service may run side by side and want the same item:
//! the claim names all that rely on it, and only when the last of them gives up it goes. A crash
//! between claim and Service leaves a claim that nobody uses; [`Claims::free`] lets the repair
//! take it back. Nothing here knows what the items are.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use nodeplane_api::meta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::{Store, StoreError, keys::Keys};

/// How often a claim is tried for while others change it.
const TRIES: u32 = 16;

/// Who holds an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    /// `namespace/name`, for people.
    pub(super) service: String,
    /// The Service's uid, which decides.
    pub(super) uid: String,
}

impl Holder {
    /// The holder that a Service is.
    pub(super) fn of(service: &Value) -> Self {
        let service_key = format!("{}/{}", meta::namespace(service), meta::name(service));
        Self { service: service_key, uid: meta::uid(service).to_owned() }
    }
}

/// What is written under a claim's key.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    holder: Holder,
    since: Timestamp,
    /// The attempts that rely on the claim and have not given up. One that succeeded stays.
    #[serde(default)]
    attempts: Vec<String>,
}

impl Record {
    fn bytes(&self) -> Result<Bytes, StoreError> {
        let bytes = serde_json::to_vec(self).map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(Bytes::from(bytes))
    }
}

/// A claim as it is stored.
#[derive(Debug)]
pub(super) struct Claim {
    /// The last segment of its key.
    pub(super) item: String,
    /// Who holds it.
    pub(super) holder: Holder,
    /// When it was made.
    pub(super) since: Timestamp,
    attempts: Vec<String>,
    revision: u64,
}

/// How an attempt to take an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The claim is new.
    New,
    /// The same holder had it already.
    Before,
    /// Somebody else has it.
    ByAnother,
}

/// The claims on the items of one range.
pub(super) struct Claims {
    store: Arc<dyn Store>,
    prefix: String,
}

impl Claims {
    /// The claims on the items of a range.
    pub(super) fn new(store: Arc<dyn Store>, keys: &Keys, range: &str) -> Self {
        Self { store, prefix: keys.claims(range) }
    }

    /// Claims an item for a holder, in the name of an attempt.
    pub(super) async fn take(
        &self,
        item: &str,
        holder: &Holder,
        attempt: &str,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        let record = Record { holder: holder.clone(), since: now, attempts: vec![attempt.to_owned()] };
        let bytes = record.bytes()?;
        for _ in 0..TRIES {
            match self.store.create(&self.key(item), bytes.clone()).await {
                Err(StoreError::Exists) => {}
                outcome => return outcome.map(|_| Taken::New),
            }
            let Some(claim) = self.get(item).await? else { continue };
            if claim.holder.uid != holder.uid {
                return Ok(Taken::ByAnother);
            }
            if self.join(claim, attempt, now).await? {
                return Ok(Taken::Before);
            }
        }
        // Others take it and give it back all the time.
        Ok(Taken::ByAnother)
    }

    /// Adds an attempt to those that rely on a claim, unless the claim has changed.
    /// The claim is as young as a new one: the repair must not take it from the attempt.
    async fn join(&self, claim: Claim, attempt: &str, now: Timestamp) -> Result<bool, StoreError> {
        if claim.attempts.iter().any(|known| known == attempt) {
            return Ok(true);
        }
        let mut attempts = claim.attempts;
        attempts.push(attempt.to_owned());
        self.rewrite(&claim.item, Record { holder: claim.holder, since: now, attempts }, claim.revision).await
    }

    /// Replaces a claim; `false` when it has changed.
    async fn rewrite(&self, item: &str, record: Record, revision: u64) -> Result<bool, StoreError> {
        match self.store.update(&self.key(item), record.bytes()?, revision).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound | StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The claim on an item.
    pub(super) async fn get(&self, item: &str) -> Result<Option<Claim>, StoreError> {
        let entry = self.store.get(&self.key(item)).await?;
        Ok(entry.and_then(|entry| read(item, &entry.value, entry.revision)))
    }

    /// Gives an item back that an attempt took. Others that rely on the claim keep it.
    pub(super) async fn give_up(&self, item: &str, uid: &str, attempt: &str) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let Some(claim) = self.get(item).await? else { return Ok(()) };
            if claim.holder.uid != uid || !claim.attempts.iter().any(|known| known == attempt) {
                return Ok(());
            }
            let others: Vec<String> = claim.attempts.iter().filter(|known| *known != attempt).cloned().collect();
            if others.is_empty() {
                return self.free(&claim).await;
            }
            let record = Record { holder: claim.holder, since: claim.since, attempts: others };
            if self.rewrite(item, record, claim.revision).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Gives an item back that this holder stopped to use at a revision of the store. One that
    /// was claimed again since is in use again.
    pub(super) async fn give_back(&self, item: &str, uid: &str, stopped_at: u64) -> Result<(), StoreError> {
        match self.get(item).await? {
            Some(claim) if claim.holder.uid == uid && claim.revision < stopped_at => self.free(&claim).await,
            _ => Ok(()),
        }
    }

    /// Removes a claim unless it changed since it was read.
    pub(super) async fn free(&self, claim: &Claim) -> Result<(), StoreError> {
        match self.store.delete(&self.key(&claim.item), claim.revision).await {
            Ok(_) | Err(StoreError::NotFound | StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// All claims of the range.
    pub(super) async fn all(&self) -> Result<Vec<Claim>, StoreError> {
        let page = self.store.list(&self.prefix, None, None, 0).await?;
        let claims = page.entries.iter().filter_map(|entry| {
            let item = entry.key.strip_prefix(&self.prefix)?;
            read(item, &entry.value, entry.revision)
        });
        Ok(claims.collect())
    }

    fn key(&self, item: &str) -> String {
        format!("{}{item}", self.prefix)
    }
}

/// A claim that cannot be read belongs to nobody, and is old.
fn read(item: &str, value: &[u8], revision: u64) -> Option<Claim> {
    match serde_json::from_slice::<Record>(value) {
        Ok(Record { holder, since, attempts }) => {
            Some(Claim { item: item.to_owned(), holder, since, attempts, revision })
        }
        Err(error) => {
            tracing::error!(item, %error, "a claim cannot be read");
            let holder = Holder { service: String::new(), uid: String::new() };
            let (item, since) = (item.to_owned(), Timestamp::UNIX_EPOCH);
            Some(Claim { item, holder, since, attempts: Vec::new(), revision })
        }
    }
}
