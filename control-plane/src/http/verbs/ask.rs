//! A call on objects with all that answers it.

use std::borrow::Cow;

use http::header::USER_AGENT;
use nodeplane_api::{
    kinds::{Kind, Verb},
    meta::Key,
    status::Status,
};

use crate::{
    access::Permit,
    http::{Api, call::Call, negotiate::Form},
    registry::{
        Strategy,
        engine::{Expects, Ownership, Part, Target},
        metadata::managers,
        objects::refusal,
    },
    store::StoreError,
};

/// What a verb works with. Only who has a [`Permit`] can make one.
pub(super) struct Ask<'a> {
    pub(super) api: &'a Api,
    pub(super) permit: &'a Permit,
    pub(super) call: &'a Call,
    /// How the client wants to read the answer.
    pub(super) form: Form,
    manager: Cow<'a, str>,
}

impl<'a> Ask<'a> {
    /// A call that may be answered.
    ///
    /// # Errors
    /// 406 when nothing can be written that the client reads.
    pub(super) fn new(api: &'a Api, permit: &'a Permit, call: &'a Call) -> Result<Self, Status> {
        let is_watch = permit.request().verb == Verb::Watch;
        let form = if is_watch { Form::of_stream(call)? } else { Form::of_answer(call)? };
        let manager = match call.query.text("fieldManager") {
            "" => managers::of_user_agent(call.header(&USER_AGENT)),
            name => Cow::Borrowed(name),
        };
        Ok(Self { api, permit, call, form, manager })
    }

    pub(super) fn kind(&self) -> &'static Kind {
        self.permit.request().kind
    }

    pub(super) fn strategy(&self) -> &'a dyn Strategy {
        self.api.registry.strategy(self.kind())
    }

    /// The name in the path; empty for a collection.
    pub(super) fn name(&self) -> &'a str {
        self.permit.request().name()
    }

    /// The namespace in the path; empty for cluster-scoped kinds and for all namespaces.
    pub(super) fn namespace(&self) -> &'a str {
        self.permit.request().namespace()
    }

    /// Namespace and name in the path.
    pub(super) fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }

    /// A part of the object of the path, which has to be there.
    pub(super) fn present(&self, part: Part, dry_run: bool) -> Target<'_> {
        Target { name: self.name(), part, expects: Expects::Present, ownership: self.ownership(), dry_run }
    }

    /// The name under which the caller owns what it writes.
    pub(super) fn manager(&self) -> &str {
        &self.manager
    }

    /// The caller owns what it changes.
    pub(super) fn ownership(&self) -> Ownership<'_> {
        Ownership::Manager(&self.manager)
    }

    /// The store's decision in the words of the API.
    pub(super) fn refused(&self, error: StoreError) -> Status {
        refusal(self.kind(), self.name(), error)
    }
}
