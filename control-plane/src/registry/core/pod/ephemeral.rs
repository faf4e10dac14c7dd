//! Containers that look into a pod: they may come, and nothing else (upstream
//! `ValidatePodEphemeralContainersUpdate`).

use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use super::update::differences;
use crate::registry::fields::At;

/// A pod with this annotation is what a file on a node says.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Everything that is wrong with a change of these containers.
pub(super) fn validate_update(pod: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    if old["metadata"]["annotations"].get(MIRROR).is_some() {
        errors.forbidden("", "static pods do not support ephemeral containers");
        return errors;
    }
    let containers = |pod| At::root(pod).field("spec").field("ephemeralContainers");
    let (now, before) = (containers(pod), containers(old));
    for old in before.items() {
        let name = old.field("name").text();
        // The order is not kept by patches.
        match now.items().find(|new| new.field("name").text() == name) {
            None => {
                let words = format!("existing ephemeral containers {name:?} may not be removed\n");
                errors.forbidden(now.path.clone(), words);
            }
            Some(new) if new.value != old.value => {
                let words = format!("existing ephemeral containers {name:?} may not be changed\n");
                errors.forbidden(now.path.clone(), words + &differences(old.value, new.value, &new.path));
            }
            Some(_) => {}
        }
    }
    errors
}

#[cfg(test)]
mod tests;
