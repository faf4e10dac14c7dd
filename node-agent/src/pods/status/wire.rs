//! A pod's status as it travels: what the agent owns of it, and the patch that makes it so. Pure.

use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Map, Value, json};

use super::conditions;

/// Fields that are the agent's alone.
const OWNED: [&str; 11] = [
    "containerStatuses",
    "hostIP",
    "hostIPs",
    "initContainerStatuses",
    "message",
    "phase",
    "podIP",
    "podIPs",
    "qosClass",
    "reason",
    "startTime",
];
/// Lists that a strategic merge patch would otherwise merge item by item.
const MERGED: [&str; 2] = ["hostIPs", "podIPs"];

/// What of a status the agent answers for. Two statuses with the same parts need no write.
pub fn owned(status: &PodStatus) -> Value {
    let mut all = fields(status);
    let mut conditions: Vec<Value> = match all.remove("conditions") {
        Some(Value::Array(conditions)) => conditions.into_iter().filter(is_owned).collect(),
        _ => Vec::new(),
    };
    // Their order is that of whoever wrote first, and means nothing.
    conditions.sort_by(|one, other| one["type"].as_str().cmp(&other["type"].as_str()));
    all.retain(|name, _| OWNED.contains(&name.as_str()));
    all.insert("conditions".to_owned(), Value::Array(conditions));
    Value::Object(all)
}

/// A strategic merge patch after which a pod shows this status, and nothing of others is lost. The
/// uid makes the server refuse when another pod has the name by now.
pub fn patch(uid: &str, status: &PodStatus) -> Value {
    let Value::Object(mut fields) = owned(status) else { return Value::Null };
    for name in OWNED {
        // What goes away must be said to.
        fields.entry(name).or_insert(Value::Null);
    }
    for list in MERGED {
        if let Some(Value::Array(items)) = fields.get_mut(list) {
            items.insert(0, json!({ "$patch": "replace" }));
        }
    }
    for condition in fields.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        for name in ["reason", "message"] {
            if let Some(condition) = condition.as_object_mut() {
                condition.entry(name).or_insert(Value::Null);
            }
        }
    }
    json!({ "metadata": { "uid": uid }, "status": fields })
}

fn fields(status: &PodStatus) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        // A struct of strings, numbers and lists has no other form.
        _ => Map::new(),
    }
}

fn is_owned(condition: &Value) -> bool {
    condition["type"].as_str().is_some_and(|kind| conditions::OWNED.contains(&kind))
}
