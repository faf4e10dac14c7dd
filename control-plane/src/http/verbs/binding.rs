//! `binding`: a pod gets its node.

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::Timestamp;
use nodeplane_api::{
    k8s_openapi::api::core::v1::Binding,
    meta,
    status::{FieldErrors, Status},
};
use serde_json::{Value, json};

use super::{answer, ask::Ask, intake, options::WriteOptions};
use crate::{
    http::reply::Reply,
    registry::{engine::Part, metadata::own},
};

const CONDITION: &str = "PodScheduled";

/// Assigns the pod of the path to the node that the body names.
///
/// # Errors
/// 400 and 422 for a bad binding, 404, 409 for a pod that has a node or is on its way out.
pub(super) async fn bind(ask: &Ask<'_>) -> Result<Reply, Status> {
    let options = WriteOptions::read(&ask.call.query, "CreateOptions")?;
    let binding = read(ask)?;
    let edit = |pod: Option<&Value>| assign(ask, pod.unwrap_or(&Value::Null), &binding).map(Into::into);
    ask.api.engine.write(ask.permit, &ask.present(Part::Assignment, options.dry_run), edit).await?;
    answer::success(ask, StatusCode::CREATED, &Value::Null)
}

fn read(ask: &Ask<'_>) -> Result<Binding, Status> {
    let mut body = intake::document(ask.call, ("v1", "Binding"))?.value;
    for (field, value) in [("apiVersion", "v1"), ("kind", "Binding")] {
        if body[field].is_null() {
            body[field] = value.into();
        }
    }
    let binding: Binding = serde_json::from_value(body).map_err(|error| {
        Status::bad_request(format!("Binding in version \"v1\" cannot be handled as a Binding: {error}"))
    })?;
    let name = binding.metadata.name.as_deref().unwrap_or_default();
    if !name.is_empty() && name != ask.name() {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    let mut errors = FieldErrors::default();
    let kind = binding.target.kind.as_deref().unwrap_or_default();
    if !matches!(kind, "" | "Node") {
        errors.not_supported("target.kind", kind, &["Node", "<empty>"]);
    }
    if binding.target.name.as_deref().unwrap_or_default().is_empty() {
        errors.required("target.name", "");
    }
    if errors.is_empty() { Ok(binding) } else { Err(Status::invalid_as("", "Binding", ask.name(), &errors)) }
}

/// The pod with its node.
fn assign(ask: &Ask<'_>, pod: &Value, binding: &Binding) -> Result<Value, Status> {
    let name = ask.name();
    let refused = |why: String| {
        let mut status = Status::conflict(ask.kind(), name, &why);
        status.message = format!("Operation cannot be fulfilled on pods/binding \"{name}\": {why}");
        status.details["kind"] = "pods/binding".into();
        Err(status)
    };
    let spec = &pod["spec"];
    if !meta::text(pod, "deletionTimestamp").is_empty() {
        return refused(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    if let Some(node) = spec["nodeName"].as_str().filter(|node| !node.is_empty()) {
        return refused(format!("pod {name} is already assigned to node \"{node}\""));
    }
    if spec["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        return refused(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let mut pod = pod.clone();
    pod["spec"]["nodeName"] = binding.target.name.as_deref().unwrap_or_default().into();
    annotate(&mut pod, binding.metadata.annotations.as_ref());
    set_scheduled(&mut pod["status"], Timestamp::now());
    for (field, value) in [("resourceVersion", &binding.metadata.resource_version), ("uid", &binding.metadata.uid)] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            meta::set(&mut pod, field, value);
        }
    }
    Ok(pod)
}

fn annotate(pod: &mut Value, annotations: Option<&BTreeMap<String, String>>) {
    for (key, value) in annotations.into_iter().flatten() {
        pod["metadata"]["annotations"][key] = value.as_str().into();
    }
}

/// Sets the condition that tells that the pod has a node.
fn set_scheduled(status: &mut Value, now: Timestamp) {
    let condition = json!({
        "type": CONDITION, "status": "True", "lastProbeTime": null, "lastTransitionTime": own::time(now),
    });
    let conditions = match &mut status["conditions"] {
        Value::Array(conditions) => conditions,
        absent => {
            *absent = json!([]);
            match absent {
                Value::Array(conditions) => conditions,
                _ => return,
            }
        }
    };
    conditions.retain(|have| have["type"] != CONDITION);
    conditions.push(condition);
}
