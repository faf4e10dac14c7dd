//! A call on objects with all that answers it.

use nodeplane_api::{kinds::Kind, meta::Key, status::Status};

use crate::{
    access::Permit,
    http::{Api, call::Call, negotiate::Form},
    registry::{
        Strategy,
        engine::{Expects, Part, Target},
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
}

impl<'a> Ask<'a> {
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
    pub(super) fn present(&self, part: Part, dry_run: bool) -> Target<'a> {
        Target { name: self.name(), part, expects: Expects::Present, dry_run }
    }

    /// The store's decision in the words of the API.
    pub(super) fn refused(&self, error: StoreError) -> Status {
        refusal(self.kind(), self.name(), error)
    }
}
