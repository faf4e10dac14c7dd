//! Every pod has a priority.

use async_trait::async_trait;
use nodeplane_api::{kinds::Kind, status::Status};
use serde_json::Value;

use super::{Operation, Plugin, Review, shown_name};
use crate::registry::fields::{fill, is_unset};

/// Upstream's `Priority`: that of its class when a pod is new; later it stays.
pub(super) struct Priority;

#[async_trait]
impl Plugin for Priority {
    async fn admit(&self, review: &Review<'_>, pod: &mut Value) -> Result<(), Status> {
        if !review.is_about("pods") {
            return Ok(());
        }
        match (review.operation, review.old) {
            (Operation::Create, _) => resolve(review.kind(), pod),
            (Operation::Update, Some(old)) => {
                stay(pod, old);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A client may leave out what admission once wrote.
fn stay(pod: &mut Value, old: &Value) {
    for field in ["priority", "preemptionPolicy"] {
        let before = &old["spec"][field];
        if is_unset(pod["spec"].get(field)) && !before.is_null() {
            pod["spec"][field] = before.clone();
        }
    }
}

/// Priority classes are not served; the two that every cluster has are known by name.
fn resolve(kind: &'static Kind, pod: &mut Value) -> Result<(), Status> {
    let class = pod["spec"]["priorityClassName"].as_str().unwrap_or_default().to_owned();
    let priority = match class.as_str() {
        "" => 0,
        "system-cluster-critical" => 2_000_000_000,
        "system-node-critical" => 2_000_001_000,
        _ => {
            let why = format!("no PriorityClass with name {class} was found");
            return Err(Status::forbidden(kind, shown_name(pod), why));
        }
    };
    let given = pod["spec"]["priority"].as_i64();
    if given.is_some_and(|given| given != priority) {
        let why = format!(
            "the integer value of priority ({}) must not be provided in pod spec; priority admission controller \
             computed {priority} from the given PriorityClass name",
            given.unwrap_or_default()
        );
        return Err(Status::forbidden(kind, shown_name(pod), why));
    }
    pod["spec"]["priority"] = priority.into();
    fill(&mut pod["spec"], "preemptionPolicy", "PreemptLowerPriority");
    Ok(())
}
