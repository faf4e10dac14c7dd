//! Patches as pure functions on values: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7396) and
//! Kubernetes' strategic merge patch.
//!
//! In: the stored object and the patch body. Out: the patched object, or a sentence. Nothing
//! here validates the result, knows revisions or keeps what a patch may not touch; the verbs do.

mod order;
mod strategic;

use json_patch::{Patch, PatchOperation, jsonptr::Pointer};
use serde_json::Value;

pub use strategic::strategic;

/// JSON Patch bodies with more operations are refused (upstream `handlers/patch.go`).
pub const MAX_JSON_PATCH_OPERATIONS: usize = 10_000;

/// Bytes that all `copy` operations of a JSON Patch may add together, so that a short patch
/// cannot make a huge object (upstream `JSONPatchMaxCopyBytes`).
pub const MAX_JSON_PATCH_COPIED: usize = 3 * 1024 * 1024;

/// How deep an object may nest after an operation of a JSON Patch: as deep as one that is read
/// from text. Each `copy` into its own source would double the depth otherwise.
pub const MAX_DEPTH: usize = 128;

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
    let (mut copied, mut deepest) = (0, depth(document));
    for operation in patch.0 {
        deepest = deepest.max(reach(&operation, &patched, deepest)?);
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

/// How deep the value that an operation writes reaches at most, when nothing in the document
/// nests deeper than `deepest`. Measures what is copied or moved only when it may matter.
fn reach(operation: &PatchOperation, document: &Value, deepest: usize) -> Result<usize, PatchError> {
    let exact = |from: &Pointer| from.resolve(document).map_or(0, depth);
    let at = operation.path().count();
    let nested = match operation {
        PatchOperation::Remove(_) | PatchOperation::Test(_) => 0,
        PatchOperation::Add(add) => at + depth(&add.value),
        PatchOperation::Replace(replace) => at + depth(&replace.value),
        PatchOperation::Copy(_) | PatchOperation::Move(_) if at + deepest <= MAX_DEPTH => at + deepest,
        PatchOperation::Copy(copy) => at + exact(&copy.from),
        PatchOperation::Move(moved) => at + exact(&moved.from),
    };
    if nested > MAX_DEPTH {
        return Err(PatchError::Unprocessable(format!(
            "the operation would nest values {nested} deep, exceeding the limit {MAX_DEPTH}"
        )));
    }
    Ok(nested)
}

/// How deep a value nests: 1 for a scalar.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
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
