//! Patches as pure functions on values: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7396) and
//! Kubernetes' strategic merge patch.
//!
//! In: the stored object and the patch body. Out: the patched object, or a sentence. Nothing
//! here validates the result, knows revisions or keeps what a patch may not touch; the verbs do.

mod order;
mod strategic;

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

pub use strategic::strategic;

/// JSON Patch bodies with more operations are refused (upstream `handlers/patch.go`).
pub const MAX_JSON_PATCH_OPERATIONS: usize = 10_000;

/// Bytes that all `copy` operations of a JSON Patch may add together, so that a short patch
/// cannot make a huge object (upstream `JSONPatchMaxCopyBytes`).
pub const MAX_JSON_PATCH_COPIED: usize = 3 * 1024 * 1024;

/// A patch that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The body is not a patch of its type: 400.
    #[error("{0}")]
    Malformed(String),
    /// More operations than [`MAX_JSON_PATCH_OPERATIONS`]: 413.
    #[error("The allowed maximum operations in a JSON patch is {MAX_JSON_PATCH_OPERATIONS}, got {0}")]
    TooManyOperations(usize),
    /// A well-formed patch that does not fit the object: 422.
    #[error("{0}")]
    Unprocessable(String),
}

/// Applies a JSON Patch. Either all operations take effect or none.
pub fn json(document: &Value, operations: &Value) -> Result<Value, PatchError> {
    let count = operations.as_array().map_or(0, Vec::len);
    if count > MAX_JSON_PATCH_OPERATIONS {
        return Err(PatchError::TooManyOperations(count));
    }
    let patch: Patch =
        serde_json::from_value(operations.clone()).map_err(|error| PatchError::Malformed(error.to_string()))?;
    let mut patched = document.clone();
    let mut copied = 0;
    for operation in patch.0 {
        if let PatchOperation::Copy(copy) = &operation {
            copied += copy.from.resolve(&patched).map_or(0, size);
            if copied > MAX_JSON_PATCH_COPIED {
                return Err(PatchError::Unprocessable(format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, \
                     exceeding the limit {MAX_JSON_PATCH_COPIED}"
                )));
            }
        }
        // `patched` is a copy, so there is no need to undo a part of the operations.
        json_patch::patch_unsafe(&mut patched, &[operation])
            .map_err(|error| PatchError::Unprocessable(error.to_string()))?;
    }
    Ok(patched)
}

/// Applies a JSON Merge Patch: maps merge, null deletes, everything else replaces.
pub fn merge(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed("a merge patch must be a JSON object".to_owned()));
    }
    let mut patched = document.clone();
    json_patch::merge(&mut patched, patch);
    Ok(patched)
}

/// Bytes of a value as text, roughly: quotes and commas do not matter here.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| size(item) + 1).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + size(value) + 1).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

#[cfg(test)]
mod tests;
