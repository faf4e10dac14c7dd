//! A new object.

use http::StatusCode;
use nodeplane_api::{meta, status::Status};
use serde_json::Value;

use super::{answer, ask::Ask, intake, options::WriteOptions};
use crate::{
    http::reply::Reply,
    registry::{
        engine::{Edit, Expects, Part, Target},
        metadata::own,
    },
};

/// Answers with the object as it was stored.
///
/// # Errors
/// 400 and 422 for a bad object, 403 and 404 from admission, 409 for a name that is taken.
pub(super) async fn create(ask: &Ask<'_>) -> Result<Reply, Status> {
    let options = WriteOptions::read(&ask.call.query, "CreateOptions")?;
    let mut intake = intake::object(ask.call, ask.kind(), options.validation)?;
    own::enter_namespace(&mut intake.object, ask.namespace())?;
    check_revision(&intake.object)?;
    let draft = Edit { object: intake.object, warnings: intake.warnings };
    let name = meta::name(&draft.object);
    let target = Target {
        name,
        part: Part::Whole,
        expects: Expects::Absent,
        ownership: ask.ownership(),
        dry_run: options.dry_run,
    };
    let written = ask.api.engine.write(ask.permit, &target, |_| Ok(draft.clone())).await?;
    Ok(answer::object(ask, StatusCode::CREATED, &written.object)?.with_warnings(&written.warnings))
}

/// An object that names a revision was meant for an update.
fn check_revision(object: &Value) -> Result<(), Status> {
    match meta::text(object, "resourceVersion") {
        "" | "0" => Ok(()),
        _ => Err(Status::failure("resourceVersion should not be set on objects to be created")),
    }
}
