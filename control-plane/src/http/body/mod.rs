//! Bodies read into values, with what a strict reader would complain about. No body makes more of
//! itself than a few times its bytes.
//!
//! In: bytes. Out: a [`Document`]: the value, where the last of equal fields wins, and the paths
//! of fields that stand twice. Never knows kinds.

#[cfg(test)]
mod tests;
mod yaml;

use std::{cell::RefCell, fmt};

use nodeplane_api::schema::Complaints;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A body that was read.
#[derive(Debug, PartialEq)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// Paths of fields that stand twice, such as `spec.containers[0].name`; the first hundred.
    pub duplicates: Vec<String>,
}

/// Reads JSON.
///
/// # Errors
/// What is wrong with the syntax.
pub fn from_json(bytes: &[u8]) -> Result<Document, String> {
    let duplicates = RefCell::new(Complaints::default());
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let node = Node { path: Path::Root, duplicates: &duplicates };
    let value = node.deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(Document { value, duplicates: duplicates.into_inner().into() })
}

/// Reads YAML, with merge keys applied and the booleans of YAML 1.1 that Kubernetes knows only
/// where they are spelled `true` and `false`.
///
/// # Errors
/// What is wrong with the syntax; a field that stands twice is a syntax error in YAML. Aliases
/// that make more than a body may be are refused.
pub fn from_yaml(bytes: &[u8]) -> Result<Document, String> {
    yaml::check_size(bytes)?;
    let mut yaml: serde_yaml::Value = serde_yaml::from_slice(bytes).map_err(|error| error.to_string())?;
    yaml.apply_merge().map_err(|error| error.to_string())?;
    let value = serde_json::to_value(yaml).map_err(|error| error.to_string())?;
    Ok(Document { value, duplicates: Vec::new() })
}

/// Where a value stands, linked towards the root.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads one value and notes duplicates below it.
struct Node<'a> {
    path: Path<'a>,
    duplicates: &'a RefCell<Complaints>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let node = Node { path: Path::Item(&self.path, list.len()), duplicates: self.duplicates };
            match items.next_element_seed(node)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let path = Path::Field(&self.path, &name);
            let value = fields.next_value_seed(Node { path, duplicates: self.duplicates })?;
            if map.contains_key(&name) {
                self.duplicates.try_borrow_mut().map_err(A::Error::custom)?.push(|| path.to_string());
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}
