//! Many objects on their way out.

use futures::{TryStreamExt, stream::FuturesUnordered};
use nodeplane_api::status::{Reason, Status};

use super::{answer, ask::Ask, delete, delete_options::DeleteOptions, list, selection::Selection};
use crate::{http::reply::Reply, store::object::Object};

/// Objects that are deleted at the same time: as many as make one commit worth its while.
const AT_ONCE: usize = 128;

/// Deletes all objects of the path that the selectors choose, each like one that is named, and
/// answers with the list as it was. What is gone meanwhile does not matter.
///
/// # Errors
/// The first of those that single deletions fail with.
pub(super) async fn delete_collection(ask: &Ask<'_>) -> Result<Reply, Status> {
    let options = DeleteOptions::read(ask.call)?;
    let selection = Selection::read(ask)?;
    let page = list::fetch(ask, &selection).await?;
    let mut deletions = FuturesUnordered::new();
    for object in &page.objects {
        if deletions.len() == AT_ONCE {
            deletions.try_next().await?;
        }
        deletions.push(one(ask, object, &options));
    }
    deletions.try_collect::<()>().await?;
    Ok(answer::list(ask, page).await?.with_warnings(&delete::warnings(ask, &options)))
}

async fn one(ask: &Ask<'_>, object: &Object, options: &DeleteOptions) -> Result<(), Status> {
    match ask.api.engine.remove(ask.permit, object.name(), &options.removal).await {
        Err(status) if status.reason != Reason::NotFound => Err(status),
        _ => Ok(()),
    }
}
