//! Brings the claims of addresses and ports in line with the stored Services.
//!
//! A claim that no Service has is freed once it is older than a request can last; a Service
//! whose claim is missing gets it back. Safe to run anywhere and by several servers at once:
//! it makes claims only if absent, and frees them only if unchanged.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use nodeplane_api::meta;
use serde_json::Value;

use super::{
    claims::{Claims, Holder, Taken},
    ranges::Range,
};
use crate::store::{Store, StoreError, keys::Keys};

/// A claim is made moments before its Service is stored; requests end after a minute, and the
/// clocks of API servers may differ.
pub(super) const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// The attempt that claims are remade by. It never gives up.
const REPAIR: &str = "repair";

/// Compares claims and Services.
pub(super) struct Repair {
    store: Arc<dyn Store>,
    services: String,
}

impl Repair {
    pub(super) fn new(store: Arc<dyn Store>, keys: &Keys) -> Self {
        Self { store, services: keys.collection("", "services", "") }
    }

    /// Compares all claims with all Services.
    pub(super) async fn run(&self, ips: &Range, ports: &Range, now: Timestamp) -> Result<(), StoreError> {
        // Claims first: a Service stored afterwards has a claim that is too young to be freed.
        let (ip_claims, port_claims) = (ips.claims().all().await?, ports.claims().all().await?);
        let services = self.services().await?;
        for (range, claims) in [(ips, ip_claims), (ports, port_claims)] {
            reconcile(range.claims(), claims, &wanted(&services, range), now).await?;
        }
        Ok(())
    }

    async fn services(&self) -> Result<Vec<Value>, StoreError> {
        let page = self.store.list(&self.services, None, None, 0).await?;
        let services = page.entries.iter().filter_map(|entry| match serde_json::from_slice(&entry.value) {
            Ok(service) => Some(service),
            Err(error) => {
                tracing::error!(key = entry.key, %error, "a stored Service cannot be read");
                None
            }
        });
        Ok(services.collect())
    }
}

/// Who should hold what. An item of two Services stays with the older one.
fn wanted(services: &[Value], range: &Range) -> BTreeMap<String, Holder> {
    let mut sorted: Vec<&Value> = services.iter().collect();
    sorted.sort_by_key(|service| (meta::text(service, "creationTimestamp"), meta::uid(service)));
    let mut holders: BTreeMap<String, Holder> = BTreeMap::new();
    for service in sorted {
        for item in range.held(service) {
            let holder = Holder::of(service);
            if let Some(first) = holders.get(&item) {
                tracing::error!(item, first = first.service, second = holder.service, "two Services hold the same");
            } else {
                holders.insert(item, holder);
            }
        }
    }
    holders
}

async fn reconcile(
    claims: &Claims,
    found: Vec<super::claims::Claim>,
    wanted: &BTreeMap<String, Holder>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for claim in &found {
        let is_used = wanted.get(&claim.item).is_some_and(|holder| holder.uid == claim.holder.uid);
        if !is_used && now.duration_since(claim.since) > GRACE {
            tracing::info!(item = claim.item, service = claim.holder.service, "freeing a claim without a Service");
            claims.free(claim).await?;
        }
    }
    let claimed: BTreeSet<(&str, &str)> =
        found.iter().map(|claim| (claim.item.as_str(), claim.holder.uid.as_str())).collect();
    for (item, holder) in wanted {
        if claimed.contains(&(item.as_str(), holder.uid.as_str())) {
            continue;
        }
        if claims.take(item, holder, REPAIR, now).await? == Taken::New {
            tracing::warn!(item, service = holder.service, "a Service had lost its claim");
        }
    }
    Ok(())
}
