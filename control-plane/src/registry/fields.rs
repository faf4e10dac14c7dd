//! Reading fields with their paths, and filling absent ones.

use serde_json::{Map, Value};

/// A value and where it stands in its object; null where there is none.
#[derive(Clone, Debug)]
pub(super) struct At<'a> {
    /// The value.
    pub(super) value: &'a Value,
    /// Its field path, such as `spec.ports[0]`; empty for the object itself.
    pub(super) path: String,
}

const NOTHING: &Value = &Value::Null;

impl<'a> At<'a> {
    /// The object itself.
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    /// A field of this object.
    pub(super) fn field(&self, name: &str) -> At<'a> {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        At { value: self.value.get(name).unwrap_or(NOTHING), path }
    }

    /// The items of this list.
    pub(super) fn items(&self) -> impl Iterator<Item = At<'a>> + use<'a> {
        let path = self.path.clone();
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items.map(move |(index, value)| At { value, path: format!("{path}[{index}]") })
    }

    /// The entries of this map.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, At<'a>)> {
        let path = self.path.clone();
        let entries = self.value.as_object().into_iter().flatten();
        entries.map(move |(key, value)| (key.as_str(), At { value, path: format!("{path}[{key}]") }))
    }

    /// The text; empty when absent or no text.
    pub(super) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// The number.
    pub(super) fn integer(&self) -> Option<i64> {
        self.value.as_i64()
    }

    /// Whether it is `true`.
    pub(super) fn is_true(&self) -> bool {
        *self.value == true
    }

    /// Whether there is a value.
    pub(super) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Number of items of a list or a map.
    pub(super) fn len(&self) -> usize {
        match self.value {
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        }
    }
}

/// Whether a field counts as absent: what Go's `omitempty` leaves out of scalars.
pub(super) fn is_unset(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}

/// Sets a field of an object when it is absent.
pub(super) fn fill(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Value::Object(map) = object
        && is_unset(map.get(field))
    {
        map.insert(field.to_owned(), value.into());
    }
}

/// Sets a numeric field of an object when it is absent or 0.
pub(super) fn fill_number(object: &mut Value, field: &str, value: i64) {
    if object.get(field).and_then(Value::as_i64) == Some(0) {
        object[field] = value.into();
    }
    fill(object, field, value);
}

/// A field of an object that is made when it is absent; `None` when the object is none.
pub(super) fn child<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    let map = object.as_object_mut()?;
    let value = map.entry(field).or_insert_with(|| Value::Object(Map::new()));
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    Some(value)
}

/// The items of a list field; none when it is absent.
pub(super) fn each<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// A field that is an object, when there is one.
pub(super) fn object_mut<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    object.get_mut(field).filter(|value| value.is_object())
}

/// Removes a field.
pub(super) fn remove(object: &mut Value, field: &str) {
    if let Some(map) = object.as_object_mut() {
        map.remove(field);
    }
}
