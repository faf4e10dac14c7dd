//! Messages to objects.
//!
//! In: bytes that anybody may have sent. Out: the JSON value that the same object has, without
//! the zeros that Go writes for everything that is not set. Never panics, never nests deeper than
//! its types.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::{
    ProtobufError::{self, Malformed},
    wire::{Fields, Wire},
};
use crate::schema::{Definition, Message, Model, Slot, Type, TypeId};

/// How deep messages may nest: types such as JSON schemas contain themselves.
const DEPTH: usize = 100;

/// A `runtime.Unknown`.
#[derive(Default)]
pub(super) struct Unknown<'a> {
    pub(super) api_version: &'a str,
    pub(super) kind: &'a str,
    pub(super) raw: &'a [u8],
}

impl<'a> Unknown<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ProtobufError> {
        let mut unknown = Self::default();
        let mut fields = Fields(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Wire::Bytes(type_meta)) => unknown.read_type(type_meta)?,
                (2, Wire::Bytes(raw)) => unknown.raw = raw,
                (3, Wire::Bytes(encoding)) if !encoding.is_empty() => {
                    return Err(Malformed("the body has a content encoding"));
                }
                _ => {}
            }
        }
        Ok(unknown)
    }

    fn read_type(&mut self, bytes: &'a [u8]) -> Result<(), ProtobufError> {
        let mut fields = Fields(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Wire::Bytes(bytes)) => self.api_version = text(bytes)?,
                (2, Wire::Bytes(bytes)) => self.kind = text(bytes)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads a message of a type.
pub(super) fn message(id: TypeId, bytes: &[u8]) -> Result<Map<String, Value>, ProtobufError> {
    let mut object = Map::new();
    Reader { model: Model::get(), depth: 0 }.object(&mut object, id, bytes)?;
    Ok(object)
}

fn text(bytes: &[u8]) -> Result<&str, ProtobufError> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("a string field contains invalid UTF-8"))
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    model: &'a Model,
    depth: usize,
}

