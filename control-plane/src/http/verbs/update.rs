//! An object in place of the one that is stored.

use http::StatusCode;
use nodeplane_api::{
    meta,
    status::{FieldErrors, Status},
};
use serde_json::Value;

use super::{answer, ask::Ask, intake, options::WriteOptions};
use crate::{
    http::reply::Reply,
    registry::{
        engine::{Edit, Part},
        metadata::own,
    },
};

/// Answers with the object as it is stored now.
///
/// # Errors
/// 400 and 422 for a bad object, 404 when there is none to replace, 409 for a stale one.
pub(super) async fn update(ask: &Ask<'_>, part: Part) -> Result<Reply, Status> {
    let options = WriteOptions::read(&ask.call.query, "UpdateOptions")?;
    let mut intake = intake::object(ask.call, ask.kind(), options.validation)?;
    own::check_name(&mut intake.object, &ask.key())?;
    check_revision(ask, &intake.object)?;
    let asked = Edit { object: intake.object, warnings: intake.warnings };
    let target = ask.present(part, options.dry_run);
    let written = ask.api.engine.write(ask.permit, &target, |_| Ok(asked.clone())).await?;
    Ok(answer::object(ask, StatusCode::OK, &written.object)?.with_warnings(&written.warnings))
}

/// Some kinds must be told which state is replaced.
fn check_revision(ask: &Ask<'_>, object: &Value) -> Result<(), Status> {
    let has_one = !matches!(meta::text(object, "resourceVersion"), "" | "0");
    if has_one || ask.strategy().allows_unconditional_update() {
        return Ok(());
    }
    let mut errors = FieldErrors::default();
    errors.invalid_shown("metadata.resourceVersion", "0x0", "must be specified for an update");
    let kind = ask.kind();
    // Upstream names the resource here, not the kind.
    Err(Status::invalid_as(kind.group, kind.plural, ask.name(), &errors))
}
