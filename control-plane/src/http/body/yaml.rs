//! How much a YAML document says when its aliases are written out.
//!
//! In: text. Out: whether it is no more than a body may be. A few lines of aliases to aliases
//! stand for gigabytes; this counts them without making them.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::http::call::BODY_LIMIT;

/// Checks that the values of a document, aliases written out, come to no more bytes than a body
/// may have. Mistakes in the syntax are left to the reader.
pub(super) fn check_size(bytes: &[u8]) -> Result<(), String> {
    let left = Cell::new(BODY_LIMIT);
    match (Count { left: &left }).deserialize(serde_yaml::Deserializer::from_slice(bytes)) {
        Err(error) if left.get() == 0 => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Takes the size of each value from what is left.
#[derive(Clone, Copy)]
struct Count<'a> {
    left: &'a Cell<usize>,
}

impl Count<'_> {
    fn take<E: Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().saturating_sub(bytes + 1);
        self.left.set(left);
        match left {
            0 => Err(E::custom(format!("its aliases stand for more than the limit of {BODY_LIMIT} bytes"))),
            _ => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.take(0)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.take(0)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.take(0)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.take(0)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.take(0)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.take(0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.take(text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.take(0)?;
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        self.take(0)?;
        while fields.next_key_seed(self)?.is_some() {
            fields.next_value_seed(self)?;
        }
        Ok(())
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom("tags are not allowed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_to_aliases_are_counted_and_not_made() {
        let list = |item: &str, count: usize| vec![item; count].join(", ");
        let bomb = format!("a: &a [{}]\nb: &b [{}]\nc: [{}]\n", list("x", 1500), list("*a", 300), list("*b", 10));
        let refused = check_size(bomb.as_bytes()).unwrap_err();
        assert!(refused.contains("its aliases stand for more than the limit of 3145728 bytes"), "{refused}");
        let long = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(10_000), list("*a", 400));
        check_size(long.as_bytes()).unwrap_err();
    }

    #[test]
    fn everyday_anchors_are_fine() {
        check_size(b"base: &base {a: 1, b: [x, y]}\none: {<<: *base, c: 2}\ntwo: *base\n").unwrap();
        // Not this room's business.
        check_size(b"a: [").unwrap();
    }
}
