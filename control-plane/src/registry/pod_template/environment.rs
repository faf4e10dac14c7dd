//! What is wrong with environment variables and where they come from (upstream `ValidateEnv`).

use nodeplane_api::{names, status::FieldErrors};

use super::spec::refuse_all;
use crate::registry::fields::At;

/// Fields of a pod that a variable may show.
const POD_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const SOURCES: [&str; 4] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"];

/// Adds what is wrong with `env` and `envFrom` of a container.
pub(super) fn check_environment(container: &At<'_>, errors: &mut FieldErrors) {
    for variable in container.field("env").items() {
        let name = variable.field("name");
        if name.text().is_empty() {
            errors.required(name.path.clone(), "");
        } else {
            refuse_all(&name, names::env_var(name.text()), errors);
        }
        if variable.field("valueFrom").is_set() {
            check_source(&variable, errors);
        }
    }
    for source in container.field("envFrom").items() {
        check_bulk_source(&source, errors);
    }
}

fn check_source(variable: &At<'_>, errors: &mut FieldErrors) {
    let source = variable.field("valueFrom");
    let given: Vec<At<'_>> = SOURCES.iter().map(|name| source.field(name)).filter(At::is_set).collect();
    for reference in &given {
        match reference.path.rsplit('.').next() {
            Some("fieldRef") => check_field_reference(reference, errors),
            Some("resourceFieldRef") => require(reference, "resource", errors),
            _ => check_key_reference(reference, errors),
        }
    }
    if given.is_empty() {
        let words = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        errors.invalid(source.path.clone(), "", words);
    } else if !variable.field("value").text().is_empty() {
        errors.invalid(source.path.clone(), "", "may not be specified when `value` is not empty");
    }
    if given.len() > 1 {
        errors.invalid(source.path.clone(), "", "may not have more than one field specified at a time");
    }
}

fn check_field_reference(reference: &At<'_>, errors: &mut FieldErrors) {
    require(reference, "apiVersion", errors);
    let path = reference.field("fieldPath");
    let text = path.text();
    let is_entry = |map: &str| {
        text.strip_prefix(map).and_then(|rest| rest.strip_prefix("['")).is_some_and(|rest| rest.ends_with("']"))
    };
    if text.is_empty() {
        errors.required(path.path, "");
    } else if !is_entry("metadata.annotations") && !is_entry("metadata.labels") && !POD_FIELDS.contains(&text) {
        errors.not_supported(path.path, text, &POD_FIELDS);
    }
}

fn check_key_reference(reference: &At<'_>, errors: &mut FieldErrors) {
    require(reference, "name", errors);
    let key = reference.field("key");
    if key.text().is_empty() {
        errors.required(key.path, "");
    } else {
        refuse_all(&key, names::config_key(key.text()), errors);
    }
}

fn check_bulk_source(source: &At<'_>, errors: &mut FieldErrors) {
    let prefix = source.field("prefix");
    if !prefix.text().is_empty() {
        refuse_all(&prefix, names::env_var(prefix.text()), errors);
    }
    let given: Vec<At<'_>> =
        ["configMapRef", "secretRef"].iter().map(|name| source.field(name)).filter(At::is_set).collect();
    match given.as_slice() {
        [] => errors.invalid(source.path.clone(), "", "must specify one of: `configMapRef` or `secretRef`"),
        [one] => require(one, "name", errors),
        _ => errors.invalid(source.path.clone(), "", "may not have more than one field specified at a time"),
    }
}

fn require(object: &At<'_>, name: &str, errors: &mut FieldErrors) {
    let field = object.field(name);
    if field.text().is_empty() {
        errors.required(field.path, "");
    }
}
