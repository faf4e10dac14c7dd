//! Objects that clients send.
//!
//! In: a body and the kind that the path stands for. Out: an object that has the kind's shape,
//! and what a strict reader would complain about. Never judges values; strategies do.

use nodeplane_api::{
    documents,
    kinds::{Kind, Shape},
    status::Status,
};
use serde_json::Value;

use super::options::Validation;
use crate::http::{body::Document, call::Call, codec::Codec};

/// Bytes of a body that an error message shows.
const SHOWN: usize = 30;

/// An object that was read.
pub(super) struct Intake {
    /// As it is stored: with `apiVersion` and `kind`, without unknown fields and nulls.
    pub(super) object: Value,
    /// Sentences for the `Warning` header.
    pub(super) warnings: Vec<String>,
}

/// What a body has to be.
struct Wanted<'a> {
    api_version: &'a str,
    kind: &'a str,
    shape: &'a Shape,
}

/// Reads the body as an object of `kind`.
///
/// # Errors
/// 400 in upstream's words for a body that is no such object, 415 for one in an unknown form.
pub(super) fn object(call: &Call, kind: &'static Kind, validation: Validation) -> Result<Intake, Status> {
    let wanted = Wanted { api_version: &kind.api_version(), kind: kind.kind, shape: &kind.shape };
    let Intake { object, warnings } = read(call, &wanted, validation)?;
    Ok(Intake { object: kind.kept(object), warnings })
}

/// Reads the body as a document of the table of those that travel, by `apiVersion` and `kind`.
///
/// # Errors
/// As [`object`].
pub(super) fn travelling(call: &Call, named: (&str, &str), validation: Validation) -> Result<Intake, Status> {
    let (api_version, kind) = named;
    let shape = documents::shape_of(api_version, kind);
    let shape = shape.ok_or_else(|| Status::internal(format!("no document {kind}")))?;
    read(call, &Wanted { api_version, kind, shape }, validation)
}

fn read(call: &Call, wanted: &Wanted<'_>, validation: Validation) -> Result<Intake, Status> {
    let Document { mut value, duplicates } = document(call, (wanted.api_version, wanted.kind))?;
    check_type(&value, wanted)?;
    value["apiVersion"] = wanted.api_version.into();
    value["kind"] = wanted.kind.into();
    let unhandled = |why: &str| unhandled(wanted.kind, wanted, why);
    let decoded = (wanted.shape.decode)(value).map_err(|error| unhandled(&error.message))?;
    let warnings = complaints(&duplicates, &decoded.unknown, validation).map_err(|sentence| unhandled(&sentence))?;
    Ok(Intake { object: decoded.object, warnings })
}

/// Reads the body as some object; `wanted` is the `apiVersion` and `kind` of one that does not
/// name its own.
///
/// # Errors
/// 400, 415.
pub(super) fn document(call: &Call, wanted: (&str, &str)) -> Result<Document, Status> {
    let codec = Codec::of_body(call)?;
    let unrecognised = |why: &str| {
        let body = summary(&call.body);
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({body})",
            wanted.1
        ))
    };
    let syntax = |error: String| match codec {
        Codec::Protobuf => unrecognised(&error),
        Codec::Json | Codec::Yaml => unrecognised(&format!("couldn't get version/kind; json parse error: {error}")),
    };
    let document = codec.decode(&call.body, wanted).map_err(syntax)?;
    match document.value {
        Value::Object(_) => Ok(document),
        _ => Err(unrecognised("couldn't get version/kind; json parse error: the body is not an object")),
    }
}

/// What unknown and duplicate fields lead to: warnings, or the sentence of a strict reader.
pub(super) fn complaints(
    duplicates: &[String],
    unknown: &[String],
    validation: Validation,
) -> Result<Vec<String>, String> {
    let duplicates = duplicates.iter().map(|path| format!("duplicate field \"{path}\""));
    let sentences: Vec<String> =
        duplicates.chain(unknown.iter().map(|path| format!("unknown field \"{path}\""))).collect();
    match validation {
        Validation::Ignore => Ok(Vec::new()),
        Validation::Strict if !sentences.is_empty() => Err(format!("strict decoding error: {}", sentences.join(", "))),
        Validation::Warn | Validation::Strict => Ok(sentences),
    }
}

/// Compares the type that an object names with the one of the path; what is left out is taken
/// from the path.
fn check_type(value: &Value, wanted: &Wanted<'_>) -> Result<(), Status> {
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    let (own_version, own_kind) = (wanted.api_version, wanted.kind);
    let (version, name) = (text("apiVersion"), text("kind"));
    let is_other_version = !version.is_empty() && version != own_version;
    let is_other_kind = !name.is_empty() && name != own_kind;
    if is_other_kind {
        let named = if version.is_empty() { own_version } else { version };
        let why = match documents::shape_of(named, name) {
            Some(_) => format!("converting ({named}.{name}) to ({own_version}.{own_kind}): unknown conversion"),
            None => format!("no kind \"{name}\" is registered for version \"{named}\""),
        };
        return Err(unhandled(name, wanted, &why));
    }
    if is_other_version {
        return Err(Status::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({own_version})"
        )));
    }
    Ok(())
}

fn unhandled(found: &str, wanted: &Wanted<'_>, why: &str) -> Status {
    let (api_version, kind) = (wanted.api_version, wanted.kind);
    let version = api_version.rsplit('/').next().unwrap_or_default();
    Status::bad_request(format!("{found} in version \"{version}\" cannot be handled as a {kind}: {why}"))
}

/// The start of a body: text when it looks like JSON, hexadecimal otherwise.
fn summary(body: &[u8]) -> String {
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    let shown = &body[..body.len().min(SHOWN)];
    let text = match shown.first() {
        Some(b'{') => String::from_utf8_lossy(shown).into_owned(),
        _ => shown.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if body.len() > SHOWN { text + " ..." } else { text }
}
