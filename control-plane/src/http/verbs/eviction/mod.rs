//! `eviction`: a pod goes, if its disruption budget allows it (upstream
//! `registry/core/pod/storage/eviction.go`).
//!
//! In: a `policy/v1 Eviction` with options of a deletion. Out: a `Status`; 429 while the budget
//! does not allow it. Whoever asks again later does the right thing.

mod budget;

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use nodeplane_api::{
    k8s_openapi::api::policy::v1::Eviction,
    meta,
    status::{Reason, Status},
};
use serde_json::{Value, json};

use super::{answer, ask::Ask, delete_options::DeleteOptions, intake, options::WriteOptions};
use crate::{
    http::reply::Reply,
    registry::{
        engine::{Part, Removal},
        metadata::own,
    },
};

/// How often something is tried while others change the pod or its budget.
const TRIES: u32 = 20;
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(50);
const CONDITION: &str = "DisruptionTarget";

/// Evicts the pod of the path.
///
/// # Errors
/// 400 for a bad eviction, 404, 409 when a precondition does not hold, 429 while the budget does
/// not allow it, 500 for a pod with several budgets.
pub(super) async fn evict(ask: &Ask<'_>) -> Result<Reply, Status> {
    let options = WriteOptions::read(&ask.call.query, "CreateOptions")?;
    let mut removal = read(ask)?;
    removal.dry_run |= options.dry_run;
    if !remove_unguarded(ask, &removal).await? {
        let pod = newest(ask).await?;
        let guard = budget::consult(ask, &pod, removal.dry_run).await?;
        remove_guarded(ask, &pod, removal, guard).await?;
    }
    answer::success(ask, StatusCode::CREATED, &Value::Null)
}

fn read(ask: &Ask<'_>) -> Result<Removal, Status> {
    let mut body = intake::document(ask.call, ("policy/v1", "Eviction"))?.value;
    for (field, value) in [("apiVersion", "policy/v1"), ("kind", "Eviction")] {
        if body[field].is_null() {
            body[field] = value.into();
        }
    }
    let eviction: Eviction = serde_json::from_value(body).map_err(|error| {
        Status::bad_request(format!("Eviction in version \"v1\" cannot be handled as a Eviction: {error}"))
    })?;
    if eviction.metadata.name.as_deref() != Some(ask.name()) {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    DeleteOptions::check(eviction.delete_options.unwrap_or_default()).map(|options| options.removal)
}

async fn newest(ask: &Ask<'_>) -> Result<Value, Status> {
    Ok(ask.api.objects.newest(ask.kind(), ask.namespace(), ask.name()).await?.into_value())
}

/// Removes a pod that does not run or is on its way out; no budget counts it. Says whether it was
/// such a pod.
async fn remove_unguarded(ask: &Ask<'_>, removal: &Removal) -> Result<bool, Status> {
    for _ in 0..TRIES {
        let pod = newest(ask).await?;
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        let is_leaving = !meta::text(&pod, "deletionTimestamp").is_empty();
        let has_ended = matches!(phase, "Succeeded" | "Failed");
        if !(is_leaving || has_ended || phase == "Pending") {
            return Ok(false);
        }
        let mut exact = removal.clone();
        if !is_leaving && !has_ended && removal.revision.is_none() {
            // It must not have become ready meanwhile.
            exact.revision = Some(meta::text(&pod, "resourceVersion").to_owned());
        }
        match remove(ask, &pod, exact).await {
            Ok(()) => return Ok(true),
            Err(status) if status.reason == Reason::Conflict && removal.revision.is_none() => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(status) => return Err(status),
        }
    }
    Err(Status::stale(ask.kind(), ask.name()))
}

/// Removes a pod that its budget lets go.
async fn remove_guarded(ask: &Ask<'_>, pod: &Value, mut removal: Removal, guard: budget::Answer) -> Result<(), Status> {
    let asked_revision = removal.revision.clone();
    if guard.only_as_it_is {
        removal.revision = Some(meta::text(pod, "resourceVersion").to_owned());
    }
    match remove(ask, pod, removal).await {
        Err(status) if status.reason == Reason::Conflict && guard.only_as_it_is && asked_revision.is_none() => {
            Err(budget::busy(&guard.name))
        }
        outcome => outcome,
    }
}

/// Says in the pod's status why it goes, and deletes it.
async fn remove(ask: &Ask<'_>, pod: &Value, mut removal: Removal) -> Result<(), Status> {
    let is_leaving = !meta::text(pod, "deletionTimestamp").is_empty();
    if !removal.dry_run && !is_leaving {
        let revision = removal.revision.clone();
        let edit = |pod: Option<&Value>| Ok(with_reason(pod.unwrap_or(&Value::Null), &removal).into());
        let written = ask.api.engine.write(ask.permit, &ask.present(Part::Assignment, false), edit).await?;
        if revision.is_some() {
            removal.revision = Some(meta::text(&written.object, "resourceVersion").to_owned());
        }
    }
    ask.api.engine.remove(ask.permit, ask.name(), &removal).await.map(drop)
}

/// The pod with the condition that tells why it goes, if it is the one that is meant.
fn with_reason(pod: &Value, removal: &Removal) -> Value {
    let mut pod = pod.clone();
    for (field, wanted) in [("resourceVersion", &removal.revision), ("uid", &removal.uid)] {
        if let Some(wanted) = wanted {
            meta::set(&mut pod, field, wanted.as_str());
        }
    }
    let condition = json!({
        "type": CONDITION, "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
        "lastProbeTime": null, "lastTransitionTime": own::time(Timestamp::now()),
    });
    match pod["status"]["conditions"].as_array_mut() {
        Some(conditions) => {
            conditions.retain(|have| have["type"] != CONDITION);
            conditions.push(condition);
        }
        None => pod["status"]["conditions"] = json!([condition]),
    }
    pod
}
