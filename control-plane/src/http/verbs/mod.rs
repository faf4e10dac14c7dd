//! What can be done to objects, the same for every kind.
//!
//! In: an [`Ask`], which holds the evidence that the caller may. Out: replies. Reading goes
//! through [`selection`], writing through [`intake`], [`commit`] and the kind's strategy. Nothing
//! here knows a kind, except where the API has a path for one alone: [`binding`], [`log`].

mod agent;
mod answer;
mod ask;
mod binding;
mod commit;
mod create;
mod delete;
mod delete_collection;
mod delete_options;
mod event_writer;
mod get;
mod intake;
mod list;
mod log;
mod log_options;
mod metadata;
mod options;
mod page;
mod parts;
mod patch;
mod revision;
mod scale;
mod selection;
mod update;
mod watch;
mod watch_events;

use nodeplane_api::{kinds::Subresource, status::Status};

use self::{ask::Ask, parts::Part};
use super::{
    Api,
    authz::Permit,
    call::Call,
    negotiate::Form,
    reply::Reply,
    route::{Request, Verb},
};

/// Carries out a call on objects.
///
/// # Errors
/// Whatever the client is to read instead of an answer.
pub async fn serve(api: &Api, permit: &Permit, request: &Request, call: &Call) -> Result<Reply, Status> {
    let form = if request.verb == Verb::Watch { Form::of_stream(call)? } else { Form::of_answer(call)? };
    let ask = Ask { api, permit, request, call, form };
    match (request.subresource, request.verb) {
        (Some(Subresource::Scale), verb) => scale::serve(&ask, verb).await,
        (Some(Subresource::Binding), _) => binding::bind(&ask).await,
        (Some(Subresource::Log), _) => log::stream(&ask).await,
        (Some(Subresource::Status), Verb::Update) => update::update(&ask, Part::Status).await,
        (Some(Subresource::Status), Verb::Patch) => patch::patch(&ask, Part::Status).await,
        (Some(Subresource::Finalize), Verb::Update) => update::update(&ask, Part::Finalizers).await,
        (None | Some(Subresource::Status), Verb::Get) => get::get(&ask).await,
        (None, Verb::List) => list::list(&ask).await,
        (None, Verb::Watch) => watch::watch(&ask).await,
        (None, Verb::Create) => create::create(&ask).await,
        (None, Verb::Update) => update::update(&ask, Part::Whole).await,
        (None, Verb::Patch) => patch::patch(&ask, Part::Whole).await,
        (None, Verb::Delete) => delete::delete(&ask).await,
        (None, Verb::DeleteCollection) => delete_collection::delete_collection(&ask).await,
        (Some(Subresource::Status | Subresource::Finalize), _) => Err(Status::method_not_allowed()),
    }
}
