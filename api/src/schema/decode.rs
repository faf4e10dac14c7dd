//! Checks an object against its type, and brings scalars into the one form that Kubernetes
//! stores: amounts are canonical text, nulls are gone.
//!
//! Explicitly empty lists and maps stay, since `emptyDir: {}` or `podSelector: {}` say
//! something. Fields that the type does not have are taken out and listed.

use std::fmt::Write as _;

use base64::{Engine, alphabet, engine::GeneralPurposeConfig, engine::general_purpose::GeneralPurpose};
use serde_json::{Number, Value};

use super::{
    complaints::Complaints,
    model::{Model, Type, TypeId},
};
use crate::{
    kinds::{DecodeError, Decoded},
    quantity::Quantity,
};

const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new());

/// Decodes an object whose type has this full name, such as `io.k8s.api.core.v1.Pod`.
pub(crate) fn decode(definition: &str, mut object: Value) -> Result<Decoded, DecodeError> {
    let unknown = walk(definition, &mut object, false)?;
    Ok(Decoded { object, unknown: unknown.into() })
}

/// Decodes a configuration that is to be applied: as [`decode`], but a null field says something
/// and stays.
pub(crate) fn decode_config(definition: &str, mut object: Value) -> Result<Value, DecodeError> {
    walk(definition, &mut object, true)?;
    Ok(object)
}

fn walk(definition: &str, object: &mut Value, keeps_nulls: bool) -> Result<Complaints, DecodeError> {
    let model = Model::get();
    let mut walk = Walk { model, path: Vec::new(), owner: "", unknown: Complaints::default(), keeps_nulls };
    match model.by_name(definition) {
        Some(id) => walk.object(object, id)?,
        None => return Err(walk.error(format!("no type {definition} is served"))),
    }
    Ok(walk.unknown)
}

/// A step from a value to a part of it.
enum Step {
    Field(String),
    Key(String),
    Index(usize),
}

struct Walk<'a> {
    model: &'a Model,
    path: Vec<Step>,
    /// Name of the innermost object type, for error messages.
    owner: &'a str,
    unknown: Complaints,
    keeps_nulls: bool,
}

impl<'a> Walk<'a> {
    fn value(&mut self, value: &mut Value, kind: &Type) -> Result<(), DecodeError> {
        match kind {
            Type::Object(id) => self.object(value, *id),
            Type::Map(of) => self.map(value, kind, of),
            Type::List(of) => self.list(value, kind, of),
            Type::Text if value.is_string() => Ok(()),
            Type::Bool if value.is_boolean() => Ok(()),
            Type::Number if value.is_number() => Ok(()),
            Type::Integer(bits) if fits(value, *bits) => Ok(()),
            Type::IntOrString if value.is_string() || fits(value, 32) => Ok(()),
            Type::Quantity => self.quantity(value),
            Type::Bytes => self.bytes(value),
            Type::Time | Type::MicroTime => self.time(value),
            Type::Json => Ok(()),
            _ => Err(self.mismatch(value, kind)),
        }
    }

    fn object(&mut self, value: &mut Value, id: TypeId) -> Result<(), DecodeError> {
        let definition = self.model.definition(id);
        let Value::Object(map) = value else { return Err(self.mismatch(value, &Type::Object(id))) };
        let outer = std::mem::replace(&mut self.owner, plain_name(&definition.name));
        let mut gone = Vec::new();
        for (name, value) in map.iter_mut() {
            self.path.push(Step::Field(name.clone()));
            match definition.fields.get(name) {
                None => {
                    self.unknown.push(|| pointed(&self.path));
                    gone.push(name.clone());
                }
                Some(_) if value.is_null() => {
                    if !self.keeps_nulls {
                        gone.push(name.clone());
                    }
                }
                Some(field) => self.value(value, &field.kind)?,
            }
            self.path.pop();
        }
        for name in gone {
            map.remove(&name);
        }
        self.owner = outer;
        Ok(())
    }

    fn map(&mut self, value: &mut Value, kind: &Type, of: &Type) -> Result<(), DecodeError> {
        let Value::Object(map) = value else { return Err(self.mismatch(value, kind)) };
        for (key, value) in map.iter_mut() {
            self.path.push(Step::Key(key.clone()));
            fill_null(value, of);
            self.value(value, of)?;
            self.path.pop();
        }
        Ok(())
    }

    fn list(&mut self, value: &mut Value, kind: &Type, of: &Type) -> Result<(), DecodeError> {
        let Value::Array(items) = value else { return Err(self.mismatch(value, kind)) };
        for (index, value) in items.iter_mut().enumerate() {
            self.path.push(Step::Index(index));
            fill_null(value, of);
            self.value(value, of)?;
            self.path.pop();
        }
        Ok(())
    }

