//! Priority classes (upstream `ValidatePriorityClass`, `ValidatePriorityClassUpdate`).

use nodeplane_api::{meta, status::FieldErrors};
use serde_json::Value;

use super::{
    Strategy, clear_status,
    fields::{At, fill},
    metadata::check_immutable,
};

/// The classes that every cluster has, by name and value.
pub(super) const SYSTEM_CLASSES: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];
/// Names that start so are for the classes that every cluster has.
const SYSTEM_PREFIX: &str = "system-";
/// The highest value of other classes.
const HIGHEST: i64 = 1_000_000_000;

/// The strategy of priority classes.
pub(super) struct PriorityClassStrategy;

impl Strategy for PriorityClassStrategy {
    fn default(&self, class: &mut Value) {
        fill(class, "preemptionPolicy", "PreemptLowerPriority");
    }

    /// The generation starts, and nothing that may change counts.
    fn prepare_for_create(&self, class: &mut Value) {
        clear_status(class);
        meta::set(class, "generation", 1);
    }

    fn validate(&self, class: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let root = At::root(class);
        let (name, value) = (meta::name(class), root.field("value"));
        if name.starts_with(SYSTEM_PREFIX) {
            if let Some(why) = why_not_system(name, &root) {
                let words = format!(
                    "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {why}"
                );
                errors.forbidden("metadata.name", words);
            }
        } else if value.integer().is_some_and(|value| value > HIGHEST) {
            let words = format!("maximum allowed value of a user defined priority is {HIGHEST}");
            errors.forbidden(value.path, words);
        }
        let policy = root.field("preemptionPolicy");
        match policy.text() {
            "PreemptLowerPriority" | "Never" => {}
            other => errors.not_supported(policy.path.clone(), other, &["PreemptLowerPriority", "Never"]),
        }
        errors
    }

    fn validate_update(&self, class: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let (root, before) = (At::root(class), At::root(old));
        if root.field("value").integer() != before.field("value").integer() {
            errors.forbidden("value", "may not be changed in an update.");
        }
        check_immutable(&root.field("preemptionPolicy"), &before.field("preemptionPolicy"), &mut errors);
        errors
    }
}

/// Why a class is none of those that every cluster has.
fn why_not_system(name: &str, class: &At<'_>) -> Option<String> {
    let Some((_, value)) = SYSTEM_CLASSES.iter().find(|(known, _)| *known == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if class.field("value").integer() != Some(*value) {
        return Some(format!("value of {name} PriorityClass must be {value}"));
    }
    class.field("globalDefault").is_true().then(|| format!("globalDefault of {name} PriorityClass must be false"))
}

#[cfg(test)]
mod tests;
