//! What can be done to objects, the same for every kind.
//!
//! In: an [`Ask`], which holds the evidence that the caller may. Out: replies. Reading goes
//! through [`selection`], writing through [`intake`] and the write engine. Nothing
//! here knows a kind, except where the API has a path for one alone: [`binding`], [`eviction`], [`log`],
//! [`token`]. Kinds that are not stored are made in a room of their own: [`made`].

mod agent;
mod answer;
mod apply;
mod ask;
mod binding;
mod create;
mod delete;
mod delete_collection;
mod delete_options;
mod event_writer;
mod eviction;
mod get;
mod intake;
mod list;
mod log;
mod log_options;
mod made;
mod options;
mod page;
mod patch;
mod revision;
mod scale;
mod selection;
mod token;
mod update;
mod watch;
mod watch_events;

use nodeplane_api::{
    kinds::{self, Subresource, Verb},
    status::Status,
};

pub(super) use self::apply::is_asked as is_apply;
use self::ask::Ask;
use super::{Api, call::Call, reply::Reply};
use crate::{access::Permit, registry::engine::Part};

/// Carries out a call on objects.
///
/// # Errors
/// Whatever the client is to read instead of an answer.
pub async fn serve(api: &Api, permit: &Permit, call: &Call) -> Result<Reply, Status> {
    let request = permit.request();
    let ask = Ask::new(api, permit, call)?;
    if !request.kind.is_stored() {
        return made::serve(&ask).await;
    }
    let part = request.subresource.and_then(|subresource| request.kind.part(subresource));
    match (part, request.verb) {
        (Some(part), verb) if !part.writes.is_empty() => written_through(&ask, part, verb).await,
        (Some(part), verb) => match part.subresource {
            Subresource::Scale => scale::serve(&ask, verb).await,
            Subresource::Binding => binding::bind(&ask).await,
            Subresource::Eviction => eviction::evict(&ask).await,
            Subresource::Log => log::stream(&ask).await,
            Subresource::Token => token::create(&ask).await,
            Subresource::Status | Subresource::EphemeralContainers | Subresource::Finalize | Subresource::Approval => {
                Err(Status::method_not_allowed())
            }
        },
        (None, Verb::Get) => get::get(&ask).await,
        (None, Verb::List) => list::list(&ask).await,
        (None, Verb::Watch) => watch::watch(&ask).await,
        (None, Verb::Create) => create::create(&ask).await,
        (None, Verb::Update) => update::update(&ask, Part::Whole).await,
        (None, Verb::Patch) => change(&ask, Part::Whole).await,
        (None, Verb::Delete) => delete::delete(&ask).await,
        (None, Verb::DeleteCollection) => delete_collection::delete_collection(&ask).await,
    }
}

/// A part that is some fields of the object.
async fn written_through(ask: &Ask<'_>, part: &'static kinds::Part, verb: Verb) -> Result<Reply, Status> {
    match verb {
        Verb::Get => get::get(ask).await,
        Verb::Update => update::update(ask, Part::Fields(part)).await,
        Verb::Patch => change(ask, Part::Fields(part)).await,
        _ => Err(Status::method_not_allowed()),
    }
}

/// A patch, or a configuration that is applied.
async fn change(ask: &Ask<'_>, part: Part) -> Result<Reply, Status> {
    if apply::is_asked(ask.call) { apply::apply(ask, part).await } else { patch::patch(ask, part).await }
}