impl Reader<'_> {
    fn object(self, object: &mut Map<String, Value>, id: TypeId, bytes: &[u8]) -> Result<(), ProtobufError> {
        let definition = self.model.definition(id);
        self.deeper()?.slots(object, definition, &definition.message, bytes)
    }

    fn deeper(self) -> Result<Self, ProtobufError> {
        match self.depth {
            DEPTH => Err(Malformed("messages nest too deep")),
            depth => Ok(Self { depth: depth + 1, ..self }),
        }
    }

    fn slots(
        self,
        object: &mut Map<String, Value>,
        definition: &Definition,
        message: &Message,
        bytes: &[u8],
    ) -> Result<(), ProtobufError> {
        let mut fields = Fields(bytes);
        while let Some((number, wire)) = fields.next()? {
            match (message.slot(number), wire) {
                (Some(Slot::Inline(inner)), Wire::Bytes(bytes)) => self.slots(object, definition, inner, bytes)?,
                (Some(Slot::Field { name, is_optional }), _) => {
                    if let Some(field) = definition.fields.get(*name) {
                        let has_zero = *is_optional || field.is_required;
                        self.field(object, name, &field.kind, has_zero, wire)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds what a field says to an object.
    fn field(
        self,
        object: &mut Map<String, Value>,
        name: &str,
        kind: &Type,
        has_zero: bool,
        wire: Wire<'_>,
    ) -> Result<(), ProtobufError> {
        match kind {
            Type::List(of) => {
                let item = self.value(of, wire, None)?;
                if let Value::Array(items) = object.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                    items.push(item);
                }
            }
            Type::Map(of) => {
                let (key, value) = self.entry(of, bytes(wire)?)?;
                if let Value::Object(map) = object.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                    map.insert(key, value);
                }
            }
            _ => {
                let value = self.value(kind, wire, object.remove(name))?;
                if !(value.is_null() || is_zero(kind, &value) && !has_zero) {
                    object.insert(name.to_owned(), value);
                }
            }
        }
        Ok(())
    }

    /// An entry of a map: `key = 1`, `value = 2`.
    fn entry(self, of: &Type, bytes: &[u8]) -> Result<(String, Value), ProtobufError> {
        let (mut key, mut value) = (String::new(), None);
        let mut fields = Fields(bytes);
        while let Some(field) = fields.next()? {
            match (field, of) {
                ((1, Wire::Bytes(bytes)), _) => text(bytes)?.clone_into(&mut key),
                ((2, Wire::Bytes(bytes)), Type::List(of)) => value = Some(self.list(of, bytes)?),
                ((2, wire), _) => value = Some(self.value(of, wire, None)?),
                _ => {}
            }
        }
        let empty = || match of {
            Type::List(_) => Ok(Value::Array(Vec::new())),
            of => self.value(of, Wire::Bytes(&[]), None),
        };
        Ok((key, value.map_or_else(empty, Ok)?))
    }

    /// The message that stands for a list inside a map: `items = 1`.
    fn list(self, of: &Type, bytes: &[u8]) -> Result<Value, ProtobufError> {
        let (mut items, mut fields) = (Vec::new(), Fields(bytes));
        while let Some((number, wire)) = fields.next()? {
            if number == 1 {
                items.push(self.value(of, wire, None)?);
            }
        }
        Ok(Value::Array(items))
    }

    /// A single value; `before` is what an earlier part of the same message said.
    fn value(self, kind: &Type, wire: Wire<'_>, before: Option<Value>) -> Result<Value, ProtobufError> {
        Ok(match kind {
            Type::Object(id) => {
                let mut object = match before {
                    Some(Value::Object(object)) => object,
                    _ => Map::new(),
                };
                self.object(&mut object, *id, bytes(wire)?)?;
                Value::Object(object)
            }
            Type::Text => text(bytes(wire)?)?.into(),
            Type::Bytes => STANDARD.encode(bytes(wire)?).into(),
            Type::Bool => (varint(wire)? != 0).into(),
            Type::Integer(32) => i32_of(varint(wire)?).into(),
            Type::Integer(_) => varint(wire)?.cast_signed().into(),
            Type::Number => number(wire)?,
            Type::Quantity => quantity(bytes(wire)?)?,
            Type::IntOrString => int_or_string(bytes(wire)?)?,
            Type::Time => time(bytes(wire)?, 0)?,
            Type::MicroTime => time(bytes(wire)?, 6)?,
            Type::Json => json(bytes(wire)?)?,
            Type::List(_) | Type::Map(_) => return Err(Malformed("a list inside a list")),
        })
    }
}

/// What Go writes in protobuf, and leaves out in JSON, for a field that is not set.
fn is_zero(kind: &Type, value: &Value) -> bool {
    match (kind, value) {
        (Type::Text | Type::Bytes, Value::String(text)) => text.is_empty(),
        (Type::Bool, Value::Bool(set)) => !set,
        (Type::Integer(_) | Type::Number, Value::Number(n)) => n.as_f64() == Some(0.0),
        _ => false,
    }
}

fn bytes(wire: Wire<'_>) -> Result<&[u8], ProtobufError> {
    match wire {
        Wire::Bytes(bytes) => Ok(bytes),
        _ => Err(Malformed("wrong wire type for a field")),
    }
}

fn varint(wire: Wire<'_>) -> Result<u64, ProtobufError> {
    match wire {
        Wire::Varint(value) => Ok(value),
        _ => Err(Malformed("wrong wire type for a field")),
    }
}

/// The low half of a varint, as protobuf reads an `int32`.
#[expect(clippy::cast_possible_truncation, reason = "protobuf takes the low 32 bits")]
fn i32_of(value: u64) -> i32 {
    (value as u32).cast_signed()
}

fn number(wire: Wire<'_>) -> Result<Value, ProtobufError> {
    let value = match wire {
        Wire::Fixed64(bits) => f64::from_bits(bits),
        Wire::Fixed32(bits) => f64::from(f32::from_bits(bits)),
        _ => return Err(Malformed("wrong wire type for a field")),
    };
    Number::from_f64(value).map(Value::Number).ok_or(Malformed("a number is not finite"))
}

/// A `resource.Quantity`: `string = 1`. An empty one is no amount at all, which Go prints as 0.
fn quantity(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let mut amount = "0";
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        if let (1, Wire::Bytes(bytes)) = field {
            amount = Some(text(bytes)?).filter(|text| !text.is_empty()).unwrap_or("0");
        }
    }
    Ok(amount.into())
}

/// An `intstr.IntOrString`: `type = 1`, `intVal = 2`, `strVal = 3`.
fn int_or_string(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let (mut is_text, mut int, mut string) = (false, 0, "");
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Wire::Varint(kind)) => is_text = kind == 1,
            (2, Wire::Varint(value)) => int = i32_of(value),
            (3, Wire::Bytes(bytes)) => string = text(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { string.into() } else { int.into() })
}

/// A `meta.v1.Time` or `MicroTime`: `seconds = 1`, `nanos = 2`. Null when it is not set.
fn time(bytes: &[u8], digits: usize) -> Result<Value, ProtobufError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Wire::Varint(value)) => seconds = value.cast_signed(),
            (2, Wire::Varint(value)) => nanos = i32_of(value),
            _ => {}
        }
    }
    let nanos = if digits == 0 { 0 } else { nanos };
    let time = Timestamp::new(seconds, nanos).map_err(|_| Malformed("a time is out of range"))?;
    Ok(format!("{time:.digits$}").into())
}

/// A `RawExtension`, `FieldsV1` or JSON value: text in field 1. Null when there is none.
fn json(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let mut value = Value::Null;
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        if let (1, Wire::Bytes(bytes)) = field
            && !bytes.is_empty()
        {
            value = serde_json::from_slice(bytes).map_err(|_| Malformed("a raw value is not JSON"))?;
        }
    }
    Ok(value)
}
