//! Node ports: ports that every node opens for a Service of type NodePort or LoadBalancer.
//!
//! In: Services on their way into the store. Out: Services with `spec.ports[*].nodePort` and
//! `spec.healthCheckNodePort`, or the refusal. The claims are in the store, see
//! [`super::claims`].

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use nodeplane_api::status::{FieldErrors, Status};
use serde_json::Value;

use super::{
    claims::{Claims, Holder},
    ranges::{Naming, Range, RangeError},
};
use crate::registry::{
    fields::At,
    reservation::{Attempt, NotAllocated},
};
use crate::store::{Store, keys::Keys};

/// Upstream's default `--service-node-port-range`.
const FIRST: u32 = 30_000;
const LAST: u32 = 32_767;
/// As many as upstream keeps for requests by hand (KEP-3668).
const BY_HAND: u32 = 86;

/// The allocator of node ports.
pub(super) struct NodePorts {
    range: Range,
}

impl NodePorts {
    /// An allocator over 30000-32767.
    pub(super) fn new(store: Arc<dyn Store>, keys: &Keys) -> Self {
        let claims = Claims::new(store, keys, "servicenodeports");
        let naming = Naming {
            name: |item| item.to_string(),
            held: |service| ports(service).iter().map(u32::to_string).collect(),
        };
        Self { range: Range::new(claims, FIRST, LAST, BY_HAND, naming) }
    }

    /// The ports that are given out.
    pub(super) fn range(&self) -> &Range {
        &self.range
    }

    /// Gives every port of a Service that needs one a node port, the one it asks for or any. Those
    /// that `old` has need not be taken.
    pub(super) async fn allocate(
        &self,
        service: &mut Value,
        old: Option<&Value>,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(), NotAllocated> {
        let holder = Holder::of(service);
        let asked: Vec<(String, u32)> = asked_for(service);
        let has = old.map(ports).unwrap_or_default();
        for (path, port) in asked.iter().filter(|(_, port)| !has.contains(port)) {
            self.take(path, *port, &holder, attempt, now).await?;
        }
        let mut mine: BTreeSet<u32> = asked.into_iter().map(|(_, port)| port).collect();
        for field in missing(service) {
            let port = self.any_besides(&mine, &holder, attempt, now).await?;
            mine.insert(port);
            if let Some(place) = service.pointer_mut(&field) {
                place["nodePort"] = port.into();
            }
        }
        if needs_health_check(service) && service["spec"]["healthCheckNodePort"].as_u64().unwrap_or(0) == 0 {
            let port = self.any_besides(&mine, &holder, attempt, now).await?;
            service["spec"]["healthCheckNodePort"] = port.into();
        }
        Ok(())
    }

    async fn take(
        &self,
        path: &str,
        port: u32,
        holder: &Holder,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(), NotAllocated> {
        if !self.range.contains(port) {
            let why = format!("provided port is not in the valid range. The range of valid ports is {FIRST}-{LAST}");
            return Err(refuse(path, port, &why));
        }
        match self.range.take_unless_taken(port, holder, attempt, now).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(refuse(path, port, "provided port is already allocated")),
            Err(error) => Err(NotAllocated::Failed(Status::unavailable(error))),
        }
    }

    /// A dry attempt may find the same free port twice, so that the ones found are passed along.
    async fn any_besides(
        &self,
        mine: &BTreeSet<u32>,
        holder: &Holder,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<u32, NotAllocated> {
        loop {
            match self.range.take_any(holder, attempt, now).await {
                Ok(port) if attempt.is_dry() && mine.contains(&port) => {}
                Ok(port) => return Ok(port),
                Err(RangeError::Full) => {
                    let status = Status::internal("failed to allocate a nodePort: range is full");
                    return Err(NotAllocated::Failed(status));
                }
                Err(RangeError::Store(error)) => return Err(NotAllocated::Failed(Status::unavailable(error))),
            }
        }
    }
}

/// The node ports that a Service holds.
fn ports(service: &Value) -> BTreeSet<u32> {
    if !may_have_node_ports(service) {
        return BTreeSet::new();
    }
    asked_for(service).into_iter().map(|(_, port)| port).collect()
}

/// Whether the nodes tell a load balancer on a port of their own if they have a backend.
pub(super) fn needs_health_check(service: &Value) -> bool {
    let spec = &service["spec"];
    spec["type"] == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local"
}

/// Whether node ports mean anything for a Service of this type.
pub(super) fn may_have_node_ports(service: &Value) -> bool {
    matches!(service["spec"]["type"].as_str(), Some("NodePort" | "LoadBalancer"))
}

/// Whether every port of a Service gets a node port.
pub(super) fn needs_node_ports(service: &Value) -> bool {
    let spec = &service["spec"];
    match spec["type"].as_str() {
        Some("NodePort") => true,
        Some("LoadBalancer") => spec["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    }
}

/// The node ports that a Service names, with their field paths.
fn asked_for(service: &Value) -> Vec<(String, u32)> {
    let spec = At::root(service).field("spec");
    let mut fields: Vec<At<'_>> = spec.field("ports").items().map(|port| port.field("nodePort")).collect();
    fields.push(spec.field("healthCheckNodePort"));
    let named = fields.into_iter().filter_map(|field| {
        let port = u32::try_from(field.integer()?).ok().filter(|port| *port != 0)?;
        Some((field.path, port))
    });
    named.collect()
}

/// JSON pointers of the ports that lack a node port and need one.
fn missing(service: &Value) -> Vec<String> {
    if !needs_node_ports(service) {
        return Vec::new();
    }
    let ports = service["spec"]["ports"].as_array().into_iter().flatten().enumerate();
    let lacking = ports.filter(|(_, port)| port["nodePort"].as_i64().unwrap_or(0) == 0);
    lacking.map(|(index, _)| format!("/spec/ports/{index}")).collect()
}

fn refuse(path: &str, port: u32, why: &str) -> NotAllocated {
    let mut errors = FieldErrors::default();
    errors.invalid(path, port, why);
    NotAllocated::Invalid(errors)
}
