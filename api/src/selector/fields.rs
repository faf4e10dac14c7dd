//! Field selectors: `metadata.name=web,spec.nodeName!=n1`.

use std::{borrow::Cow, fmt};

use serde_json::Value;

use super::SelectorError;
use crate::kinds::Kind;

/// A conjunction of comparisons of single fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    label: String,
    pointer: String,
    absent: &'static str,
    equal: bool,
    value: String,
}

impl FieldSelector {
    /// Reads a selector for objects of `kind`; empty text selects everything.
    ///
    /// Fails with upstream's sentence for a malformed term or a field that the kind does not
    /// offer (`field label not supported: x`).
    pub fn parse(text: &str, kind: &Kind) -> Result<Self, SelectorError> {
        let mut terms = Vec::new();
        for raw in split_terms(text) {
            if raw.is_empty() {
                continue;
            }
            let (label, equal, value) = split_operator(raw)
                .ok_or_else(|| SelectorError(format!("invalid selector: '{text}'; can't understand '{raw}'")))?;
            let value = unescape(value)?;
            let (pointer, absent) = locate(label, kind)?;
            terms.push(Term { label: label.to_owned(), pointer, absent, equal, value });
        }
        Ok(Self { terms })
    }

    /// Whether every object matches.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether all comparisons hold for the object.
    pub fn matches(&self, object: &Value) -> bool {
        self.matches_by(|pointer| match object.pointer(pointer)? {
            Value::Null => None,
            Value::String(text) => Some(text.into()),
            other => Some(other.to_string().into()),
        })
    }

    /// Whether all comparisons hold for fields that are looked up one by one, by JSON pointer: a
    /// text as it is, anything else as JSON, nothing for null.
    pub fn matches_by<'v>(&self, lookup: impl Fn(&str) -> Option<Cow<'v, str>>) -> bool {
        self.terms.iter().all(|term| term.matches(lookup(&term.pointer).as_deref()))
    }

    /// The value that a field must have, when the selector demands one exactly.
    pub fn exact(&self, label: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.equal && term.label == label).map(|term| term.value.as_str())
    }
}

impl Term {
    fn matches(&self, found: Option<&str>) -> bool {
        let found = found.filter(|text| !text.is_empty()).unwrap_or(self.absent);
        (found == self.value) == self.equal
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let operator = if term.equal { "=" } else { "!=" };
            write!(f, "{comma}{}{operator}{}", term.label, escape(&term.value))?;
        }
        Ok(())
    }
}

/// The JSON pointer of a selectable field, and the text that stands for its absence.
fn locate(label: &str, kind: &Kind) -> Result<(String, &'static str), SelectorError> {
    if label == "metadata.name" || (label == "metadata.namespace" && kind.is_namespaced()) {
        return Ok((format!("/{}", label.replace('.', "/")), ""));
    }
    kind.selectable_fields
        .iter()
        .find(|(name, _, _)| *name == label)
        .map(|(_, pointer, absent)| ((*pointer).to_owned(), *absent))
        .ok_or_else(|| SelectorError(unsupported(label, kind)))
}

/// The sentence for a field that cannot be selected by. Kinds that list their fields are brief;
/// for the others upstream names the label and the two fields that always work.
fn unsupported(label: &str, kind: &Kind) -> String {
    if kind.selectable_fields.is_empty() {
        format!("\"{label}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    } else {
        format!("field label not supported: {label}")
    }
}

/// Splits at commas that are not escaped by a backslash.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

/// Splits a term at its first operator: (field, whether it is equality, value).
fn split_operator(term: &str) -> Option<(&str, bool, &str)> {
    for (at, _) in term.char_indices() {
        let rest = &term[at..];
        for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
            if let Some(value) = rest.strip_prefix(operator) {
                return Some((&term[..at], equal, value));
            }
        }
    }
    None
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => plain.push(next),
                Some(next) => {
                    return Err(SelectorError(format!("invalid field selector: invalid escape sequence: \\{next}")));
                }
                None => return Err(SelectorError("invalid field selector: invalid escape sequence: \\".to_owned())),
            },
            ',' | '=' => {
                return Err(SelectorError(format!("invalid field selector: unescaped character in value: {c}")));
            }
            _ => plain.push(c),
        }
    }
    Ok(plain)
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}
