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
/// Amounts of a container that a variable may show.
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
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
            Some("resourceFieldRef") => check_resource_reference(reference, errors),
            _ => check_key_reference(reference, errors),
        }
    }
    if given.is_empty() {
        let words = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        errors.invalid(source.path.clone(), "", words);
    } else if !variable.field("value").text().is_empty() {
        errors.invalid(source.path.clone(), "", "may not be specified when `value` is not empty");
    } else if given.len() > 1 {
        errors.invalid(source.path.clone(), "", "may not have more than one field specified at a time");
    }
}

fn check_field_reference(reference: &At<'_>, errors: &mut FieldErrors) {
    for name in ["apiVersion", "fieldPath"] {
        let field = reference.field(name);
        if field.text().is_empty() {
            errors.required(field.path, "");
            return;
        }
    }
    let path = reference.field("fieldPath");
    match path.text().strip_suffix("']").and_then(|text| text.split_once("['")) {
        Some(("metadata.annotations", key)) => refuse_key(reference, &key.to_lowercase(), errors),
        Some(("metadata.labels", key)) => refuse_key(reference, key, errors),
        _ if !POD_FIELDS.contains(&path.text()) => errors.not_supported(path.path.clone(), path.text(), &POD_FIELDS),
        _ => {}
    }
}

fn refuse_key(reference: &At<'_>, key: &str, errors: &mut FieldErrors) {
    for words in names::qualified(key) {
        errors.invalid(reference.path.clone(), key, words);
    }
}

fn check_resource_reference(reference: &At<'_>, errors: &mut FieldErrors) {
    let resource = reference.field("resource");
    match resource.text() {
        "" => errors.required(resource.path, ""),
        text if RESOURCES.contains(&text) => {}
        text if text.starts_with("limits.hugepages-") || text.starts_with("requests.hugepages-") => {}
        text => errors.not_supported(resource.path, text, &RESOURCES),
    }
}

fn check_key_reference(reference: &At<'_>, errors: &mut FieldErrors) {
    let name = reference.field("name");
    for words in names::subdomain(name.text()) {
        errors.invalid(name.path.clone(), name.text(), words);
    }
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
    for reference in &given {
        require(reference, "name", errors);
    }
    // Upstream names the list there, and not the item.
    let list = source.path.rsplit_once('[').map_or(source.path.as_str(), |(list, _)| list);
    match given.len() {
        0 => errors.invalid(list, "", "must specify one of: `configMapRef` or `secretRef`"),
        1 => {}
        _ => errors.invalid(list, "", "may not have more than one field specified at a time"),
    }
}

fn require(object: &At<'_>, name: &str, errors: &mut FieldErrors) {
    let field = object.field(name);
    if field.text().is_empty() {
        errors.required(field.path, "");
    }
}
