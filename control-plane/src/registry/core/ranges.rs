//! Ranges of numbered items (addresses, ports) that are handed out: by request, or one at random.
//!
//! In: [`Claims`], how many items there are, and which of them a Service holds. Out: offsets. The
//! first items of a range are given out only when no other is left, so that people can pick from
//! them by hand (KEP-3070, KEP-3668).

use std::collections::BTreeSet;

use jiff::Timestamp;
use nodeplane_api::meta;
use rand::Rng;
use serde_json::Value;

use super::claims::{Claims, Holder, Taken};
use crate::registry::reservation::Attempt;
use crate::store::StoreError;

/// Random attempts before the whole range is looked at.
const BLIND_ATTEMPTS: usize = 4;
/// Attempts in sight of all claims, while others take items too.
const SIGHTED_ATTEMPTS: usize = 16;

/// An item that could not be given out.
#[derive(Debug, thiserror::Error)]
pub(super) enum RangeError {
    /// Every item is taken.
    #[error("range is full")]
    Full,
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// How items are called.
pub(super) struct Naming {
    /// The name of an item.
    pub(super) name: fn(u32) -> String,
    /// The names of the items that a Service holds.
    pub(super) held: fn(&Value) -> Vec<String>,
}

/// Items `first..=last`.
pub(super) struct Range {
    claims: Claims,
    first: u32,
    last: u32,
    /// How many items from the first are kept for requests by hand.
    by_hand: u32,
    naming: Naming,
}

impl Range {
    /// A range of at least one item.
    pub(super) fn new(claims: Claims, first: u32, last: u32, by_hand: u32, naming: Naming) -> Self {
        let by_hand = if by_hand > last - first { 0 } else { by_hand };
        Self { claims, first, last, by_hand, naming }
    }

    /// The claims on the items.
    pub(super) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Whether an item is in the range.
    pub(super) fn contains(&self, item: u32) -> bool {
        (self.first..=self.last).contains(&item)
    }

    /// The names of the items that a Service holds.
    pub(super) fn held(&self, service: &Value) -> Vec<String> {
        (self.naming.held)(service)
    }

    /// Takes a certain item, or sees whether a dry attempt could, unless another one has it.
    pub(super) async fn take_unless_taken(
        &self,
        item: u32,
        holder: &Holder,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.take(item, holder, attempt, now, |taken| taken != Taken::ByAnother).await
    }

    /// Takes a certain item, and tells whether that went as `wanted`; for a dry attempt, whether
    /// it could be taken.
    async fn take(
        &self,
        item: u32,
        holder: &Holder,
        attempt: &Attempt,
        now: Timestamp,
        wanted: fn(Taken) -> bool,
    ) -> Result<bool, StoreError> {
        let name = (self.naming.name)(item);
        if attempt.is_dry() {
            return Ok(self.claims.get(&name).await?.is_none_or(|claim| claim.holder.uid == holder.uid));
        }
        self.claims.take(&name, holder, attempt.id(), now).await.map(wanted)
    }

    /// Gives back the items that an attempt took for `service` and `old` does not have.
    pub(super) async fn give_up(
        &self,
        service: &Value,
        old: Option<&Value>,
        attempt: &Attempt,
    ) -> Result<(), StoreError> {
        for item in self.only_in(service, old) {
            self.claims.give_up(&item, meta::uid(service), attempt.id()).await?;
        }
        Ok(())
    }

    /// Gives back the items that `service` had and `kept`, stored at a revision, has not.
    pub(super) async fn release(
        &self,
        service: &Value,
        kept: Option<&Value>,
        stored_at: u64,
    ) -> Result<(), StoreError> {
        for item in self.only_in(service, kept) {
            self.claims.give_back(&item, meta::uid(service), stored_at).await?;
        }
        Ok(())
    }

    fn only_in(&self, service: &Value, other: Option<&Value>) -> Vec<String> {
        let others = other.map(|other| self.held(other)).unwrap_or_default();
        self.held(service).into_iter().filter(|item| !others.contains(item)).collect()
    }

    /// Takes any item; a dry attempt only finds one.
    pub(super) async fn take_any(&self, holder: &Holder, attempt: &Attempt, now: Timestamp) -> Result<u32, RangeError> {
        let is_new = |taken| taken == Taken::New;
        for _ in 0..BLIND_ATTEMPTS {
            let item = rand::rng().random_range(self.first + self.by_hand..=self.last);
            if self.take(item, holder, attempt, now, is_new).await? {
                return Ok(item);
            }
        }
        for _ in 0..SIGHTED_ATTEMPTS {
            let item = self.some_free().await?.ok_or(RangeError::Full)?;
            if self.take(item, holder, attempt, now, is_new).await? {
                return Ok(item);
            }
        }
        Err(RangeError::Full)
    }

    /// A random item that nobody has, from those kept for requests by hand only if need be.
    async fn some_free(&self) -> Result<Option<u32>, StoreError> {
        let taken: BTreeSet<String> = self.claims.all().await?.into_iter().map(|claim| claim.item).collect();
        let free = |from: u32, to: u32| -> Vec<u32> {
            (from..=to).filter(|item| !taken.contains(&(self.naming.name)(*item))).collect()
        };
        let mut candidates = free(self.first + self.by_hand, self.last);
        if candidates.is_empty() && self.by_hand > 0 {
            candidates = free(self.first, self.first + self.by_hand - 1);
        }
        if candidates.is_empty() {
            return Ok(None);
        }
        Ok(Some(candidates[rand::rng().random_range(0..candidates.len())]))
    }
}
