//! Changes of stored objects: read, edit, check, write against the revision that was read, and
//! again when somebody else was faster.
//!
//! In: an edit, as a function of the newest state. Out: the object as it is stored now. All
//! changes of objects, except their removal by name, come through here.

use std::time::Duration;

use nodeplane_api::{meta, status::Status};
use serde_json::Value;
use tracing::debug;

use super::{ask::Ask, metadata, parts::Part, revision};
use crate::store::{StoreError, object::Object};

/// How often a change is tried while others change the same object.
const TRIES: u32 = 48;
/// The longest pause before the next try; more tries make it longer.
const PAUSE: Duration = Duration::from_millis(2);

/// What became of a change.
pub(super) struct Changed {
    /// The object as it is stored now; as it was last, when it is gone.
    pub(super) object: Value,
    /// Sentences for the `Warning` header.
    pub(super) warnings: Vec<String>,
}

/// An edited object.
pub(super) struct Edit {
    /// What the client asks for. A `resourceVersion` or `uid` in its metadata is a precondition.
    pub(super) object: Value,
    /// Sentences for the `Warning` header.
    pub(super) warnings: Vec<String>,
}

/// Whether a failed write is known to have changed nothing.
pub(super) fn knows_outcome(error: &StoreError) -> bool {
    !matches!(error, StoreError::Unavailable(_))
}

/// Changes the object of the path by `edit`, which is called again with a newer state when the
/// object changed meanwhile.
///
/// # Errors
/// 404, 409 when a precondition does not hold, 422, and what `edit` fails with.
pub(super) async fn change(
    ask: &Ask<'_>,
    part: Part,
    dry_run: bool,
    edit: impl Fn(&Value) -> Result<Edit, Status>,
) -> Result<Changed, Status> {
    for tries in 0..TRIES {
        let old = ask.api.objects.newest(ask.kind(), ask.namespace(), ask.name()).await?;
        let Edit { object, mut warnings } = edit(old.value())?;
        check_preconditions(ask, &object, &old)?;
        let object = part.prepare(ask, object, old.value());
        match put(ask, part, object, &old, dry_run).await {
            Ok(object) => {
                warnings.extend(ask.strategy().warnings(&object));
                return Ok(Changed { object, warnings });
            }
            Err(Failure::Store(StoreError::Conflict { .. })) => {
                debug!(caller = ask.permit.caller().name(), path = ask.call.path, tries, "changed meanwhile");
                tokio::time::sleep(PAUSE.mul_f64(rand::random::<f64>() * f64::from(tries + 1))).await;
            }
            Err(Failure::Store(error)) => return Err(ask.refused(error)),
            Err(Failure::Refused(status)) => return Err(status),
        }
    }
    Err(Status::stale(ask.kind(), ask.name()))
}

enum Failure {
    Refused(Status),
    Store(StoreError),
}

/// A revision or uid in the object must be the one that is stored.
fn check_preconditions(ask: &Ask<'_>, object: &Value, old: &Object) -> Result<(), Status> {
    let kind = ask.kind();
    metadata::check_uid(object, old.value(), kind, &ask.api.objects.shown_key(old.key()))?;
    match meta::text(object, "resourceVersion") {
        "" | "0" => Ok(()),
        text => match revision::parse(text) {
            Ok(wanted) if wanted == old.revision() => Ok(()),
            Ok(_) => Err(Status::stale(kind, ask.name())),
            Err(why) => Err(Status::bad_request(why)),
        },
    }
}

/// Reserves, validates and stores; gives back what is not needed after all.
async fn put(ask: &Ask<'_>, part: Part, mut object: Value, old: &Object, dry_run: bool) -> Result<Value, Failure> {
    let strategy = ask.strategy();
    if part.allocates() {
        strategy.allocate(&mut object, Some(old.value()), dry_run).await.map_err(Failure::Refused)?;
    }
    let outcome = match part.validate(ask, &object, old.value()) {
        Ok(()) => store(ask, &object, old, dry_run).await,
        Err(status) => Err(Failure::Refused(status)),
    };
    if dry_run {
        return outcome;
    }
    match &outcome {
        Ok(stored) if part.allocates() => strategy.release(old.value(), Some(stored)).await,
        Err(Failure::Store(error)) if !knows_outcome(error) => {}
        // Somebody else may have reserved the same for the same object, and be through with it.
        Err(Failure::Store(StoreError::Conflict { current })) if part.allocates() => {
            if let Ok(current) = Object::decode(current) {
                strategy.release(&object, Some(current.value())).await;
            }
        }
        Err(_) if part.allocates() => strategy.release(&object, Some(old.value())).await,
        _ => {}
    }
    outcome
}

async fn store(ask: &Ask<'_>, object: &Value, old: &Object, dry_run: bool) -> Result<Value, Failure> {
    if may_go(ask, object) {
        return remove(ask, object, old, dry_run).await;
    }
    // What changes nothing is not written: revisions stand for changes.
    if dry_run || object == old.value() {
        return Ok(object.clone());
    }
    ask.api.objects.update(old.key(), object.clone(), old.revision()).await.map_err(Failure::Store)
}

/// Whether a change took away the last thing that held an object on its way out.
fn may_go(ask: &Ask<'_>, object: &Value) -> bool {
    !meta::text(object, "deletionTimestamp").is_empty()
        && object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
        && ask.strategy().is_deletion_complete(object)
}

async fn remove(ask: &Ask<'_>, object: &Value, old: &Object, dry_run: bool) -> Result<Value, Failure> {
    if !dry_run {
        match ask.api.objects.delete(old.key(), old.revision()).await {
            // Somebody else was faster, with the same outcome.
            Ok(_) | Err(StoreError::NotFound) => ask.strategy().release(old.value(), None).await,
            Err(error) => return Err(Failure::Store(error)),
        }
    }
    Ok(object.clone())
}
