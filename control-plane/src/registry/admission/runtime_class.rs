//! What a pod's runtime class adds to it.

use std::sync::Arc;

use async_trait::async_trait;
use nodeplane_api::{meta::Key, status::Status, usage};
use serde_json::{Value, json};

use super::{Lookup, Operation, Plugin, Review, find, shown_name};
use crate::{registry::objects::known, store::object::Object};

const OTHER_OVERHEAD: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
const OWN_OVERHEAD: &str = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";

/// Upstream's `RuntimeClass`.
pub(super) struct RuntimeClass<L>(pub(super) Arc<L>);

impl<L: Lookup> RuntimeClass<L> {
    /// The class of a new pod, if it has one.
    async fn class_of(&self, review: &Review<'_>, pod: &Value) -> Result<Option<Object>, Status> {
        let Some(name) = pod["spec"]["runtimeClassName"].as_str() else { return Ok(None) };
        let kind = known("node.k8s.io", "v1", "runtimeclasses")?;
        let found = find(&*self.0, kind, &Key::new("", name)).await?;
        let missing = || refuse(review, pod, format!("pod rejected: RuntimeClass {name:?} not found"));
        found.map(Some).ok_or_else(missing)
    }
}

#[async_trait]
impl<L: Lookup> Plugin for RuntimeClass<L> {
    async fn admit(&self, review: &Review<'_>, pod: &mut Value) -> Result<(), Status> {
        if review.operation != Operation::Create || !review.is_about("pods") {
            return Ok(());
        }
        let Some(class) = self.class_of(review, pod).await? else { return Ok(()) };
        let class = class.tree();
        let overhead = &class["overhead"]["podFixed"];
        if overhead.is_object() {
            let own = &pod["spec"]["overhead"];
            if own.as_object().is_some_and(|own| !own.is_empty()) && usage::read(own) != usage::read(overhead) {
                return Err(refuse(review, pod, OTHER_OVERHEAD));
            }
            pod["spec"]["overhead"] = overhead.clone();
        }
        let conflict = schedule(&mut pod["spec"], &class["scheduling"]);
        conflict.map_or(Ok(()), |why| Err(refuse(review, pod, why)))
    }

    async fn validate(&self, review: &Review<'_>, pod: &Value) -> Result<(), Status> {
        if review.operation != Operation::Create || !review.is_about("pods") {
            return Ok(());
        }
        let class = self.class_of(review, pod).await?;
        let defined = class.map(|class| class.tree()["overhead"]["podFixed"].clone()).unwrap_or_default();
        let own = &pod["spec"]["overhead"];
        match (defined.is_object(), own.as_object().is_some_and(|own| !own.is_empty())) {
            (true, _) if usage::read(&defined) != usage::read(own) => Err(refuse(review, pod, OTHER_OVERHEAD)),
            (false, true) => Err(refuse(review, pod, OWN_OVERHEAD)),
            _ => Ok(()),
        }
    }
}

fn refuse(review: &Review<'_>, pod: &Value, why: impl std::fmt::Display) -> Status {
    Status::forbidden(review.kind(), shown_name(pod), why)
}

/// Sends a pod where its class wants it; says where the pod wants something else.
fn schedule(spec: &mut Value, scheduling: &Value) -> Option<String> {
    for (key, wanted) in scheduling["nodeSelector"].as_object().into_iter().flatten() {
        let wanted = wanted.as_str().unwrap_or_default();
        match spec["nodeSelector"][key].as_str() {
            Some(own) if own != wanted => {
                return Some(format!(
                    "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {wanted}; pod.spec.nodeSelector[{key}] = {own}"
                ));
            }
            Some(_) => {}
            None => {
                if !spec["nodeSelector"].is_object() {
                    spec["nodeSelector"] = json!({});
                }
                spec["nodeSelector"][key] = wanted.into();
            }
        }
    }
    let more = scheduling["tolerations"].as_array().cloned().unwrap_or_default();
    if !more.is_empty() && !spec["tolerations"].is_array() {
        spec["tolerations"] = json!([]);
    }
    if let Some(own) = spec["tolerations"].as_array_mut() {
        for toleration in more {
            if !own.contains(&toleration) {
                own.push(toleration);
            }
        }
    }
    None
}
