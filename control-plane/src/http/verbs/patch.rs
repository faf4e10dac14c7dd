//! A change of the object that is stored, in one of three languages.
//!
//! In: a patch body. Out: the patched object, through the same door as an update. A patch is about
//! the object as the row of the path shows it. One that names no revision is applied again when
//! the object changed meanwhile.

use std::borrow::Cow;

use http::{StatusCode, header};
use nodeplane_api::{
    kinds::Kind,
    patch::{self, PatchError},
    status::{FieldErrors, Reason, Status},
};
use serde_json::Value;

use super::{
    answer,
    ask::Ask,
    intake::complaints,
    options::{Validation, WriteOptions},
};
use crate::{
    http::{body, call::Call, reply::Reply},
    registry::{
        engine::{Edit, Part},
        metadata::own,
    },
};

/// Media types of patches; the last one is for [`apply`](super::apply).
const MEDIA_TYPES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    super::apply::MEDIA_TYPE,
];

/// Answers with the object as it is stored now.
///
/// # Errors
/// 400 and 422 for a bad patch or a bad result, 404, 409 for a stale revision in the patch, 415
/// for another language.
pub(super) async fn patch(ask: &Ask<'_>, part: Part) -> Result<Reply, Status> {
    let patch = Patch::read(ask.call)?;
    let options = WriteOptions::read_patch(&ask.call.query, false)?;
    let (kind, key) = (ask.kind(), ask.key());
    let edit = |old: Option<&Value>| {
        let old = old.map(|old| kind.shown(Cow::Borrowed(old)));
        let patched = patch.apply(old.as_deref().unwrap_or(&Value::Null), Some(kind))?;
        let (object, warnings) = patch.shape(patched, kind, options.validation)?;
        let mut object = kind.kept(object);
        own::check_name(&mut object, &key)?;
        Ok(Edit { object, warnings })
    };
    let written = ask.api.engine.write(ask.permit, &ask.present(part, options.dry_run), edit).await?;
    Ok(answer::object(ask, StatusCode::OK, &written.object)?.with_warnings(&written.warnings))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Json,
    Merge,
    Strategic,
}

/// A patch that was read.
pub(super) struct Patch {
    language: Language,
    body: Value,
    duplicates: Vec<String>,
}

impl Patch {
    /// Reads the body of a call.
    ///
    /// # Errors
    /// 400 for bad syntax, 415 for a language that is not known.
    pub(super) fn read(call: &Call) -> Result<Self, Status> {
        let content_type = call.header(&header::CONTENT_TYPE);
        let language = match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Language::Json,
            "application/merge-patch+json" => Language::Merge,
            "application/strategic-merge-patch+json" => Language::Strategic,
            _ => return Err(Status::unsupported_media_type(&MEDIA_TYPES)),
        };
        let body::Document { value, duplicates } = body::from_json(&call.body)
            .map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
        Ok(Self { language, body: value, duplicates })
    }

    /// The patched object. Without a kind, lists do not merge.
    ///
    /// # Errors
    /// 400, 413, 422.
    pub(super) fn apply(&self, old: &Value, kind: Option<&'static Kind>) -> Result<Value, Status> {
        let patched = match (self.language, kind) {
            (Language::Json, _) => patch::json(old, &self.body),
            (Language::Strategic, Some(kind)) => patch::strategic(old, &self.body, kind),
            (Language::Merge, _) | (Language::Strategic, None) => patch::merge(old, &self.body),
        };
        patched.map_err(|error| match error {
            PatchError::Malformed(message) => Status::bad_request(message),
            PatchError::Unprocessable(message) => Status::unprocessable(message),
            PatchError::TooManyOperations(_) => {
                let status = Status::bad_request(error.to_string());
                Status { code: 413, reason: Reason::RequestEntityTooLarge, ..status }
            }
        })
    }

    /// The patched object in the shape of its kind, and warnings.
    fn shape(
        &self,
        mut patched: Value,
        kind: &'static Kind,
        validation: Validation,
    ) -> Result<(Value, Vec<String>), Status> {
        if !patched.is_object() {
            return Err(self.refused(&patched, "the patched object is none"));
        }
        patched["apiVersion"] = kind.api_version().into();
        patched["kind"] = kind.kind.into();
        let shown = self.shown(&patched);
        let decoded = (kind.shape.decode)(patched).map_err(|error| refusal(shown.clone(), &error.message))?;
        let warnings =
            complaints(&self.duplicates, &decoded.unknown, validation).map_err(|sentence| refusal(shown, &sentence))?;
        Ok((decoded.object, warnings))
    }

    /// 422 for a result that is no object of the kind.
    pub(super) fn refused(&self, patched: &Value, why: &str) -> Status {
        refusal(self.shown(patched), why)
    }

    /// What an error message shows of the patch: the result, or the patch itself as Go prints it.
    fn shown(&self, patched: &Value) -> String {
        match self.language {
            Language::Json | Language::Merge => patched.to_string(),
            Language::Strategic => as_go_map(&self.body),
        }
    }
}

fn refusal(shown: String, why: &str) -> Status {
    let mut errors = FieldErrors::default();
    errors.invalid("patch", shown, why);
    Status::invalid_as("", "", "", &errors)
}

/// A value as Go's `%+v` prints it: `map[spec:map[replicas:3]]`.
fn as_go_map(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(as_go_map).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let fields: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", as_go_map(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        scalar => scalar.to_string(),
    }
}
