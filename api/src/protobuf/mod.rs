//! The protobuf form of the API: `application/vnd.kubernetes.protobuf`.
//!
//! In: objects as JSON values. Out: the same as bytes, and back. A body is the four bytes
//! `k8s\0` and a `runtime.Unknown`, which names the type and holds the message. What a message
//! consists of is read from the types of [`crate::schema`]; nothing here knows a kind. Fields
//! that a type does not have are skipped, as everywhere in protobuf.

mod decode;
mod encode;
mod node;
#[cfg(test)]
mod tests;
mod wire;

use std::borrow::Borrow;

use serde_json::Value;

pub use self::node::Lean;
use self::node::Node;
use crate::{
    documents,
    schema::{Model, TypeId},
};

/// The bytes that a body starts with.
const MAGIC: &[u8] = b"k8s\0";

/// Why there is no protobuf form, or no object in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The bytes are no message.
    #[error("{0}")]
    Malformed(&'static str),
    /// The type that is named has no protobuf form here.
    #[error("no kind \"{kind}\" is registered for version \"{api_version}\"")]
    UnknownType {
        /// `apiVersion` that was named.
        api_version: String,
        /// `kind` that was named.
        kind: String,
    },
}

/// Reads a body. The object gets the `apiVersion` and `kind` of the body, as far as it names
/// them; a body that names none is read as `default`.
///
/// # Errors
/// For bytes that are no such body and for types that are not served.
pub fn decode(body: &[u8], default: (&str, &str)) -> Result<Value, ProtobufError> {
    let rest = body.strip_prefix(MAGIC).ok_or(ProtobufError::Malformed("the body does not start with \"k8s\\0\""))?;
    let unknown = decode::Unknown::read(rest)?;
    let named = (unknown.api_version, unknown.kind);
    let or = |text: &'_ str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
    let (api_version, kind) = (or(named.0, default.0), or(named.1, default.1));
    let mut object = decode::message(type_of(&api_version, &kind)?, unknown.raw)?;
    for (field, value) in [("apiVersion", named.0), ("kind", named.1)] {
        if !value.is_empty() {
            object.insert(field.to_owned(), value.into());
        }
    }
    Ok(Value::Object(object))
}

/// Writes a body from an object that names its type.
///
/// # Errors
/// For types that have no protobuf form here.
pub fn encode(object: &Value) -> Result<Vec<u8>, ProtobufError> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let raw = encode::message(type_of(api_version, kind)?, object);
    Ok(encode::body(api_version, kind, &raw))
}

/// What lists are made of: whole trees, or those that borrow from their texts.
#[expect(private_bounds, reason = "there are these two, and what they have in common is nobody else's")]
pub trait Item: Node {}

impl Item for Value {}
impl Item for Lean<'_> {}

/// Writes some items of a list of one kind, for [`encode_list`].
///
/// # Errors
/// For types that have no protobuf form here.
pub fn encode_items<N: Item, I: Borrow<N>>(
    (api_version, kind): (&str, &str),
    items: impl DoubleEndedIterator<Item = I>,
) -> Result<Vec<u8>, ProtobufError> {
    Ok(encode::items(type_of(api_version, kind)?, items))
}

/// Writes a body from the items of a list of one kind; `metadata` is the list's.
pub fn encode_list((api_version, kind): (&str, &str), metadata: &Value, items: &[Vec<u8>]) -> Vec<u8> {
    encode::body(api_version, &format!("{kind}List"), &encode::list(metadata, items))
}

/// Writes an event of a watch: its length in four bytes, the highest first, and a
/// `meta.v1.WatchEvent` around the object's body.
pub fn encode_event(event: &str, object: &[u8]) -> Vec<u8> {
    let message = encode::event(event, object);
    // A message of 4 GiB cannot come from a store that keeps objects below 2 MiB.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), message.as_slice()].concat()
}

fn type_of(api_version: &str, kind: &str) -> Result<TypeId, ProtobufError> {
    let shape = documents::shape_of(api_version, kind);
    shape
        .and_then(|shape| Model::get().by_name(&(shape.definition)()))
        .ok_or_else(|| ProtobufError::UnknownType { api_version: api_version.to_owned(), kind: kind.to_owned() })
}
