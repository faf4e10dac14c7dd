//! What all controllers that make and delete pods do alike: ask before they adopt, and say what
//! they did.

use kube::{Resource, ResourceExt};
use nodeplane_api::{
    kinds::Kind,
    meta::{self, Key},
};
use nodeplane_client::{
    controller::Apply,
    recorder::{Recorder, Severity},
    write::{Write, WriteError},
};
use serde_json::Value;

use super::caches::row;

/// Asks the server itself before anything is adopted: an owner that was deleted and made anew
/// under the same name must not adopt by an old cache.
pub async fn confirm_alive<K: Resource<DynamicType = ()>>(
    apply: &Apply,
    key: &Key,
    owner: &K,
) -> Result<(), WriteError> {
    let kind: &Kind = row::<K>();
    let live = apply.hands().get(kind, key).await?;
    let alive = live.is_some_and(|live| {
        meta::uid(&live) == owner.uid().unwrap_or_default() && meta::text(&live, "deletionTimestamp").is_empty()
    });
    if alive { Ok(()) } else { Err(WriteError::Conflict(format!("{key} is gone or on its way out"))) }
}

/// Tells of a pod that was made or deleted for `owner`, or could not be.
pub fn tell<K: Resource<DynamicType = ()>>(
    recorder: &Recorder,
    owner: &K,
    write: &Write,
    answer: &Result<Value, WriteError>,
) {
    let (severity, reason, message) = match (write, answer) {
        (_, Err(WriteError::NamespaceTerminating(_))) => return,
        (Write::Create { .. }, Ok(pod)) => {
            (Severity::Normal, "SuccessfulCreate", format!("Created pod: {}", meta::name(pod)))
        }
        (Write::Create { .. }, Err(error)) => {
            (Severity::Warning, "FailedCreate", format!("Error creating: {}", error.message()))
        }
        (Write::Delete { key, .. }, Ok(_)) => {
            (Severity::Normal, "SuccessfulDelete", format!("Deleted pod: {}", key.name))
        }
        (_, Err(error)) => (Severity::Warning, "FailedDelete", format!("Error deleting: {}", error.message())),
        _ => return,
    };
    recorder.about(owner, severity, reason, message);
}
