//! What is right and wrong about `.metadata` (apimachinery `api/validation/objectmeta.go`).
//!
//! In: objects whose names have been generated. Out: field errors in upstream's words. Never
//! changes an object.

use nodeplane_api::{kinds::Kind, names, status::FieldErrors, status::go_text};
use serde_json::Value;

use super::managers;
use crate::registry::{NameRule, fields::At};

/// All annotations of an object together, in bytes of keys and values.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// Finalizers without a domain that Kubernetes itself uses.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
const UNKNOWN_FINALIZER: &str = "name is neither a standard finalizer name nor is it fully qualified";

/// Everything that is wrong with the metadata of an object whose name has been generated.
pub fn validate_meta(kind: &Kind, rule: NameRule, object: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let meta = At::root(object).field("metadata");
    check_names(kind, rule, &meta, &mut errors);
    check_labels(&meta.field("labels"), &mut errors);
    check_annotations(&meta.field("annotations"), &mut errors);
    check_owners(&meta.field("ownerReferences"), &mut errors);
    check_finalizers(&meta.field("finalizers"), &mut errors);
    managers::check_entries(&meta.field("managedFields"), &mut errors);
    errors
}

/// Everything that is wrong with a change of metadata, besides what [`validate_meta`] finds.
pub fn validate_meta_update(_kind: &Kind, object: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let (meta, before) = (At::root(object).field("metadata"), At::root(old).field("metadata"));
    if before.field("deletionTimestamp").is_set() {
        check_no_new_finalizers(&meta.field("finalizers"), &before.field("finalizers"), &mut errors);
    }
    for name in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        check_immutable(&meta.field(name), &before.field(name), &mut errors);
    }
    errors
}

/// Adds an error when a field differs from what it was.
pub(in crate::registry) fn check_immutable(now: &At<'_>, before: &At<'_>, errors: &mut FieldErrors) {
    if now.value != before.value {
        // A text that is gone is an empty text.
        let shown = if now.value.is_null() && before.value.is_string() { "".into() } else { now.value.clone() };
        errors.invalid(now.path.clone(), shown, "field is immutable");
    }
}

/// Adds what is wrong with a map of labels (also a Service's or a workload's selector).
pub(in crate::registry) fn check_labels(labels: &At<'_>, errors: &mut FieldErrors) {
    for (key, value) in labels.entries() {
        for words in names::qualified(key) {
            errors.invalid(labels.path.clone(), key, words);
        }
        for words in names::label_value(value.text()) {
            errors.invalid(labels.path.clone(), value.text(), words);
        }
    }
}

/// Adds what is wrong with a map of annotations.
pub(in crate::registry) fn check_annotations(annotations: &At<'_>, errors: &mut FieldErrors) {
    let mut size = 0;
    for (key, value) in annotations.entries() {
        for words in names::qualified(&key.to_lowercase()) {
            errors.invalid(annotations.path.clone(), key, words);
        }
        size += key.len() + value.text().len();
    }
    if size > ANNOTATIONS_LIMIT {
        errors.too_long(annotations.path.clone(), ANNOTATIONS_LIMIT);
    }
}

fn check_names(kind: &Kind, rule: NameRule, meta: &At<'_>, errors: &mut FieldErrors) {
    let base = meta.field("generateName");
    if !base.text().is_empty() {
        for words in rule.check(&without_trailing_dash(base.text())) {
            errors.invalid(base.path.clone(), base.text(), words);
        }
    }
    let name = meta.field("name");
    if name.text().is_empty() {
        errors.required(name.path, "name or generateName is required");
    } else {
        for words in rule.check(name.text()) {
            errors.invalid(name.path.clone(), name.text(), words);
        }
    }
    let namespace = meta.field("namespace");
    match (kind.is_namespaced(), namespace.text()) {
        (true, "") => errors.required(namespace.path, ""),
        (true, text) => {
            for words in names::label_1123(text) {
                errors.invalid(namespace.path.clone(), text, words);
            }
        }
        (false, "") => {}
        (false, _) => errors.forbidden(namespace.path, "not allowed on this type"),
    }
}

/// A base for generated names may end in a dash, since more follows.
fn without_trailing_dash(base: &str) -> String {
    match base.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => format!("{rest}a"),
        _ => base.to_owned(),
    }
}

fn check_owners(owners: &At<'_>, errors: &mut FieldErrors) {
    let mut controller: Option<String> = None;
    for owner in owners.items() {
        check_owner(&owner, errors);
        if !owner.field("controller").is_true() {
            continue;
        }
        let name = format!("{}/{}", owner.field("kind").text(), owner.field("name").text());
        match &controller {
            None => controller = Some(name),
            Some(first) => errors.invalid(
                owners.path.clone(),
                owners.value.clone(),
                format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} \
                     and {name}"
                ),
            ),
        }
    }
}

fn check_owner(owner: &At<'_>, errors: &mut FieldErrors) {
    let api_version = owner.field("apiVersion");
    let version = match api_version.text().split('/').collect::<Vec<_>>()[..] {
        [version] | [_, version] => version,
        _ => "",
    };
    if version.is_empty() {
        errors.invalid(api_version.path.clone(), api_version.text(), "version must not be empty");
    }
    for name in ["kind", "name", "uid"] {
        let field = owner.field(name);
        if field.text().is_empty() {
            errors.invalid(field.path, "", format!("{name} must not be empty"));
        }
    }
    if api_version.text() == "v1" && owner.field("kind").text() == "Event" {
        let words = "/v1, Kind=Event is disallowed from being an owner";
        errors.invalid(owner.path.clone(), owner.value.clone(), words);
    }
}

fn check_finalizers(finalizers: &At<'_>, errors: &mut FieldErrors) {
    for finalizer in finalizers.items() {
        let name = finalizer.text();
        let wrong = names::qualified(name);
        if wrong.is_empty() && is_unknown_finalizer(name) {
            errors.invalid(finalizer.path.clone(), name, UNKNOWN_FINALIZER);
        }
        for words in wrong {
            errors.invalid(finalizers.path.clone(), name, words);
        }
    }
    let has = |name: &str| finalizers.items().any(|finalizer| finalizer.text() == name);
    if has("orphan") && has("foregroundDeletion") {
        let words = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.invalid(finalizers.path.clone(), finalizers.value.clone(), words);
    }
}

/// What is wrong with the name of a finalizer that stands outside of metadata, at `path`.
pub(in crate::registry) fn check_finalizer(name: &str, path: &str, errors: &mut FieldErrors) {
    for words in names::qualified(name) {
        errors.invalid(path, name, words);
    }
    if is_unknown_finalizer(name) {
        errors.invalid(path, name, UNKNOWN_FINALIZER);
    }
}

fn is_unknown_finalizer(name: &str) -> bool {
    !name.contains('/') && !STANDARD_FINALIZERS.contains(&name)
}

fn check_no_new_finalizers(now: &At<'_>, before: &At<'_>, errors: &mut FieldErrors) {
    let is_new = |value: &Value| !before.items().any(|old| old.value == value);
    let new: Vec<Value> = now.items().map(|finalizer| finalizer.value.clone()).filter(is_new).collect();
    if !new.is_empty() {
        errors.forbidden(
            now.path.clone(),
            format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers {}",
                go_text(&Value::Array(new))
            ),
        );
    }
}

#[cfg(test)]
mod tests;
