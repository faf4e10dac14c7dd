//! `.status` of a Deployment: numbers, availability, progress and its deadline. Pure. Follows
//! upstream's `progress.go` and `sync.go`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt;

use super::{
    model,
    plan::{Draft, Plan},
};
use crate::controllers::pod_facts::elapsed;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";
const DONE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// The numbers and the `Available` condition, with all other conditions as they were.
pub(super) fn numbers(draft: &Draft<'_>) -> DeploymentStatus {
    let old = draft.deployment.status.clone().unwrap_or_default();
    let available = model::sum(draft.before(), model::available);
    let total = model::sum(draft.before(), model::actual);
    let some = |number: i32| Some(number).filter(|number| *number != 0);
    let mut status = DeploymentStatus {
        available_replicas: some(available),
        collision_count: old.collision_count,
        conditions: old.conditions,
        observed_generation: draft.deployment.metadata.generation,
        ready_replicas: some(model::sum(draft.before(), model::ready)),
        replicas: some(total),
        unavailable_replicas: some((draft.wanted() - available).max(0)),
        updated_replicas: some(draft.new_before().map_or(0, model::actual)),
        ..DeploymentStatus::default()
    };
    let condition = if available >= draft.bounds.least_available() {
        condition(AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", draft.now)
    } else {
        let text = "Deployment does not have minimum availability.";
        condition(AVAILABLE, "False", "MinimumReplicasUnavailable", text, draft.now)
    };
    set(&mut status, condition);
    status
}

/// The numbers, and what they say about progress.
pub(super) fn rollout(draft: &Draft<'_>, status: &mut DeploymentStatus) {
    let spec = draft.deployment.spec.clone().unwrap_or_default();
    let before = find(draft.deployment.status.as_ref(), PROGRESSING).cloned();
    let deadline = model::progress_deadline(&spec);
    let settled = status.replicas == status.updated_replicas
        && before.as_ref().is_some_and(|before| before.reason.as_deref() == Some(DONE));
    if deadline.is_none() {
        remove(status, PROGRESSING);
    }
    if let (Some(deadline), false) = (deadline, settled) {
        judge(draft, status, before.as_ref(), deadline);
    }
    match replica_failure(draft) {
        Some(failure) => set(status, failure),
        None => remove(status, REPLICA_FAILURE),
    }
}

fn judge(draft: &Draft<'_>, status: &mut DeploymentStatus, before: Option<&DeploymentCondition>, deadline: i32) {
    let what = match draft.new_before() {
        Some(new) => format!("ReplicaSet \"{}\"", new.name_any()),
        None => format!("Deployment \"{}\"", draft.deployment.name_any()),
    };
    if model::is_complete(draft.deployment, draft.bounds.replicas, status) {
        let text = format!("{what} has successfully progressed.");
        set(status, condition(PROGRESSING, "True", DONE, &text, draft.now));
    } else if progressed(draft.deployment.status.as_ref(), status) {
        let text = format!("{what} is progressing.");
        let mut progressing = condition(PROGRESSING, "True", "ReplicaSetUpdated", &text, draft.now);
        // Each step counts anew toward the deadline, but it is the same period of progress.
        if let Some(before) = before.filter(|before| before.status == "True") {
            progressing.last_transition_time = before.last_transition_time.clone();
        }
        remove(status, PROGRESSING);
        set(status, progressing);
    } else if is_timed_out(before, deadline, draft.now) {
        let text = format!("{what} has timed out progressing.");
        set(status, condition(PROGRESSING, "False", TIMED_OUT, &text, draft.now));
    }
}

fn progressed(old: Option<&DeploymentStatus>, new: &DeploymentStatus) -> bool {
    let empty = DeploymentStatus::default();
    let old = old.unwrap_or(&empty);
    let number = |number: Option<i32>| number.unwrap_or_default();
    let outdated = |status: &DeploymentStatus| number(status.replicas) - number(status.updated_replicas);
    number(new.updated_replicas) > number(old.updated_replicas)
        || outdated(new) < outdated(old)
        || number(new.ready_replicas) > number(old.ready_replicas)
        || number(new.available_replicas) > number(old.available_replicas)
}

fn is_timed_out(before: Option<&DeploymentCondition>, deadline: i32, now: Timestamp) -> bool {
    let Some(before) = before else { return false };
    match before.reason.as_deref() {
        Some(DONE) => false,
        Some(TIMED_OUT) => true,
        _ => time_left(before, deadline, now).is_zero(),
    }
}

fn time_left(progressing: &DeploymentCondition, deadline: i32, now: Timestamp) -> Duration {
    let since = progressing.last_update_time.as_ref().map_or(now, |time| time.0);
    Duration::from_secs(u64::try_from(deadline).unwrap_or_default()).saturating_sub(elapsed(since, now))
}

/// When a deployment that stands still will have to be called stuck.
pub(super) fn recheck(draft: &Draft<'_>, status: &DeploymentStatus) -> Option<Duration> {
    let deadline = model::progress_deadline(draft.deployment.spec.as_ref()?)?;
    let progressing = find(Some(status), PROGRESSING)?;
    let over = matches!(progressing.reason.as_deref(), Some(TIMED_OUT | DONE | "DeploymentPaused"))
        || model::is_complete(draft.deployment, draft.bounds.replicas, status);
    (!over).then(|| time_left(progressing, deadline, draft.now) + Duration::from_secs(1))
}

/// A set that cannot make its pods speaks for the deployment: the new one first.
fn replica_failure(draft: &Draft<'_>) -> Option<DeploymentCondition> {
    let failure = |set: &ReplicaSet| {
        let conditions = set.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().find(|condition| condition.type_ == REPLICA_FAILURE).cloned()
    };
    let found = draft.new_before().and_then(failure).or_else(|| draft.before().iter().find_map(failure))?;
    Some(DeploymentCondition {
        type_: REPLICA_FAILURE.to_owned(),
        status: found.status,
        reason: found.reason,
        message: found.message,
        last_transition_time: found.last_transition_time.clone(),
        last_update_time: found.last_transition_time,
    })
}

/// Notes that the deployment found or made its new set.
pub(super) fn note_new(status: &mut DeploymentStatus, name: &str, created: bool, now: Timestamp) {
    if created {
        let text = format!("Created new replica set \"{name}\"");
        set(status, condition(PROGRESSING, "True", "NewReplicaSetCreated", &text, now));
    } else if find(Some(status), PROGRESSING).is_none() {
        let text = format!("Found new replica set \"{name}\"");
        set(status, condition(PROGRESSING, "True", "FoundNewReplicaSet", &text, now));
    }
}

/// Notes that the deployment was paused or goes on, so that the deadline does not run meanwhile.
/// Returns whether that is news.
pub(super) fn note_pause(status: &mut DeploymentStatus, paused: bool, now: Timestamp) -> bool {
    let reason = find(Some(status), PROGRESSING).and_then(|progressing| progressing.reason.clone());
    let was_paused = reason.as_deref() == Some("DeploymentPaused");
    if reason.as_deref() == Some(TIMED_OUT) || was_paused == paused {
        return false;
    }
    let (reason, text) = match paused {
        true => ("DeploymentPaused", "Deployment is paused"),
        false => ("DeploymentResumed", "Deployment is resumed"),
    };
    set(status, condition(PROGRESSING, "Unknown", reason, text, now));
    true
}

/// The status of a deployment whose new set was refused, if it has a deadline.
pub(super) fn failed_to_create(
    deployment: &Deployment,
    set_name: &str,
    message: &str,
    plan: &Plan,
) -> Option<DeploymentStatus> {
    model::progress_deadline(deployment.spec.as_ref()?)?;
    let mut status = deployment.status.clone().unwrap_or_default();
    let text = format!("Failed to create new replica set \"{set_name}\": {message}");
    set(&mut status, condition(PROGRESSING, "False", "ReplicaSetCreateError", &text, plan.now));
    (Some(&status) != deployment.status.as_ref()).then_some(status)
}

fn condition(type_: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> DeploymentCondition {
    DeploymentCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(Time(now)),
        last_update_time: Some(Time(now)),
    }
}

fn find<'a>(status: Option<&'a DeploymentStatus>, type_: &str) -> Option<&'a DeploymentCondition> {
    status?.conditions.iter().flatten().find(|condition| condition.type_ == type_)
}

/// Sets a condition. The same status for the same reason is no news.
fn set(status: &mut DeploymentStatus, mut new: DeploymentCondition) {
    if let Some(old) = find(Some(status), &new.type_) {
        if old.status == new.status && old.reason == new.reason {
            return;
        }
        if old.status == new.status {
            new.last_transition_time = old.last_transition_time.clone();
        }
    }
    remove(status, &new.type_);
    status.conditions.get_or_insert_default().push(new);
}

fn remove(status: &mut DeploymentStatus, type_: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != type_);
    }
    status.conditions = status.conditions.take().filter(|conditions| !conditions.is_empty());
}
