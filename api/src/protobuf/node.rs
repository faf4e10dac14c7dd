//! What can be written as a message: a tree of values, or a lean one that borrows from its text.
//!
//! A tree of values has a string of its own for every key and every text. One of a long list is
//! read, written and forgotten, and needs none of them.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Serialize,
    de::{Deserializer, Error, MapAccess, SeqAccess, Visitor},
    ser::Serializer,
};
use serde_json::{Number, Value};

/// A value by its kind.
pub(super) enum Leaf<'a> {
    Null,
    Bool(bool),
    Number(&'a Number),
    Text(&'a str),
    Items,
    Fields,
}

/// One value of a tree.
pub(super) trait Node: Serialize {
    /// What it is.
    fn leaf(&self) -> Leaf<'_>;

    /// Its items, when it is a list.
    fn items(&self) -> &[Self]
    where
        Self: Sized;

    /// One of its fields, when it is an object.
    fn field(&self, name: &str) -> Option<&Self>;

    /// All its fields, when it is an object.
    fn fields(&self) -> Vec<(&str, &Self)>;
}

impl Node for Value {
    fn leaf(&self) -> Leaf<'_> {
        match self {
            Self::Null => Leaf::Null,
            Self::Bool(is_set) => Leaf::Bool(*is_set),
            Self::Number(number) => Leaf::Number(number),
            Self::String(text) => Leaf::Text(text),
            Self::Array(_) => Leaf::Items,
            Self::Object(_) => Leaf::Fields,
        }
    }

    fn items(&self) -> &[Self] {
        self.as_array().map(Vec::as_slice).unwrap_or_default()
    }

    fn field(&self, name: &str) -> Option<&Self> {
        self.get(name)
    }

    fn fields(&self) -> Vec<(&str, &Self)> {
        self.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect()
    }
}

/// An object read from its text, from which it borrows.
#[derive(Clone, Debug, PartialEq)]
pub enum Lean<'t> {
    /// `null`.
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text; borrowed when nothing in it is escaped.
    Text(Cow<'t, str>),
    /// A list.
    Items(Vec<Lean<'t>>),
    /// An object, in the order of the text.
    Fields(Vec<(Cow<'t, str>, Lean<'t>)>),
}

impl<'t> Lean<'t> {
    /// Reads a text.
    ///
    /// # Errors
    /// For what is no JSON.
    pub fn read(text: &'t str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Sets a text below an object that is there.
    pub fn set_text(&mut self, object: &str, name: &'t str, text: String) {
        let Self::Fields(fields) = self else { return };
        let inner = fields.iter_mut().find(|(field, _)| field == object);
        if let Some((_, Self::Fields(fields))) = inner {
            fields.retain(|(field, _)| field != name);
            fields.push((name.into(), Self::Text(text.into())));
        }
    }
}

impl Node for Lean<'_> {
    fn leaf(&self) -> Leaf<'_> {
        match self {
            Self::Null => Leaf::Null,
            Self::Bool(is_set) => Leaf::Bool(*is_set),
            Self::Number(number) => Leaf::Number(number),
            Self::Text(text) => Leaf::Text(text),
            Self::Items(_) => Leaf::Items,
            Self::Fields(_) => Leaf::Fields,
        }
    }

    fn items(&self) -> &[Self] {
        if let Self::Items(items) = self { items } else { &[] }
    }

    fn field(&self, name: &str) -> Option<&Self> {
        let Self::Fields(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    fn fields(&self) -> Vec<(&str, &Self)> {
        let Self::Fields(fields) = self else { return Vec::new() };
        fields.iter().map(|(name, value)| (&**name, value)).collect()
    }
}

impl Serialize for Lean<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(is_set) => serializer.serialize_bool(*is_set),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Items(items) => serializer.collect_seq(items),
            Self::Fields(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
        }
    }
}

impl<'de: 't, 't> Deserialize<'de> for Lean<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// A key, borrowed when nothing in it is escaped.
#[derive(Deserialize)]
struct Name<'t>(#[serde(borrow)] Cow<'t, str>);

struct Reader;

impl<'t> Visitor<'t> for Reader {
    type Value = Lean<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Lean<'t>, E> {
        Ok(Lean::Null)
    }

    fn visit_bool<E: Error>(self, is_set: bool) -> Result<Lean<'t>, E> {
        Ok(Lean::Bool(is_set))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Lean<'t>, E> {
        Ok(Lean::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Lean<'t>, E> {
        Ok(Lean::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Lean<'t>, E> {
        Ok(Number::from_f64(number).map_or(Lean::Null, Lean::Number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'t str) -> Result<Lean<'t>, E> {
        Ok(Lean::Text(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Lean<'t>, E> {
        Ok(Lean::Text(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut list: A) -> Result<Lean<'t>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Lean::Items(items))
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Lean<'t>, A::Error> {
        let mut fields = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            fields.push((name, map.next_value()?));
        }
        Ok(Lean::Fields(fields))
    }
}
