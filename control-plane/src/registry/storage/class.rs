//! Storage classes (upstream `ValidateStorageClass`, `ValidateStorageClassUpdate`).

use std::collections::{BTreeMap, BTreeSet};

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use crate::registry::{
    Strategy,
    fields::{At, fill},
    metadata::check_immutable,
};

const PARAMETERS: usize = 512;
const PARAMETERS_SIZE: usize = 256 * 1024;
const RECLAIM: [&str; 2] = ["Delete", "Retain"];
const BINDING: [&str; 2] = ["Immediate", "WaitForFirstConsumer"];

/// The strategy of storage classes.
pub(super) struct ClassStrategy;

impl Strategy for ClassStrategy {
    fn default(&self, class: &mut Value) {
        fill(class, "reclaimPolicy", "Delete");
        fill(class, "volumeBindingMode", "Immediate");
    }

    fn validate(&self, class: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let root = At::root(class);
        let provisioner = root.field("provisioner");
        match provisioner.text() {
            "" => errors.required(provisioner.path, ""),
            text => {
                for words in names::qualified(&text.to_lowercase()) {
                    errors.invalid(provisioner.path.clone(), text, words);
                }
            }
        }
        check_parameters(&root.field("parameters"), &mut errors);
        for (field, supported) in [("reclaimPolicy", RECLAIM), ("volumeBindingMode", BINDING)] {
            let field = root.field(field);
            if !supported.contains(&field.text()) {
                errors.not_supported(field.path.clone(), field.text(), &supported);
            }
        }
        check_topologies(&root.field("allowedTopologies"), &mut errors);
        errors
    }

    fn validate_update(&self, class: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let (root, before) = (At::root(class), At::root(old));
        for field in ["parameters", "provisioner", "reclaimPolicy"] {
            if root.field(field).value != before.field(field).value {
                errors.forbidden(field, format!("updates to {field} are forbidden."));
            }
        }
        check_immutable(&root.field("volumeBindingMode"), &before.field("volumeBindingMode"), &mut errors);
        errors
    }
}

fn check_parameters(parameters: &At<'_>, errors: &mut FieldErrors) {
    if parameters.len() > PARAMETERS {
        errors.too_long(parameters.path.clone(), PARAMETERS);
        return;
    }
    let mut size = 0;
    for (key, value) in parameters.entries() {
        if key.is_empty() {
            errors.invalid(parameters.path.clone(), key, "field can not be empty.");
        }
        size += key.len() + value.text().len();
    }
    if size > PARAMETERS_SIZE {
        errors.too_long(parameters.path.clone(), PARAMETERS_SIZE);
    }
}

/// Which nodes volumes may be for; no two of the list may be the same.
fn check_topologies(topologies: &At<'_>, errors: &mut FieldErrors) {
    let mut seen = Vec::new();
    for term in topologies.items() {
        let expressions = term.field("matchLabelExpressions");
        let wanted = check_expressions(&expressions, errors);
        if seen.contains(&wanted) {
            errors.duplicate(expressions.path, "");
        }
        seen.push(wanted);
    }
}

fn check_expressions<'a>(expressions: &At<'a>, errors: &mut FieldErrors) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut wanted = BTreeMap::new();
    for expression in expressions.items() {
        let (key, values) = (expression.field("key"), expression.field("values"));
        if values.len() == 0 {
            errors.required(values.path.clone(), "");
        }
        let mut given = BTreeSet::new();
        for value in values.items() {
            if !given.insert(value.text()) {
                errors.duplicate(value.path.clone(), value.text());
            }
        }
        for words in names::qualified(key.text()) {
            errors.invalid(key.path.clone(), key.text(), words);
        }
        if wanted.insert(key.text(), given).is_some() {
            errors.duplicate(key.path.clone(), key.text());
        }
    }
    wanted
}
