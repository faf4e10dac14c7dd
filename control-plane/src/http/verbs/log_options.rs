//! Which part of a container's output is asked for.

use nodeplane_api::status::{FieldErrors, Status};
use serde_json::Value;

use crate::http::call::Query;

/// Parameters that go to the node as they are.
const PASSED: [&str; 7] = ["follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes"];

/// Checks the parameters of a log (upstream `ValidatePodLogOptions`).
///
/// # Errors
/// 400 for a number that is none, 422 for values that mean nothing.
pub(super) fn check(query: &Query) -> Result<(), Status> {
    let mut errors = FieldErrors::default();
    let since = (query.number("sinceSeconds")?, query.text("sinceTime"));
    if query.number("tailLines")?.is_some_and(|lines| lines < 0) {
        errors.invalid("tailLines", number(query, "tailLines"), "must be greater than or equal to 0");
    }
    if query.number("limitBytes")?.is_some_and(|bytes| bytes < 1) {
        errors.invalid("limitBytes", number(query, "limitBytes"), "must be greater than 0");
    }
    match since {
        (Some(_), text) if !text.is_empty() => {
            errors.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified");
        }
        (Some(seconds), _) if seconds < 1 => errors.invalid("sinceSeconds", seconds, "must be greater than 0"),
        (None, text) if !text.is_empty() && text.parse::<jiff::Timestamp>().is_err() => {
            errors.invalid("sinceTime", text, "must be a time in the form of RFC 3339");
        }
        _ => {}
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid_as("", "PodLogOptions", "", &errors)) }
}

fn number(query: &Query, name: &str) -> Value {
    query.text(name).parse::<i64>().map_or(Value::Null, Value::from)
}

/// The query for the node agent.
pub(super) fn query(query: &Query) -> String {
    let given = PASSED.iter().filter_map(|name| query.get(name).map(|value| (name, value)));
    let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

/// Percent-encodes everything but unreserved characters (RFC 3986 section 2.3).
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
