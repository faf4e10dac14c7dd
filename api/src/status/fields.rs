//! What is wrong with the fields of an object, in the words of `util/validation/field`.

use std::fmt;

use serde_json::Value;

/// A value as Go's `%#v` prints it: texts quoted, `map[string]string{"a":"b"}`,
/// `[]string{"a"}`; a missing value as `"null"`, anything else as JSON.
pub fn go_text(value: &Value) -> String {
    match value {
        Value::Object(map) if map.values().all(Value::is_string) => {
            let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
            format!("map[string]string{{{}}}", entries.join(", "))
        }
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            format!("[]string{{{}}}", items.join(", "))
        }
        // A nil pointer; field errors show it as a text.
        Value::Null => "\"null\"".to_owned(),
        other => other.to_string(),
    }
}

/// Why a field is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// The field must be set.
    Required,
    /// The value appears twice where it must be unique.
    Duplicate,
    /// The value is malformed or out of range.
    Invalid,
    /// The value is not one of a closed set.
    NotSupported,
    /// The field may not be set here.
    Forbidden,
    /// The value has too many bytes.
    TooLong,
    /// The list has too many items.
    TooMany,
    /// The value names something that does not exist.
    NotFound,
}

impl FieldErrorKind {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::NotFound => "FieldValueNotFound",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::NotFound => "Not found",
        }
    }
}

/// One wrong field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Field path, such as `spec.ports[0].port`.
    pub path: String,
    /// What kind of mistake it is.
    pub kind: FieldErrorKind,
    /// The offending value; null where the message does not quote one.
    pub value: Value,
    /// How the message shows the value, where that is not how [`go_text`] does; empty for not at all.
    pub shown: Option<String>,
    /// What would be right.
    pub detail: String,
}

impl FieldError {
    /// The sentence without the path.
    pub(super) fn body(&self) -> String {
        let words = self.kind.words();
        let quotes_value = matches!(
            self.kind,
            FieldErrorKind::Invalid
                | FieldErrorKind::Duplicate
                | FieldErrorKind::NotSupported
                | FieldErrorKind::NotFound
                | FieldErrorKind::TooMany
        );
        let mut body = words.to_owned();
        if quotes_value && self.shown.as_deref() != Some("") {
            let shown = self.shown.clone().unwrap_or_else(|| go_text(&self.value));
            body.push_str(&format!(": {shown}"));
        }
        if !self.detail.is_empty() {
            body.push_str(&format!(": {}", self.detail));
        }
        body
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

/// All wrong fields of an object, in the order found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldErrors(pub Vec<FieldError>);

impl FieldErrors {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn push(&mut self, path: impl Into<String>, kind: FieldErrorKind, value: Value, detail: impl Into<String>) {
        self.0.push(FieldError { path: path.into(), kind, value, shown: None, detail: detail.into() });
    }

    /// The field must be set.
    pub fn required(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        self.push(path, FieldErrorKind::Required, Value::Null, detail);
    }

    /// The value appears twice.
    pub fn duplicate(&mut self, path: impl Into<String>, value: impl Into<Value>) {
        self.push(path, FieldErrorKind::Duplicate, value.into(), "");
    }

    /// The value is malformed or out of range.
    pub fn invalid(&mut self, path: impl Into<String>, value: impl Into<Value>, detail: impl Into<String>) {
        self.push(path, FieldErrorKind::Invalid, value.into(), detail);
    }

    /// The value is malformed, and `shown` is how upstream would print it.
    pub fn invalid_shown(&mut self, path: impl Into<String>, shown: impl Into<String>, detail: impl Into<String>) {
        self.push(path, FieldErrorKind::Invalid, Value::Null, detail);
        self.show_last(shown.into());
    }

    /// The value is wrong as a whole, and not shown.
    pub fn invalid_whole(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        self.invalid_shown(path, "", detail);
    }

    /// The value appears twice, and `shown` is how upstream would print it.
    pub fn duplicate_shown(&mut self, path: impl Into<String>, shown: impl Into<String>) {
        self.push(path, FieldErrorKind::Duplicate, Value::Null, "");
        self.show_last(shown.into());
    }

    fn show_last(&mut self, shown: String) {
        if let Some(last) = self.0.last_mut() {
            last.shown = Some(shown);
        }
    }

    /// The value appears twice, with a word about what must be unique.
    pub fn duplicate_because(&mut self, path: impl Into<String>, shown: impl Into<String>, detail: impl Into<String>) {
        self.push(path, FieldErrorKind::Duplicate, Value::Null, detail);
        self.show_last(shown.into());
    }

    /// The list has more than `limit` items.
    pub fn too_many(&mut self, path: impl Into<String>, found: usize, limit: usize) {
        let detail = format!("must have at most {limit} items");
        self.push(path, FieldErrorKind::TooMany, found.into(), detail);
    }

    /// The value is not one of `supported`, which are listed in this order.
    pub fn not_supported(&mut self, path: impl Into<String>, value: impl Into<Value>, supported: &[&str]) {
        let names: Vec<String> = supported.iter().map(|s| format!("\"{s}\"")).collect();
        self.push(path, FieldErrorKind::NotSupported, value.into(), format!("supported values: {}", names.join(", ")));
    }

    /// The value is not one of `supported`, and `shown` is how upstream would print it.
    pub fn not_supported_shown(&mut self, path: impl Into<String>, shown: impl Into<String>, supported: &[&str]) {
        self.not_supported(path, Value::Null, supported);
        self.show_last(shown.into());
    }

    /// The field may not be set here.
    pub fn forbidden(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        self.push(path, FieldErrorKind::Forbidden, Value::Null, detail);
    }

    /// The value has more than `limit` bytes.
    pub fn too_long(&mut self, path: impl Into<String>, limit: usize) {
        self.push(path, FieldErrorKind::TooLong, Value::Null, format!("may not be more than {limit} bytes"));
    }

    /// The value names something that does not exist.
    pub fn not_found(&mut self, path: impl Into<String>, value: impl Into<Value>) {
        self.push(path, FieldErrorKind::NotFound, value.into(), "");
    }

    /// Takes over all errors of another set.
    pub fn extend(&mut self, other: FieldErrors) {
        self.0.extend(other.0);
    }
}
