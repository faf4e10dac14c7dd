//! The form of a stored object: JSON without `metadata.resourceVersion`, which is the revision.
//!
//! In: entries of the store. Out: values as clients see them, and back. Never does I/O.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::Entry;

/// One object as of one revision. Cloning shares the key and the value.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    key: Arc<str>,
    revision: u64,
    value: Arc<Value>,
}

/// The bytes under a key are no Kubernetes object.
#[derive(Debug, thiserror::Error)]
#[error("the value of {key} at revision {revision} is no object: {reason}")]
pub struct DecodeError {
    /// The whole key.
    pub key: String,
    /// The revision of the value.
    pub revision: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl Object {
    /// Reads an entry of the store.
    pub fn decode(entry: &Entry) -> Result<Self, DecodeError> {
        Self::from_bytes(Arc::from(entry.key.as_str()), entry.revision, &entry.value)
    }

    /// Reads the bytes that were written under `key` at `revision`.
    pub fn from_bytes(key: Arc<str>, revision: u64, bytes: &[u8]) -> Result<Self, DecodeError> {
        let failed = |reason: String| DecodeError { key: key.to_string(), revision, reason };
        let mut value: Value = serde_json::from_slice(bytes).map_err(|error| failed(error.to_string()))?;
        if !value.is_object() {
            return Err(failed("the JSON is not an object".to_owned()));
        }
        set_revision(&mut value, revision);
        Ok(Self { key, revision, value: Arc::new(value) })
    }

    /// The whole key in the store.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Revision of the write that made this object.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The object as clients see it: `metadata.resourceVersion` is the revision.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// As [`Object::value`], for a caller who changes it.
    pub fn into_value(self) -> Value {
        Arc::unwrap_or_clone(self.value)
    }

    /// The key as the cache keeps it, without a copy.
    pub(super) fn shared_key(&self) -> Arc<str> {
        self.key.clone()
    }

    /// Whether both stand for the same content in memory.
    #[cfg(test)]
    pub(super) fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.value, &other.value)
    }

    /// The same content under another revision, as the last event of a deleted object shows it.
    pub(super) fn at_revision(&self, revision: u64) -> Self {
        let mut value = (*self.value).clone();
        set_revision(&mut value, revision);
        Self { key: self.key.clone(), revision, value: Arc::new(value) }
    }
}

/// Takes `metadata.resourceVersion` out of an object and gives the bytes to store.
pub fn encode(value: &mut Value) -> Bytes {
    if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
        metadata.remove("resourceVersion");
    }
    Bytes::from(value.to_string())
}

/// Sets `metadata.resourceVersion`.
pub fn set_revision(value: &mut Value, revision: u64) {
    let Value::Object(object) = value else { return };
    let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(metadata) = metadata {
        metadata.insert("resourceVersion".to_owned(), Value::String(revision.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_revision_travels_outside_the_bytes() {
        let mut value = json!({"metadata": {"name": "a", "resourceVersion": "7"}});
        let bytes = encode(&mut value);
        assert_eq!(&bytes[..], br#"{"metadata":{"name":"a"}}"#);
        let object = Object::decode(&Entry { key: "/k".into(), value: bytes, revision: 9 }).unwrap();
        assert_eq!(*object.value, json!({"metadata": {"name": "a", "resourceVersion": "9"}}));
        assert_eq!(*object.at_revision(10).value, json!({"metadata": {"name": "a", "resourceVersion": "10"}}));
    }

    #[test]
    fn what_is_no_object_is_an_error_with_its_key() {
        let entry = |value: &'static [u8]| Entry { key: "/k".into(), value: Bytes::from_static(value), revision: 3 };
        for bytes in [&b"not json"[..], b"[1]"] {
            assert!(Object::decode(&entry(bytes)).unwrap_err().to_string().contains("/k at revision 3"));
        }
    }
}
