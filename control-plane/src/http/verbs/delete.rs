//! An object on its way out: gone at once, or marked until its finalizers and its keeper let it
//! go.
//!
//! In: options. Out: a `Status` for what is gone, the object for what is only marked. What is
//! deleted by the last change of an object goes through [`super::commit`].

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use nodeplane_api::{meta, status::Status};
use serde_json::{Value, json};

use super::{
    answer,
    ask::Ask,
    delete_options::{DeleteOptions, FOREGROUND, ORPHAN, Propagation},
    metadata,
};
use crate::{
    http::{objects::refusal, reply::Reply},
    registry::{Deletion, admission},
    store::{StoreError, object::Object},
};

/// How often a deletion is tried while others change the object.
const TRIES: u32 = 48;

/// What became of the object.
pub(super) enum Outcome {
    /// It is gone; this is its last state.
    Gone(Value),
    /// It is marked, or was so before.
    Marked(Value),
}

/// Deletes the object of the path.
///
/// # Errors
/// 403 from admission, 404, 409 when a precondition does not hold, 422 for bad options.
pub(super) async fn delete(ask: &Ask<'_>) -> Result<Reply, Status> {
    let options = DeleteOptions::read(ask.call)?;
    let outcome = remove(ask, ask.name(), &options).await?;
    match outcome {
        Outcome::Gone(object) if ask.strategy().returns_deleted_object() => {
            answer::object(ask, StatusCode::OK, &object)
        }
        Outcome::Gone(object) => answer::success(ask, StatusCode::OK, &details(ask, &object)),
        Outcome::Marked(object) if options.is_legacy_cascade => answer::object(ask, StatusCode::ACCEPTED, &object),
        Outcome::Marked(object) => answer::object(ask, StatusCode::OK, &object),
    }
}

fn details(ask: &Ask<'_>, object: &Value) -> Value {
    let kind = ask.kind();
    let mut details = json!({ "name": meta::name(object), "kind": kind.plural, "uid": meta::uid(object) });
    if !kind.group.is_empty() {
        details["group"] = kind.group.into();
    }
    details
}

/// Deletes an object of the path's kind and namespace.
///
/// # Errors
/// As [`delete`].
pub(super) async fn remove(ask: &Ask<'_>, name: &str, options: &DeleteOptions) -> Result<Outcome, Status> {
    let kind = ask.kind();
    admission::admit_delete(kind, name)?;
    for _ in 0..TRIES {
        let old = ask.api.objects.newest(kind, ask.namespace(), name).await?;
        check_preconditions(ask, &old, options)?;
        match once(ask, &old, options).await {
            Err(StoreError::Conflict { .. }) => tokio::task::yield_now().await,
            outcome => return outcome.map_err(|error| refusal(kind, name, error)),
        }
    }
    Err(Status::stale(kind, name))
}

fn check_preconditions(ask: &Ask<'_>, old: &Object, options: &DeleteOptions) -> Result<(), Status> {
    let (uid, revision) = (meta::uid(old.value()), meta::text(old.value(), "resourceVersion"));
    let why = match (&options.uid, &options.revision) {
        (Some(wanted), _) if wanted != uid => format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have \
             been deleted and then recreated"
        ),
        (_, Some(wanted)) if wanted != revision => format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record \
             ({revision}). The object might have been modified"
        ),
        _ => return Ok(()),
    };
    let (kind, name) = (ask.kind(), meta::name(old.value()));
    let mut status = Status::conflict(kind, name, &why);
    // Upstream names the kind here, not the resource.
    status.message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified_kind());
    status.details["kind"] = kind.kind.into();
    Err(status)
}

/// Removes or marks, against the revision that was read.
async fn once(ask: &Ask<'_>, old: &Object, options: &DeleteOptions) -> Result<Outcome, StoreError> {
    let marked = mark(ask, old.value(), options, Timestamp::now());
    let has_finalizers = marked["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    let objects = &ask.api.objects;
    if !has_finalizers && ask.strategy().is_deletion_complete(&marked) {
        if !options.dry_run {
            objects.delete(old.key(), old.revision()).await?;
            ask.strategy().release(old.value(), None).await;
        }
        return Ok(Outcome::Gone(marked));
    }
    if options.dry_run || marked == *old.value() {
        return Ok(Outcome::Marked(marked));
    }
    objects.update(old.key(), marked, old.revision()).await.map(Outcome::Marked)
}

/// The object as it is once the deletion has begun. A later deletion can only shorten the time
/// that is left.
fn mark(ask: &Ask<'_>, old: &Value, options: &DeleteOptions, now: Timestamp) -> Value {
    let strategy = ask.strategy();
    let mut object = old.clone();
    let seconds = match strategy.deletion(old, options.grace) {
        Deletion::Immediate => 0,
        Deletion::Graceful { seconds } => seconds,
    };
    let began = meta::text(old, "deletionTimestamp").parse::<Timestamp>().ok();
    let left = old["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    let ends = match began {
        None => now.saturating_add(SignedDuration::from_secs(seconds)),
        Some(_) if left > 0 && seconds >= left => return object,
        Some(ends) => ends.saturating_sub(SignedDuration::from_secs(left.saturating_sub(seconds).max(0))),
    };
    meta::set(&mut object, "deletionTimestamp", metadata::time(ends.unwrap_or(now)));
    meta::set(&mut object, "deletionGracePeriodSeconds", seconds.min(if began.is_some() { left } else { seconds }));
    if began.is_none() && object["metadata"]["generation"].as_i64().is_some_and(|generation| generation > 0) {
        metadata::raise_generation(&mut object);
    }
    if strategy.has_dependents() {
        set_finalizers(&mut object, options.propagation);
    }
    strategy.on_deletion_marked(&mut object);
    object
}

/// Sets the finalizers of the garbage collector: as the client says, or as they were.
fn set_finalizers(object: &mut Value, propagation: Option<Propagation>) {
    let had: Vec<String> = object["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|finalizer| finalizer.as_str().map(str::to_owned))
        .collect();
    let propagation = propagation.or_else(|| match had.iter().map(String::as_str).find(|f| is_collectors(f)) {
        Some(ORPHAN) => Some(Propagation::Orphan),
        Some(_) => Some(Propagation::Foreground),
        None => None,
    });
    let wanted = propagation.and_then(Propagation::finalizer);
    let mut finalizers: Vec<String> = had.iter().filter(|f| !is_collectors(f)).cloned().collect();
    finalizers.extend(wanted.map(str::to_owned));
    let (mut sorted, mut before) = (finalizers.clone(), had);
    sorted.sort();
    before.sort();
    if sorted == before {
        return;
    }
    match finalizers.is_empty() {
        true => meta::remove(object, "finalizers"),
        false => meta::set(object, "finalizers", finalizers),
    }
}

fn is_collectors(finalizer: &str) -> bool {
    matches!(finalizer, ORPHAN | FOREGROUND)
}
