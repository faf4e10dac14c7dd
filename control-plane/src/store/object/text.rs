//! The text of an object, and where in it lies what is asked for often.
//!
//! In: the bytes of an entry. Out: copies with the revision in its place, labels without a parse.
//! What others wrote in a form of their own (no metadata, a `resourceVersion` inside, escaped
//! names) is written anew once, so that there is one form afterwards.

use std::ops::Range;

use serde_json::{Map, Value};

use super::{
    places::{Places, REVISION, Span},
    walk::Walk,
};

/// Bytes that the revision takes at most, with its name, quotes and comma.
pub(super) const REVISION_BYTES: usize = REVISION.len() + 26;

/// The text of one object.
pub(super) struct Text {
    text: Box<str>,
    places: Places,
}

impl Text {
    /// Reads the bytes of an entry.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
        match Places::find(text)? {
            (Some(places), true) => Ok(Self { text: text.into(), places }),
            _ => Self::rewritten(text),
        }
    }

    /// The same object in the form that this server writes.
    fn rewritten(text: &str) -> Result<Self, String> {
        let mut value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let object = value.as_object_mut().ok_or("the JSON is not an object")?;
        let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        metadata.as_object_mut().ok_or("its metadata is not an object")?.remove(REVISION);
        let text = value.to_string();
        let places = Places::find(&text)?.0.ok_or("it has no metadata")?;
        Ok(Self { text: text.into(), places })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn to_value(&self) -> Value {
        serde_json::from_str(&self.text).expect("what was read to the end once is read again")
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        let found = self.places.labels.iter().find(|(label, _)| self.part(*label) == name);
        found.map(|(_, value)| self.part(*value))
    }

    /// Appends everything.
    pub(super) fn write(&self, out: &mut Vec<u8>, revision: u64) {
        self.write_part(out, 0..self.text.len(), revision);
    }

    /// Appends the metadata.
    pub(super) fn write_metadata(&self, out: &mut Vec<u8>, revision: u64) {
        let start = self.places.metadata as usize;
        let end = start + Walk::from(&self.text, start).token().len();
        self.write_part(out, start..end, revision);
    }

    /// Appends a part that contains the place of the revision.
    fn write_part(&self, out: &mut Vec<u8>, part: Range<usize>, revision: u64) {
        let (text, place) = (self.text.as_bytes(), self.places.revision as usize);
        out.extend_from_slice(&text[part.start..place]);
        for piece in ["\"", REVISION, "\":\"", decimal(&mut [0; 20], revision), "\""] {
            out.extend_from_slice(piece.as_bytes());
        }
        if self.places.is_followed {
            out.push(b',');
        }
        out.extend_from_slice(&text[place..part.end]);
    }

    fn part(&self, (start, end): Span) -> &str {
        &self.text[start as usize..end as usize]
    }
}

/// A number in digits, without an allocation.
fn decimal(digits: &mut [u8; 20], mut number: u64) -> &str {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            return str::from_utf8(&digits[at..]).unwrap_or_default();
        }
    }
}
