//! An object on its way out.
//!
//! In: options. Out: a `Status` for what is gone, the object for what is only marked.

use http::StatusCode;
use nodeplane_api::{meta, status::Status};
use serde_json::{Value, json};

use super::{answer, ask::Ask, delete_options::DeleteOptions};
use crate::{http::reply::Reply, registry::engine::Removed};

/// Deletes the object of the path.
///
/// # Errors
/// 403 from admission, 404, 409 when a precondition does not hold, 422 for bad options.
pub(super) async fn delete(ask: &Ask<'_>) -> Result<Reply, Status> {
    let options = DeleteOptions::read(ask.call)?;
    let reply = match ask.api.engine.remove(ask.permit, ask.name(), &options.removal).await? {
        Removed::Gone(object) if ask.strategy().returns_deleted_object() => {
            answer::object(ask, StatusCode::OK, &object)
        }
        Removed::Gone(object) => answer::success(ask, StatusCode::OK, &details(ask, &object)),
        Removed::Marked(object) if options.is_legacy_cascade => answer::object(ask, StatusCode::ACCEPTED, &object),
        Removed::Marked(object) => answer::object(ask, StatusCode::OK, &object),
    };
    Ok(reply?.with_warnings(&warnings(ask, &options)))
}

/// What to say when the client leaves open what becomes of dependents.
pub(super) fn warnings(ask: &Ask<'_>, options: &DeleteOptions) -> Vec<String> {
    let warning = if options.removal.propagation.is_none() { ask.strategy().deletion_warning() } else { None };
    warning.map(str::to_owned).into_iter().collect()
}

fn details(ask: &Ask<'_>, object: &Value) -> Value {
    let kind = ask.kind();
    let mut details = json!({ "name": meta::name(object), "kind": kind.plural, "uid": meta::uid(object) });
    if !kind.group.is_empty() {
        details["group"] = kind.group.into();
    }
    details
}
