//! Where in the text of an object what lies, found in one pass that also checks the whole text.
//!
//! In: a text. Out: places, or why it is no object. Builds no tree; what passes here can be read
//! as a tree, too, because every string and number is looked at in the same way.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};

pub(super) const REVISION: &str = "resourceVersion";

/// Start and end of a part of the text. Entries are smaller than 2 MiB.
pub(super) type Span = (u32, u32);

/// Where in a text what lies.
#[derive(Default)]
pub(super) struct Places {
    /// The brace that opens `.metadata`.
    pub(super) metadata: u32,
    /// Where in `.metadata` the revision goes: in the order of keys, when they have one.
    pub(super) revision: u32,
    /// Whether something follows the revision there.
    pub(super) is_followed: bool,
    /// Names and values.
    pub(super) labels: Box<[(Span, Span)]>,
}

impl Places {
    /// Reads the whole text. Says also whether it is in the form that this server writes, so
    /// that the places are all there is to know.
    pub(super) fn find(text: &str) -> Result<(Option<Self>, bool), String> {
        let mut finder = Finder { text, is_plain: true };
        let mut json = serde_json::Deserializer::from_str(text);
        let found = Document(&mut finder).deserialize(&mut json).and_then(|found| json.end().map(|()| found));
        found.map(|found| (found, finder.is_plain)).map_err(|error| error.to_string())
    }
}

/// What all parts of the pass share.
struct Finder<'t> {
    text: &'t str,
    is_plain: bool,
}

impl<'t> Finder<'t> {
    /// A string that borrows from the text, which one with escapes does not.
    fn plain(&mut self, string: &Cow<'t, str>) -> Option<&'t str> {
        if let Cow::Borrowed(string) = *string {
            return Some(string);
        }
        self.is_plain = false;
        None
    }

    fn span(&self, part: &str) -> Span {
        let start = part.as_ptr() as usize - self.text.as_ptr() as usize;
        (narrow(start), narrow(start + part.len()))
    }

    /// Where the value of a key begins, when its first byte is this one.
    fn value_at(&self, key: &str, first: u8) -> Option<u32> {
        let mut at = self.span(key).1 as usize + 1;
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(at), Some(b':' | b' ' | b'\t' | b'\r' | b'\n')) {
            at += 1;
        }
        (bytes.get(at) == Some(&first)).then(|| narrow(at))
    }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A string, borrowed when nothing in it is escaped.
#[derive(Deserialize)]
struct Str<'a>(#[serde(borrow)] Cow<'a, str>);

/// Makes a seed of a visitor of maps.
macro_rules! seed_of_map {
    ($seed:ident, $value:ty) => {
        impl<'t> DeserializeSeed<'t> for $seed<'_, 't> {
            type Value = $value;

            fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_map(self)
            }
        }
    };
}

/// The object.
struct Document<'f, 't>(&'f mut Finder<'t>);

seed_of_map!(Document, Option<Places>);

impl<'t> Visitor<'t> for Document<'_, 't> {
    type Value = Option<Places>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let finder = self.0;
        let mut found = None;
        while let Some(Str(key)) = map.next_key()? {
            let key = finder.plain(&key).filter(|key| *key == "metadata");
            match key.map(|key| finder.value_at(key, b'{')) {
                None => {
                    map.next_value::<Checked>()?;
                }
                Some(None) => {
                    finder.is_plain = false;
                    map.next_value::<Checked>()?;
                }
                Some(Some(start)) => {
                    finder.is_plain &= found.is_none();
                    found = Some(map.next_value_seed(Metadata { finder, start })?);
                }
            }
        }
        finder.is_plain &= found.is_some();
        Ok(found)
    }
}

/// `.metadata`.
struct Metadata<'f, 't> {
    finder: &'f mut Finder<'t>,
    start: u32,
}

seed_of_map!(Metadata, Places);

impl<'t> Visitor<'t> for Metadata<'_, 't> {
    type Value = Places;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Places, A::Error> {
        let Self { finder, start } = self;
        let mut places = Places { metadata: start, ..Places::default() };
        let mut following = None;
        while let Some(Str(key)) = map.next_key()? {
            places.is_followed = true;
            let Some(key) = finder.plain(&key) else {
                map.next_value::<Checked>()?;
                continue;
            };
            let quote = finder.span(key).0 - 1;
            following = following.or((key > REVISION).then_some(quote));
            finder.is_plain &= key != REVISION;
            if key == "labels" && finder.value_at(key, b'{').is_some() {
                places.labels = map.next_value_seed(Labels(finder))?;
            } else {
                map.next_value::<Checked>()?;
            }
        }
        // Without a later key the order of keys does not matter much: it goes first.
        places.revision = following.unwrap_or(start + 1);
        Ok(places)
    }
}

/// `.metadata.labels`.
struct Labels<'f, 't>(&'f mut Finder<'t>);

seed_of_map!(Labels, Box<[(Span, Span)]>);

impl<'t> Visitor<'t> for Labels<'_, 't> {
    type Value = Box<[(Span, Span)]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let finder = self.0;
        let mut labels = Vec::new();
        while let Some(Str(key)) = map.next_key()? {
            let Some(key) = finder.plain(&key) else {
                map.next_value::<Checked>()?;
                continue;
            };
            if finder.value_at(key, b'"').is_none() {
                map.next_value::<Checked>()?;
                continue;
            }
            let Str(value) = map.next_value()?;
            if let Some(value) = finder.plain(&value) {
                labels.push((finder.span(key), finder.span(value)));
            }
        }
        Ok(labels.into())
    }
}

/// Any value: read as a tree would be, and forgotten.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_key::<Self>()?.is_some() {
            map.next_value::<Self>()?;
        }
        Ok(self)
    }
}
