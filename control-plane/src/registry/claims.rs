//! Things that only one Service may hold, each claimed by a key of the store.
//!
//! A claim is a key ([`Keys::claims`]): made only if absent, so that several API
//! servers on one store never give an item twice, and neither a restart nor a crash forgets
//! one. A crash between claim and Service leaves a claim that nobody uses; [`Claims::free`] lets
//! the repair take it back. Nothing here knows what the items are.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use nodeplane_api::meta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::{Store, StoreError, keys::Keys};

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

    /// Claims an item for a holder.
    pub(super) async fn take(&self, item: &str, holder: &Holder, now: Timestamp) -> Result<Taken, StoreError> {
        let record = Record { holder: holder.clone(), since: now };
        let bytes = serde_json::to_vec(&record).map_err(|error| StoreError::Unavailable(error.into()))?;
        match self.store.create(&self.key(item), Bytes::from(bytes)).await {
            Ok(_) => Ok(Taken::New),
            Err(StoreError::Exists) => match self.get(item).await? {
                Some(claim) if claim.holder.uid == holder.uid => Ok(Taken::Before),
                // A claim that went away in between is found free by the next attempt.
                _ => Ok(Taken::ByAnother),
            },
            Err(error) => Err(error),
        }
    }

    /// The claim on an item.
    pub(super) async fn get(&self, item: &str) -> Result<Option<Claim>, StoreError> {
        let entry = self.store.get(&self.key(item)).await?;
        Ok(entry.and_then(|entry| read(item, &entry.value, entry.revision)))
    }

    /// Gives an item back that this holder has.
    pub(super) async fn give_back(&self, item: &str, uid: &str) -> Result<(), StoreError> {
        match self.get(item).await? {
            Some(claim) if claim.holder.uid == uid => self.free(&claim).await,
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
        Ok(Record { holder, since }) => Some(Claim { item: item.to_owned(), holder, since, revision }),
        Err(error) => {
            tracing::error!(item, %error, "a claim cannot be read");
            let holder = Holder { service: String::new(), uid: String::new() };
            Some(Claim { item: item.to_owned(), holder, since: Timestamp::UNIX_EPOCH, revision })
        }
    }
}
