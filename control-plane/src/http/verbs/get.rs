//! One object.

use nodeplane_api::status::Status;

use super::{answer, ask::Ask, revision::Wanted};
use crate::{http::reply::Reply, store::watch_cache::Freshness};

/// Answers with the object of the path.
///
/// # Errors
/// 404 when it does not exist, 504 when it is not known yet at the wanted revision.
pub(super) async fn get(ask: &Ask<'_>) -> Result<Reply, Status> {
    let (objects, kind) = (&ask.api.objects, ask.kind());
    let object = match Wanted::parse(ask.call.query.text("resourceVersion"))? {
        Wanted::Newest => objects.newest(kind, ask.namespace(), ask.name()).await?,
        Wanted::Any => objects.cached(kind, ask.namespace(), ask.name(), Freshness::Any).await?,
        Wanted::At(revision) => objects.cached(kind, ask.namespace(), ask.name(), Freshness::AtLeast(revision)).await?,
    };
    answer::stored(ask, &object)
}
