//! What an API server answers instead of an object: `metav1.Status`, with the exact words that
//! Kubernetes uses (apimachinery `api/errors`).

mod fields;
mod reason;

use std::fmt;

use serde_json::{Value, json};

pub use self::{
    fields::{FieldError, FieldErrorKind, FieldErrors, go_text},
    reason::Reason,
};
use crate::kinds::Kind;

/// A request that failed, as the client will read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Why, for programs.
    pub reason: Reason,
    /// What went wrong, for people.
    pub message: String,
    /// `.details`, or null.
    pub details: Value,
    /// `.metadata.continue`: where an expired list may go on.
    pub continue_token: Option<String>,
}

impl Status {
    fn new(code: u16, reason: Reason, message: impl Into<String>) -> Self {
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
        Self::new(404, Reason::NotFound, format!("{} \"{name}\" not found", kind.qualified_plural())).about(kind, name)
    }

    /// 404: there is no such path.
    pub fn no_such_path() -> Self {
        Self::new(404, Reason::NotFound, "the server could not find the requested resource")
    }

    /// 409: the name is taken.
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(409, Reason::AlreadyExists, format!("{} \"{name}\" already exists", kind.qualified_plural()))
            .about(kind, name)
    }

    /// 409: the object changed since the client read it.
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified_plural());
        Self::new(409, Reason::Conflict, message).about(kind, name)
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
        let mut status = Self::new(422, Reason::Invalid, format!("{qualified} \"{name}\" is invalid: {words}"));
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
        Self::new(400, Reason::BadRequest, message)
    }

    /// 401: no credential, or one that is not known here.
    pub fn unauthorized() -> Self {
        Self::new(401, Reason::Unauthorized, "Unauthorized")
    }

    /// 403: the caller may not do this, in the words of the access check.
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new(403, Reason::Forbidden, message)
    }

    /// 403: this object may not be changed so.
    pub fn forbidden(kind: &Kind, name: &str, why: impl fmt::Display) -> Self {
        Self::new(403, Reason::Forbidden, format!("{} \"{name}\" is forbidden: {why}", kind.qualified_plural()))
            .about(kind, name)
    }

    /// 405: the path does not take this method.
    pub fn method_not_allowed() -> Self {
        Self::new(405, Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
    }

    /// 406: the client accepts nothing that the server can write.
    pub fn not_acceptable() -> Self {
        Self::new(
            406,
            Reason::NotAcceptable,
            "only the following media types are accepted: application/json, application/yaml",
        )
    }

    /// 410: the revision that the client asks for is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, Reason::Expired, message)
    }

    /// 413: the body is larger than the server reads.
    pub fn too_large(limit: u64) -> Self {
        Self::new(413, Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {limit}"))
    }

    /// 415: the body's media type is not one the path takes.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, Reason::UnsupportedMediaType, message)
    }

    /// 422: a well-formed request that cannot be carried out.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, Reason::Invalid, message)
    }

    /// 429: try again later.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let mut status = Self::new(429, Reason::TooManyRequests, message);
        status.details = json!({ "retryAfterSeconds": retry_after_seconds });
        status
    }

    /// 500: a fault of the server.
    pub fn internal(error: impl fmt::Display) -> Self {
        Self::new(500, Reason::InternalError, format!("Internal error occurred: {error}"))
    }

    /// 500 without a reason: a failure in its own words.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(500, Reason::Unknown, message)
    }

    /// 503: something the server needs is away.
    pub fn unavailable(error: impl fmt::Display) -> Self {
        Self::new(503, Reason::ServiceUnavailable, error.to_string())
    }

    /// 504: the server is not (yet) able to answer in time.
    pub fn timeout(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let mut status = Self::new(504, Reason::Timeout, message);
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
        if self.reason != Reason::Unknown {
            object["reason"] = self.reason.as_str().into();
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
