//! Server-side apply: a configuration becomes part of what is stored, or the object itself.
//!
//! In: what a client wants of an object, in YAML or JSON. Out: the object, through the same door as
//! an update; who owns what is settled before, by [`nodeplane_api::apply`].

use std::borrow::Cow;

use http::{StatusCode, header};
use jiff::Timestamp;
use nodeplane_api::{
    apply::{self, ApplyError, Conflicts, Writer},
    kinds::Verb,
    meta,
    status::{Reason, Status},
};
use serde_json::Value;

use super::{
    answer,
    ask::Ask,
    options::{Validation, WriteOptions},
};
use crate::{
    access::Request,
    http::{
        body::{self, Document},
        call::Call,
        reply::Reply,
    },
    registry::{
        engine::{Edit, Expects, Ownership, Part, Target},
        metadata::own,
    },
};

/// The media type of configurations. JSON is YAML, too.
pub(super) const MEDIA_TYPE: &str = "application/apply-patch+yaml";

/// Whether the body of a patch is a configuration.
pub(in crate::http) fn is_asked(call: &Call) -> bool {
    let content_type = call.header(&header::CONTENT_TYPE);
    content_type.split(';').next().unwrap_or_default().trim() == MEDIA_TYPE
}

/// Answers with the object as it is stored now. Only the object as a whole can be made.
///
/// # Errors
/// 400 and 500 for what is no configuration of the kind, 403 when the object may not be made, 404
/// when a part of nothing is applied, 409 for what others own, 422.
pub(super) async fn apply(ask: &Ask<'_>, part: Part) -> Result<Reply, Status> {
    let asked = Asked::read(ask)?;
    let expects = if part == Part::Whole { Expects::Any } else { Expects::Present };
    let may_create = match expects {
        Expects::Any => may_create(ask).await,
        _ => Ok(()),
    };
    let edit = |old: Option<&Value>| {
        if old.is_none() {
            may_create.clone()?;
        }
        let object = asked.merged(ask, old)?;
        Ok(Edit { object, warnings: asked.warnings.clone() })
    };
    let target =
        Target { name: ask.name(), part, expects, ownership: Ownership::Applied, dry_run: asked.options.dry_run };
    let written = ask.api.engine.write(ask.permit, &target, edit).await?;
    let code = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(answer::object(ask, code, &written.object)?.with_warnings(&written.warnings))
}

/// What a client applies, and how.
pub(super) struct Asked {
    pub(super) config: Value,
    pub(super) options: WriteOptions,
    force: bool,
    /// What stands twice.
    duplicates: Option<String>,
    warnings: Vec<String>,
}

impl Asked {
    /// Reads a call.
    ///
    /// # Errors
    /// 400 for a body that is no YAML, 422 for bad options.
    pub(super) fn read(ask: &Ask<'_>) -> Result<Self, Status> {
        let options = WriteOptions::read_patch(&ask.call.query, true)?;
        let document =
            document(&ask.call.body).map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
        let mut asked = Self {
            config: document.value,
            options,
            force: ask.call.query.flag("force"),
            duplicates: None,
            warnings: Vec::new(),
        };
        let sentences: Vec<String> =
            document.duplicates.iter().map(|path| format!("duplicate field \"{path}\"")).collect();
        match options.validation {
            Validation::Warn => asked.warnings = sentences,
            Validation::Strict if !sentences.is_empty() => asked.duplicates = Some(sentences.join(", ")),
            Validation::Strict | Validation::Ignore => {}
        }
        Ok(asked)
    }

    /// The stored object, or nothing, with what is applied: in its stored form.
    fn merged(&self, ask: &Ask<'_>, old: Option<&Value>) -> Result<Value, Status> {
        let kind = ask.kind();
        let shown = old.map(|old| kind.shown(Cow::Borrowed(old)));
        let object = self.apply(ask, shown.as_deref(), &self.config).map_err(refusal)?;
        self.refuse_duplicates()?;
        let decoded = (kind.shape.decode)(object).map_err(|error| Status::failure(error.message))?;
        let mut object = kind.kept(decoded.object);
        if old.is_none() {
            check_new(ask, &object)?;
        }
        own::enter_namespace(&mut object, ask.namespace())?;
        own::check_name(&mut object, &ask.key())?;
        Ok(object)
    }

    /// What a configuration makes of an object of the path's kind.
    ///
    /// # Errors
    /// As [`apply::apply`].
    pub(super) fn apply(&self, ask: &Ask<'_>, live: Option<&Value>, config: &Value) -> Result<Value, ApplyError> {
        let kind = ask.kind();
        let part = ask.permit.request().subresource.and_then(|subresource| kind.part(subresource));
        let writer = Writer { manager: ask.manager(), kind, part, now: Timestamp::now() };
        apply::apply(&writer, live, config, self.force)
    }

    /// Upstream tells of them only when the configuration is fine otherwise.
    ///
    /// # Errors
    /// 400.
    pub(super) fn refuse_duplicates(&self) -> Result<(), Status> {
        match &self.duplicates {
            Some(found) => Err(Status::bad_request(format!("error strict decoding patch: {found}"))),
            None => Ok(()),
        }
    }
}

/// JSON is read as such, for the fields that stand twice; nothing at all is a configuration of
/// nothing.
fn document(bytes: &[u8]) -> Result<Document, String> {
    let is_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let json = if is_json { body::from_json(bytes).ok() } else { None };
    let document = json.map_or_else(|| body::from_yaml(bytes), Ok)?;
    match document.value {
        Value::Object(_) => Ok(document),
        Value::Null => Ok(Document { value: Value::Object(serde_json::Map::new()), ..document }),
        _ => Err("the configuration is not an object".to_owned()),
    }
}

/// Whether the caller may make the object, too.
async fn may_create(ask: &Ask<'_>) -> Result<(), Status> {
    let request = Request { verb: Verb::Create, ..ask.permit.request().clone() };
    ask.api.authority.permit(ask.permit.caller().clone(), request).await.map(drop)
}

/// What is wrong with an object that is not there yet.
fn check_new(ask: &Ask<'_>, object: &Value) -> Result<(), Status> {
    let uid = meta::uid(object);
    if !uid.is_empty() {
        let why = format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
        return Err(Status::conflict(ask.kind(), ask.name(), &why));
    }
    if meta::name(object).is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            ask.name()
        )));
    }
    Ok(())
}

/// Why a configuration was not applied, as a client reads it.
pub(super) fn refusal(error: ApplyError) -> Status {
    match error {
        ApplyError::Malformed(why) => Status::bad_request(why),
        ApplyError::Failed(why) => Status::failure(why),
        ApplyError::Conflicts(conflicts) => conflict(&conflicts),
    }
}

fn conflict(conflicts: &Conflicts) -> Status {
    let status = Status::bad_request(conflicts.to_string());
    let status = Status { code: 409, reason: Reason::Conflict, ..status };
    conflicts.iter().fold(status, |status, conflict| {
        let words = format!("conflict with {}", conflict.owner());
        status.with_cause("FieldManagerConflict", &words, &conflict.field())
    })
}
