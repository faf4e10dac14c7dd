use serde_json::{Value, json};

use super::*;
use crate::registry::cases::{created, refused, updated, with};

fn node() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n" }, "spec": {},
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

fn taints(changes: &[(&str, Value)]) -> Value {
    created(&NodeStrategy, &with(&node(), changes))["spec"]["taints"].take()
}

#[test]
fn no_pod_goes_to_a_new_node_before_the_controller_has_seen_it_ready() {
    let not_ready = json!({ "key": "node.kubernetes.io/not-ready", "effect": "NoSchedule" });
    assert_eq!(taints(&[]), json!([not_ready]), "whatever it says of itself");
    assert_eq!(taints(&[("/spec", Value::Null)]), json!([not_ready]));
    assert_eq!(taints(&[("/spec/taints", json!([not_ready]))]), json!([not_ready]), "once is enough");
    let own = json!({ "key": "gpu", "value": "big", "effect": "NoSchedule" });
    assert_eq!(taints(&[("/spec/taints", json!([own]))]), json!([own, not_ready]));
    let evicting = json!({ "key": "node.kubernetes.io/not-ready", "effect": "NoExecute" });
    assert_eq!(taints(&[("/spec/taints", json!([evicting]))]), json!([evicting, not_ready]));
}

#[test]
fn the_taint_of_new_nodes_does_not_disturb_their_agents() {
    let created = created(&NodeStrategy, &node());
    assert_eq!(created["status"], node()["status"], "a node comes with its status");
    assert_eq!(refused(&NodeStrategy, &node()), Vec::<String>::new());
    let mut ready = created.clone();
    ready["spec"]["taints"] = Value::Null;
    let ready = updated(&NodeStrategy, &ready, &created);
    assert_eq!(ready["spec"].get("taints"), None, "what the controller takes away does not come back");
}
