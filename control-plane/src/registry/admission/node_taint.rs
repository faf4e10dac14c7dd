//! No pod goes to a node that nobody has seen ready.

use async_trait::async_trait;
use nodeplane_api::status::Status;
use serde_json::{Value, json};

use super::{Operation, Plugin, Review};
use crate::registry::fields::child;

const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Upstream's `TaintNodesByCondition`: the node controller takes the taint away.
pub(super) struct NodeTaint;

#[async_trait]
impl Plugin for NodeTaint {
    async fn admit(&self, review: &Review<'_>, node: &mut Value) -> Result<(), Status> {
        if review.operation == Operation::Create && review.is_about("nodes") {
            add_taint(node);
        }
        Ok(())
    }
}

fn add_taint(node: &mut Value) {
    let Some(spec) = child(node, "spec").filter(|spec| spec.is_object()) else { return };
    let taint = json!({ "key": NOT_READY, "effect": "NoSchedule" });
    let same = |other: &Value| other["key"] == taint["key"] && other["effect"] == taint["effect"];
    match spec.get_mut("taints").and_then(Value::as_array_mut) {
        Some(taints) if taints.iter().any(same) => {}
        Some(taints) => taints.push(taint),
        None => spec["taints"] = json!([taint]),
    }
}
