//! ConfigMaps (upstream `ValidateConfigMap`, `ValidateConfigMapUpdate`).

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use crate::registry::{Strategy, fields::At};

/// All values together, in bytes (binary ones as they are, not as base64).
const LIMIT: usize = 1024 * 1024;

/// The strategy of ConfigMaps.
pub(super) struct ConfigMapStrategy;

impl Strategy for ConfigMapStrategy {
    fn validate(&self, config_map: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let root = At::root(config_map);
        let (data, binary) = (root.field("data"), root.field("binaryData"));
        let mut size = 0;
        for (key, value) in data.entries() {
            check_key(key, &value, &mut errors);
            if binary.value.get(key).is_some() {
                let words = "duplicate of key present in binaryData";
                errors.invalid(value.path.clone(), key, words);
            }
            size += value.text().len();
        }
        for (key, value) in binary.entries() {
            check_key(key, &value, &mut errors);
            if data.value.get(key).is_some() {
                errors.invalid(value.path.clone(), key, "duplicate of key present in data");
            }
            size += decoded_size(value.text());
        }
        if size > LIMIT {
            // Upstream's path of no field.
            errors.too_long("[]", LIMIT);
        }
        errors
    }

    fn validate_update(&self, config_map: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        check_immutable(config_map, old, &["data", "binaryData"], &mut errors);
        errors
    }
}

/// Adds what is wrong with the key of an entry.
pub(super) fn check_key(key: &str, entry: &At<'_>, errors: &mut FieldErrors) {
    for words in names::config_key(key) {
        errors.invalid(entry.path.clone(), key, words);
    }
}

/// Adds an error for each of these fields that changed, and for `immutable` itself, once an
/// object is immutable.
pub(super) fn check_immutable(object: &Value, old: &Value, fields: &[&str], errors: &mut FieldErrors) {
    const WORDS: &str = "field is immutable when `immutable` is set";
    if old["immutable"] != true {
        return;
    }
    if object["immutable"] != true {
        errors.forbidden("immutable", WORDS);
    }
    for field in fields {
        if entries(object, field) != entries(old, field) {
            errors.forbidden(*field, WORDS);
        }
    }
}

/// An absent map and an empty one are the same.
fn entries<'a>(object: &'a Value, field: &str) -> Vec<(&'a String, &'a Value)> {
    object.get(field).and_then(Value::as_object).into_iter().flatten().collect()
}

/// Bytes behind a base64 text.
pub(super) fn decoded_size(text: &str) -> usize {
    text.trim_end_matches('=').len() * 3 / 4
}
