//! Entries read.

use serde_json::Value;

use super::{Entry, Managed, Operation, Owner};
use crate::apply::fields::FieldSet;

/// Whether somebody asks for all ownership to be forgotten: an empty list, or one empty entry.
pub(in crate::apply) fn is_cleared(entries: &Value) -> bool {
    match entries.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([only]) => {
            only.as_object().is_some_and(|map| map.values().all(|value| value.is_null() || value.as_str() == Some("")))
        }
        _ => false,
    }
}

impl Managed {
    /// Reads `metadata.managedFields`.
    ///
    /// # Errors
    /// What is wrong with the first bad entry, as upstream says it.
    pub(in crate::apply) fn decode(entries: &Value) -> Result<Self, String> {
        let mut managed = Self::default();
        for (at, entry) in entries.as_array().into_iter().flatten().enumerate() {
            managed.put(decode(at, entry)?);
        }
        Ok(managed)
    }
}

fn decode(at: usize, entry: &Value) -> Result<Entry, String> {
    let text = |field: &str| entry[field].as_str().unwrap_or_default();
    let operation = match text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    let version = text("apiVersion");
    if version.is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match text("fieldsType") {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
        other => return Err(format!("invalid fieldsType {other:?} in managed fields entry {at}")),
    }
    let fields = FieldSet::parse(&entry["fieldsV1"])
        .map_err(|why| format!("error decoding versioned set from managed fields entry {at}: {why}"))?;
    let owner = Owner {
        manager: text("manager").to_owned(),
        operation,
        update_version: if operation == Operation::Update { version.to_owned() } else { String::new() },
        subresource: text("subresource").to_owned(),
    };
    Ok(Entry { owner, version: version.to_owned(), fields, time: entry["time"].clone() })
}
