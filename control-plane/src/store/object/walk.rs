//! A walk through a text that is known to be JSON.
//!
//! In: a text that was read to its end once. Out: parts of it. Looks at no more than it must, and
//! checks nothing: in a text that is no JSON it would lose its way, but neither loop nor panic.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// A place in the text.
pub(super) struct Walk<'t> {
    text: &'t str,
    at: usize,
}

/// Parts of objects, by JSON pointers in which `*` stands for every item of an array.
#[derive(Debug, Default)]
pub struct Parts {
    is_whole: bool,
    parts: Vec<(String, Parts)>,
}

impl Parts {
    /// The parts that these pointers lead to. The empty pointer is everything; one that ends in
    /// `*` asks how many items there are.
    pub fn new<'p>(pointers: impl IntoIterator<Item = &'p str>) -> Self {
        let mut all = Self::default();
        for pointer in pointers {
            let mut part = &mut all;
            for segment in pointer.split('/').skip(1) {
                part = part.part(segment);
            }
            part.is_whole |= !pointer.ends_with("/*");
        }
        all
    }

    fn part(&mut self, segment: &str) -> &mut Self {
        let known = self.parts.iter().position(|(name, _)| name == segment);
        let index = known.unwrap_or_else(|| {
            self.parts.push((segment.to_owned(), Self::default()));
            self.parts.len() - 1
        });
        &mut self.parts[index].1
    }

    fn get(&self, segment: &str) -> Option<&Self> {
        self.parts.iter().find(|(name, _)| name == segment).map(|(_, part)| part)
    }
}

impl<'t> Walk<'t> {
    /// A walk from the value that begins at a place.
    pub(super) fn from(text: &'t str, at: usize) -> Self {
        Self { text, at }
    }

    /// The text of the value at hand.
    pub(super) fn token(&mut self) -> &'t str {
        self.pass_blanks();
        let start = self.at;
        self.skip();
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The scalar that a JSON pointer leads to, as text, and anything else as JSON; `None` for
    /// null.
    pub(super) fn field(mut self, pointer: &str) -> Option<Cow<'t, str>> {
        for segment in pointer.split('/').skip(1) {
            self.enter(segment)?;
        }
        let token = self.token();
        if let Some(plain) = plain_string(token) {
            return Some(plain.into());
        }
        match serde_json::from_str(token).ok()? {
            Value::Null => None,
            Value::String(text) => Some(text.into()),
            other => Some(other.to_string().into()),
        }
    }

    /// A tree of some parts of the value at hand. What else an array has is null.
    pub(super) fn pick(&mut self, parts: &Parts) -> Value {
        self.pass_blanks();
        match self.byte() {
            _ if !parts.is_whole && parts.parts.is_empty() => {
                self.skip();
                Value::Null
            }
            b'{' if !parts.is_whole => {
                self.at += 1;
                let mut map = Map::new();
                while let Some(key) = self.next_key() {
                    match parts.get(&key) {
                        Some(parts) => drop(map.insert(key.into_owned(), self.pick(parts))),
                        None => self.skip(),
                    }
                }
                Value::Object(map)
            }
            b'[' if !parts.is_whole => {
                self.at += 1;
                let (nothing, mut items) = (Parts::default(), Vec::new());
                while self.next_item() {
                    items.push(self.pick(parts.get("*").unwrap_or(&nothing)));
                }
                Value::Array(items)
            }
            _ => {
                let token = self.token();
                plain_string(token).map_or_else(|| serde_json::from_str(token).unwrap_or_default(), Value::from)
            }
        }
    }

    /// Goes to a field of the object or to an item of the array at hand.
    fn enter(&mut self, segment: &str) -> Option<()> {
        self.pass_blanks();
        match self.byte() {
            b'{' => {
                self.at += 1;
                while self.next_key()? != segment {
                    self.skip();
                }
            }
            b'[' => {
                self.at += 1;
                for _ in 0..segment.parse::<usize>().ok()? {
                    self.next_item().then(|| self.skip())?;
                }
                self.next_item().then_some(())?;
            }
            _ => return None,
        }
        Some(())
    }

    /// The next key of an object; the value is at hand then.
    fn next_key(&mut self) -> Option<Cow<'t, str>> {
        if !self.next_item() {
            return None;
        }
        let token = self.token();
        self.pass_blanks();
        self.at += 1;
        self.pass_blanks();
        plain_string(token).map(Cow::Borrowed).or_else(|| serde_json::from_str(token).ok())
    }

    /// Whether there is another item; it is at hand then. Otherwise the walk is behind the end.
    fn next_item(&mut self) -> bool {
        self.pass_blanks();
        if self.byte() == b',' {
            self.at += 1;
            self.pass_blanks();
        }
        let has_ended = matches!(self.byte(), b']' | b'}' | 0);
        self.at += usize::from(has_ended);
        !has_ended
    }

    /// Goes behind the value at hand.
    fn skip(&mut self) {
        match self.byte() {
            b'"' => self.skip_string(),
            b'{' | b'[' => self.skip_nested(),
            _ => self.skip_to(|byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t')),
        }
    }

    fn skip_nested(&mut self) {
        let mut depth = 0_usize;
        loop {
            self.skip_to(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'));
            match self.byte() {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                0 => return,
                _ => depth -= 1,
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.at += 1;
        loop {
            self.skip_to(|byte| matches!(byte, b'"' | b'\\'));
            match self.byte() {
                b'\\' => self.at += 2,
                _ => break,
            }
        }
        self.at += 1;
    }

    fn skip_to(&mut self, is_wanted: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| is_wanted(*byte)).unwrap_or(rest.len());
    }

    fn pass_blanks(&mut self) {
        while matches!(self.byte(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// The byte at hand; 0, which no JSON holds, behind the end.
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }
}

/// What a string without escapes holds.
fn plain_string(token: &str) -> Option<&str> {
    let inner = token.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}
