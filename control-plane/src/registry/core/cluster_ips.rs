//! ClusterIPs: one address of the service range per Service, by request or at random.
//!
//! In: Services on their way into the store. Out: Services with `spec.clusterIP` and
//! `spec.clusterIPs`, or the refusal. The claims are in the store, see [`super::claims`].

use std::{net::Ipv4Addr, sync::Arc};

use jiff::Timestamp;
use nodeplane_api::status::{FieldErrors, Status, go_text};
use serde_json::{Value, json};

use super::{
    claims::{Claims, Holder},
    ranges::{Naming, Range, RangeError},
};
use crate::registry::reservation::{Attempt, NotAllocated};
use crate::store::{Store, keys::Keys};

/// The allocator of ClusterIPs.
pub(super) struct ClusterIps {
    range: Range,
    cidr: (Ipv4Addr, u8),
}

impl ClusterIps {
    /// An allocator over the addresses of `cidr` but its first (the network) and its last.
    pub(super) fn new(store: Arc<dyn Store>, keys: &Keys, cidr: (Ipv4Addr, u8)) -> Self {
        let (network, last) = bounds(cidr);
        let size = last - network;
        let (first, last) = if size < 2 { (network, last) } else { (network + 1, last - 1) };
        // As many as upstream keeps for requests by hand (KEP-3070).
        let by_hand = if size < 16 { 0 } else { (size / 16).clamp(16, 256) };
        let claims = Claims::new(store, keys, "serviceips");
        let naming = Naming {
            name: |item| Ipv4Addr::from_bits(item).to_string(),
            held: |service| addresses(service).into_iter().map(str::to_owned).collect(),
        };
        let range = Range::new(claims, first, last, by_hand, naming);
        let network = Ipv4Addr::from_bits(network);
        Self { range, cidr: (network, cidr.1) }
    }

    /// The addresses that are given out.
    pub(super) fn range(&self) -> &Range {
        &self.range
    }

    /// Gives a Service the address that it asks for, or any, unless `old` has it already. What
    /// cannot be an address is left for the validation to refuse.
    pub(super) async fn allocate(
        &self,
        service: &mut Value,
        old: Option<&Value>,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(), NotAllocated> {
        let holder = Holder::of(service);
        let asked = service["spec"]["clusterIP"].as_str().unwrap_or_default().to_owned();
        if asked.is_empty() {
            let item = self.range.take_any(&holder, attempt, now).await.map_err(refuse_any)?;
            let address = Ipv4Addr::from_bits(item).to_string();
            service["spec"]["clusterIPs"] = json!([address]);
            service["spec"]["clusterIP"] = address.into();
            return Ok(());
        }
        if old.is_some_and(|old| addresses(old).contains(&asked.as_str())) {
            return Ok(());
        }
        match asked.parse::<Ipv4Addr>() {
            Ok(address) => self.take(service, address, &holder, attempt, now).await,
            Err(_) => Ok(()),
        }
    }

    async fn take(
        &self,
        service: &Value,
        address: Ipv4Addr,
        holder: &Holder,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(), NotAllocated> {
        let item = address.to_bits();
        if !self.range.contains(item) {
            let (network, length) = self.cidr;
            let why = format!(
                "the provided IP ({address}) is not in the valid range. The range of valid IPs is {network}/{length}"
            );
            return Err(refuse(service, address, &why));
        }
        match self.range.take_unless_taken(item, holder, attempt, now).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(refuse(service, address, "provided IP is already allocated")),
            Err(error) => Err(NotAllocated::Failed(Status::unavailable(error))),
        }
    }
}

/// The addresses of a Service; none for headless ones and external names.
fn addresses(service: &Value) -> Vec<&str> {
    let spec = &service["spec"];
    let mut found: Vec<&str> = spec["clusterIPs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(first) = spec["clusterIP"].as_str()
        && !found.contains(&first)
    {
        found.push(first);
    }
    found.retain(|address| address.parse::<Ipv4Addr>().is_ok());
    found
}

/// The first and the last address of a range, as numbers.
fn bounds((network, length): (Ipv4Addr, u8)) -> (u32, u32) {
    let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
    let network = network.to_bits() & mask;
    (network, network | !mask)
}

fn refuse(service: &Value, address: Ipv4Addr, why: &str) -> NotAllocated {
    let mut errors = FieldErrors::default();
    let asked = json!(addresses(service));
    errors.invalid_shown("spec.clusterIPs", go_text(&asked), format!("failed to allocate IP {address}: {why}"));
    NotAllocated::Invalid(errors)
}

fn refuse_any(error: RangeError) -> NotAllocated {
    NotAllocated::Failed(match error {
        RangeError::Full => Status::internal("failed to allocate a serviceIP: range is full"),
        RangeError::Store(error) => Status::unavailable(error),
    })
}
