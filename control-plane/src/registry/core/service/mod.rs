//! Services: defaults, addresses and ports of their own, and what may not change.

mod defaults;
mod ports;
mod validation;

pub(in crate::registry) use ports::{check_protocol, check_target};

use std::{net::Ipv4Addr, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use nodeplane_api::status::FieldErrors;
use serde_json::{Value, json};

use super::{
    cluster_ips::ClusterIps,
    node_ports::{NodePorts, may_have_node_ports, needs_health_check, needs_node_ports},
    repair::Repair,
};
use crate::registry::{
    NameRule, Strategy, clear_status,
    fields::{is_unset, remove},
    keep,
    reservation::{Attempt, NotAllocated},
};
use crate::store::{Store, StoreError, keys::Keys};

/// The strategy of Services.
pub(in crate::registry) struct ServiceStrategy {
    cluster_ips: ClusterIps,
    node_ports: NodePorts,
    repair: Repair,
}

impl ServiceStrategy {
    pub(in crate::registry) fn new(store: Arc<dyn Store>, keys: &Keys, service_cidr: (Ipv4Addr, u8)) -> Self {
        Self {
            cluster_ips: ClusterIps::new(store.clone(), keys, service_cidr),
            node_ports: NodePorts::new(store.clone(), keys),
            repair: Repair::new(store, keys),
        }
    }

    /// Brings all claims in line with the stored Services.
    pub(in crate::registry) async fn repair(&self, now: Timestamp) -> Result<(), StoreError> {
        self.repair.run(self.cluster_ips.range(), self.node_ports.range(), now).await
    }

    async fn reserve(&self, service: &mut Value, old: Option<&Value>, attempt: &Attempt) -> Result<(), NotAllocated> {
        let now = Timestamp::now();
        if needs_cluster_ip(service) {
            self.cluster_ips.allocate(service, old, attempt, now).await?;
        }
        if may_have_node_ports(service) {
            self.node_ports.allocate(service, old, attempt, now).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Strategy for ServiceStrategy {
    fn default(&self, service: &mut Value) {
        defaults::fill_defaults(service);
    }

    fn prepare_for_create(&self, service: &mut Value) {
        clear_status(service);
        service["status"] = json!({ "loadBalancer": {} });
        agree_on_first_address(service, None);
    }

    fn prepare_for_update(&self, service: &mut Value, old: &Value) {
        keep(service, old, "status");
        agree_on_first_address(service, Some(old));
        keep_allocated(service, old);
        drop_what_the_type_left(service, old);
    }

    fn validate(&self, service: &Value) -> FieldErrors {
        validation::validate(service)
    }

    fn validate_update(&self, service: &Value, old: &Value) -> FieldErrors {
        validation::validate_update(service, old)
    }

    /// What is allocated is also checked; a port for health checks must be there.
    fn with_placeholders(&self, service: &Value) -> Option<Value> {
        let mut draft = service.clone();
        if needs_health_check(service) && service["spec"]["healthCheckNodePort"].as_i64().unwrap_or(0) == 0 {
            draft["spec"]["healthCheckNodePort"] = 1.into();
        }
        Some(draft)
    }

    async fn allocate(&self, service: &mut Value, old: Option<&Value>, attempt: &Attempt) -> Result<(), NotAllocated> {
        if old.is_some_and(|old| !changes_reservations(service, old)) {
            return Ok(());
        }
        let result = self.reserve(service, old, attempt).await;
        if result.is_err() && !attempt.is_dry() {
            self.give_up(service, old, attempt).await;
        }
        result
    }

    async fn give_up(&self, service: &Value, old: Option<&Value>, attempt: &Attempt) {
        let outcomes = [
            self.cluster_ips.range().give_up(service, old, attempt).await,
            self.node_ports.range().give_up(service, old, attempt).await,
        ];
        outcomes.into_iter().for_each(leave_to_repair);
    }

    async fn release(&self, service: &Value, kept: Option<&Value>, stored_at: u64) {
        let outcomes = [
            self.cluster_ips.range().release(service, kept, stored_at).await,
            self.node_ports.range().release(service, kept, stored_at).await,
        ];
        outcomes.into_iter().for_each(leave_to_repair);
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Label1035
    }
}

/// What cannot be given back now, the repair finds.
fn leave_to_repair(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "a reservation waits for the repair to be given back");
    }
}

/// Whether the Service has a virtual address: all but external names and headless ones.
pub(super) fn needs_cluster_ip(service: &Value) -> bool {
    has_cluster_ip_type(service) && service["spec"]["clusterIP"] != "None"
}

fn has_cluster_ip_type(service: &Value) -> bool {
    matches!(service["spec"]["type"].as_str(), Some("ClusterIP" | "NodePort" | "LoadBalancer"))
}

/// Whether traffic from outside of the cluster can reach a Service with this spec.
fn is_externally_accessible(spec: &Value) -> bool {
    match spec["type"].as_str() {
        Some("NodePort" | "LoadBalancer") => true,
        Some("ClusterIP") => spec["externalIPs"].as_array().is_some_and(|addresses| !addresses.is_empty()),
        _ => false,
    }
}

/// Whether a change may need addresses or ports that the stored object does not have.
fn changes_reservations(service: &Value, old: &Value) -> bool {
    let (now, before) = (&service["spec"], &old["spec"]);
    let fields = ["type", "clusterIP", "clusterIPs", "healthCheckNodePort", "externalTrafficPolicy"];
    let node_ports = |spec: &Value| -> Vec<Option<i64>> {
        spec["ports"].as_array().into_iter().flatten().map(|port| port["nodePort"].as_i64()).collect()
    };
    fields.iter().any(|field| now.get(field) != before.get(field)) || node_ports(now) != node_ports(before)
}

/// `clusterIP` and `clusterIPs[0]` are the same field in two generations of the API: the one
/// that the client wrote decides (upstream `NormalizeClusterIPs`).
fn agree_on_first_address(service: &mut Value, old: Option<&Value>) {
    let spec = &mut service["spec"];
    let first = |spec: &Value| spec["clusterIPs"][0].as_str().unwrap_or_default().to_owned();
    let one = |spec: &Value| spec["clusterIP"].as_str().unwrap_or_default().to_owned();
    let (now_one, now_first) = (one(spec), first(spec));
    if now_one == now_first {
        return;
    }
    let (old_one, old_first) = old.map(|old| (one(&old["spec"]), first(&old["spec"]))).unwrap_or_default();
    let single_changed = now_one != old_one && now_first == old_first;
    if single_changed && now_one.is_empty() {
        remove(spec, "clusterIPs");
    } else if single_changed {
        spec["clusterIPs"] = json!([now_one]);
    } else if now_one == old_one || now_one.is_empty() {
        match now_first.as_str() {
            "" => remove(spec, "clusterIP"),
            _ => spec["clusterIP"] = now_first.into(),
        }
    }
}

/// An update that leaves out what was allocated keeps it, so that clients can `PUT` what they
/// once wrote (upstream `patchAllocatedValues`).
fn keep_allocated(service: &mut Value, old: &Value) {
    // A headless one stays headless.
    if has_cluster_ip_type(service) && has_cluster_ip_type(old) && is_unset(service["spec"].get("clusterIP")) {
        keep(&mut service["spec"], &old["spec"], "clusterIP");
        keep(&mut service["spec"], &old["spec"], "clusterIPs");
    }
    if needs_node_ports(service) && needs_node_ports(old) {
        keep_node_ports(service, old);
    }
    if needs_health_check(service) && needs_health_check(old) {
        let port = service["spec"].get("healthCheckNodePort").and_then(Value::as_i64).unwrap_or(0);
        if port == 0 {
            keep(&mut service["spec"], &old["spec"], "healthCheckNodePort");
        }
    }
}

/// Ports without a node port get back the one of the old port with the same number and protocol,
/// if no other port names it now.
fn keep_node_ports(service: &mut Value, old: &Value) {
    let Some(ports) = service["spec"]["ports"].as_array_mut() else { return };
    let mut named: Vec<i64> = ports.iter().filter_map(|port| port["nodePort"].as_i64()).collect();
    for port in ports.iter_mut().filter(|port| port["nodePort"].as_i64().unwrap_or(0) == 0) {
        let before = old["spec"]["ports"].as_array().into_iter().flatten();
        let same = |old: &&Value| old["port"] == port["port"] && old["protocol"] == port["protocol"];
        if let Some(number) = before.filter(same).find_map(|old| old["nodePort"].as_i64())
            && !named.contains(&number)
        {
            named.push(number);
            port["nodePort"] = number.into();
        }
    }
}

/// A change of type leaves behind what only the old type had, if the client did not touch it
/// (upstream `dropTypeDependentFields`).
fn drop_what_the_type_left(service: &mut Value, old: &Value) {
    let same = |service: &Value, field: &str| service["spec"].get(field) == old["spec"].get(field);
    if has_cluster_ip_type(old) && !has_cluster_ip_type(service) {
        if same(service, "clusterIP") {
            remove(&mut service["spec"], "clusterIP");
        }
        for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            if same(service, field) {
                remove(&mut service["spec"], field);
            }
        }
    }
    if needs_node_ports(old) && !needs_node_ports(service) {
        drop_node_ports(service, old);
    }
    if needs_health_check(old) && !needs_health_check(service) && same(service, "healthCheckNodePort") {
        remove(&mut service["spec"], "healthCheckNodePort");
    }
    let was_external = is_externally_accessible(&old["spec"]);
    let is_external = is_externally_accessible(&service["spec"]);
    if was_external && !is_external && same(service, "externalTrafficPolicy") {
        remove(&mut service["spec"], "externalTrafficPolicy");
    }
    if old["spec"]["type"] == "LoadBalancer" && service["spec"]["type"] != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if same(service, field) {
                remove(&mut service["spec"], field);
            }
        }
        service["status"] = json!({ "loadBalancer": {} });
    }
}

fn drop_node_ports(service: &mut Value, old: &Value) {
    let before: Vec<i64> =
        old["spec"]["ports"].as_array().into_iter().flatten().filter_map(|port| port["nodePort"].as_i64()).collect();
    for port in service["spec"]["ports"].as_array_mut().into_iter().flatten() {
        if port["nodePort"].as_i64().is_some_and(|number| before.contains(&number)) {
            remove(port, "nodePort");
        }
    }
}

#[cfg(test)]
mod tests;
