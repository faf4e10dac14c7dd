use serde_json::{Value, json};

use super::*;
use crate::registry::cases::{created, refused, updated};

fn node() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n" }, "spec": {},
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

#[test]
fn a_node_comes_with_the_status_of_its_agent() {
    let created = created(&NodeStrategy, &node());
    assert_eq!(created["status"], node()["status"]);
    assert_eq!(refused(&NodeStrategy, &node()), Vec::<String>::new());
}

#[test]
fn what_the_controller_takes_away_from_a_node_does_not_come_back() {
    let mut created = created(&NodeStrategy, &node());
    created["spec"]["taints"] = json!([{ "key": "node.kubernetes.io/not-ready", "effect": "NoSchedule" }]);
    let ready = updated(&NodeStrategy, &node(), &created);
    assert_eq!(ready["spec"].get("taints"), None);
}
