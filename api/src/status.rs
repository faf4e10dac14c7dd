//! What an API server answers instead of an object: `metav1.Status`, with the exact words that
//! Kubernetes uses (apimachinery `api/errors`, `util/validation/field`).

use std::fmt;

use serde_json::{Value, json};

use crate::kinds::Kind;

/// A request that failed, as the client will read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason, such as `NotFound`.
    pub reason: &'static str,
    /// What went wrong, for people.
    pub message: String,
    /// `.details`, or null.
    pub details: Value,
    /// `.metadata.continue`: where an expired list may go on.
    pub continue_token: Option<String>,
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null, continue_token: None }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        let mut details = json!({ "kind": kind.plural });
        if !kind.group.is_empty() {
            details["group"] = kind.group.into();
        }
        if !name.is_empty() {
            details["name"] = name.into();
        }
        self.details = details;
        self
    }

    /// 404: there is no such object.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", kind.qualified_plural())).about(kind, name)
    }

    /// 404: there is no such path.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// 409: the name is taken.
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", kind.qualified_plural()))
            .about(kind, name)
    }

    /// 409: the object changed since the client read it.
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified_plural());
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// 409 with the sentence for a stale `resourceVersion`.
    pub fn stale(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 422: fields of the object are wrong.
    pub fn invalid(kind: &Kind, name: &str, errors: &FieldErrors) -> Self {
        Self::invalid_as(kind.group, kind.kind, name, errors)
    }

    /// 422: fields are wrong of something that is no kind of the table, such as
    /// `ListOptions.meta.k8s.io`. A patch has neither group nor kind.
    pub fn invalid_as(group: &str, kind: &str, name: &str, errors: &FieldErrors) -> Self {
        let words = match errors.0.as_slice() {
            [one] => one.to_string(),
            many => format!("[{}]", many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        };
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let causes: Vec<Value> = errors
            .0
            .iter()
            .map(|e| json!({ "reason": e.kind.reason(), "message": e.body(), "field": e.path }))
            .collect();
        let mut status = Self::new(422, "Invalid", format!("{qualified} \"{name}\" is invalid: {words}"));
        status.details = json!({ "causes": causes });
        for (field, text) in [("group", group), ("kind", kind), ("name", name)] {
            if !text.is_empty() {
                status.details[field] = text.into();
            }
        }
        status
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: no credential, or one that is not known here.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403: the caller may not do this, in the words of the access check.
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", message)
    }

    /// 403: this object may not be changed so.
    pub fn forbidden(kind: &Kind, name: &str, why: impl fmt::Display) -> Self {
        Self::new(403, "Forbidden", format!("{} \"{name}\" is forbidden: {why}", kind.qualified_plural()))
            .about(kind, name)
    }

    /// 405: the path does not take this method.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// 406: the client accepts nothing that the server can write.
    pub fn not_acceptable() -> Self {
        Self::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml",
        )
    }

    /// 410: the revision that the client asks for is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 413: the body is larger than the server reads.
    pub fn too_large(limit: u64) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    /// 415: the body's media type is not one the path takes.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422: a well-formed request that cannot be carried out.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message)
    }

    /// 429: try again later.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let mut status = Self::new(429, "TooManyRequests", message);
        status.details = json!({ "retryAfterSeconds": retry_after_seconds });
        status
    }

    /// 500: a fault of the server.
    pub fn internal(error: impl fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {error}"))
    }

    /// 500 without a reason: a failure in its own words.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// 503: something the server needs is away.
    pub fn unavailable(error: impl fmt::Display) -> Self {
        Self::new(503, "ServiceUnavailable", error.to_string())
    }

    /// 504: the server is not (yet) able to answer in time.
    pub fn timeout(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let mut status = Self::new(504, "Timeout", message);
        status.details = json!({ "retryAfterSeconds": retry_after_seconds });
        status
    }

    /// Adds a cause to `.details.causes`.
    pub fn with_cause(mut self, reason: &str, message: &str, field: &str) -> Self {
        if self.details.is_null() {
            self.details = json!({});
        }
        let cause = json!({ "reason": reason, "message": message, "field": field });
        match self.details["causes"].as_array_mut() {
            Some(causes) => causes.push(cause),
            None => self.details["causes"] = json!([cause]),
        }
        self
    }

    /// Seconds for the `Retry-After` header.
    pub fn retry_after(&self) -> Option<u64> {
        self.details["retryAfterSeconds"].as_u64()
    }

    /// The `metav1.Status` object.
    pub fn to_object(&self) -> Value {
        let mut object = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            object["reason"] = self.reason.into();
        }
        if let Some(token) = &self.continue_token {
            object["metadata"]["continue"] = token.as_str().into();
        }
        if !self.details.is_null() {
            object["details"] = self.details.clone();
        }
        object
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

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
    fn reason(self) -> &'static str {
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
    /// How the message shows the value, where that is not how [`go_text`] does.
    pub shown: Option<String>,
    /// What would be right.
    pub detail: String,
}

impl FieldError {
    /// The sentence without the path.
    fn body(&self) -> String {
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
        if quotes_value {
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
