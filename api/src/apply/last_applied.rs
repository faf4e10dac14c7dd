//! The annotation of `kubectl apply` without the server's help, next to ownership: whoever moves
//! from the one to the other has no conflict with itself.

use serde_json::Value;

use super::{
    Writer,
    fields::FieldSet,
    typed::{self, Side},
};
use crate::schema::Model;

/// Who keeps the annotation.
pub(super) const KUBECTL: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// All annotations of an object together, in bytes.
const LIMIT: usize = 256 * 1024;

/// The fields that were applied last and are still as they were.
pub(super) fn fields(writer: &Writer<'_>, live: &Value) -> Option<FieldSet> {
    let text = live["metadata"]["annotations"][ANNOTATION].as_str()?;
    let applied: Value = serde_json::from_str(text).ok()?;
    if applied["apiVersion"].as_str() != Some(&writer.kind.api_version()) {
        return None;
    }
    let (model, root) = (Model::get(), writer.root());
    typed::check(model, &root, &applied).ok()?;
    let mut fields = typed::extent(model, &root, &applied).ok()?;
    let difference = typed::compare(model, &root, (&applied, live), Side::Merged).ok()?;
    let (changed, removed) = difference.into_changed();
    fields.subtract(&changed);
    fields.subtract(&removed);
    Some(fields)
}

/// Makes the annotation of an object that has it say what was applied now.
pub(super) fn renew(object: &mut Value, config: &Value) {
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { return };
    if annotations.get(ANNOTATION).and_then(Value::as_str).unwrap_or_default().is_empty() {
        return;
    }
    let mut applied = config.clone();
    if let Some(own) = applied.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        own.remove(ANNOTATION);
    }
    annotations.insert(ANNOTATION.to_owned(), format!("{applied}\n").into());
    let size: usize =
        annotations.iter().map(|(name, value)| name.len() + value.as_str().unwrap_or_default().len()).sum();
    if size > LIMIT {
        annotations.remove(ANNOTATION);
    }
}