    /// Amounts may come as JSON numbers.
    fn quantity(&mut self, value: &mut Value) -> Result<(), DecodeError> {
        let text = match &*value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(self.mismatch(value, &Type::Quantity)),
        };
        let quantity: Quantity = text.parse().map_err(|error| self.located(&format!("{error}")))?;
        *value = quantity.to_string().into();
        Ok(())
    }

    /// Line breaks inside base64 are no mistake for Go, and are left out.
    fn bytes(&mut self, value: &mut Value) -> Result<(), DecodeError> {
        let Value::String(text) = value else { return Err(self.mismatch(value, &Type::Bytes)) };
        if text.contains(['\n', '\r']) {
            text.retain(|c| c != '\n' && c != '\r');
        }
        match BASE64.decode(text.as_bytes()) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.located(&format!("illegal base64 data at input byte {}", offset(&error, text)))),
        }
    }

    fn time(&mut self, value: &Value) -> Result<(), DecodeError> {
        if value.is_null() {
            return Ok(());
        }
        let Value::String(text) = value else { return Err(self.mismatch(value, &Type::Time)) };
        match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(()),
            Err(_) => {
                Err(self.located(&format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": not RFC 3339")))
            }
        }
    }

    /// The sentence of Go's decoder for a value of another type.
    fn mismatch(&self, found: &Value, wanted: &Type) -> DecodeError {
        let found = match found {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(number) if matches!(wanted, Type::Integer(_) | Type::IntOrString) => {
                format!("number {number}")
            }
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        let wanted = self.go_type(wanted);
        if self.path.is_empty() {
            return self.error(format!("json: cannot unmarshal {found} into Go value of type {wanted}"));
        }
        let (owner, path) = (self.owner, self.dotted());
        self.error(format!("json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {wanted}"))
    }

    fn located(&self, message: &str) -> DecodeError {
        self.error(format!("{}: {message}", pointed(&self.path)))
    }

    fn error(&self, message: String) -> DecodeError {
        DecodeError { path: if self.path.is_empty() { ".".to_owned() } else { pointed(&self.path) }, message }
    }

    /// `spec.containers.image`, as Go's decoder names a field.
    fn dotted(&self) -> String {
        let names = self.path.iter().filter_map(|step| match step {
            Step::Field(name) | Step::Key(name) => Some(name.as_str()),
            Step::Index(_) => None,
        });
        names.collect::<Vec<_>>().join(".")
    }

    fn go_type(&self, kind: &Type) -> String {
        match kind {
            Type::Object(id) => format!("v1.{}", plain_name(&self.model.definition(*id).name)),
            Type::Map(of) => format!("map[string]{}", self.go_type(of)),
            Type::List(of) => format!("[]{}", self.go_type(of)),
            Type::Text | Type::Json => "string".to_owned(),
            Type::Bytes => "[]uint8".to_owned(),
            Type::Time => "v1.Time".to_owned(),
            Type::MicroTime => "v1.MicroTime".to_owned(),
            Type::Integer(bits) => format!("int{bits}"),
            Type::Number => "float64".to_owned(),
            Type::Bool => "bool".to_owned(),
            Type::IntOrString => "int32".to_owned(),
            Type::Quantity => "resource.Quantity".to_owned(),
        }
    }
}

/// `spec.containers[0].image`, as field errors name a field.
fn pointed(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        // Writing to a string does not fail.
        let _ = match step {
            Step::Field(name) if text.is_empty() => write!(text, "{name}"),
            Step::Field(name) => write!(text, ".{name}"),
            Step::Key(key) => write!(text, "[{key}]"),
            Step::Index(index) => write!(text, "[{index}]"),
        };
    }
    text
}

/// A null item or map value is the zero value of its type, as for Go.
fn fill_null(value: &mut Value, kind: &Type) {
    if !value.is_null() {
        return;
    }
    *value = match kind {
        Type::Object(_) | Type::Map(_) => Value::Object(serde_json::Map::new()),
        Type::List(_) => Value::Array(Vec::new()),
        Type::Text | Type::Bytes => Value::String(String::new()),
        Type::Integer(_) | Type::Number | Type::IntOrString => Value::Number(Number::from(0)),
        Type::Quantity => "0".into(),
        Type::Bool => false.into(),
        // The zero time has no other text.
        Type::Json | Type::Time | Type::MicroTime => Value::Null,
    };
}

fn fits(value: &Value, bits: u32) -> bool {
    match value.as_i64() {
        Some(number) => bits == 64 || i32::try_from(number).is_ok(),
        None => false,
    }
}

/// `Pod` of `io.k8s.api.core.v1.Pod`.
fn plain_name(definition: &str) -> &str {
    definition.rsplit('.').next().unwrap_or(definition)
}

fn offset(error: &base64::DecodeError, text: &str) -> usize {
    match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => *at,
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => text.len(),
    }
}
