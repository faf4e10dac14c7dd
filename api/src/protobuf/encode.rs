//! Objects to messages.
//!
//! In: values that have the shape of their type. Out: messages, fields in the order of their
//! numbers and map keys sorted, so that equal objects have equal bytes. What does not fit its type
//! is left out; such values are never stored.

use std::borrow::Borrow;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    MAGIC,
    node::{Leaf, Node},
    wire::Backwards,
};
use crate::schema::{Message, Model, Slot, Type, TypeId};

/// The message of an object.
pub(super) fn message(id: TypeId, object: &impl Node) -> Vec<u8> {
    let mut out = Backwards::default();
    Writer(Model::get()).object(&mut out, id, object);
    out.finish()
}

/// Some items of a list, each `items = 2`. Those of several calls follow one another.
pub(super) fn items<N: Node, I: Borrow<N>>(id: TypeId, items: impl DoubleEndedIterator<Item = I>) -> Vec<u8> {
    let (mut out, writer) = (Backwards::default(), Writer(Model::get()));
    for item in items.rev() {
        writer.value(&mut out, 2, &Type::Object(id), item.borrow());
    }
    out.finish()
}

/// The message of a list: `metadata = 1`, and its items.
pub(super) fn list(metadata: &impl Node, items: &[Vec<u8>]) -> Vec<u8> {
    let (mut out, writer) = (Backwards::default(), Writer(Model::get()));
    for some in items.iter().rev() {
        out.bytes(some);
    }
    let start = out.len();
    if let Some(list_meta) = writer.0.by_name("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta") {
        writer.object(&mut out, list_meta, metadata);
    }
    out.close(1, out.len() - start);
    out.finish()
}

/// A `meta.v1.WatchEvent`: `type = 1`, `object = 2`, a `RawExtension` with `raw = 1`.
pub(super) fn event(name: &str, object: &[u8]) -> Vec<u8> {
    let mut out = Backwards::default();
    out.field(1, object);
    out.close(2, out.len());
    out.field(1, name.as_bytes());
    out.finish()
}

/// A body around a message: `typeMeta = 1`, `raw = 2`, and an encoding and a type that are empty.
pub(super) fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut out = Backwards::default();
    out.field(4, &[]);
    out.field(3, &[]);
    out.field(2, raw);
    let start = out.len();
    out.field(2, kind.as_bytes());
    out.field(1, api_version.as_bytes());
    out.close(1, out.len() - start);
    out.bytes(MAGIC);
    out.finish()
}

struct Writer<'a>(&'a Model);

impl Writer<'_> {
    fn object(&self, out: &mut Backwards, id: TypeId, object: &impl Node) {
        let definition = self.0.definition(id);
        self.slots(out, id, &definition.message, object);
    }

    fn slots(&self, out: &mut Backwards, id: TypeId, message: &Message, object: &impl Node) {
        let fields = &self.0.definition(id).fields;
        for (number, slot) in message.slots().iter().rev() {
            match slot {
                // Objects have few of the fields that they may have.
                Slot::Field { name, .. } => {
                    if let Some(value) = object.field(name)
                        && let Some(field) = fields.get(*name)
                    {
                        self.value(out, *number, &field.kind, value);
                    }
                }
                Slot::Inline(inner) => {
                    let start = out.len();
                    self.slots(out, id, inner, object);
                    out.close(*number, out.len() - start);
                }
            }
        }
    }

    fn value<N: Node>(&self, out: &mut Backwards, number: u32, kind: &Type, value: &N) {
        match (kind, value.leaf()) {
            (_, Leaf::Null) => {}
            (Type::List(of), Leaf::Items) => {
                for item in value.items().iter().rev() {
                    self.value(out, number, of, item);
                }
            }
            (Type::Map(of), Leaf::Fields) => self.map(out, number, of, value),
            (Type::Text, Leaf::Text(text)) => out.field(number, text.as_bytes()),
            (Type::Bytes, Leaf::Text(text)) => out.field(number, &STANDARD.decode(text).unwrap_or_default()),
            (Type::Bool, Leaf::Bool(set)) => out.number(number, u64::from(set)),
            (Type::Integer(_), Leaf::Number(n)) => out.number(number, n.as_i64().unwrap_or_default().cast_unsigned()),
            (Type::Number, Leaf::Number(n)) => out.double(number, n.as_f64().unwrap_or_default()),
            (kind, _) => {
                let start = out.len();
                self.inside(out, kind, value);
                out.close(number, out.len() - start);
            }
        }
    }

    /// The inside of a value that is a message.
    fn inside<N: Node>(&self, out: &mut Backwards, kind: &Type, value: &N) {
        match (kind, value.leaf()) {
            (Type::Object(id), _) => self.object(out, *id, value),
            (Type::Quantity, Leaf::Text(text)) => out.field(1, text.as_bytes()),
            (Type::IntOrString, Leaf::Text(text)) => {
                out.field(3, text.as_bytes());
                out.number(2, 0);
                out.number(1, 1);
            }
            (Type::IntOrString, Leaf::Number(n)) => {
                out.field(3, &[]);
                out.number(2, n.as_i64().unwrap_or_default().cast_unsigned());
                out.number(1, 0);
            }
            (Type::Time | Type::MicroTime, Leaf::Text(text)) => {
                if let Ok(time) = text.parse::<jiff::Timestamp>() {
                    let nanos = if *kind == Type::Time { 0 } else { time.subsec_nanosecond() / 1000 * 1000 };
                    out.number(2, i64::from(nanos).cast_unsigned());
                    out.number(1, time.as_second().cast_unsigned());
                }
            }
            // A tree can always be written.
            (Type::Json, _) => out.field(1, &serde_json::to_vec(value).unwrap_or_default()),
            _ => {}
        }
    }

    fn map(&self, out: &mut Backwards, number: u32, of: &Type, map: &impl Node) {
        let mut entries = map.fields();
        entries.sort_unstable_by_key(|(key, _)| *key);
        for (key, value) in entries.into_iter().rev() {
            let start = out.len();
            match (of, value.leaf()) {
                // Maps of protobuf hold no lists: a message around the list stands in between.
                (Type::List(_), _) => {
                    self.value(out, 1, of, value);
                    out.close(2, out.len() - start);
                }
                // A time that is not set.
                (_, Leaf::Null) => out.field(2, &[]),
                _ => self.value(out, 2, of, value),
            }
            out.field(1, key.as_bytes());
            out.close(number, out.len() - start);
        }
    }
}
