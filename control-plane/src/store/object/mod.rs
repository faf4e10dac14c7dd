//! A stored object: JSON without `metadata.resourceVersion`, which is the revision.
//!
//! In: entries of the store. Out: what clients see, as text or as a tree, and back. The text is
//! what is kept: a tree of values takes five to eight times its room, and most readers (lists and
//! watches in JSON) only copy. Whoever needs a tree gets one that lives as long as the handle it
//! was asked of, never as long as the cache. Never does I/O.

mod places;
#[cfg(test)]
mod tests;
mod text;
mod walk;

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use nodeplane_api::protobuf::Lean;
use serde_json::{Map, Value};

pub use self::walk::Parts;
use self::{text::Text, walk::Walk};
use super::Entry;

/// One object as of one revision. Cloning shares the key and the text, and leaves the tree behind.
pub struct Object {
    key: Arc<str>,
    revision: u64,
    text: Arc<Text>,
    /// Made when it is asked for. It belongs to this handle alone: the cache gives out clones.
    tree: OnceLock<Box<Value>>,
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
    ///
    /// # Errors
    /// For a value that is no JSON object.
    pub fn decode(entry: &Entry) -> Result<Self, DecodeError> {
        Self::from_bytes(Arc::from(entry.key.as_str()), entry.revision, &entry.value)
    }

    /// Reads the bytes that were written under `key` at `revision`.
    ///
    /// # Errors
    /// As [`Object::decode`].
    pub fn from_bytes(key: Arc<str>, revision: u64, bytes: &[u8]) -> Result<Self, DecodeError> {
        match Text::read(bytes) {
            Ok(text) => Ok(Self { key, revision, text: Arc::new(text), tree: OnceLock::new() }),
            Err(reason) => Err(DecodeError { key: key.to_string(), revision, reason }),
        }
    }

    /// The whole key in the store.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The last segment of the key.
    pub fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }

    /// Revision of the write that made this object.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.text.label(name)
    }

    /// The field that a JSON pointer leads to, as text; `None` when it is absent or null. Reads
    /// past everything else, unless there is a tree already.
    pub fn field(&self, pointer: &str) -> Option<Cow<'_, str>> {
        match self.tree.get() {
            Some(tree) => match tree.pointer(pointer)? {
                Value::Null => None,
                Value::String(text) => Some(text.into()),
                other => Some(other.to_string().into()),
            },
            None if pointer == "/metadata/resourceVersion" => Some(self.revision.to_string().into()),
            None => Walk::from(self.text.as_str(), 0).field(pointer),
        }
    }

    /// The object as clients see it: `metadata.resourceVersion` is the revision. Kept with this
    /// handle, so that all who share it share the tree.
    pub fn value(&self) -> &Value {
        self.tree.get_or_init(|| Box::new(self.read()))
    }

    /// As [`Object::value`], for a caller who changes it.
    pub fn into_value(mut self) -> Value {
        self.tree.take().map_or_else(|| self.read(), |tree| *tree)
    }

    /// As [`Object::value`], for a look at one of many: nothing is kept.
    pub fn tree(&self) -> Cow<'_, Value> {
        self.tree.get().map_or_else(|| Cow::Owned(self.read()), |tree| Cow::Borrowed(&**tree))
    }

    /// A tree that borrows from the text, for a look at one of many.
    pub fn lean(&self) -> Lean<'_> {
        let mut lean = Lean::read(self.text.as_str()).unwrap_or(Lean::Null);
        lean.set_text("metadata", "resourceVersion", self.revision.to_string());
        lean
    }

    /// A tree of some parts alone, for a look at one of many.
    pub fn parts(&self, parts: &Parts) -> Value {
        Walk::from(self.text.as_str(), 0).pick(parts)
    }

    fn read(&self) -> Value {
        let mut value = self.text.to_value();
        set_revision(&mut value, self.revision);
        value
    }

    /// Bytes that [`Object::write_json`] writes at most.
    pub fn json_len(&self) -> usize {
        self.text.as_str().len() + text::REVISION_BYTES
    }

    /// Writes the object as clients see it. Copies only.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        self.text.write(out, self.revision);
    }

    /// Writes `.metadata` as clients see it. Copies only.
    pub fn write_metadata_json(&self, out: &mut Vec<u8>) {
        self.text.write_metadata(out, self.revision);
    }

    /// The key as the cache keeps it, without a copy.
    pub(super) fn shared_key(&self) -> Arc<str> {
        self.key.clone()
    }

    /// Bytes of text, which others may share.
    pub(super) fn weight(&self) -> usize {
        self.text.as_str().len()
    }

    /// The same content under another revision, as the last event of a deleted object shows it.
    #[must_use]
    pub fn at_revision(&self, revision: u64) -> Self {
        Self { key: self.key.clone(), revision, text: self.text.clone(), tree: OnceLock::new() }
    }

    /// Whether both stand for the same text in memory.
    #[cfg(test)]
    pub(super) fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text)
    }

    /// Whether this handle has a tree.
    #[cfg(test)]
    pub(crate) fn has_tree(&self) -> bool {
        self.tree.get().is_some()
    }
}

impl Clone for Object {
    fn clone(&self) -> Self {
        self.at_revision(self.revision)
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        let is_same_text = Arc::ptr_eq(&self.text, &other.text) || self.text.as_str() == other.text.as_str();
        self.revision == other.revision && self.key == other.key && is_same_text
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} {}", self.key, self.revision, self.text.as_str())
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
