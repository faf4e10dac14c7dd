//! Ranges of numbered items (addresses, ports) that are handed out: by request, or one at random.
//!
//! In: [`Claims`] and how many items there are. Out: offsets. The first items of a range are
//! given out only when no other is left, so that people can pick from them by hand (KEP-3070,
//! KEP-3668).

use std::collections::BTreeSet;

use jiff::Timestamp;
use rand::Rng;

use super::{
    claims::{Claims, Holder, Taken},
    reservation::Attempt,
};
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

/// Items `first..=last`, named by a function.
pub(super) struct Range {
    claims: Claims,
    first: u32,
    last: u32,
    /// How many items from the first are kept for requests by hand.
    by_hand: u32,
    name: fn(u32) -> String,
}

impl Range {
    /// A range of at least one item.
    pub(super) fn new(claims: Claims, first: u32, last: u32, by_hand: u32, name: fn(u32) -> String) -> Self {
        let by_hand = if by_hand > last - first { 0 } else { by_hand };
        Self { claims, first, last, by_hand, name }
    }

    /// The claims on the items.
    pub(super) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Whether an item is in the range.
    pub(super) fn contains(&self, item: u32) -> bool {
        (self.first..=self.last).contains(&item)
    }

    /// Takes a certain item.
    pub(super) async fn take(
        &self,
        item: u32,
        holder: &Holder,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        self.claims.take(&(self.name)(item), holder, attempt.id(), now).await
    }

    /// Takes a certain item, or sees whether a dry attempt could, unless another one has it.
    pub(super) async fn take_unless_taken(
        &self,
        item: u32,
        holder: &Holder,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if attempt.is_dry() {
            return self.is_free(item, holder).await;
        }
        Ok(self.take(item, holder, attempt, now).await? != Taken::ByAnother)
    }

    /// Whether a certain item could be taken.
    pub(super) async fn is_free(&self, item: u32, holder: &Holder) -> Result<bool, StoreError> {
        Ok(self.claims.get(&(self.name)(item)).await?.is_none_or(|claim| claim.holder.uid == holder.uid))
    }

    /// Takes any item; a dry attempt only finds one.
    pub(super) async fn take_any(&self, holder: &Holder, attempt: &Attempt, now: Timestamp) -> Result<u32, RangeError> {
        for _ in 0..BLIND_ATTEMPTS {
            let item = rand::rng().random_range(self.first + self.by_hand..=self.last);
            if self.try_take(item, holder, attempt, now).await? {
                return Ok(item);
            }
        }
        for _ in 0..SIGHTED_ATTEMPTS {
            let item = self.some_free().await?.ok_or(RangeError::Full)?;
            if self.try_take(item, holder, attempt, now).await? {
                return Ok(item);
            }
        }
        Err(RangeError::Full)
    }

    async fn try_take(
        &self,
        item: u32,
        holder: &Holder,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if attempt.is_dry() {
            return self.is_free(item, holder).await;
        }
        Ok(self.take(item, holder, attempt, now).await? == Taken::New)
    }

    /// A random item that nobody has, from those kept for requests by hand only if need be.
    async fn some_free(&self) -> Result<Option<u32>, StoreError> {
        let taken: BTreeSet<String> = self.claims.all().await?.into_iter().map(|claim| claim.item).collect();
        let free = |from: u32, to: u32| -> Vec<u32> {
            (from..=to).filter(|item| !taken.contains(&(self.name)(*item))).collect()
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
