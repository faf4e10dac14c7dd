//! Limits of a namespace: what pods get without asking, and what they may not exceed.
//!
//! In: new pods, and claims of volumes. Out: pods with the defaults of the namespace's limit
//! ranges, and refusals of what is beyond them.

mod bounds;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use nodeplane_api::status::Status;
use serde_json::{Value, json};

use super::{Lookup, Operation, Plugin, Review, core, shown_name};
use crate::registry::fields::each;

/// Tells people what a pod got without asking.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";
const LISTS: [(&str, &str); 2] = [("containers", "container"), ("initContainers", "init container")];

/// Upstream's `LimitRanger`.
pub(super) struct LimitRanger<L>(pub(super) Arc<L>);

impl<L: Lookup> LimitRanger<L> {
    /// The limits of the namespace, each as a `LimitRangeItem`, grouped as they are stored.
    async fn ranges(&self, review: &Review<'_>) -> Result<Vec<Vec<Value>>, Status> {
        let all = self.0.all(core("limitranges")?, review.namespace()).await?;
        let limits = |range: Value| range["spec"]["limits"].as_array().cloned().unwrap_or_default();
        Ok(all.iter().map(|range| limits(range.tree().into_owned())).collect())
    }
}

#[async_trait]
impl<L: Lookup> Plugin for LimitRanger<L> {
    async fn admit(&self, review: &Review<'_>, pod: &mut Value) -> Result<(), Status> {
        if review.operation != Operation::Create || !review.is_about("pods") {
            return Ok(());
        }
        for limits in self.ranges(review).await? {
            fill(pod, &limits);
        }
        Ok(())
    }

    async fn validate(&self, review: &Review<'_>, object: &Value) -> Result<(), Status> {
        // Containers do not change.
        let is_new_pod = review.operation == Operation::Create && review.is_about("pods");
        let is_claim = review.operation != Operation::Delete && review.is_about("persistentvolumeclaims");
        if !is_new_pod && !is_claim {
            return Ok(());
        }
        for limits in self.ranges(review).await? {
            let beyond = if is_claim { bounds::of_claim(object, &limits) } else { bounds::of_pod(object, &limits) };
            let words = match beyond.as_slice() {
                [] => continue,
                [one] => one.clone(),
                many => format!("[{}]", many.join(", ")),
            };
            return Err(Status::forbidden(review.kind(), shown_name(object), words));
        }
        Ok(())
    }
}

/// Gives the containers of a pod what they do not state, and notes it.
fn fill(pod: &mut Value, limits: &[Value]) {
    let mut notes = Vec::new();
    for (list, called) in LISTS {
        for container in each(&mut pod["spec"], list) {
            for (into, from, word) in [("limits", "default", "limit"), ("requests", "defaultRequest", "request")] {
                let set = fill_list(container, into, from, limits);
                if !set.is_empty() {
                    let name = container["name"].as_str().unwrap_or_default();
                    notes.push((word, format!("{} {word} for {called} {name}", set.join(", "))));
                }
            }
            // Requests are noted before limits.
            let end = notes.len();
            if end >= 2 && notes[end - 1].0 == "request" && notes[end - 2].0 == "limit" {
                notes.swap(end - 1, end - 2);
            }
        }
    }
    if !notes.is_empty() {
        let notes: Vec<String> = notes.into_iter().map(|(_, note)| note).collect();
        pod["metadata"]["annotations"][ANNOTATION] = format!("LimitRanger plugin set: {}", notes.join("; ")).into();
    }
}

/// The names of what was filled.
fn fill_list(container: &mut Value, into: &str, from: &str, limits: &[Value]) -> Vec<String> {
    let mut set = Vec::new();
    for limit in limits.iter().filter(|limit| limit["type"] == "Container") {
        for (name, amount) in limit[from].as_object().into_iter().flatten() {
            if !container["resources"].is_object() {
                container["resources"] = json!({});
            }
            if container["resources"][into].get(name).is_none() {
                container["resources"][into][name] = amount.clone();
                set.push(name.clone());
            }
        }
    }
    set.sort();
    set
}
