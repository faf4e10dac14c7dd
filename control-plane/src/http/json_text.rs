//! JSON documents put together from parts that are JSON already.
//!
//! In: parts that write themselves. Out: bytes. Nothing is parsed and nothing is built first, unless
//! an object is shown in another form than the stored one.

use nodeplane_api::kinds::Kind;
use serde_json::Value;

use crate::store::object::Object;

/// A list of a type: its head, and what writes each of its items.
pub(super) fn list<T>(
    (api_version, kind): (&str, &str),
    metadata: &Value,
    room: usize,
    items: impl IntoIterator<Item = T>,
    write: impl FnMut(&mut Vec<u8>, T),
) -> Vec<u8> {
    let head = format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata}",
        Value::from(format!("{kind}List")),
        Value::from(api_version)
    );
    with_array(&head, "items", room, items, write)
}

/// A document that has everything but its last field, an array.
pub(super) fn with_last<T>(
    document: &Value,
    field: &str,
    items: impl IntoIterator<Item = T>,
    write: impl FnMut(&mut Vec<u8>, T),
) -> Vec<u8> {
    let head = document.to_string();
    with_array(head.strip_suffix('}').unwrap_or(&head), field, 0, items, write)
}

fn with_array<T>(
    head: &str,
    field: &str,
    room: usize,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + field.len() + room + 8);
    out.extend_from_slice(format!("{head},\"{field}\":[").as_bytes());
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(&mut out, item);
    }
    out.extend_from_slice(b"]}");
    out
}

/// Some items of an array, with a comma between any two of them.
pub(super) fn items<T>(items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(&mut out, item);
    }
    out
}

/// One line of a watch.
pub(super) fn event(name: &str, room: usize, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + room + 24);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    write(&mut out);
    out.extend_from_slice(b"}\n");
    out
}

/// Writes a stored object in the form of a row of the table.
pub(super) fn write_shown(out: &mut Vec<u8>, kind: &Kind, object: &Object) {
    if kind.is_view() {
        out.extend_from_slice(kind.shown(object.tree()).to_string().as_bytes());
    } else {
        object.write_json(out);
    }
}
