//! Kinds that are not stored: each object is made for the call that asks for it.
//!
//! In: an [`Ask`] about a virtual kind of the table. Out: the object with its answer. How a kind
//! is made is chosen here and nowhere else; most are a [`review::Review`]. Nothing of what is made
//! here reaches the store, but the node of a pod.

mod access;
mod bindings;
mod components;
mod identity;
mod review;
mod rules;

use nodeplane_api::status::Status;

use self::{
    access::{AccessReview, Subject},
    identity::{Myself, SomeToken},
    rules::OwnRules,
};
use super::ask::Ask;
use crate::http::reply::Reply;

/// Carries out a call on a virtual kind.
///
/// # Errors
/// Those of the kind; 405 for one that nobody makes.
pub(super) async fn serve(ask: &Ask<'_>) -> Result<Reply, Status> {
    match (ask.kind().group, ask.kind().kind) {
        ("", "Binding") => bindings::bind(ask).await,
        ("", "ComponentStatus") => components::read(ask).await,
        ("authentication.k8s.io", "SelfSubjectReview") => review::create(ask, &Myself).await,
        ("authentication.k8s.io", "TokenReview") => review::create(ask, &SomeToken).await,
        ("authorization.k8s.io", "SelfSubjectRulesReview") => review::create(ask, &OwnRules).await,
        ("authorization.k8s.io", kind) => match Subject::of(kind) {
            Some(subject) => review::create(ask, &AccessReview(subject)).await,
            None => Err(Status::method_not_allowed()),
        },
        _ => Err(Status::method_not_allowed()),
    }
}
