//! A document of v2 as protobuf.
//!
//! In: the document and the numbers of its fields. Out: bytes. What has no number is left out; no
//! document of ours has such.

use serde_json::Value;

use super::message::{Message, Shape, parameter};

/// Key of a named entry, and its value.
const NAME: u32 = 1;
const VALUE: u32 = 2;
/// The field of an `Any` that holds YAML; JSON is such.
const YAML: u32 = 2;

/// The bytes of a document.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    message(Message::Document, document)
}

fn message(of: Message, value: &Value) -> Vec<u8> {
    let (fields, extensions) = of.fields();
    let mut out = Vec::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        if let Some((_, number, shape)) = fields.iter().find(|(field, ..)| field == name) {
            field(&mut out, *number, *shape, value);
        } else if name.starts_with("x-") {
            bytes(&mut out, extensions, &entry(name, &any(value)));
        }
    }
    out
}

fn field(out: &mut Vec<u8>, number: u32, shape: Shape, value: &Value) {
    match shape {
        Shape::Text => bytes(out, number, value.as_str().unwrap_or_default().as_bytes()),
        Shape::Texts => texts(out, number, value),
        Shape::Type => {
            let mut types = Vec::new();
            texts(&mut types, 1, value);
            bytes(out, number, &types);
        }
        Shape::Flag => {
            varint(out, u64::from(number) << 3);
            varint(out, u64::from(*value == true));
        }
        Shape::Any => bytes(out, number, &any(value)),
        Shape::Inside(way, of) => bytes(out, number, &inside(way, message(of, value))),
        Shape::Map(each, way, of) => {
            let mut entries = Vec::new();
            for (name, value) in value.as_object().into_iter().flatten() {
                bytes(&mut entries, each, &entry(name, &inside(way, message(of, value))));
            }
            bytes(out, number, &entries);
        }
        Shape::Parameters => {
            for value in value.as_array().into_iter().flatten() {
                let (way, of) = parameter(value["in"].as_str().unwrap_or_default());
                bytes(out, number, &inside(way, message(of, value)));
            }
        }
    }
}

/// One text or several.
fn texts(out: &mut Vec<u8>, number: u32, value: &Value) {
    let one = value.as_str().into_iter();
    for text in one.chain(value.as_array().into_iter().flatten().filter_map(Value::as_str)) {
        bytes(out, number, text.as_bytes());
    }
}

fn any(value: &Value) -> Vec<u8> {
    let mut any = Vec::new();
    bytes(&mut any, YAML, value.to_string().as_bytes());
    any
}

fn entry(name: &str, value: &[u8]) -> Vec<u8> {
    let mut entry = Vec::with_capacity(name.len() + value.len() + 12);
    bytes(&mut entry, NAME, name.as_bytes());
    bytes(&mut entry, VALUE, value);
    entry
}

/// A message in others, the outermost of which has its number first.
fn inside(way: &[u32], message: Vec<u8>) -> Vec<u8> {
    way.iter().rev().fold(message, |inner, number| {
        let mut outer = Vec::with_capacity(inner.len() + 6);
        bytes(&mut outer, *number, &inner);
        outer
    })
}

fn bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    const LENGTH_DELIMITED: u64 = 2;
    varint(out, u64::from(number) << 3 | LENGTH_DELIMITED);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}
